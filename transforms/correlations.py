"""The rolling link of every pair: correlation with its interval, in every window and both conventions."""

from collections.abc import Iterator
from typing import Annotated as As

import numpy as np
import polars as pl
from polars import LazyFrame as Frame

from schemas import core, mart
from schemas.table import conform, polars_schema
from transforms import rolling
from transforms.study import Study

KEY = ["asset", "benchmark", "convention", "window_sessions", "session"]


def correlations(returns: As[Frame, core.Returns], study: Study) -> As[Frame, mart.Correlations]:
    """Pearson with its interval, Spearman with its interval, beta, EWMA and the verdict.

    One row per session from the pair's first joint return on; the method is that of `transforms.rolling`.
    """
    by_convention = returns.collect().partition_by("convention", as_dict=True)
    links = [
        link.with_columns(convention=pl.lit(convention))
        for (convention,), part in by_convention.items()
        for link in rolling_links(part, study)
    ]
    if not links:
        return pl.LazyFrame(schema=polars_schema(mart.Correlations))
    return (
        pl.concat(links)
        .lazy()
        .with_columns(judged(study.threshold))
        .sort(KEY)
        .pipe(conform, mart.Correlations)
    )


def rolling_links(returns: pl.DataFrame, study: Study) -> Iterator[pl.DataFrame]:
    """One frame per window with a row per pair and session, for the returns of one convention."""
    wide = returns.pivot("asset", index="session", values="log_return").sort("session")
    assets = wide.columns[1:]
    pairs = [pair for pair in study.pairs if set(pair) <= set(assets)]
    if not pairs:
        return
    matrix = wide.select(assets).to_numpy()
    left, right = (np.array([assets.index(pair[side]) for pair in pairs]) for side in (0, 1))
    ewma = rolling.ewma_correlation(matrix, left, right)
    for window in study.windows:
        link = rolling.rolling_link(matrix, left, right, window)
        spearman = rolling.rolling_spearman(matrix, left, right, window)
        spearman_lo95, spearman_hi95 = rolling.spearman_interval(spearman, window)
        figures = {
            "r": link.r,
            "lo95": link.lo95,
            "hi95": link.hi95,
            "spearman": spearman,
            "spearman_lo95": spearman_lo95,
            "spearman_hi95": spearman_hi95,
            "beta": link.beta,
            "ewma_r": ewma,
        }
        yield long(wide["session"], pairs, {"n": link.n, "start": link.start, **figures}).with_columns(
            pl.lit(window, pl.Int32).alias("window_sessions")
        )


def long(sessions: pl.Series, pairs: list[tuple[str, str]], figures: dict[str, np.ndarray]) -> pl.DataFrame:
    """Arrays of shape (sessions, pairs) as a frame with a row per pair and session, NaN as null."""
    height, width = len(sessions), len(pairs)
    columns = {name: np.ascontiguousarray(array.T).ravel() for name, array in figures.items()}
    pair = pl.DataFrame({"asset": [a for a, _ in pairs], "benchmark": [b for _, b in pairs]})
    frame = pair.select(pl.all().repeat_by(height).explode()).with_columns(
        pl.Series("session", np.tile(sessions.to_numpy(), width)).cast(pl.Date),
        *(pl.Series(name, values, nan_to_null=True) for name, values in columns.items()),
    )
    start = pl.when(pl.col("start") >= 0).then(pl.col("start"))
    return (
        frame.filter(pl.col("n") > 0).with_columns(window_start=pl.lit(sessions).gather(start)).drop("start")
    )


def judged(threshold: float) -> list[pl.Expr]:
    """The article's bare rule, and the verdict that its interval allows."""
    verdict = (
        pl.when(pl.col("lo95") > threshold)
        .then(pl.lit("strong"))
        .when(pl.col("hi95") < threshold)
        .then(pl.lit("weak"))
        .when(pl.col("lo95").is_not_null())
        .then(pl.lit("undetermined"))
    )
    return [(pl.col("r") > threshold).alias("is_above_threshold"), verdict.alias("verdict")]
