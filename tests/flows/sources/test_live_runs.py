"""Runs against the recorded provider: resumed, restated, before the bell, with a fallback that lies."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import exchanges
import pytest
from clock import Clock
from server import Provider, Said
from world import FRIDAY, START, World
from yahoo_server import day_of

from flows.fetching import NothingUsableError
from flows.sources import policy as policies
from flows.sources.policy import Policy

QUERY = "SELECT * EXCLUDE (known_at, load_id, is_known_at_assumed) FROM raw.bars ORDER BY ALL"


def test_second_run_asks_for_the_overlap_and_adds_nothing(world: World) -> None:
    world.run(FRIDAY, since=START.date())
    before = world.sql(QUERY)
    second = world.run(FRIDAY + timedelta(minutes=30))
    assert world.sql(QUERY).equals(before)
    (spy,) = world.asked("chart/SPY")
    assert day_of(spy["period1"]) == date(2026, 3, 20) - timedelta(days=7 + 1)  # a day for time zones
    starts = {one["start"][:10] for one in world.asked("ETH-USD/candles")}
    assert starts == {"2026-03-18"}
    assert [outcome.part.height for outcome in second if outcome.part] == [70, 70, 6]
    ledger = world.sql("SELECT status, count(*) AS n FROM ops.loads GROUP BY ALL ORDER BY ALL").rows()
    assert ledger == [("loaded", 3), ("unchanged", 3)]


def test_end_before_the_overlap_asks_for_that_day_alone(world: World) -> None:
    world.run(FRIDAY, since=START.date())
    world.run(FRIDAY + timedelta(minutes=30), until=date(2026, 3, 4))
    ranges = world.sql("SELECT DISTINCT since_on, until_on FROM ops.loads WHERE until_on IS NOT NULL").rows()
    assert ranges == [(date(2026, 3, 4), date(2026, 3, 4))]
    assert world.sql("SELECT count(*) AS n FROM ops.loads WHERE status = 'failed'")["n"][0] == 0


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


@pytest.mark.parametrize(
    ("factor", "revised"), [(1 + 3e-7, 0), pytest.param(1 - 3e-7, 0, marks=pytest.mark.slow), (1 + 3e-6, 34)]
)
def test_adjusted_closes_may_tremble(world: World, factor: float, revised: int) -> None:
    world.run(FRIDAY)
    world.chart.factor, world.chart.adjusted_until = factor, date(2026, 3, 21)
    for minutes in (10, 20):  # the second time there may be two versions of a bar
        world.run(FRIDAY + timedelta(minutes=minutes))
    found = world.sql("SELECT sum(rows_revised) AS n, sum(rows_new) FROM ops.loads WHERE source = 'yahoo'")
    assert found.row(0) == (revised, 34)
    world.chart.factor = factor + 3e-7
    world.run(FRIDAY + timedelta(minutes=30))
    assert world.sql("SELECT sum(rows_revised) AS n FROM ops.loads WHERE source = 'yahoo'")["n"][0] == revised


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


def test_restated_history_is_fetched_whole_where_a_part_was_asked_for(world: World) -> None:
    world.run(FRIDAY)
    world.chart.closes = {day: close / 2 for day, close in world.chart.closes.items()}
    later = FRIDAY + timedelta(hours=1)
    world.run(later, since=date(2026, 3, 10))
    healed = world.bars(later).filter(source="yahoo")
    assert healed["close"].to_list() == [world.chart.closes[day] for day in sorted(world.chart.closes)]


def test_restatement_shows_at_the_beginning_of_an_old_range(world: World) -> None:
    world.run(FRIDAY)
    split = date(2026, 3, 10)
    world.chart.closes = {day: c / 2 if day < split else c for day, c in world.chart.closes.items()}
    later = FRIDAY + timedelta(hours=1)
    world.run(later, since=date(2026, 2, 10))
    healed = world.bars(later).filter(source="yahoo")
    assert healed["close"].to_list() == [world.chart.closes[day] for day in sorted(world.chart.closes)]


def test_one_candle_that_moved_is_a_version_and_no_reason_to_ask_for_all(world: World) -> None:
    world.run(FRIDAY, since=START.date())
    (t, o, h, low, c, v), place = world.candles[-60], len(world.candles) - 60
    world.candles = [*world.candles]
    world.candles[place] = (t, o, h, low, c * 1.00002, v)
    later = FRIDAY + timedelta(minutes=30)
    world.run(later)
    assert {one["start"][:10] for one in world.asked("ETH-USD/candles")} == {"2026-03-18"}
    revised = world.sql("SELECT source, rows_revised FROM ops.loads WHERE rows_revised > 0").rows()
    assert revised == [("ccxt:coinbaseexchange", 1)]


def test_restated_history_that_cannot_be_had_is_left_and_heals(world: World) -> None:
    thursday = FRIDAY - timedelta(days=1)
    closes = dict(world.chart.closes)
    world.chart.closes.pop(FRIDAY.date())
    world.run(thursday)
    before = world.sql(QUERY)
    world.chart.closes = {day: close / 2 for day, close in closes.items()}  # a split, and a new bar
    good = world.provider.routes["/v8/finance/chart/SPY?"]

    def only_the_overlap(asked: dict[str, str]) -> Said:
        return good(asked) if day_of(asked["period1"]).year == 2026 else Said("busy", 503)

    world.provider.routes["/v8/finance/chart/SPY?"] = only_the_overlap
    world.run(FRIDAY)
    stored = "SELECT * FROM raw.bars WHERE source = 'yahoo'"
    assert world.sql(f"{stored} AND opened_at >= '2026-03-20'").is_empty()  # a new bar would make a jump
    yahoo = world.sql(QUERY).filter(source="yahoo")
    assert yahoo.equals(before.filter(source="yahoo"))
    status, pages, retries, error = world.sql(
        "SELECT status, pages, retries, error FROM ops.loads WHERE source = 'yahoo' ORDER BY load_id DESC"
    ).row(0)
    assert (status, pages, retries) == ("failed", 1, 2)  # the overlap came, the history did not
    assert error.startswith("yahoo SPY: HTTP 503, the provider is in trouble; run again later (busy); ")
    assert error.endswith("so no newer bar was stored either, the next run asks again")
    world.provider.routes["/v8/finance/chart/SPY?"] = good
    later = FRIDAY + timedelta(hours=1)
    world.run(later)
    healed = world.bars(later).filter(source="yahoo")
    assert healed["close"].to_list() == [world.chart.closes[day] for day in sorted(closes)]
    assert world.bars(thursday).filter(source="yahoo").height == healed.height - 1  # as of before


def test_run_before_the_bell_leaves_no_trace_in_final_rows(
    world: World, tmp_path: Path, provider: Provider
) -> None:
    bell = datetime(2026, 3, 20, 19, tzinfo=UTC)  # 15:00 New York
    after = bell + timedelta(hours=2)
    settled = world.chart.closes[date(2026, 3, 20)]
    world.chart.closes[date(2026, 3, 20)], world.chart.running_at = 12345.0, bell
    first = world.run(bell)
    assert sum(outcome.part.running for outcome in first if outcome.part) >= 1
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


def test_without_a_network_it_is_told_at_once_and_by_source(
    world: World, make_policy: Callable[..., Policy], clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with (
        policies.use(make_policy("http://nosuch.invalid")),
        pytest.raises(
            NothingUsableError, match="none of 3 providers can be reached; is there a network"
        ) as told,
    ):
        world.run(FRIDAY)
    assert len(str(told.value)) < 150
    lines = capsys.readouterr().err.splitlines()
    assert sorted(line.split(" ")[0] for line in lines) == [
        "asking",
        "ccxt:coinbaseexchange:",
        "ccxt:kraken:",
        "yahoo:",
    ]
    assert all("nothing of 1 symbols" in line and "cannot be reached" in line for line in lines[1:])
    assert sum(clock.slept) < 8
    ledger = sorted((world.data / "landing" / "ops.loads").rglob("*.parquet"))
    assert len(ledger) == 1  # the attempts are on record


def test_answers_out_of_order_and_twice_are_one_series(world: World) -> None:
    world.candles = [*world.candles[::-1], *world.candles[:5]]
    world.run(FRIDAY, since=START.date())
    eth = world.bars(FRIDAY).filter(source="ccxt:coinbaseexchange")
    assert eth["opened_at"].is_sorted()
    assert eth["opened_at"].n_unique() == eth.height == (24 * 18 + 22)
