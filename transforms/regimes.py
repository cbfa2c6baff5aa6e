"""When a link began and when it ended, and how often that would happen by chance."""

from typing import Annotated as As

import numpy as np
import polars as pl
from numpy.typing import NDArray
from polars import LazyFrame as Frame

from schemas import mart
from schemas.table import conform
from transforms.rolling import FloatArray
from transforms.study import Study

SERIES = ["asset", "benchmark", "window_sessions"]
ENTER = 0.05  # above the threshold: where a link begins
LEAVE = 0.10  # below it: where it ends
RUN = 5  # consecutive sessions that a change takes
PATHS = 200
TAILS = 5  # degrees of freedom of the simulated returns
SEED = 20_170_817  # fixed, so that a rebuild gives the same figures
SESSIONS_PER_YEAR = 252


def regimes(correlations: As[Frame, mart.Correlations], study: Study) -> As[Frame, mart.Regimes]:
    """Dated stretches of each pair and window, from the first session that has an r.

    A change is dated to the session that completes its run, so no stretch knows the future: later sessions
    prolong the last one or end it, and never touch those before.
    """
    series = readings(correlations).with_row_index("series").collect()
    return (
        stretches(series.select("series", "session", "r"), study.threshold)
        .join(series.lazy().select("series", *SERIES), on="series")
        .sort(*SERIES, "since")
        .pipe(conform, mart.Regimes)
    )


def stretches(series: pl.DataFrame, threshold: float) -> Frame:
    """`series`, `since`, `until`, `state` and `sessions` of each stretch of some series, numbered from 0.

    Args:
        series: A row a series: its number, and its sessions and their r as lists in order of time.
        threshold: As in `hysteresis`.
    """
    linked = [np.empty(0, np.bool_), *(hysteresis(r.to_numpy(), threshold) for r in series["r"])]
    return (
        series.lazy()
        .explode("session", "r")
        .with_columns(pl.Series("is_linked", np.concatenate(linked)))
        .filter(pl.col("r").is_not_null().cum_max().over("series"))
        .with_columns(stretch=pl.col("is_linked").rle_id().over("series"))
        .group_by("series", "stretch")
        .agg(
            since=pl.col("session").min(),
            last=pl.col("session").max(),
            sessions=pl.len(),
            state=pl.when(pl.col("is_linked").first()).then(pl.lit("linked")).otherwise(pl.lit("unlinked")),
        )
        .with_columns(
            until=pl.when(pl.col("stretch") < pl.col("stretch").max().over("series")).then(pl.col("last"))
        )
    )


