"""Runs against the recorded provider: resumed, restated, before the bell, with a fallback that lies."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import exchanges
import polars as pl
import pytest
from server import Provider, Said, query
from yahoo_server import Chart, day_of, sessions

from flows import universe as universes
from flows.fetching import NothingUsableError, fetched
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
QUERY = "SELECT * EXCLUDE (known_at, load_id, is_known_at_assumed) FROM raw.bars ORDER BY ALL"


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

    def run(self, now: datetime, since: date | None = None) -> list[Outcome]:
        self.provider.seen.clear()
        self.now = now
        job = Job(universes.load(self.path), self.data, now=now, since=since)
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


@pytest.fixture
def world(provider: Provider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr("flows.sources.exchange.FIRST_DAY", START.date())
    return World(provider, tmp_path)


def test_second_run_asks_for_the_overlap_and_adds_nothing(world: World) -> None:
    world.run(FRIDAY, since=START.date())
    before = world.sql(QUERY)
    second = world.run(FRIDAY + timedelta(minutes=30))
    assert world.sql(QUERY).equals(before)
    (spy,) = world.asked("chart/SPY")
    assert day_of(spy["period1"]) == date(2026, 3, 20) - timedelta(days=7 + 1)  # a day for time zones
    starts = {one["start"][:10] for one in world.asked("ETH-USD/candles")}
    assert starts == {"2026-03-18"}
    assert [outcome.batch.rows.height for outcome in second if outcome.batch] == [70, 70, 6]
    ledger = world.sql("SELECT status, count(*) AS n FROM ops.loads GROUP BY ALL ORDER BY ALL").rows()
    assert ledger == [("loaded", 3), ("unchanged", 3)]


def test_ledger_tells_requests_retries_and_holes(world: World, provider: Provider) -> None:
    world.candles = exchanges.hours(START, 24 * 19, holes=range(40, 101))
    good = provider.routes["/v8/finance/chart/SPY?"]
    provider.routes["/v8/finance/chart/SPY?"] = [Said("", 503), good]
    world.run(FRIDAY, since=START.date())
    rows = world.sql("SELECT source, pages, retries, error FROM ops.loads ORDER BY ALL").rows()
    assert rows == [
        ("ccxt:coinbaseexchange", 3, 0, "61 candles missing in 1 holes, the first from 2026-03-03 16:00 UTC"),
        ("ccxt:kraken", 2, 0, None),
        ("yahoo", 1, 1, None),
    ]
    assert (world.sql("SELECT seconds FROM ops.loads")["seconds"] > 0).all()


def test_restated_history_is_fetched_whole_and_replays_as_it_was(world: World) -> None:
    world.run(FRIDAY)
    before = world.bars(FRIDAY).filter(source="yahoo")
    world.chart.factor, world.chart.adjusted_until = 0.99, date(2026, 3, 20)
    world.chart.dividends = {date(2026, 3, 20): 6.0}
    later = FRIDAY + timedelta(hours=2)
    world.run(later)
    assert [day_of(one["period1"]).year for one in world.asked("chart/SPY")] == [2026, 1989]
    after = world.bars(later).filter(source="yahoo")
    assert after.height == before.height
    moved = after["opened_at"].dt.date() < date(2026, 3, 20)
    assert (after["adj_close"] / before["adj_close"]).round(9).to_list() == [
        0.99 if m else 1.0 for m in moved
    ]
    assert after["close"].equals(before["close"])
    assert world.bars(FRIDAY).filter(source="yahoo").equals(before)  # as of before the dividend
    actions = world.sql("SELECT symbol, ex_on, dividend, split_ratio FROM raw.actions").rows()
    assert actions == [("SPY", date(2026, 3, 20), 6.0, None)]


def test_run_before_the_bell_leaves_no_trace_in_final_rows(
    world: World, tmp_path: Path, provider: Provider
) -> None:
    bell = datetime(2026, 3, 20, 19, tzinfo=UTC)  # 15:00 New York
    after = bell + timedelta(hours=2)
    settled = world.chart.closes[date(2026, 3, 20)]
    world.chart.closes[date(2026, 3, 20)], world.chart.running_at = 12345.0, bell
    first = world.run(bell)
    assert sum(outcome.batch.running for outcome in first if outcome.batch) >= 1
    world.chart.closes[date(2026, 3, 20)], world.chart.running_at = settled, None
    world.run(after)
    (tmp_path / "alone").mkdir()
    alone = World(provider, tmp_path / "alone")
    alone.run(after)
    assert alone.sql(QUERY).height > 400
    assert alone.sql(QUERY).equals(world.sql(QUERY))
    assert 12345.0 not in world.sql(QUERY)["close"]


@pytest.mark.parametrize(("factor", "status"), [(1.004, "loaded"), (1.05, "refused")])
def test_fallback_is_checked_against_the_first_source(world: World, factor: float, status: str) -> None:
    world.kraken = [(t, *(x * factor for x in figures), v) for t, *figures, v in world.candles]
    world.run(FRIDAY, since=START.date())
    found = world.sql("SELECT status, error FROM ops.loads WHERE source = 'ccxt:kraken'").row(0)
    assert found[0] == status
    stored = world.sql("SELECT count(*) AS n FROM raw.bars WHERE source = 'ccxt:kraken'")["n"][0]
    assert bool(stored) == (status == "loaded")
    if status == "refused":
        assert found[1] == (
            "ccxt:kraken ETH/USD: closes differ from ccxt:coinbaseexchange ETH/USD by 5.00 % "
            "(tolerance_pct = 1); none were stored, check the symbol and its currency"
        )


def test_fallback_is_checked_against_what_a_dead_first_source_said_last(world: World) -> None:
    world.run(FRIDAY, since=START.date())
    world.provider.routes["/candles"] = Said("", 500)
    world.kraken = [(t, *(x * 2 for x in figures), v) for t, *figures, v in world.candles]
    outcomes = world.run(FRIDAY + timedelta(hours=1))
    assert [type(outcome.error).__name__ for outcome in outcomes] == [
        "FetchError",
        "DisagreementError",
        "NoneType",
    ]


def test_one_dead_provider_does_not_stop_the_others(world: World) -> None:
    world.provider.routes["/v8/finance/chart/SPY?"] = Said("down", 500)
    outcomes = world.run(FRIDAY, since=START.date())
    assert [outcome.error is None for outcome in outcomes] == [True, True, False]
    assert world.sql("SELECT DISTINCT source FROM raw.bars ORDER BY 1")["source"].to_list() == [
        "ccxt:coinbaseexchange",
        "ccxt:kraken",
    ]


def test_nothing_at_all_is_told_in_one_line(world: World) -> None:
    for route in ("/v8/finance/chart/SPY?", "/candles", "/OHLC"):
        world.provider.routes[route] = Said("down", 503)
    with pytest.raises(NothingUsableError, match="no source of ETH and SPY gave anything"):
        world.run(FRIDAY)


def test_answers_out_of_order_and_twice_are_one_series(world: World) -> None:
    world.candles = [*world.candles[::-1], *world.candles[:5]]
    world.run(FRIDAY, since=START.date())
    eth = world.bars(FRIDAY).filter(source="ccxt:coinbaseexchange")
    assert eth["opened_at"].is_sorted()
    assert eth["opened_at"].n_unique() == eth.height == (24 * 18 + 22)
