"""What Yahoo says beside plain bars: nulls, dividends, splits, delistings, crumbs, clocks."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest
from adapters import SPARK, SPY
from clock import Clock
from server import Provider, Said, error, payload
from yahoo_server import Chart, sessions

from flows.intake import take_in
from flows.sources import Request, SourceError, fetch
from flows.sources import policy as policies
from flows.sources.policy import Policy
from flows.sources.yahoo import client
from schemas import raw

CHART = "/v8/finance/chart/"


def ask(symbol: str, now: datetime, **more: Any) -> Request:
    more = {"interval": "1d", "calendar": "XNYS", "kind": "stock", **more}
    return Request(raw.Bars, "yahoo", "yahoo", symbol, now, load_id="1", **more)


def test_null_close_beside_a_good_open_is_refused_and_a_placeholder_is_no_row(provider: Provider) -> None:
    provider.routes[CHART] = Said(payload("yahoo_chart_MOWI.OL_nulls_dividend_2026-10.json"))
    asked = ask("MOWI.OL", datetime(2026, 10, 2, 20, tzinfo=UTC), calendar="XOSL")
    answer = fetch(asked)
    assert answer.rows.height == 3
    batch = take_in(asked, answer)
    assert batch.rows["close"].to_list() == [203.39999389648438, 203.39999389648438]
    assert [(r["check_name"][0], r.height) for r in batch.refused] == [("has_close", 1)]
    assert answer.others[raw.Actions].rows() == [("MOWI.OL", date(2026, 8, 28), 2.3, None)]


@pytest.mark.parametrize(
    ("name", "count", "first"),
    [
        ("dividends", 20, ("AAPL", date(2019, 11, 7), 0.1925, None)),
        ("splits", 1, ("AAPL", date(2020, 8, 31), None, 4.0)),
    ],
)
def test_actions_by_their_ex_date(provider: Provider, name: str, count: int, first: tuple[Any, ...]) -> None:
    said = payload(f"yahoo_chart_{name}_scheb.json").replace(
        '"dataGranularity":"1mo"', '"dataGranularity":"1d"'
    )
    provider.routes[CHART] = Said(said)
    answer = fetch(ask("AAPL", datetime(2024, 10, 13, tzinfo=UTC)))
    assert answer.others[raw.Actions].height == count
    assert answer.others[raw.Actions].row(0) == first


def test_crypto_day_is_the_utc_day_and_the_running_one_waits(provider: Provider) -> None:
    said = json.loads(payload("yahoo_http/chart-BTC-USD-2020-01-01-to-2020-01-03.json"))["response"][
        "bodyJson"
    ]
    provider.routes[CHART] = Said(json.dumps(said))
    asked = ask("BTC-USD", datetime(2020, 1, 3, 15, tzinfo=UTC), calendar="24/7", kind="crypto")
    batch = take_in(asked, fetch(asked))
    assert batch.rows["opened_at"].dt.date().to_list() == [date(2020, 1, 1), date(2020, 1, 2)]
    assert batch.running == 1


@pytest.mark.parametrize(
    ("symbol", "rows"),
    [
        ("QQQ", [(date(2020, 1, 2), 214.39999389648438, 216.16000366210938, 209.6380615234375, 30969400.0)]),
        ("GC=F", [(date(2020, 1, 2), 1518.0999755859375, 1524.5, 1524.5, 214.0)]),
        ("AFRAF", [(date(2020, 1, 2), 11.270000457763672, 11.270000457763672, 11.270000457763672, 0.0)]),
        (
            "EURUSD=X",
            [
                (date(2020, 1, 1), 1.1220825910568237, 1.1220825910568237, 1.1220825910568237, 0.0),
                (date(2020, 1, 2), 1.1218937635421753, 1.1220825910568237, 1.1220825910568237, 0.0),
                (date(2020, 1, 3), 1.1170812845230103, 1.1171437501907349, 1.1171437501907349, 0.0),
            ],
        ),
    ],
)
def test_recorded_days_of_a_fund_a_future_a_share_and_a_currency(
    provider: Provider, symbol: str, rows: list[tuple[Any, ...]]
) -> None:
    recorded = json.loads(payload(f"yahoo_http/chart-{symbol}-2020-01-01-to-2020-01-03.json"))
    provider.routes[CHART] = Said(json.dumps(recorded["response"]["bodyJson"]))
    found = fetch(ask(symbol, datetime(2020, 1, 4, tzinfo=UTC))).rows
    assert found.select("date", "open", "close", "adj_close", "volume").rows() == rows


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (error("yahoo", 404), "may be delisted"),
        (error("yahoo", 400), "Data doesn't exist"),
        (Said(payload("yahoo_chart_nodata_scheb.json")), "has no prices"),
        (Said('{"chart": {"result": null, "error": null}}'), "without a result"),
        (Said('{"chart": {"result": null, "error": {"description": "No data found"}}}'), "No data found"),
        (Said("[]"), "without a result"),
        (Said(payload("yahoo_chart_no_results_bradjacobs.json")), "answered with bars of 1h"),
        (Said(payload("yahoo_chart_SPY_5d_2026-02.json")), "answered for SPY"),
    ],
)
def test_no_prices(provider: Provider, said: Said, words: str) -> None:
    provider.routes[CHART] = said
    symbol = "CAPIO.ST" if "CAPIO" in str(said.body) else "AAPL"
    with pytest.raises(SourceError, match=words):
        fetch(ask(symbol, datetime(2026, 2, 21, tzinfo=UTC)))


def test_empty_range_of_a_known_symbol_is_no_failure(provider: Provider) -> None:
    provider.routes[CHART] = Said(payload("yahoo_chart_nodata_scheb.json"))
    answer = fetch(ask("CAPIO.ST", datetime(2026, 2, 21, tzinfo=UTC), since=date(2026, 2, 14)))
    assert answer.rows.is_empty()


@pytest.fixture
def _stranger(provider: Provider) -> None:
    """Yahoo's client has neither cookie nor crumb."""
    known = client()
    known._crumb, known._cookie = None, None


