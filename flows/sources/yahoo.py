"""Yahoo Finance through yfinance: bars with raw and adjusted closes, dividends, splits; many closes at once.

yfinance brings what Yahoo wants of a client: a browser's handshake, cookie, consent and crumb. Its price
frames are not used: they hide errors as empty frames, replay a failure from a cache instead of asking again,
look up the time zone with a request of its own, and turn a missing volume into 0. `YfData.get` has none of
that, and the chart is read here. Raw prices are as Yahoo has them: adjusted for splits, not for dividends.
"""

import json
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from flows.calendars import FIRST_DAY
from flows.sources import Answer, Request
from flows.sources.answers import FetchError, judge
from flows.sources.policy import current
from flows.sources.web import WHAT
from flows.sources.yahoo_session import polite_session
from schemas import raw

HOST = "https://query2.finance.yahoo.com"
HOURS_KEPT = timedelta(days=729)  # of hourly bars; Yahoo refuses a request that begins 730 days ago
EVENTS = "div,splits,capitalGains"
PRICES = {"open": "open", "high": "high", "low": "low", "close": "close", "volume": "volume"}
SPARK = {"symbol": pl.String, "date": pl.Date, "close": pl.Float64}
ACTIONS = {"symbol": pl.String, "ex_on": pl.Date, "dividend": pl.Float64, "split_ratio": pl.Float64}


def fetch(request: Request) -> Answer:
    """Bars of one symbol with its dividends and splits, or the daily closes of many symbols.

    Raises:
        FetchError: naming the symbol and what Yahoo said, e.g. that it may be delisted.
    """
    return sparks(request) if request.items else chart(request)


def chart(request: Request) -> Answer:
    """One symbol from the chart service; `since` and `until` are inclusive."""
    symbol, interval = request.item or "", request.interval or "1d"
    first, last = span(request)
    told = "serves hourly bars of the last 730 days only" if is_clamped(request) else None
    if first >= last:
        return Answer(bars({"meta": {}}, symbol, interval), note=told, pages=0)
    params = {"period1": str(first), "period2": str(last), "interval": interval, "events": EVENTS}
    said = ask(request, f"{HOST}/v8/finance/chart/{symbol}", params)
    result = the_result(said.get("chart"), request)
    if str(result["meta"].get("symbol", symbol)).upper() != symbol.upper():
        raise FetchError(f"{request.what}: answered for {result['meta']['symbol']}; check the symbol")
    if result["meta"].get("dataGranularity", interval) != interval:
        raise FetchError(f"{request.what}: answered with bars of {result['meta']['dataGranularity']}")
    rows = within_range(bars(result, symbol, interval), request)
    if rows.is_empty() and request.since is None:
        raise FetchError(f"{request.what}: has no prices; check the symbol, it may be delisted")
    return Answer(rows, others={raw.Actions: actions(result, symbol)} if interval == "1d" else {}, note=told)


def sparks(request: Request) -> Answer:
    """Daily closes of up to 20 symbols, as many as Yahoo answers for at once; those without are noted."""
    first, last = span(request)
    wanted = {"symbols": ",".join(request.items), "interval": "1d"}
    said = ask(request, f"{HOST}/v7/finance/spark", {**wanted, "period1": str(first), "period2": str(last)})
    answers = (said.get("spark") or {}).get("result") or []
    found = {one["symbol"]: one["response"][0] for one in answers if is_daily(one.get("response"))}
    frames = [bars(found[s], s, "1d").select(*SPARK) for s in request.items if s in found]
    rows = pl.concat([pl.DataFrame(schema=SPARK), *frames]).filter(pl.col("close").is_not_null())
    rows = within_range(rows, request)
    if rows.is_empty() and request.since is None:
        raise FetchError(f"{request.what}: has no prices for any of the symbols")
    missing = [symbol for symbol in request.items if symbol not in found]
    note = f"no days of {len(missing)} symbols: {', '.join(missing[:10])}" if missing else None
    return Answer(rows, note=note)


def is_daily(response: list[dict[str, Any]] | None) -> bool:
    """Whether a symbol was answered for, and with days."""
    meta = response[0].get("meta") if response else None
    return meta is not None and meta.get("dataGranularity", "1d") == "1d"


