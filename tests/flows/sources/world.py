"""A small universe on disk with two exchanges and Yahoo behind it, and runs that fetch, land and load."""

from datetime import UTC, date, datetime
from pathlib import Path

import exchanges
import polars as pl
from server import Provider, query
from yahoo_server import Chart, sessions

from flows import universe as universes
from flows.fetching import fetched
from flows.job import Job
from flows.ledger import Outcome, land, load_landed
from flows.runners import Plain
from schemas import raw
from warehouse.store import Store

UNIVERSE = """
[study]
target = "ETH"
benchmark = "SPY"
[[asset]]
id = "ETH"
name = "Ether"
kind = "crypto"
sources = [
  { provider = "ccxt", exchange = "coinbaseexchange", symbol = "ETH/USD", interval = "1h" },
  { provider = "ccxt", exchange = "kraken", symbol = "ETH/USD", interval = "1h" },
]
[[asset]]
id = "SPY"
name = "S&P 500"
kind = "etf"
sources = [{ provider = "yahoo", symbol = "SPY", interval = "1d" }]
"""
START = datetime(2026, 3, 2, tzinfo=UTC)
FRIDAY = datetime(2026, 3, 20, 22, tzinfo=UTC)


class World:
    """A universe on disk, its providers, and runs that fetch, land and load."""

    def __init__(self, provider: Provider, folder: Path) -> None:
        self.provider, self.data = provider, folder / "data"
        self.now = FRIDAY
        self.path = folder / "universe.toml"
        self.path.write_text(UNIVERSE)
        self.chart = Chart({day: 600.0 + n for n, day in enumerate(sessions("2026-02-02", "2026-03-20"))})
        self.candles = exchanges.hours(START, 24 * 19)
        self.kraken = self.candles
        self.chart.serve(provider, "SPY")
        exchanges.exchange(provider, "coinbaseexchange", lambda: self.until_now(self.candles))
        exchanges.exchange(provider, "kraken", lambda: self.until_now(self.kraken))

    def until_now(self, candles: list[exchanges.Candle]) -> list[exchanges.Candle]:
        return [candle for candle in candles if candle[0] <= self.now.timestamp()]

    def run(self, now: datetime, since: date | None = None, until: date | None = None) -> list[Outcome]:
        self.provider.seen.clear()
        self.now = now
        job = Job(universes.load(self.path), self.data, now=now, since=since, until=until)
        outcomes = fetched(job, Plain())
        with Store(job.warehouse) as store:
            load_landed(store, job.zone)
            land(outcomes, store, job.zone, job.run_id, now)
            load_landed(store, job.zone)
        return outcomes

    def sql(self, text: str) -> pl.DataFrame:
        with Store(self.data / "warehouse.duckdb") as store:
            return store.con.sql(text).pl()

    def bars(self, as_of: datetime) -> pl.DataFrame:
        with Store(self.data / "warehouse.duckdb") as store:
            return store.newest(raw.Bars, as_of).sort("source", "symbol", "opened_at")

    def asked(self, part: str) -> list[dict[str, str]]:
        return [query(path) for path in self.provider.asked(part)]
