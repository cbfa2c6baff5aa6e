"""The rolling link of every pair: correlation with its interval, in every window and both conventions."""

from dataclasses import dataclass
from typing import Annotated as As

import numpy as np
import polars as pl
from polars import LazyFrame as Frame

from schemas import core, mart
from schemas.table import conform, polars_schema
from transforms import rolling
from transforms.study import Study


def correlations(returns: As[Frame, core.Returns], study: Study) -> As[Frame, mart.Correlations]:
    """Pearson with its interval, Spearman with its interval, beta, EWMA and the verdict.

    One row per session from the pair's first joint return on; the method is that of `transforms.rolling`.
    The rows lie by window and session, so that what is asked of one session is read in one place.
    """
    by_convention = returns.collect().partition_by("convention", as_dict=True)
    found = [returns_of(part, convention, study) for (convention,), part in sorted(by_convention.items())]
    links = [rolling_link(one, window) for window in sorted(study.windows) for one in found if one.pairs]
    return (
        pl.concat(links or [pl.DataFrame(schema=polars_schema(mart.Correlations))])
        .lazy()
        .with_columns(judged(study.threshold))
        .pipe(conform, mart.Correlations)
    )


@dataclass(frozen=True, slots=True)
class Returns:
    """The returns of one convention as a matrix, and the pairs that have both of their columns in it.

    It begins with the first session that is joint to any pair.
    """

    convention: str
    sessions: pl.Series
    matrix: rolling.FloatArray  # (sessions, assets)
    pairs: list[tuple[str, str]]
    left: rolling.IntArray  # (pairs,) columns of their first assets
    right: rolling.IntArray
    ewma: rolling.FloatArray  # (sessions, pairs)


def returns_of(part: pl.DataFrame, convention: str, study: Study) -> Returns:
    """The rows of `core.returns` of one convention."""
    wide = part.pivot("asset", index="session", values="log_return").sort("session")
    assets = wide.columns[1:]
    pairs = sorted(pair for pair in study.pairs if set(pair) <= set(assets))
    left, right = (np.array([assets.index(pair[side]) for pair in pairs], dtype=np.intp) for side in (0, 1))
    matrix = wide.select(assets).to_numpy()
    seen = ~np.isnan(matrix)
    begun = slice(int(np.argmax((seen[:, left] & seen[:, right]).any(axis=1))), None)
    matrix, days = matrix[begun], wide["session"][begun]
    ewma = rolling.ewma_correlation(matrix, left, right)
    return Returns(convention, days, matrix, pairs, left, right, ewma)


def rolling_link(returns: Returns, window: int) -> pl.DataFrame:
    """A row per session and pair, for one window."""
    of = (returns.matrix, returns.left, returns.right, window)
    link, spearman = rolling.rolling_link(*of), rolling.rolling_spearman(*of)
    spearman_lo95, spearman_hi95 = rolling.spearman_interval(spearman, window)
    figures: dict[str, np.ndarray] = {
        "n": link.n,
        "start": link.start,
        "r": link.r,
        "lo95": link.lo95,
        "hi95": link.hi95,
        "spearman": spearman,
        "spearman_lo95": spearman_lo95,
        "spearman_hi95": spearman_hi95,
        "beta": link.beta,
        "ewma_r": returns.ewma,
    }
    return long(returns.sessions, returns.pairs, figures).with_columns(
        pl.lit(returns.convention).alias("convention"), pl.lit(window, pl.Int32).alias("window_sessions")
    )


def long(sessions: pl.Series, pairs: list[tuple[str, str]], figures: dict[str, np.ndarray]) -> pl.DataFrame:
    """Arrays of shape (sessions, pairs) as a frame with a row per session and pair, NaN as null."""
    of_session, of_pair = np.divmod(np.arange(len(sessions) * len(pairs), dtype=np.int32), len(pairs))
    pair = pl.DataFrame(pairs, schema=["asset", "benchmark"], orient="row")
    columns = (pl.Series(name, array.ravel(), nan_to_null=True) for name, array in figures.items())
    start = pl.when(pl.col("start") >= 0).then(pl.col("start"))
    return (
        pair[of_pair]
        .with_columns(sessions.gather(of_session).alias("session"), *columns)
        .filter(pl.col("n") > 0)
        .with_columns(window_start=pl.lit(sessions).gather(start))
        .drop("start")
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
