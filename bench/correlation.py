"""Rolling correlation side by side: our kernel, Polars, DuckDB and pandas on the same returns.

1,000 pairs (50 x 20 assets), windows 30, 60 and 90, 2,500 sessions of Student t5 returns with a sd of about
3 %. Everyone gets the data in the form that suits it before the clock starts, and keeps its defaults. Times
are taken in alternation, so that what else the machine does falls on all alike, and compared within a round.
Errors are against a direct two-pass computation per window, on the returns and on what spoils running sums.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import duckdb
import numbagg
import numpy as np
import pandas as pd
import polars as pl
from numpy.lib.stride_tricks import sliding_window_view

from bench.timing import Table, alternated, compared
from transforms.rolling import FloatArray, IntArray, rolling_correlation, rolling_link

WINDOWS = (30, 60, 90)
ROUNDS = 7
STRUCK, SETTLED = 200, 300  # the session of the outlier, and one by which it has left every window


@dataclass(frozen=True, slots=True)
class Problem:
    """Returns (sessions, assets) and the columns of each pair."""

    returns: FloatArray
    left: IntArray
    right: IntArray


@dataclass(frozen=True, slots=True)
class Contestant:
    """Who computes, from prepared data, and how its answer for a window becomes (sessions, pairs)."""

    name: str
    is_rival: bool
    prepare: Callable[[Problem], Callable[[], Any]]
    matrix: Callable[[Any, int, Problem], FloatArray]


def crossed(lefts: int, rights: int, sessions: int) -> Problem:
    """Every left asset against every right one, with a common factor."""
    rng = np.random.default_rng(1996)
    returns = rng.standard_t(5, (sessions, lefts + rights)) * 0.02 + rng.standard_t(5, (sessions, 1)) * 0.01
    left, right = np.divmod(np.arange(lefts * rights), rights)
    return Problem(returns, left, lefts + right)


def kernel(*, compiled: bool) -> Callable[[Problem], Callable[[], list[FloatArray]]]:
    """Our r in every window, with the extra `fast` or as without it."""
    return lambda problem: using(compiled, lambda window: rolling_correlation(*of(problem), window))


def kernel_link(*, compiled: bool) -> Callable[[Problem], Callable[[], list[FloatArray]]]:
    """Our r with its interval and beta in every window, likewise."""
    return lambda problem: using(compiled, lambda window: rolling_link(*of(problem), window).r)


def of(problem: Problem) -> tuple[FloatArray, IntArray, IntArray]:
    """What the kernel takes besides the window."""
    return problem.returns, problem.left, problem.right


def using(compiled: bool, compute: Callable[[int], FloatArray]) -> Callable[[], list[FloatArray]]:
    """All windows in compiled loops, however few the figures, or all in steps of NumPy."""

    def run() -> list[FloatArray]:
        with patch("transforms.rolling_kernel._WORTH_COMPILING", 0 if compiled else math.inf):
            return [compute(window) for window in WINDOWS]

    return run


def long_frame(problem: Problem) -> pl.DataFrame:
    """One row per pair and session."""
    sessions, pairs = len(problem.returns), len(problem.left)
    return pl.DataFrame(
        {
            "pair": np.repeat(np.arange(pairs, dtype=np.int32), sessions),
            "session": np.tile(np.arange(sessions, dtype=np.int32), pairs),
            "x": problem.returns[:, problem.left].T.ravel(),
            "y": problem.returns[:, problem.right].T.ravel(),
        }
    )


def polars_long(problem: Problem) -> Callable[[], pl.DataFrame]:
    """Polars on the long frame, one group a pair."""
    frame = long_frame(problem)
    figures = [pl.rolling_corr("x", "y", window_size=w).over("pair").alias(str(w)) for w in WINDOWS]
    return lambda: frame.select(figures)


def polars_wide(problem: Problem) -> Callable[[], pl.DataFrame]:
    """Polars on one column an asset, one expression a pair and window."""
    frame = pl.DataFrame({str(asset): column for asset, column in enumerate(problem.returns.T)})
    pairs = list(enumerate(zip(problem.left.tolist(), problem.right.tolist(), strict=True)))
    figures = [
        pl.rolling_corr(str(x), str(y), window_size=window).alias(f"{window} {pair}")
        for window in WINDOWS
        for pair, (x, y) in pairs
    ]
    return lambda: frame.select(figures)


def duckdb_windows(problem: Problem) -> Callable[[], pl.DataFrame]:
    """DuckDB's corr over a window of rows, on a table in memory."""
    connection = duckdb.connect()
    connection.register("frame", long_frame(problem))
    connection.execute("CREATE TABLE returns AS FROM frame")
    figures = ", ".join(
        f'corr(x, y) OVER (PARTITION BY pair ORDER BY session ROWS {w - 1} PRECEDING) AS "{w}"'
        for w in WINDOWS
    )
    return lambda: connection.sql(f"SELECT pair, session, {figures} FROM returns").pl()


def pandas_wide(problem: Problem) -> Callable[[], list[pd.DataFrame]]:
    """Pandas on two frames of one column a pair."""
    x, y = (pd.DataFrame(problem.returns[:, side]) for side in (problem.left, problem.right))
    return lambda: [x.rolling(window).corr(y) for window in WINDOWS]