@pytest.mark.usefixtures("_stranger")
def test_throttled_crumb_is_not_taken_for_a_crumb(provider: Provider) -> None:
    provider.routes["/getcrumb"] = provider.routes["/v1/test"] = error("yahoo", 429)
    SPY.serve(provider)
    assert fetch(SPY.request).rows.height == 5
    assert "crumb=" not in provider.asked(CHART)[-1]
    assert client()._crumb is None


@pytest.mark.usefixtures("_stranger")
def test_cookie_and_crumb_wait_for_their_turn_and_are_counted(
    provider: Provider, make_policy: Callable[..., Policy], clock: Clock
) -> None:
    SPY.serve(provider)
    provider.routes["/"] = Said("<html></html>", content_type="text/html")  # the cookie's own page
    with policies.use(make_policy(provider.url, rates={"fc.yahoo.com": 0.1})):
        answer = fetch(SPY.request)
    # yfinance asks for a cookie before it asks for a crumb and again while it does, as none was given
    assert [path.split("?")[0] for path in provider.seen] == ["/", "/", "/v1/test/getcrumb", SPY.path]
    assert (answer.pages, clock.slept) == (4, [10.0])


@pytest.mark.usefixtures("_stranger")
@pytest.mark.parametrize("gateway", ["http://nosuch.invalid", "http://127.0.0.1:9"])
def test_blocked_cookie_host_costs_no_prices(
    provider: Provider, make_policy: Callable[..., Policy], gateway: str
) -> None:
    SPY.serve(provider)
    blocked = dict.fromkeys(("fc.yahoo.com", "guce.yahoo.com", "consent.yahoo.com"), gateway)
    reached = {"query1.finance.yahoo.com": provider.url, "query2.finance.yahoo.com": provider.url}
    with policies.use(make_policy(provider.url, gateways={**blocked, **reached})):
        answer = fetch(SPY.request)
        assert (answer.rows.height, answer.retries) == (5, 0)
        assert fetch(SPY.request).rows.height == 5  # without asking the blocked ones again


@pytest.mark.usefixtures("_stranger")
def test_silent_cookie_host_costs_no_prices(provider: Provider, make_policy: Callable[..., Policy]) -> None:
    SPY.serve(provider)
    provider.routes["/"] = provider.routes["/consent"] = Said("", silence=1.0)
    with policies.use(make_policy(provider.url, idle_seconds=0.2)):
        assert fetch(SPY.request).rows.height == 5


def test_invalid_crumb_is_renewed(provider: Provider) -> None:
    SPY.serve(provider, [error("yahoo", 401), SPY.good])
    answer = fetch(SPY.request)
    assert (answer.rows.height, answer.pages) == (5, len(provider.seen))
    assert len(provider.asked(CHART)) == 2


def test_days_are_local_across_daylight_saving(provider: Provider) -> None:
    days = sessions("2026-03-04", "2026-03-12")  # clocks change on the 8th
    Chart(dict.fromkeys(days, 100.0)).serve(provider, "SPY")
    asked = ask("SPY", datetime(2026, 3, 13, tzinfo=UTC))
    answer = fetch(asked)
    assert answer.rows["date"].to_list() == days
    opened = take_in(asked, answer).rows["opened_at"].dt.hour().to_list()
    assert opened == [14, 14, 14, 13, 13, 13, 13]


