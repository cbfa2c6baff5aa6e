"""One happy case for every adapter: what is asked, where, what is answered, and the rows that must follow."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import exchanges
from server import Provider, Said, payload

from flows.sources import Request
from schemas import raw

START = datetime(2026, 3, 1, tzinfo=UTC)
FRED_CSV = "observation_date,WALCL\n2026-01-07,6573604\n2026-01-14,\n2026-01-21,.\n2026-01-28,6587568\n"
STATEMENT = """<html><body><div id="article"><h3>Federal Reserve issues FOMC statement</h3>
<p class="releaseTime">For release at 2:00 p.m. EST</p>
<p>Inflation has moved up and remains elevated. The unemployment rate has fallen.</p>
<p>The Committee decided to raise the target range for the federal funds rate by 1/4 percentage point, to
3-3/4 to 4 percent.</p></div></body></html>"""
CALENDAR = """<html><body><div class="panel panel-default"><h4>2026 FOMC Meetings</h4>
<div class="row fomc-meeting"><div class="fomc-meeting__month"><strong>January</strong></div>
<div class="fomc-meeting__date">27-28</div>
<a href="/newsevents/pressreleases/monetary20260128a.htm">HTML</a></div>
<div class="row fomc-meeting"><div class="fomc-meeting__month"><strong>Apr/May</strong></div>
<div class="fomc-meeting__date">30-1*</div></div>
<div class="row fomc-meeting"><div class="fomc-meeting__month"><strong>August</strong></div>
<div class="fomc-meeting__date">22 (notation vote)</div></div>
</div></body></html>"""
FEED = """<?xml version="1.0"?><rss version="2.0"><channel><item><title><![CDATA[FOMC statement]]></title>
<link><![CDATA[https://www.federalreserve.gov/newsevents/pressreleases/monetary20260128a.htm]]></link>
<pubDate><![CDATA[Wed, 28 Jan 2026 19:00:00 GMT]]></pubDate></item></channel></rss>"""


@dataclass(frozen=True)
class Case:
    """How one adapter is asked, and the answer at `path` on which the failures are tried."""

    name: str
    request: Request
    path: str
    body: Callable[[dict[str, str]], str]
    rows: list[dict[str, Any]]
    content_type: str = "application/json"
    beside: dict[str, Said] = field(default_factory=dict)
    is_page: bool = False
    asks: int = 1  # requests for `path` when all goes well

    def serve(self, provider: Provider, said: Any = None) -> None:
        """Answer well, or with what is given, at the adapter's own path."""
        provider.routes = {
            self.path: said if said is not None else self.good,
            **self.beside,
            **provider.routes,
        }

    def good(self, asked: dict[str, str]) -> Said:
        return Said(self.body(asked), content_type=self.content_type)


def request(provider: str, item: str | None, now: datetime, **more: Any) -> Request:
    more = {"model": raw.Bars, "source": provider, "load_id": "1", **more}
    return Request(provider=provider, item=item, now=now, **more)


def bar(day: str, *figures: float) -> dict[str, Any]:
    names = ("open", "high", "low", "close", "adj_close", "volume")
    return {"date": date.fromisoformat(day), **dict(zip(names, figures, strict=True))}


SPY = Case(
    "yahoo",
    request("yahoo", "SPY", datetime(2026, 2, 21, tzinfo=UTC), interval="1d", calendar="XNYS", kind="etf"),
    "/v8/finance/chart/SPY",
    lambda _: payload("yahoo_chart_SPY_5d_2026-02.json"),
    [
        bar("2026-02-13", 681.6900024414062, 686.280029296875, 677.52001953125, 681.75, 681.75, 96267500),
        bar(
            "2026-02-17",
            680.1400146484375,
            684.9400024414062,
            675.780029296875,
            682.8499755859375,
            682.8499755859375,
            81354700,
        ),
        bar(
            "2026-02-18",
            684.02001953125,
            689.1500244140625,
            682.8300170898438,
            686.2899780273438,
            686.2899780273438,
            73570300,
        ),
        bar(
            "2026-02-19",
            683.8400268554688,
            686.1799926757812,
            681.5499877929688,
            684.47998046875,
            684.47998046875,
            58649400,
        ),
        bar(
            "2026-02-20",
            682.3200073242188,
            690.0599975585938,
            681.72998046875,
            689.4299926757812,
            689.4299926757812,
            99952100,
        ),
    ],
)


def spark(asked: dict[str, str]) -> str:
    """What Yahoo's spark service says for the first of the symbols asked for; the others it does not know."""
    one = json.loads(payload("yahoo_chart_SPY_5d_2026-02.json"))["chart"]["result"][0]
    found = [{"symbol": asked["symbols"].split(",")[0], "response": [one]}]
    return json.dumps({"spark": {"result": found, "error": None}})


SPARK = Case(
    "yahoo panel",
    request(
        "yahoo", None, datetime(2026, 2, 21, tzinfo=UTC), items=("AAON", "ZZZZ"), interval="1d", kind="stock"
    ),
    "/v7/finance/spark",
    spark,
    [{"symbol": "AAON", "date": row["date"], "close": row["close"]} for row in SPY.rows],
)


def candles(name: str) -> Case:
    """Six candles of one exchange, the last of them running at 05:30."""
    found = exchanges.hours(START, 6)
    rows = [
        {
            "opened_at": datetime.fromtimestamp(t, UTC),
            "open": o,
            "high": h,
            "low": low,
            "close": c,
            "volume": v,
        }
        for t, o, h, low, c, v in found
    ]
    now = datetime(2026, 3, 1, 5, 30, tzinfo=UTC)
    return Case(
        name,
        request("ccxt", "ETH/USD", now, source=f"ccxt:{name}", interval="1h", since=START.date()),
        exchanges.CANDLES[name],
        lambda asked: exchanges.page(name, found, asked),
        rows,
        beside={exchanges.MARKETS[name]: Said(exchanges.markets(name))},
    )


FRED = Case(
    "fred",
    request("fred", "WALCL", datetime(2026, 2, 1, tzinfo=UTC), model=raw.Macro),
    "/graph/fredgraph.csv",
    lambda _: FRED_CSV,
    [
        {"observed_on": "2026-01-07", "value": "6573604"},
        {"observed_on": "2026-01-14", "value": None},
        {"observed_on": "2026-01-21", "value": "."},
        {"observed_on": "2026-01-28", "value": "6587568"},
    ],
    content_type="text/csv",
)
VINTAGES = Case(
    "fred vintages",
    request("fred", "DGS10", datetime(2026, 5, 22, tzinfo=UTC), model=raw.Macro),
    "/fred/series/observations",
    lambda asked: (
        payload("fred_observations_DGS10_2026-05.json")
        if asked["realtime_start"] == "2025-01-01"
        else '{"count": 0, "observations": []}'
    ),
    [
        {"observed_on": day, "value": value, "vintage": "2026-05-21"}
        for day, value in (
            ("2026-02-20", "4.10"),
            ("2026-04-20", "4.20"),
            ("2026-05-14", "4.30"),
            ("2026-05-20", "4.25"),
        )
    ],
    asks=6,
)
GECKO = Case(
    "coingecko",
    request("coingecko", None, datetime(2026, 9, 12, 19, tzinfo=UTC), model=raw.MarketSnapshot),
    "/api/v3/global",
    lambda _: payload("coingecko_global_2026-09.json"),
    [
        {
            "captured_at": datetime(2026, 9, 12, 19, tzinfo=UTC),
            "total_market_cap_usd": 2658993478160.9897,
            "active_coins": 21141,
            "btc_dominance_pct": 58.17938979734104,
            "eth_dominance_pct": 11.569683291071984,
        }
    ],
)
FED = Case(
    "fed",
    request("fed", None, datetime(2026, 2, 1, tzinfo=UTC), model=raw.PolicyEvents),
    "/fomccalendars.htm",
    lambda _: CALENDAR,
    [
        {
            "event_id": "fomc-2026-01-28",
            "released_at": datetime(2026, 1, 28, 19, tzinfo=UTC),
            "kind": "statement",
            "target_low_pct": 3.75,
            "target_high_pct": 4.0,
            "tone": 1.0,
        },
        {
            "event_id": "fomc-2026-05-01",
            "released_at": datetime(2026, 5, 1, 18, tzinfo=UTC),
            "kind": "meeting",
            "target_high_pct": None,
        },
    ],
    content_type="text/html",
    beside={
        "press_monetary.xml": Said(FEED, content_type="text/xml"),
        "monetary20260128a.htm": Said(STATEMENT, content_type="text/html"),
    },
    is_page=True,
)
CASES = (SPY, SPARK, *(candles(name) for name in exchanges.EXCHANGES), FRED, VINTAGES, GECKO, FED)