def span(request: Request) -> tuple[int, int]:
    """The range as seconds since 1970, a day wider at either end, so that it holds in every time zone.

    Hourly bars are asked for as far back as there are any.
    """
    first = datetime.combine(request.since or FIRST_DAY, time(), UTC) - timedelta(days=1)
    last = datetime.combine(request.until or request.now.date(), time(), UTC) + timedelta(days=2)
    if request.interval == "1h":
        first = max(first, request.now - HOURS_KEPT)
    return int(first.timestamp()), int(last.timestamp())


def is_clamped(request: Request) -> bool:
    """Whether hours are wanted that Yahoo has no more."""
    return request.interval == "1h" and (request.since or date.max) < (request.now - HOURS_KEPT).date()


def within_range(rows: pl.DataFrame, request: Request) -> pl.DataFrame:
    """Only the days that were asked for."""
    day = pl.col("date") if "date" in rows.columns else pl.col("opened_at").dt.date()
    first, last = request.since or date.min, request.until or date.max
    return rows.filter(day.is_between(first, last))


def the_result(said: dict[str, Any] | None, request: Request) -> dict[str, Any]:
    """The one result of an answer."""
    error = (said or {}).get("error")
    if error:
        raise FetchError(f"{request.what}: {error.get('description') or error}; check the symbol")
    results = (said or {}).get("result")
    if not results or not isinstance(results[0].get("meta"), dict):
        raise FetchError(f"{request.what}: an answer without a result", is_transient=True, is_down=True)
    result: dict[str, Any] = results[0]
    return result


def bars(result: dict[str, Any], symbol: str, interval: str) -> pl.DataFrame:
    """The bars of a result; slots in which Yahoo names no price at all are placeholders and left out."""
    indicators = result.get("indicators") or {}
    quote = (indicators.get("quote") or [{}])[0]
    adjusted = (indicators.get("adjclose") or [{}])[0]
    stamps = result.get("timestamp") or []
    columns = {ours: quote.get(theirs) for ours, theirs in PRICES.items()}
    columns["adj_close"] = adjusted.get("adjclose")
    lists = {name: values or [None] * len(stamps) for name, values in columns.items()}
    zone = ZoneInfo(result["meta"].get("exchangeTimezoneName") or "UTC")
    frame = pl.DataFrame(
        {"opened_at": [datetime.fromtimestamp(s, UTC) for s in stamps], **lists},
        schema={"opened_at": pl.Datetime("us", "UTC"), **dict.fromkeys(lists, pl.Float64)},
        strict=False,
    )
    frame = frame.with_columns(
        symbol=pl.lit(symbol), date=pl.col("opened_at").dt.convert_time_zone(zone.key).dt.date()
    ).filter(pl.any_horizontal(pl.col("open", "high", "low", "close").is_not_null()))
    return frame.drop("opened_at" if interval == "1d" else "date")


def actions(result: dict[str, Any], symbol: str) -> pl.DataFrame:
    """Dividends (with funds' capital gains, which lower the price alike) and splits by their ex-date."""
    events = result.get("events") or {}
    zone = ZoneInfo(result["meta"].get("exchangeTimezoneName") or "UTC")
    paid: dict[date, float] = {}
    for kind in ("dividends", "capitalGains"):
        for event in (events.get(kind) or {}).values():
            day = datetime.fromtimestamp(event["date"], zone).date()
            paid[day] = paid.get(day, 0.0) + float(event["amount"])
    split = {
        datetime.fromtimestamp(e["date"], zone).date(): float(e["numerator"]) / float(e["denominator"])
        for e in (events.get("splits") or {}).values()
    }
    days = sorted({*paid, *split})
    return pl.DataFrame([(symbol, d, paid.get(d), split.get(d)) for d in days], ACTIONS, orient="row")


def ask(request: Request, url: str, params: dict[str, str]) -> dict[str, Any]:
    """The JSON of one request, through the client's session."""
    WHAT.set(request.what)

    def attempt() -> dict[str, Any]:
        answer = client().get(url, params=params, timeout=current().total_seconds)
        said = json.loads(judge(request.what, answer.status_code, answer.headers, answer.content, "json"))
        return said if isinstance(said, dict) else {}

    return current().repeat(request.source, attempt)  # the session waits for its turn


@cache
def client() -> Any:
    """The one yfinance client of this process, on a session that keeps to the policy."""
    from yfinance.data import YfData  # takes about two seconds to import

    return YfData(session=polite_session())
