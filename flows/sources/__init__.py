"""The providers: one file each, one small contract: `fetch(request)` answers with what was said, unjudged.

A newcomer adds a provider with one module that has a `fetch`, and one entry here.
"""

from dataclasses import dataclass, field
from datetime import date, datetime
from importlib import import_module
from pathlib import Path

import polars as pl

from schemas import Table

SOURCES = {
    "files": "flows.sources.files",
}


class SourceError(RuntimeError):
    """A provider gave no usable answer; the text says which, for what, and what to try."""

    is_transient = False  # True where the same request may succeed later


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of a provider.

    Attributes:
        model: The raw table that the rows are for.
        provider, source: Provider, and the name that its rows carry, e.g. `files:equity_1d.parquet`.
        item: The provider's symbol, series id or index; `None` asks for everything that a file has.
        interval, calendar: Length and trading calendar of bars.
        now: The instant that counts as now for finality: that of the run, or when a file was recorded.
        since, until: First and last date wanted, both inclusive.
        load_id: The load that the rows will name.
        path: The file, for `files`.
        settle_minutes: Delay after a daily close before a bar is final.
        is_recorded: True for recorded files, whose rows were known before the load.
    """

    model: type[Table]
    provider: str
    source: str
    item: str | None
    now: datetime
    load_id: str = ""
    interval: str | None = None
    calendar: str = "24/7"
    kind: str = "crypto"
    since: date | None = None
    until: date | None = None
    path: Path | None = None
    settle_minutes: int = 30
    release_lag_days: int = 0
    is_recorded: bool = False
    options: dict[str, str] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The item for people and for the ledger."""
        return self.item or "*"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a provider said: its rows as delivered, and what it took to get them."""

    rows: pl.DataFrame
    pages: int = 1
    retries: int = 0


def fetch(request: Request) -> Answer:
    """Ask the request's provider; its module is loaded when it is first asked.

    Raises:
        SourceError: if there is no such provider here or it gave no usable answer.
    """
    if request.provider not in SOURCES:
        raise SourceError(f"{request.source} {request.label}: no adapter for provider {request.provider}")
    answer: Answer = import_module(SOURCES[request.provider]).fetch(request)
    return answer