def numbagg_wide(problem: Problem) -> Callable[[], list[FloatArray]]:
    """Numbagg's compiled running sums, one row a pair."""
    x, y = (np.ascontiguousarray(problem.returns[:, side].T) for side in (problem.left, problem.right))
    return lambda: [numbagg.move_corr(x, y, window=window, min_count=window).T for window in WINDOWS]


def of_list(answer: list[Any], window: int, _: Problem) -> FloatArray:
    """An answer with one table a window."""
    return np.asarray(answer[WINDOWS.index(window)])


def of_long(answer: pl.DataFrame, window: int, problem: Problem) -> FloatArray:
    """An answer with one row per pair and session."""
    ordered = answer.sort("pair", "session") if "pair" in answer.columns else answer
    return ordered[str(window)].to_numpy().reshape(len(problem.left), -1).T


def of_wide(answer: pl.DataFrame, window: int, problem: Problem) -> FloatArray:
    """An answer with one column a pair and window."""
    return answer.select(f"{window} {pair}" for pair in range(len(problem.left))).to_numpy()


CONTESTANTS = (
    Contestant("kernel, r", is_rival=False, prepare=kernel(compiled=True), matrix=of_list),
    Contestant(
        "kernel, r + interval + beta", is_rival=False, prepare=kernel_link(compiled=True), matrix=of_list
    ),
    Contestant("without `fast`: r", is_rival=False, prepare=kernel(compiled=False), matrix=of_list),
    Contestant(
        "without `fast`: r + interval + beta",
        is_rival=False,
        prepare=kernel_link(compiled=False),
        matrix=of_list,
    ),
    Contestant("Polars rolling_corr, long", is_rival=True, prepare=polars_long, matrix=of_long),
    Contestant("Polars rolling_corr, wide", is_rival=True, prepare=polars_wide, matrix=of_wide),
    Contestant("DuckDB corr over window", is_rival=True, prepare=duckdb_windows, matrix=of_long),
    Contestant("pandas rolling.corr", is_rival=True, prepare=pandas_wide, matrix=of_list),
    Contestant("numbagg move_corr", is_rival=False, prepare=numbagg_wide, matrix=of_list),
)


def spoiled() -> dict[str, Problem]:
    """Small problems by what makes them hard."""
    plain = crossed(4, 5, 1000)
    scaled, hit = plain.returns.copy(), plain.returns.copy()
    scaled[:, 4:] *= 1e8
    hit[STRUCK] = 1e6
    returns = {
        "returns": plain.returns,
        "mean 1e6": plain.returns + 1e6,
        "scale 1e8": scaled,
        "outlier left": hit,
    }
    return {name: Problem(values, plain.left, plain.right) for name, values in returns.items()}


def two_pass(problem: Problem, window: int) -> FloatArray:
    """(windows, pairs), every window about its own means."""
    windows = sliding_window_view(problem.returns, window, axis=0)
    deviations = windows - windows.mean(axis=-1, keepdims=True)
    deviations -= deviations.mean(axis=-1, keepdims=True)  # what rounding left of a large mean
    deviations /= np.sqrt(np.sum(deviations**2, axis=-1, keepdims=True))
    return np.asarray(np.einsum("tpi,tpi->tp", deviations[:, problem.left], deviations[:, problem.right]))


def error(contestant: Contestant, problem: Problem) -> float:
    """Largest |error| of r in windows after session 300; infinite where r is missing."""
    answer = contestant.prepare(problem)()
    worst = 0.0
    for window in WINDOWS:
        given = contestant.matrix(answer, window, problem)[SETTLED:]
        misses = np.abs(given - two_pass(problem, window)[SETTLED - window + 1 :])
        worst = max(worst, float(np.max(np.where(np.isnan(misses), np.inf, misses))))
    return worst


def table(rounds: int = ROUNDS) -> Table:
    """Time every contestant in alternation, and measure its errors."""
    problem = crossed(50, 20, 2500)
    runs = {one.name: one.prepare(problem) for one in CONTESTANTS}
    rivals = [one.name for one in CONTESTANTS if one.is_rival]
    times = alternated(runs, rounds)
    rows, hard = compared(times, rivals), spoiled()
    to_polars = compared(times, [name for name in rivals if name.startswith("Polars")])
    for row, other, contestant in zip(rows, to_polars, CONTESTANTS, strict=True):
        row.notes["ratio to Polars"] = f"{other.ratio:.2f}"
        for name, small in hard.items():
            row.notes[f"error: {name}"] = f"{error(contestant, small):.0e}"
    about = (
        "1,000 pairs x windows 30, 60 and 90 x 2,500 sessions. The kernel is that of the extra `fast`, which "
        "loops in compiled code; without it the same bits come of NumPy. Errors are the largest of r against "
        "a direct two-pass computation per window. Numbagg gives r from running sums on all cores; it is no "
        "baseline, since what the sums lost cannot be told from the answer."
    )
    return Table("The correlation kernel", about, "the fastest of Polars, DuckDB and pandas", rows)
