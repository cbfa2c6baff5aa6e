"""What a panel is: its question, its finding in words, its charts with their data, and its table."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import polars as pl

from report import words
from report.drawn import Spec
from report.figures import interval, number
from report.queries import Answer

SINCE = date(2019, 1, 1)  # the first year with hourly prices of the study's assets
EPOCH = date(1970, 1, 1)
WHOLE = 45  # rows of a table that is shown as it is
EXCERPT = "The last session of each month; the query below gives every session."


@dataclass(frozen=True, slots=True)
class Pair:
    """Whom the page is about.

    Attributes:
        target, benchmark: Asset ids.
        names: Names of all assets as they stand in a sentence, by id.
        window: The main window, in sessions.
        threshold: Correlation above which a link is strong.
        calendar: `exchange_calendars` name of the study's sessions.
        convention: When prices are taken.
    """

    target: str
    benchmark: str
    names: Mapping[str, str]
    window: int
    threshold: float
    calendar: str
    convention: str = "session_close"

    @property
    def values(self) -> dict[str, Any]:
        """The parameters of the questions."""
        return {
            "asset": self.target,
            "benchmark": self.benchmark,
            "window": self.window,
            "convention": self.convention,
            "since": SINCE,
        }

    @property
    def is_same_instant(self) -> bool:
        """Whether crypto is priced when the exchange closes; regimes follow this convention alone."""
        return self.convention == "session_close"

    @property
    def clocks(self) -> dict[str, str]:
        """Each convention in words."""
        return words.clocks(self.calendar)

    @property
    def both(self) -> tuple[str, str]:
        """The two names."""
        return self.names[self.target], self.names[self.benchmark]


@dataclass(frozen=True, slots=True)
class Figure:
    """One chart: a short heading, what a screen reader says of it, the specification and its data."""

    heading: str
    description: str
    spec: Spec
    data: Mapping[str, pl.DataFrame]


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel; without rows it says what is missing."""

    panel_id: str
    title: str
    note: str
    answers: list[Answer]
    figures: list[Figure] = field(default_factory=list)
    keys: list[tuple[str, str]] = field(default_factory=list)
    is_wide: bool = False

    @property
    def sql(self) -> str:
        """The questions behind it."""
        return ";\n\n".join(answer.sql for answer in self.answers) + ";"

    @property
    def table(self) -> tuple[str, pl.DataFrame]:
        """Caption and rows for those who do not see the chart."""
        rows = self.answers[0].rows
        if rows.height <= WHOLE or "session" not in rows.columns:
            return "Every row.", rows
        by = [c for c in ("window_sessions", "asset") if c in rows.columns]
        last = pl.col("session") == pl.col("session").max().over([*by, pl.col("session").dt.month_start()])
        return EXCERPT, rows.filter(last).sort("session", *by, descending=[True, *[False] * len(by)])


def columns(rows: pl.DataFrame) -> dict[str, Any]:
    """Rows as columns: figures to four digits, dates as days since 1970, which the page turns back."""
    dates = [name for name, kind in rows.schema.items() if kind == pl.Date]
    figures = pl.selectors.float().round_sig_figs(4)
    shown = rows.with_columns([figures, *([(pl.col(dates) - EPOCH).dt.total_days()] if dates else [])])
    return {"days": dates, "columns": shown.to_dict(as_series=False)}


def with_words(rows: pl.DataFrame) -> pl.DataFrame:
    """The correlation and its interval as text too: a figure that is read is rounded once."""
    said = [number(r) for r in rows["r"]]
    told = [interval(row) for row in rows.iter_rows(named=True)]
    return rows.with_columns(said=pl.Series(said, dtype=pl.String), range=pl.Series(told, dtype=pl.String))
