"""Candles of the exchanges as they recorded them, and what ccxt lets through."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import Any

import exchanges
import pytest
from server import Provider, Said, payload

from flows.intake import take_in
from flows.sources import Request, SourceError, fetch
from schemas import raw

NOW = datetime(2026, 3, 10, tzinfo=UTC)


def ask(name: str, symbol: str = "ETH/USD", now: datetime = NOW, **more: Any) -> Request:
    more = {"interval": "1h", "since": date(2026, 3, 1), **more}
    return Request(raw.Bars, "ccxt", f"ccxt:{name}", symbol, now, load_id="1", **more)


def serve(provider: Provider, name: str, said: str) -> None:
    provider.routes[exchanges.CANDLES[name]] = [Said(said), Said("[]" if name != "kraken" else said)]
    provider.routes[exchanges.MARKETS[name]] = Said(exchanges.markets(name))


def test_coinbase_is_newest_first_and_names_the_low_before_the_high(provider: Provider) -> None:
    serve(provider, "coinbaseexchange", payload("coinbase_candles_BTC-USD_GET-200.json"))
    now = datetime(2020, 3, 16, 1, tzinfo=UTC)
    rows = fetch(ask("coinbaseexchange", "BTC/USD", now, since=date(2020, 3, 6))).rows
    assert rows["opened_at"].is_sorted()
    newest = {"open": 5346.03, "high": 5346.05, "low": 5236.01, "close": 5245.17, "volume": 3728.67857634}
    assert {key: rows.row(-1, named=True)[key] for key in newest} == newest
    assert rows.row(-1, named=True)["opened_at"] == datetime(2020, 3, 16, tzinfo=UTC)


def test_kraken_hole_is_noted_and_stays_a_hole(provider: Provider) -> None:
    recorded = json.loads(payload("kraken_ohlc_XBTUSDT_1h_2024-01.json"))
    candles = recorded["result"].pop("XBTUSDT")
    recorded["result"]["XXBTZUSD"] = candles
    serve(provider, "kraken", json.dumps(recorded))
    now = datetime(2024, 2, 1, 16, tzinfo=UTC)
    answer = fetch(ask("kraken", "BTC/USD", now, since=None, until=None))
    assert answer.rows.height == len(candles) == 6
    assert answer.note == "43 candles missing in 1 holes, the first from 2024-01-30 20:00 UTC"
    assert answer.rows.row(0)[1:6] == (43437.5, 43593.7, 43355.5, 43361.1, 18.7543011)


def test_binance_running_day_is_left_for_later(provider: Provider) -> None:
    serve(provider, "binance", payload("binance_klines_BTCUSDT_1d_2026-09.json"))
    asked = ask(
        "binance", "BTC/USD", datetime(2026, 9, 22, 9, tzinfo=UTC), interval="1d", since=date(2026, 9, 1)
    )
    batch = take_in(asked, fetch(asked))
    assert batch.rows.select("opened_at", "open", "close").rows() == [
        (datetime(2026, 9, 21, tzinfo=UTC), 81178.01, 86620.0)
    ]
    assert batch.running == 1


@pytest.mark.parametrize(
    ("candles", "words"),
    [
        ([[1772323200, None, None, None, None, None]], "a candle without its figures"),
        ([[1772323200000, 1, 2, 1, 2, 3]], "is no time stamp"),  # milliseconds where seconds belong
        ([[1772323201, 1, 2, 1, 2, 3]], "is no time stamp"),
        ([[1804000000, 1, 2, 1, 2, 3]], "is no time stamp"),  # next year
        ([[1772323200, 1, 2]], "a candle without its figures"),
    ],
)
def test_page_that_cannot_be_trusted_is_refused(provider: Provider, candles: list[Any], words: str) -> None:
    serve(provider, "coinbaseexchange", json.dumps(candles))
    with pytest.raises(SourceError, match=words):
        fetch(ask("coinbaseexchange"))


def test_object_instead_of_candles(provider: Provider) -> None:
    serve(provider, "coinbaseexchange", '{"message": "NotFound"}')
    with pytest.raises(SourceError, match="ccxt:coinbaseexchange ETH/USD"):
        fetch(ask("coinbaseexchange"))


def test_kraken_says_with_status_200_that_it_was_asked_too_often(provider: Provider) -> None:
    serve(provider, "kraken", '{"error": ["EGeneral:Too many requests"]}')
    with pytest.raises(SourceError, match="asks us to slow down") as caught:
        fetch(ask("kraken"))
    assert caught.value.is_transient
    assert caught.value.retries == 2


def test_outage_longer_than_a_page_is_crossed(provider: Provider) -> None:
    candles = exchanges.hours(datetime(2026, 1, 1, tzinfo=UTC), 1600, holes=range(100, 1000))
    exchanges.exchange(provider, "coinbaseexchange", lambda: [c for c in candles if c[0] <= NOW.timestamp()])
    answer = fetch(ask("coinbaseexchange", since=date(2026, 1, 1)))
    assert answer.rows.height == 700
    assert answer.note == (
        "900 candles missing in 1 holes, the first from 2026-01-05 04:00 UTC; "
        "nothing after the candle of 2026-03-08 15:00 UTC"  # the 1600th hour
    )


@pytest.mark.parametrize("name", [name for name in exchanges.EXCHANGES if name != "kraken"])
def test_history_comes_in_pages_of_the_exchange(provider: Provider, name: str) -> None:
    days = 2 * exchanges.EXCHANGES[name] // 24 + 2  # two pages and a bit of the third
    since = NOW - timedelta(days=days)
    candles = exchanges.hours(since, 24 * days)
    exchanges.exchange(provider, name, lambda: candles)
    answer = fetch(ask(name, since=since.date()))
    assert answer.rows["opened_at"].to_list() == [since + timedelta(hours=n) for n in range(24 * days)]
    assert answer.rows["close"].to_list() == [101.0 + n for n in range(24 * days)]
    assert answer.note is None
    assert len(provider.asked(exchanges.CANDLES[name])) == 3


def test_empty_page_among_others_is_asked_for_once_more(provider: Provider) -> None:
    candles = exchanges.hours(datetime(2026, 1, 1, tzinfo=UTC), 24 * 68)
    exchanges.exchange(provider, "coinbaseexchange", lambda: candles)
    good, pages = provider.routes["/candles"], []

    def third_is_lost(asked: dict[str, str]) -> Said:
        pages.append(asked["start"][:10])
        return Said("[]") if len(pages) == 3 else good(asked)

    provider.routes["/candles"] = third_is_lost
    answer = fetch(ask("coinbaseexchange", since=date(2026, 1, 1)))
    assert (answer.rows.height, answer.note) == (24 * 68, None)
    assert pages[:4] == ["2026-01-01", "2026-01-13", "2026-01-26", "2026-01-26"]  # 300 hours are 12.5 days


def test_everything_that_is_missing_is_told(provider: Provider) -> None:
    missing = [0, 1, 50, 51, 60, *range(210, 216)]
    candles = exchanges.hours(datetime(2026, 3, 1, tzinfo=UTC), 216, holes=missing)
    exchanges.exchange(provider, "coinbaseexchange", lambda: candles)
    assert fetch(ask("coinbaseexchange")).note == (
        "serves nothing before 2026-03-01 02:00 UTC; "
        "3 candles missing in 2 holes, the first from 2026-03-03 02:00 UTC; "
        "nothing after the candle of 2026-03-09 17:00 UTC"
    )


def test_answer_without_candles_is_told_and_was_asked_for_twice(provider: Provider) -> None:
    exchanges.exchange(provider, "coinbaseexchange", list)
    answer = fetch(ask("coinbaseexchange"))
    assert (answer.rows.height, answer.note) == (0, "no candles from 2026-03-01 00:00 UTC on")
    assert len(provider.asked("/candles")) == 2


def test_candle_that_still_runs_is_not_missing(provider: Provider) -> None:
    candles = exchanges.hours(datetime(2026, 3, 1, tzinfo=UTC), 24)
    exchanges.exchange(provider, "coinbaseexchange", lambda: candles)
    assert fetch(ask("coinbaseexchange", now=datetime(2026, 3, 2, 0, 59, tzinfo=UTC))).note is None
    ended = fetch(ask("coinbaseexchange", now=datetime(2026, 3, 2, 1, 0, tzinfo=UTC)))
    assert ended.note == "nothing after the candle of 2026-03-01 23:00 UTC"


def test_kraken_serves_the_newest_only_and_the_ledger_says_so(provider: Provider) -> None:
    candles = exchanges.hours(datetime(2026, 1, 1, tzinfo=UTC), 24 * 68)
    exchanges.exchange(provider, "kraken", lambda: candles)
    answer = fetch(ask("kraken", since=date(2026, 1, 1)))
    assert answer.rows.height == 720
    assert answer.note == "serves nothing before 2026-02-08 00:00 UTC"


def test_dollars_are_not_tethers(provider: Provider) -> None:
    serve(provider, "coinbaseexchange", "[]")
    with pytest.raises(SourceError, match="does not list it"):
        fetch(ask("coinbaseexchange", "ETH/USDT"))


def test_markets_of_one_exchange_do_not_hold_up_another(provider: Provider) -> None:
    candles = exchanges.hours(datetime(2026, 3, 1, tzinfo=UTC), 24 * 9)
    for name in ("kraken", "coinbaseexchange"):
        exchanges.exchange(provider, name, lambda: candles)
    asked, gate = threading.Event(), threading.Event()

    def slow(_: dict[str, str]) -> Said:
        asked.set()
        gate.wait(4)
        return Said(exchanges.markets("kraken"))

    provider.routes[exchanges.MARKETS["kraken"]] = slow
    with ThreadPoolExecutor(1) as pool:
        kraken = pool.submit(fetch, ask("kraken"))
        assert asked.wait(30)  # ccxt takes seconds to import
        started = time.perf_counter()
        fetch(ask("coinbaseexchange"))
        assert time.perf_counter() - started < 3
        gate.set()
        assert kraken.result().rows.height == 24 * 9


def test_unknown_exchange() -> None:
    with pytest.raises(SourceError) as caught:
        fetch(ask("krakn"))
    said = 'ccxt knows no such exchange; did you mean "kraken"? (known: kraken, '
    assert said in str(caught.value)
    assert str(caught.value).endswith(", ...)")
