"""When a link began and when it ended, and how often that would happen by chance."""

from typing import Annotated as As

import numpy as np
import polars as pl
from numpy.typing import NDArray
from polars import LazyFrame as Frame

from schemas import mart
from schemas.table import conform
from transforms.rolling import FloatArray, rolling_correlation
from transforms.study import Study

SERIES = ["asset", "benchmark", "window_sessions"]
ENTER = 0.05  # above the threshold: where a link begins
LEAVE = 0.10  # below it: where it ends
RUN = 5  # consecutive sessions that a change takes
PATHS = 200
SEED = 20_170_817  # fixed, so that a rebuild gives the same figures
SESSIONS_PER_YEAR = 252


def regimes(correlations: As[Frame, mart.Correlations], study: Study) -> As[Frame, mart.Regimes]:
    """Dated stretches of each pair and window, from the first session that has an r.

    A change is dated to the session that completes its run, so no stretch knows the future: later sessions
    prolong the last one or end it, and never touch those before.
    """
    return (
        states(correlations, study.threshold)
        .with_columns(stretch=pl.col("is_linked").rle_id().over(SERIES, order_by="session"))
        .group_by(*SERIES, "stretch")
        .agg(
            since=pl.col("session").min(),
            last=pl.col("session").max(),
            sessions=pl.len(),
            state=pl.when(pl.col("is_linked").first()).then(pl.lit("linked")).otherwise(pl.lit("unlinked")),
        )
        .with_columns(
            until=pl.when(pl.col("stretch") < pl.col("stretch").max().over(SERIES)).then(pl.col("last"))
        )
        .sort(*SERIES, "since")
        .pipe(conform, mart.Regimes)
    )


def regime_summary(
    correlations: As[Frame, mart.Correlations], regimes: As[Frame, mart.Regimes], study: Study
) -> As[Frame, mart.RegimeSummary]:
    """Changes of state per year, beside those of a constant correlation of the same mean.

    A year is 252 sessions that have an r. Null where a pair has none yet. The normal returns of the
    simulation know no fat tails and no clustering: with them chance alone would change the state more often.
    """
    summary = (
        session_close(correlations)
        .group_by(SERIES)
        .agg(as_of_session=pl.col("session").max(), mean_r=pl.col("r").mean(), readings=pl.col("r").count())
        .join(regimes.group_by(SERIES).agg(changes=pl.len() - 1), on=SERIES, how="left")
        .with_columns(flips_per_year=pl.col("changes") * SESSIONS_PER_YEAR / pl.col("readings"))
        .sort(SERIES)
        .collect()
    )
    expected = [
        None if mean_r is None else expected_flips(mean_r, window, readings, study.threshold)
        for mean_r, window, readings in summary.select("mean_r", "window_sessions", "readings").iter_rows()
    ]
    return (
        summary.lazy()
        .with_columns(pl.Series("flips_expected_by_chance", expected, pl.Float64))
        .pipe(conform, mart.RegimeSummary)
    )


def hysteresis(r: FloatArray, threshold: float) -> NDArray[np.bool_]:
    """True where linked: the last completed run was one of 5 sessions at or above the threshold + 0.05.

    A run of 5 at or below the threshold - 0.10 ends the link. Before any run the state is unlinked. A NaN
    breaks the run that it falls in and leaves the state as it was.

    Args:
        r: (sessions, ...) rolling correlations in order of time; each series on its own.
        threshold: correlation, -1..1.
    """
    session = np.arange(len(r), dtype=np.int32).reshape(-1, *[1] * (r.ndim - 1))

    def last_run(condition: NDArray[np.bool_]) -> NDArray[np.int32]:
        whole = np.zeros_like(condition)
        if len(r) >= RUN:
            shifts = [condition[shift : len(r) - RUN + 1 + shift] for shift in range(RUN)]
            whole[RUN - 1 :] = np.logical_and.reduce(shifts)
        latest: NDArray[np.int32] = np.maximum.accumulate(np.where(whole, session, np.int32(-1)), axis=0)
        return latest

    linked: NDArray[np.bool_] = last_run(r >= threshold + ENTER) > last_run(r <= threshold - LEAVE)
    return linked


def expected_flips(mean_r: float, window: int, readings: int, threshold: float) -> float:
    """Changes of state per year of 252 sessions when the correlation is `mean_r` throughout.

    Mean over 200 simulated histories of independent bivariate normal returns, each as long as to give
    `readings` rolling correlations. Every pair sees the same random numbers, so its figure depends on
    nothing but the arguments.
    """
    noise = np.random.default_rng(SEED).standard_normal((readings + window - 1, 2, PATHS))
    left = noise[:, 0]
    right = mean_r * left + np.sqrt(1 - mean_r**2) * noise[:, 1]
    path = np.arange(PATHS)
    r = rolling_correlation(np.hstack([left, right]), path, PATHS + path, window)[window - 1 :]
    linked = hysteresis(r, threshold)
    changes = np.count_nonzero(linked[1:] != linked[:-1]) / PATHS
    return changes * SESSIONS_PER_YEAR / readings


def session_close(correlations: Frame) -> Frame:
    """Rolling correlations of same-instant closes, in order."""
    return (
        correlations.filter(pl.col("convention") == "session_close")
        .select(*SERIES, "session", "r")
        .sort(*SERIES, "session")
    )


def states(correlations: Frame, threshold: float) -> Frame:
    """The state of each pair and window at each session, from its first r on."""
    parts = [
        part.with_columns(pl.Series("is_linked", hysteresis(part["r"].to_numpy(), threshold)))
        for part in session_close(correlations).collect().partition_by(SERIES, maintain_order=True)
    ]
    empty = pl.DataFrame(schema={"is_linked": pl.Boolean})
    has_begun = pl.col("r").is_not_null().cum_max().over(SERIES, order_by="session")
    return pl.concat([*parts, empty], how="diagonal").lazy().filter(has_begun)