def regime_summary(
    correlations: As[Frame, mart.Correlations], regimes: As[Frame, mart.Regimes], study: Study
) -> As[Frame, mart.RegimeSummary]:
    """Changes of state per year, beside those of a constant correlation of the same mean.

    A year is 252 sessions that have an r. Null where a pair has none yet. The simulated returns have fat
    tails but no clusters of volatility, so what they show is still a lower bound.
    """
    measured = (
        readings(correlations)
        .select(
            *SERIES,
            as_of_session=pl.col("session").list.max(),
            mean_r=pl.col("r").list.mean(),
            readings=pl.col("r").list.drop_nulls().list.len(),
        )
        .join(regimes.group_by(SERIES).agg(changes=pl.len() - 1), on=SERIES, how="left")
        .with_columns(flips_per_year=pl.col("changes") * SESSIONS_PER_YEAR / pl.col("readings"))
        .sort(SERIES)
        .collect()
    )
    expected = chance(measured.select("window_sessions", "mean_r", "readings").rows(), study.threshold)
    return (
        measured.lazy()
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


def chance(series: list[tuple[int, float | None, int]], threshold: float) -> list[float | None]:
    """Expected changes per year of each (window, mean r, number of r); None without an r."""
    found: list[float | None] = [None] * len(series)
    sessions = max((n + window for window, mean_r, n in series if mean_r is not None), default=0)
    a, b = fat_tailed(sessions)
    for window in {window for window, mean_r, _ in series if mean_r is not None}:
        own = [at for at, (w, mean_r, _) in enumerate(series) if w == window and mean_r is not None]
        mean_r = np.array([series[at][1] for at in own])
        odds = mean_r / np.sqrt(np.maximum(1 - mean_r**2, np.finfo(np.float64).tiny))
        length = max(series[at][2] for at in own) + window - 1
        enter, leave = turning_points(*rolling_noise(a[:length], b[:length], window), threshold)
        known, place = np.unique(odds, return_inverse=True)  # places compare like odds, and faster
        small = np.min_scalar_type(len(known))
        enter = np.searchsorted(known, enter, "left").astype(small)
        leave = np.searchsorted(known, leave, "right").astype(small)
        place = place.astype(small)
        for at, odd in zip(own, place, strict=True):
            readings = series[at][2]
            found[at] = flips_per_year(odd >= enter[:, :readings], odd < leave[:, :readings])
    return found


def flips_per_year(enters: NDArray[np.bool_], leaves: NDArray[np.bool_]) -> float:
    """Changes of state per year of 252 sessions.

    Args:
        enters: (paths, sessions) whether a run that begins the link ends there; every path begins unlinked.
        leaves: Likewise of runs that end the link.
    """
    ends = enters | leaves
    ends[:, 1:] &= ~(enters[:, 1:] & enters[:, :-1] | leaves[:, 1:] & leaves[:, :-1])  # only what is new
    ends[:, 0] = True  # where every path begins
    state = np.take(enters, np.flatnonzero(ends))
    is_change = state[1:] != state[:-1]
    is_change[np.count_nonzero(ends, axis=1).cumsum()[:-1] - 1] = False  # from one path to the next
    return float(np.count_nonzero(is_change) * SESSIONS_PER_YEAR / ends.size)


def turning_points(ratio: FloatArray, r: FloatArray, threshold: float) -> FloatArray:
    """What m / sqrt(1 - m^2) must reach, or stay below, at a session for a run to end there.

    Of two independent noises a and b, a and m a + sqrt(1 - m^2) b correlate by m. Their rolling correlation
    grows with m and is c where m / sqrt(1 - m^2) = ratio (c / sqrt(1 - c^2) sqrt(1 - r^2) - r), ratio being
    the deviation of b over that of a in the window and r the correlation of a and b there; so one comparison
    a session tells of any m.

    Args:
        ratio: Shape (paths, sessions).
        r: Likewise.
        threshold: As in `hysteresis`.

    Returns:
        Shape (2, paths, sessions): to enter and to leave, infinite where no run can end yet.
    """
    ends = []
    for level, worst in ((threshold + ENTER, np.maximum), (threshold - LEAVE, np.minimum)):
        at = ratio * (level / np.sqrt(1 - level**2) * np.sqrt(np.maximum(1 - r * r, 0)) - r)
        never = np.full(at.shape, np.inf if worst is np.maximum else -np.inf)
        last = at.shape[1] - RUN + 1
        if last > 0:
            never[:, RUN - 1 :] = worst.reduce([at[:, shift : last + shift] for shift in range(RUN)])
        ends.append(never)
    return np.stack(ends)


def fat_tailed(sessions: int) -> tuple[FloatArray, FloatArray]:
    """Two independent series of fat-tailed noise, each (sessions, paths).

    Student's t with 5 degrees of freedom, both series scaled alike at each session, as returns are: normal
    noise would make chance look tamer than it is (0.45 changes a year for ETH on ^RUT at 60 sessions,
    against 1.0). Every pair is simulated from the same random numbers, drawn in order of time, so that a
    figure depends neither on the other pairs nor on their order.
    """
    draws = np.random.default_rng(SEED).standard_normal((sessions, 2 + TAILS, PATHS))
    scale = np.sqrt(np.square(draws[:, 2:]).mean(axis=1))
    return draws[:, 0] / scale, draws[:, 1] / scale


def rolling_noise(a: FloatArray, b: FloatArray, window: int) -> tuple[FloatArray, FloatArray]:
    """The ratio of the deviations of two series in each window and their correlation, (paths, windows).

    Args:
        a: (sessions, paths).
        b: Likewise.
        window: Sessions.
    """

    def mean(values: FloatArray) -> FloatArray:
        total = np.pad(np.cumsum(values, axis=0), ((1, 0), (0, 0)))
        return np.ascontiguousarray((total[window:] - total[:-window]).T) / window

    mean_a, mean_b = mean(a), mean(b)
    aa, ab, bb = mean(a * a) - mean_a * mean_a, mean(a * b) - mean_a * mean_b, mean(b * b) - mean_b * mean_b
    return np.sqrt(bb / aa), ab / np.sqrt(aa * bb)


def readings(correlations: Frame) -> Frame:
    """The sessions and the r of each pair and window, of same-instant closes, as lists in order of time."""
    return (
        correlations.filter(pl.col("convention") == "session_close")
        .group_by(SERIES)
        .agg(pl.col("session", "r").sort_by("session"))
        .sort(SERIES)
    )
