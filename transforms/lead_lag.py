"""Who moves first: cross-correlations of each pair, and what chance alone reaches over all lags."""

import zlib
from collections.abc import Iterator
from typing import Annotated as As

import numpy as np
import polars as pl
from polars import LazyFrame as Frame

from schemas import core, mart
from schemas.table import conform, polars_schema
from transforms.rolling import FloatArray
from transforms.study import Study

KEY = ["asset", "benchmark", "convention", "as_of_session", "lag_sessions"]
LAGS = np.arange(-20, 21)
BLOCK = 10  # sessions that a permutation keeps together, clusters of volatility with them
PERMUTATIONS = 999
MIN_RETURNS = 100  # joint returns below which there are too few blocks to permute


def lead_lag(returns: As[Frame, core.Returns], study: Study) -> As[Frame, mart.LeadLag]:
    """Cross-correlation at lags -20 to 20 of every pair and convention, with its band and p values.

    The band and the p value are those of the largest |r| over all 41 lags, so that looking at all of them
    is paid for; the q value also pays for looking at all pairs of the convention. Pairs with fewer than 100
    joint returns have r alone.
    """
    history = returns.collect()
    links = [
        link.with_columns(pl.lit(convention).alias("convention"))
        for (convention,), part in history.partition_by("convention", as_dict=True).items()
        for link in cross_correlations(part, str(convention), study.pairs)
    ]
    if not links:
        return pl.LazyFrame(schema=polars_schema(mart.LeadLag))
    smallest = pl.col("p_value").min().over("asset", "benchmark", "convention")
    return (
        pl.concat(links)
        .with_columns(as_of_session=pl.lit(history["session"].max()), smallest=smallest)
        .with_columns(
            pl.col("smallest")
            .filter(pl.col("lag_sessions") == 0)
        )
        .lazy()
        .sort(KEY)
        .pipe(conform, mart.LeadLag)
    )
