"""Sessions as a grid: those that a table about the market has rows for, and windows that count them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from polars import LazyFrame as Frame

from transforms.study import Study

IS_DAILY = (pl.col("interval") == "1d") & pl.col("close").is_not_null()  # a null close withdraws a bar


def study_sessions(closes: Frame, sessions: Frame, study: Study) -> Frame:
    """Study sessions from the first to the newest one that any asset has a price for, in order.

    The prices stand in for a clock: `core.sessions` reaches a year ahead, and a row for a session that is
    still to come would say something that nobody knows. Without prices there are no sessions.

    Args:
        closes: `core.closes`.
        sessions: `core.sessions`.
        study: Its calendar counts.

    Returns:
        `session`, `close_at` and `gap_days`, sorted.
    """
    calendar = sessions.filter(pl.col("calendar") == study.calendar).select("session", "close_at", "gap_days")
    priced = closes.join(calendar, on="session", how="semi")
    span = priced.select(first=pl.col("session").min(), last=pl.col("session").max())
    return (
        calendar.join(span, how="cross")
        .filter(pl.col("session").is_between("first", "last"))
        .select("session", "close_at", "gap_days")
        .sort("close_at")
    )


def session_grid(bars: Frame, sessions: Frame, calendar: str) -> pl.DataFrame:
    """Sessions of a calendar up to the newest that any source has a daily bar for, in order.

    Args:
        bars: `raw.bars`; a daily bar opens when its session does.
        sessions: `core.sessions`.
        calendar: Its name there.

    Returns:
        `at` (0, 1, 2, ...), `session` and `open_at`; empty without daily bars.
    """
    opened = bars.filter(IS_DAILY).select(open_at="opened_at").unique()
    days = sessions.filter(pl.col("calendar") == calendar).select("session", "open_at")
    newest = days.join(opened, on="open_at", how="semi").select(newest_at=pl.col("open_at").max())
    return (
        days.join(newest, how="cross")
        .filter(pl.col("open_at") <= pl.col("newest_at"))
        .sort("session")
        .select(pl.int_range(pl.len()).alias("at"), "session", "open_at")
        .collect()
    )


def numbered(rows: pl.DataFrame, labels: list[str]) -> tuple[pl.DataFrame, NDArray[np.int64]]:
    """The different values of some columns, sorted, and for each row the place of its own among them.

    Rows may come in any order; where those of like values stand together, as in a table sorted by its key,
    only the first of each run is looked up.
    """
    values = rows.select(labels)
    is_first = pl.any_horizontal(pl.col(label).ne_missing(pl.col(label).shift()) for label in labels)
    begins = values.select(is_first | (pl.int_range(pl.len()) == 0)).to_series().arg_true()
    runs = values[begins]
    distinct = runs.unique().sort(labels)
    place = runs.join(
        distinct.with_row_index("place"), on=labels, how="left", nulls_equal=True, maintain_order="left"
    )["place"]
    lengths = np.diff(begins.to_numpy(), append=rows.height)
    return distinct, np.repeat(place.to_numpy().astype(np.int64), lengths)


def trailing(
    values: NDArray[Any], windows: Sequence[int], combine: np.ufunc, *, empty: float
) -> list[NDArray[Any]]:
    """Each row's values combined over the last sessions up to each, for each of some windows.

    Spans of 1, 2, 4, ... sessions are combined from two halves, and a window from the spans in its binary
    form. It costs log2 of the longest window in passes, and nothing outside a window ever enters it, so that,
    unlike running sums, it has no drift and no memory of an outlier that left.
    """
    width = values.shape[1]
    found, taken = [np.full_like(values, empty) for _ in windows], [0] * len(windows)
    part, span = values, 1
    while True:
        for at, (window, out) in enumerate(zip(windows, found, strict=True)):
            if window & span:
                combine(out[:, taken[at] :], part[:, : max(0, width - taken[at])], out=out[:, taken[at] :])
                taken[at] += span
        if 2 * span > max(windows):
            return found
        longer = np.empty_like(part)
        longer[:, :span] = part[:, :span]
        combine(part[:, span:], part[:, :-span], out=longer[:, span:])
        part, span = longer, 2 * span
