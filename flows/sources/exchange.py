"""Crypto exchanges through ccxt: candles page by page, each in the exchange's own page size.

A source is one exchange (`ccxt:kraken`) and a symbol names its quote currency (`ETH/USD` is not `ETH/USDT`).
Candles without trades, or lost in an outage, are holes; they stay holes and are noted in the ledger.
"""

import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import Any

import polars as pl

from flows.sources import Answer, Request
from flows.sources.answers import FetchError
from flows.sources.exchange_session import polite_session
from flows.sources.secret import masked, secret
from flows.sources.web import WHAT
from warehouse.unknown import instead

FIRST_DAY = date(2017, 1, 1)  # where a history starts if nobody asked for more
PAGE = 300  # where ccxt does not know the exchange's page size
STEPS = {"1h": timedelta(hours=1), "1d": timedelta(days=1)}
COLUMNS: dict[str, pl.DataType] = {
    "opened_at": pl.Datetime("us", "UTC"),
    **dict.fromkeys(("open", "high", "low", "close", "volume"), pl.Float64()),
}
OPENING = threading.Lock()


def fetch(request: Request) -> Answer:
    """The candles of one symbol, oldest first; the intake drops the one that still runs.

    Raises:
        FetchError: if the exchange or the symbol is unknown, or a page cannot be trusted.
    """
    step = STEPS[request.interval or "1h"]
    frames = [pl.DataFrame(page, COLUMNS, orient="row") for page in pages(request, step)]
    rows = (
        pl.concat([pl.DataFrame(schema=COLUMNS), *frames]).unique("opened_at", keep="last").sort("opened_at")
    )
    first, last = span(request)
    rows = rows.filter(pl.col("opened_at").is_between(first, last, closed="left")).with_columns(
        symbol=pl.lit(request.item), date=pl.col("opened_at").dt.date()
    )
    if rows.is_empty() and request.since is None:
        raise FetchError(f"{request.what}: has no candles; check the symbol")
    note = holes(request, rows["opened_at"], step)
    return Answer(rows.drop("date" if request.interval == "1h" else "opened_at"), note=note)


def span(request: Request) -> tuple[datetime, datetime]:
    """First instant wanted, and the end of the range, which is no candle's opening."""
    first = datetime.combine(request.since or FIRST_DAY, time(), UTC)
    last = datetime.combine(request.until, time(), UTC) + timedelta(days=1) if request.until else request.now
    return first, min(last, request.now)


def pages(request: Request, step: timedelta) -> Iterator[list[tuple[Any, ...]]]:
    """Pages until the end of the range; an empty one is skipped by its width, to cross an outage.

    Where candles were to be expected, an empty page is asked for once more before it is believed.
    """
    exchange = connected(request)
    size = page_size(exchange, request.item or "")
    cursor, last = span(request)
    is_expected = request.since is not None
    while cursor < last:
        page = candles(request, exchange, cursor, size, step)
        if not page and is_expected and cursor + step <= last:
            page = candles(request, exchange, cursor, size, step)
        yield page
        ahead = [row[0] for row in page if row[0] >= cursor]
        cursor = max(ahead) + step if ahead else cursor + size * step
        is_expected = bool(ahead)


def candles(
    request: Request, exchange: Any, since: datetime, size: int, step: timedelta
) -> list[tuple[Any, ...]]:
    """One page, checked: six numbers a candle, time stamps on the interval's grid and in the past."""
    millis = int(since.timestamp() * 1000)
    said = call(request, exchange, "fetch_ohlcv", request.item, request.interval, millis, size)
    width, now = int(step.total_seconds() * 1000), request.now.timestamp() * 1000
    for row in said:
        if len(row) < len(COLUMNS) or None in row[:5]:
            raise FetchError(f"{request.what}: a candle without its figures ({row}); nothing of it was kept")
        if row[0] % width or not 0 < row[0] <= now + width:
            raise FetchError(f"{request.what}: {row[0]} is no time stamp of {request.interval} candles")
    return [(datetime.fromtimestamp(row[0] / 1000, UTC), *row[1:6]) for row in said]


def call(request: Request, exchange: Any, method: str, *arguments: Any) -> Any:
    """Call ccxt; what it raises of its own is told in our words."""
    from ccxt import BadSymbol, BaseError

    try:
        return getattr(exchange, method)(*arguments)
    except BadSymbol as error:
        raise FetchError(f"{request.what}: the exchange does not list it; check the symbol") from error
    except (BaseError, TypeError, KeyError, AttributeError, ValueError) as error:
        first = masked(" ".join(str(error).split()))[:160]
        raise FetchError(f"{request.what}: {type(error).__name__} ({first}); run again later") from error


def page_size(exchange: Any, symbol: str) -> int:
    """How many candles the exchange gives at once, as ccxt knows it."""
    size = exchange.feature_value(symbol, "fetchOHLCV", "limit", PAGE)
    return int(size or PAGE)


def holes(request: Request, opened: pl.Series, step: timedelta) -> str | None:
    """What is missing of a range: its beginning, which some exchanges have no more, candles within, its end.

    Args:
        request: The range.
        opened: When its candles opened, sorted.
        step: Their length.
    """
    first, last = span(request)
    if opened.is_empty():
        return f"no candles from {first:%Y-%m-%d %H:%M} UTC on"
    notes = []
    if request.since and opened[0] > first:
        notes.append(f"serves nothing before {opened[0]:%Y-%m-%d %H:%M} UTC")
    gaps = pl.DataFrame({"at": opened, "gap": opened.diff()}).filter(pl.col("gap") > step)
    if gaps.height:
        missing, at = sum(gap // step - 1 for gap in gaps["gap"]), gaps["at"][0] - gaps["gap"][0] + step
        notes.append(
            f"{missing} candles missing in {gaps.height} holes, the first from {at:%Y-%m-%d %H:%M} UTC"
        )
    if opened[-1] + 2 * step <= last:  # the next one has ended too
        notes.append(f"nothing after the candle of {opened[-1]:%Y-%m-%d %H:%M} UTC")
    return "; ".join(notes) or None


def connected(request: Request) -> Any:
    """The exchange with its markets, which are loaded once a process."""
    named = request.source.partition(":")[2]
    with OPENING:
        exchange = opened(named)
    if exchange is None:
        raise FetchError(f"{request.source}: ccxt knows no such exchange{instead(named, exchanges())}")
    WHAT.set(request.what)
    with exchange.loading:  # one thread loads them for all; another exchange's do not wait
        call(request, exchange, "load_markets")
    if request.item not in exchange.markets:
        there = instead(request.item, exchange.markets)
        raise FetchError(f"{request.what}: the exchange does not list it; check the symbol{there}")
    return exchange


def exchanges() -> list[str]:
    """The exchanges that ccxt knows."""
    import ccxt

    return list(ccxt.exchanges)


@cache
def opened(name: str) -> Any:
    """An exchange on a session that keeps to the policy; `None` where ccxt has none of that name."""
    import ccxt

    if name not in ccxt.exchanges:
        return None
    keys = {k: secret(f"{name}_{k}".upper()) for k in ("apiKey", "secret")}
    settings = {k: v for k, v in keys.items() if v}
    exchange = getattr(ccxt, name)({**settings, "enableRateLimit": False, "session": polite_session(name)})
    exchange.loading = threading.Lock()
    exchange.has["fetchCurrencies"] = False  # one request less, and no need of a key
    if isinstance(exchange.options.get("fetchMarkets"), dict):
        exchange.options["fetchMarkets"]["types"] = ["spot"]  # Binance would load three more kinds
    return exchange
