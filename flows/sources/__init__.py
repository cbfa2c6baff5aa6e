"""The providers: one file each, one small contract: `fetch(request)` answers with what was said, unjudged.

A newcomer adds a provider with one module that has a `fetch`, and one entry here.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from importlib import import_module
from pathlib import Path

import polars as pl

from schemas import Table

SOURCES = {
    "files": "flows.sources.files",
    "yahoo": "flows.sources.yahoo",
    "ccxt": "flows.sources.exchange",
    "fred": "flows.sources.fred",
    "coingecko": "flows.sources.coingecko",
    "fed": "flows.sources.fed",
}


class SourceError(RuntimeError):
    """A provider gave no usable answer; the text says which, for what, and what to try."""

    is_transient = False  # True where the same request may succeed later
    is_unreachable = False  # True where there was no connection: no such host, or refused
    pages = 0  # requests that were answered before it failed
    retries = 0  # requests that were sent again
    seconds = 0.0  # that the attempt took


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of a provider.

    Attributes:
        model: The raw table that the rows are for.
        provider, source: Provider, and the name that its rows carry, e.g. `files:equity_1d.parquet`.
        item: The provider's symbol, series id or index; `None` asks for everything, or for `items`.
        items: Several symbols in one request, where a provider serves many at once.
        interval, calendar: Length and trading calendar of bars.
        now: The instant that counts as now for finality: that of the run, or when a file was recorded.
        since, until: First and last date wanted, both inclusive.
        vintages_from: The day from which vintages are wanted; those of before are stored.
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
    items: tuple[str, ...] = ()
    load_id: str = ""
    interval: str | None = None
    calendar: str = "24/7"
    kind: str = "crypto"
    since: date | None = None
    until: date | None = None
    vintages_from: date | None = None
    path: Path | None = None
    settle_minutes: int = 30
    release_lag_days: int = 0
    is_recorded: bool = False
    options: dict[str, str] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The item for people."""
        if self.items:
            return f"{self.items[0]}..{self.items[-1]} ({len(self.items)})"
        return self.item or "*"

    @property
    def series(self) -> str:
        """The item for the ledger: two sets of symbols with the same ends differ in it."""
        if self.items:
            return f"{self.label} {hashlib.sha256(' '.join(self.items).encode()).hexdigest()[:8]}"
        return self.label

    @property
    def what(self) -> str:
        """Source and item, as errors begin."""
        return f"{self.source} {self.label}"

    @property
    def is_live(self) -> bool:
        """True where a provider is asked over the network, so that a part of its history can be asked for."""
        return self.provider != "files"

    @property
    def is_restating(self) -> bool:
        """True where a split or a dividend changes every bar before it; an exchange's candle moves alone."""
        return self.provider == "yahoo"

    @property
    def lane(self) -> str | None:
        """Whose patience it uses: requests of one lane share one process, which counts them."""
        return self.source if self.is_live else None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a provider said: its rows as delivered, and what it took to get them.

    Attributes:
        rows: Rows for the request's own table.
        others: Rows that came along for other tables, e.g. the dividends beside the prices.
        note: What the reader of the ledger should know of an answer that is usable: holes, missing symbols.
        pages, retries: Answered and repeated requests.
    """

    rows: pl.DataFrame
    others: Mapping[type[Table], pl.DataFrame] = field(default_factory=dict)
    note: str | None = None
    pages: int = 1
    retries: int = 0


def fetch(request: Request) -> Answer:
    """Ask the request's provider; its module is loaded when it is first asked.

    Raises:
        SourceError: if there is no such provider here or it gave no usable answer.
    """
    if request.provider not in SOURCES:
        raise SourceError(f"{request.source} {request.label}: no adapter for provider {request.provider}")
    from flows.sources.policy import metered  # it needs the contract above
    from flows.sources.secret import masked

    with metered() as meter:
        try:
            answer: Answer = import_module(SOURCES[request.provider]).fetch(request)
        except SourceError as error:
            error.pages, error.retries = meter.pages, meter.retries
            raise
        except Exception as error:  # whatever an adapter meets, it is the failure of its source alone
            told = masked(f"{type(error).__name__}: {error}".split("\n", 1)[0])
            raise SourceError(
                f"{request.source} {request.label}: an answer of another form ({told})"
            ) from error
    return replace(answer, pages=meter.pages or answer.pages, retries=meter.retries)
