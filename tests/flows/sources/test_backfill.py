"""A backfill: in pieces, resumable after a kill, without asking for what is landed."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from server import Provider, Said
from world import FRIDAY, World
from yahoo_server import Chart, day_of

from flows import backfill as flow
from flows import universe as universes
from flows.backfill import fill
from flows.job import Job
from flows.pieces import chunks, covered, is_covered
from flows.runners import Plain
from flows.sources import Request
from flows.universe import UniverseError
from schemas import raw

NEXT = datetime(2026, 3, 21, 9, tzinfo=UTC)


@pytest.fixture
def _unbuilt(monkeypatch: pytest.MonkeyPatch) -> None:
    """One test builds and publishes; the others are about what is fetched."""
    monkeypatch.setattr("flows.backfill.finish", lambda *_: None)


unbuilt = pytest.mark.usefixtures("_unbuilt")


class Killed(BaseException):
    """The process dies."""


def go(world: World, now: datetime = FRIDAY, assets: tuple[str, ...] = (), kill_at: int | None = None) -> Any:
    world.provider.seen.clear()
    world.now = now
    seen = []

    def show(done: int, total: int, what: str) -> None:
        seen.append((done, total, what))
        if done == kill_at:
            raise Killed

    job = Job(
        universes.load(world.path), world.data, now=now, since=date(2026, 3, 2), until=date(2026, 3, 15)
    )
    return fill(job, list(assets), 7, Plain(), show), seen


def asked(world: World) -> tuple[list[str], list[date]]:
    """The pieces that were asked for: of the exchange by their start, of Yahoo by their first day."""
    coins = [one["start"][:10] for one in world.asked("ETH-USD/candles")]
    return coins, [day_of(one["period1"]) for one in world.asked("chart/SPY")]


@pytest.mark.slow
def test_pieces_land_one_after_the_other_and_are_published(world: World) -> None:
    done, seen = go(world)
    assert (done.fetched, done.skipped, done.failed) == (6, 0, ())
    assert [progress[:2] for progress in seen] == [(0, 6), (3, 6), (6, 6)]
    assert asked(world)[0] == ["2026-03-02", "2026-03-09"]
    assert (world.data / "published" / "latest.duckdb").exists()
    days = world.sql("SELECT min(opened_at)::DATE, max(opened_at)::DATE, count(*) FROM raw.bars").row(0)
    assert days == (date(2026, 3, 2), date(2026, 3, 15), 2 * 14 * 24 + 10)


@unbuilt
def test_second_backfill_asks_for_nothing(world: World) -> None:
    go(world)
    done, _ = go(world, NEXT)
    assert (done.fetched, done.skipped) == (0, 6)
    assert world.asked("candles") == world.asked("chart") == world.asked("OHLC") == []


@unbuilt
def test_killed_backfill_goes_on_where_it_stopped(world: World) -> None:
    with pytest.raises(Killed):
        go(world, kill_at=3)
    done, _ = go(world, NEXT)
    assert (done.fetched, done.skipped) == (3, 3)
    assert asked(world) == (["2026-03-09"], [date(2026, 3, 1)])  # Yahoo's with an overlap


@unbuilt
def test_failed_piece_is_told_and_asked_for_again(world: World) -> None:
    good = world.provider.routes["/v8/finance/chart/SPY?"]
    world.provider.routes["/v8/finance/chart/SPY?"] = Said("no", 404)
    done, _ = go(world)
    assert len(done.failed) == 1
    assert done.failed[0].startswith("yahoo SPY: HTTP 404")
    world.provider.routes["/v8/finance/chart/SPY?"] = good
    done, _ = go(world, NEXT)
    assert (done.fetched, done.skipped, done.failed) == (2, 4, ())


@unbuilt
def test_one_asset_only(world: World) -> None:
    done, _ = go(world, assets=("SPY",))
    assert done.fetched == 2
    assert world.asked("candles") == []


@unbuilt
def test_what_a_daily_run_loaded_is_not_asked_for(world: World) -> None:
    world.run(FRIDAY, since=date(2026, 2, 1))
    done, _ = go(world, NEXT)
    assert (done.fetched, done.skipped) == (0, 6)


@unbuilt
def test_fallback_that_disagrees_is_refused_as_a_daily_run_refuses_it(world: World) -> None:
    world.kraken = [(t, *(x * 2 for x in figures), v) for t, *figures, v in world.candles]
    done, _ = go(world, assets=("ETH",))
    (reason,) = {one.partition(" by ")[0] for one in done.failed}
    assert reason == "ccxt:kraken ETH/USD: closes differ from ccxt:coinbaseexchange ETH/USD"
    assert world.sql("SELECT DISTINCT source FROM raw.bars")["source"].to_list() == ["ccxt:coinbaseexchange"]


@unbuilt
def test_fallback_is_compared_with_what_is_stored_of_its_piece(world: World) -> None:
    kraken = world.provider.routes["/OHLC"]
    world.provider.routes["/OHLC"] = Said("", 404)
    world.run(FRIDAY, since=date(2026, 3, 2))  # so that the first source is landed and not asked again
    world.provider.routes["/OHLC"] = kraken
    world.kraken = [(t, *(x * 2 for x in figures), v) for t, *figures, v in world.candles]
    done, _ = go(world, assets=("ETH",))
    assert world.asked("ETH-USD/candles") == []
    assert {one.partition(" by ")[0] for one in done.failed} == {
        "ccxt:kraken ETH/USD: closes differ from ccxt:coinbaseexchange ETH/USD"
    }


@unbuilt
def test_split_between_a_kill_and_its_resumption_leaves_no_jump(world: World) -> None:
    with pytest.raises(Killed):
        go(world, assets=("SPY",), kill_at=1)
    world.chart.closes = {day: close / 2 for day, close in world.chart.closes.items()}
    go(world, NEXT, assets=("SPY",))
    closes = dict(world.bars(NEXT).select(pl.col("opened_at").dt.date(), "close").iter_rows())
    assert closes == world.chart.closes  # the whole history, on one scale


@unbuilt
def test_days_that_had_not_come_are_asked_for_later(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    early = datetime(2026, 3, 11, 22, tzinfo=UTC)

    class Then(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return early

    all_closes, day = dict(world.chart.closes), early.date()
    world.chart.closes = {d: c for d, c in all_closes.items() if d <= day}
    monkeypatch.setattr("flows.fetching.datetime", Then)
    go(world, early, assets=("SPY",))
    monkeypatch.undo()
    monkeypatch.setattr("flows.backfill.finish", lambda *_: None)
    world.chart.closes = all_closes
    done, _ = go(world, NEXT, assets=("SPY",))
    assert (done.fetched, done.skipped) == (1, 1)
    assert world.bars(NEXT)["opened_at"].dt.date().max() == date(2026, 3, 13)  # the last before the 15th


LOAD = {
    "source": "yahoo",
    "item": "SPY",
    "interval": "1d",
    "status": "loaded",
    "rows_fetched": 1,
    "rows_running": 0,
}
BEGUN = datetime(2026, 3, 11, 22, tzinfo=UTC)


@pytest.mark.parametrize(
    ("until", "running", "last"),
    [
        (date(2026, 3, 20), 0, date(2026, 3, 10)),
        (date(2026, 3, 11), 0, date(2026, 3, 10)),
        (None, 0, date(2026, 3, 10)),
        (None, 1, date(2026, 3, 9)),
        (date(2026, 3, 5), 1, date(2026, 3, 5)),
    ],
)
def test_no_load_reaches_beyond_the_day_before_it_began(until: date | None, running: int, last: date) -> None:
    since = date(2026, 3, 1)
    line = {**LOAD, "since_on": since, "until_on": until, "started_at": BEGUN, "rows_running": running}
    loads = pl.DataFrame([line], schema_overrides={"until_on": pl.Date})
    assert covered(loads) == {("yahoo", "SPY", "1d"): [(since, last)]}
    assert covered(loads.with_columns(rows_fetched=0)) == {}  # it may have been a bad hour of the provider's


def test_sets_of_symbols_with_the_same_ends_are_two_series() -> None:
    one = Request(raw.Bars, "yahoo", "yahoo", None, NEXT, items=("AAA", "BBB", "CCC"), interval="1d")
    other = replace(one, items=("AAA", "NEW", "CCC"))
    assert one.label == other.label == "AAA..CCC (3)"
    assert one.series != other.series
    assert one.series == replace(one, now=FRIDAY).series


@pytest.mark.parametrize(
    ("ranges", "expected"),
    [
        ([], False),
        ([(date(2026, 1, 1), date(2026, 1, 31))], True),
        ([(date(2026, 1, 1), date(2026, 1, 10)), (date(2026, 1, 11), date(2026, 1, 31))], True),
        ([(date(2026, 1, 1), date(2026, 1, 9)), (date(2026, 1, 11), date(2026, 1, 31))], False),
        ([(date(2026, 1, 2), date(2026, 2, 1))], False),
    ],
)
def test_ranges_together_hold_every_day(ranges: list[tuple[date, date]], expected: bool) -> None:
    assert is_covered((date(2026, 1, 1), date(2026, 1, 31)), ranges) is expected


def test_pieces_are_inclusive_and_end_with_the_range() -> None:
    found = list(chunks(date(2026, 1, 1), date(2026, 1, 10), 4))
    assert found == [
        (date(2026, 1, 1), date(2026, 1, 4)),
        (date(2026, 1, 5), date(2026, 1, 8)),
        (date(2026, 1, 9), date(2026, 1, 10)),
    ]


DAILY = """
[study]
target = "ETH"
benchmark = "SPY"
[[asset]]
id = "ETH"
name = "Ether"
kind = "crypto"
sources = [{ provider = "yahoo", symbol = "ETH-USD", interval = "1d" }]
[[asset]]
id = "SPY"
name = "S&P 500"
kind = "etf"
sources = [{ provider = "yahoo", symbol = "SPY", interval = "1d" }]
"""


@unbuilt
def test_last_bar_of_a_piece_is_judged_by_the_next_piece(world: World) -> None:
    world.path.write_text(DAILY)
    days = [date(2026, 3, 2) + timedelta(days=n) for n in range(14)]
    chart = Chart({day: 2000.0 + n for n, day in enumerate(days)})

    def frozen(asked: dict[str, str]) -> Said:
        result = chart.result("ETH-USD", asked)
        (quote,) = result["indicators"]["quote"]
        for n, stamp in enumerate(result["timestamp"]):
            if day_of(str(stamp)) == date(2026, 3, 8):  # the last of the first piece, taken too early
                quote["close"] = [*quote["close"][:n], 1700.0, *quote["close"][n + 1 :]]
                quote["low"] = [*quote["low"][:n], 1690.0, *quote["low"][n + 1 :]]
        return Said(json.dumps({"chart": {"result": [result], "error": None}}))

    world.provider.routes = {"/v8/finance/chart/ETH-USD?": frozen, **world.provider.routes}
    go(world, assets=("ETH",))
    stored = world.sql(
        "SELECT opened_at::DATE AS day, close FROM raw.bars ORDER BY known_at, opened_at"
    ).rows()
    assert (date(2026, 3, 8), 1700.0) in stored  # landed with its piece
    assert stored[-1] == (date(2026, 3, 8), None)  # and withdrawn with the next
    assert [day_of(one["period1"]) for one in world.asked("ETH-USD")] == [date(2026, 3, 1), date(2026, 3, 1)]
    go(world, NEXT, assets=("ETH",))
    assert world.asked("ETH-USD") == []


def test_progress_is_a_bar_and_an_artifact(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told: list[float] = []

    def pieces(*given: Any) -> str:
        *_, show = given
        for done in (0, 1, 4):
            show(done, 4, "2026")
        return "filled"

    monkeypatch.setattr(
        "prefect.artifacts.create_progress_artifact", lambda **of: told.append(of["progress"])
    )
    monkeypatch.setattr(
        "prefect.artifacts.update_progress_artifact", lambda _, progress: told.append(progress)
    )
    monkeypatch.setattr(flow, "fill", pieces)
    assert flow.backfill.fn(since=date(2026, 3, 2), universe=world.path, data=world.data) == "filled"
    assert told == [0.0, 0.0, 25.0, 100.0]
    assert "4/4" in capsys.readouterr().err


@unbuilt
def test_command_line(world: World, provider: Provider, capsys: pytest.CaptureFixture[str]) -> None:
    shared = ["--universe", str(world.path), "--data", str(world.data), "--runner", "plain"]
    dates = ["--since", "2026-03-02", "--until", "2026-03-06", "--asset", "SPY"]
    assert flow.main([*shared, *dates]) == 0
    assert capsys.readouterr().out == "pieces fetched: 1; landed already: 0\n"
    assert flow.main([*shared, *dates[:4], "--asset", "SPX"]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f'comove: {world.path}: unknown asset "SPX"; did you mean "SPY"? (known: ')
    assert said.count("\n") == 1


def test_the_flow_refuses_an_asset_that_the_universe_lacks(world: World) -> None:
    with pytest.raises(UniverseError, match='unknown asset "SPX"; did you mean "SPY"'):
        flow.backfill.fn(since=date(2026, 3, 2), universe=world.path, data=world.data, assets=["SPX"])