def test_hours_of_crypto(provider: Provider) -> None:
    start = int(datetime(2026, 3, 1, tzinfo=UTC).timestamp())
    quote = {name: [1.0, 2.0] for name in ("open", "high", "low", "close", "volume")}
    meta = {"symbol": "ETH-USD", "exchangeTimezoneName": "UTC", "dataGranularity": "1h"}
    result = {"meta": meta, "timestamp": [start, start + 3600], "indicators": {"quote": [quote]}}
    provider.routes[CHART] = Said(json.dumps({"chart": {"result": [result], "error": None}}))
    now = datetime(2026, 3, 1, 1, 30, tzinfo=UTC)
    asked = ask("ETH-USD", now, interval="1h", calendar="24/7", kind="crypto")
    batch = take_in(asked, fetch(asked))
    assert batch.rows.select("opened_at", "close").rows() == [(datetime(2026, 3, 1, tzinfo=UTC), 1.0)]
    assert batch.running == 1


def hours_of(asked: dict[str, str]) -> Said:
    """Yahoo's refusal of hours that are too old, else one bar."""
    now = datetime(2026, 3, 1, 12, tzinfo=UTC)
    if now.timestamp() - int(asked["period1"]) >= 730 * 86400:
        return error("yahoo", 400)
    stamp = int(datetime(2026, 3, 1, 1, tzinfo=UTC).timestamp())
    meta = {"symbol": "ETH-USD", "exchangeTimezoneName": "UTC", "dataGranularity": "1h"}
    result = {"meta": meta, "timestamp": [stamp], "indicators": {"quote": [{"close": [1.0]}]}}
    return Said(json.dumps({"chart": {"result": [result], "error": None}}))


@pytest.mark.parametrize(
    ("since", "until", "rows", "requests", "is_told"),
    [
        (None, None, 1, 1, False),
        (date(2026, 2, 1), None, 1, 1, False),
        (date(2020, 1, 1), None, 1, 1, True),
        (date(2020, 1, 1), date(2020, 12, 31), 0, 0, True),
    ],
)
def test_hours_are_asked_for_as_far_back_as_there_are_any(
    provider: Provider, since: date | None, until: date | None, rows: int, requests: int, is_told: bool
) -> None:
    provider.routes[CHART] = hours_of
    now = datetime(2026, 3, 1, 12, tzinfo=UTC)
    asked = ask("ETH-USD", now, interval="1h", calendar="24/7", kind="crypto", since=since, until=until)
    answer = fetch(asked)
    assert (answer.rows.height, len(provider.asked(CHART)), answer.pages) == (rows, requests, requests)
    assert (answer.note is not None) == is_told
    assert take_in(asked, answer).rows.height == rows


def test_symbols_without_days_are_missing_and_cost_the_others_nothing(provider: Provider) -> None:
    one = json.loads(payload("yahoo_chart_SPY_5d_2026-02.json"))["chart"]["result"][0]
    weeks = {**one, "meta": {**one["meta"], "dataGranularity": "1wk"}}
    found = [
        {"symbol": "AAON", "response": [one]},
        {"symbol": "BBB", "response": []},
        {"symbol": "CCC", "response": [weeks]},
    ]
    provider.routes["/v7/finance/spark"] = Said(json.dumps({"spark": {"result": found, "error": None}}))
    answer = fetch(replace(SPARK.request, items=("AAON", "BBB", "CCC", "ZZZ")))
    assert answer.rows["symbol"].unique().to_list() == ["AAON"]
    assert answer.note == "no days of 3 symbols: BBB, CCC, ZZZ"


@pytest.mark.parametrize("symbol", ["^RUT", "^TNX", "ZQ=F", "EURUSD=X"])
def test_odd_symbols_reach_yahoo_as_they_are(provider: Provider, symbol: str) -> None:
    chart = Chart(dict.fromkeys(sessions("2026-03-02", "2026-03-04"), 5.0))
    provider.routes[CHART] = lambda asked: Said(
        json.dumps({"chart": {"result": [chart.result(symbol, asked)], "error": None}})
    )
    assert fetch(ask(symbol, datetime(2026, 3, 5, tzinfo=UTC))).rows.height == 3
    assert symbol.strip("^=XF") in provider.asked(CHART)[0]


def test_range_is_inclusive(provider: Provider) -> None:
    Chart(dict.fromkeys(sessions("2026-02-02", "2026-03-12"), 100.0)).serve(provider, "SPY")
    asked = ask("SPY", datetime(2026, 3, 13, tzinfo=UTC), since=date(2026, 2, 9), until=date(2026, 2, 13))
    assert fetch(asked).rows["date"].to_list() == sessions("2026-02-09", "2026-02-13")
