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
from flows.sources.answers import FetchError, judge
from flows.sources.policy import Policy, current
from flows.sources.secret import secret
from flows.sources.web import WHAT, broken, endless, in_time, timed_out, within

FIRST_DAY = date(2017, 1, 1)  # where a history starts if nobody asked for more
PAGE = 300  # where ccxt does not know the exchange's page size
STEPS = {"1h": timedelta(hours=1), "1d": timedelta(days=1)}
COLUMNS: dict[str, pl.DataType] = {
    "opened_at": pl.Datetime("us", "UTC"),
    **dict.fromkeys(("open", "high", "low", "close", "volume"), pl.Float64()),
}
CHUNK = 1 << 16
LOADING = threading.Lock()
THROTTLED = ("rate limit", "too many requests")  # Kraken says so with status 200


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
    rows = rows.filter(pl.col("opened_at").is_between(first, last)).with_columns(
        symbol=pl.lit(request.item), date=pl.col("opened_at").dt.date()
    )
    if rows.is_empty() and request.since is None:
        raise FetchError(f"{request.what}: has no candles; check the symbol")
    return Answer(
        rows.drop("date" if request.interval == "1h" else "opened_at"), note=holes(request, rows, step)
    )


def span(request: Request) -> tuple[datetime, datetime]:
    """First and last instant wanted."""
    first = datetime.combine(request.since or FIRST_DAY, time(), UTC)
    last = datetime.combine(request.until, time.max, UTC) if request.until else request.now
    return first, min(last, request.now)


def pages(request: Request, step: timedelta) -> Iterator[list[tuple[Any, ...]]]:
    """Pages until the end of the range; an empty one is skipped by its width, to cross an outage."""
    exchange = connected(request)
    size = page_size(exchange, request.item or "")
    cursor, last = span(request)
    while cursor <= last:
        page = candles(request, exchange, cursor, size, step)
        yield page
        ahead = [row[0] for row in page if row[0] >= cursor]
        cursor = max(ahead) + step if ahead else cursor + size * step


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
        first = " ".join(str(error).split())[:160]
        raise FetchError(f"{request.what}: {type(error).__name__} ({first}); run again later") from error


def page_size(exchange: Any, symbol: str) -> int:
    """How many candles the exchange gives at once, as ccxt knows it."""
    size = exchange.feature_value(symbol, "fetchOHLCV", "limit", PAGE)
    return int(size or PAGE)


def holes(request: Request, rows: pl.DataFrame, step: timedelta) -> str | None:
    """How many candles are missing, and where the first hole is; some exchanges serve the newest only."""
    start = datetime.combine(request.since, time(), UTC) if request.since else None
    if start and rows.height and rows["opened_at"][0] > start:
        return f"serves nothing before {rows['opened_at'][0]:%Y-%m-%d %H:%M} UTC"
    gaps = rows.select("opened_at", gap=pl.col("opened_at").diff()).filter(pl.col("gap") > step)
    if gaps.is_empty():
        return None
    missing = sum(gap // step - 1 for gap in gaps["gap"])
    at = gaps["opened_at"][0] - gaps["gap"][0] + step
    return f"{missing} candles missing in {gaps.height} holes, the first from {at:%Y-%m-%d %H:%M} UTC"


def connected(request: Request) -> Any:
    """The exchange with its markets, which are loaded once a process."""
    exchange = opened(request.source.partition(":")[2])
    if exchange is None:
        raise FetchError(f"{request.source}: ccxt knows no such exchange; see ccxt.exchanges for the names")
    WHAT.set(request.what)
    with LOADING:  # one thread loads them for all
        call(request, exchange, "load_markets")
    if request.item not in exchange.markets:
        raise FetchError(f"{request.what}: the exchange does not list it; check the symbol")
    return exchange


@cache
def opened(name: str) -> Any:
    """An exchange on a session that keeps to the policy; `None` where ccxt has none of that name."""
    import ccxt

    if name not in ccxt.exchanges:
        return None
    keys = {k: secret(f"{name}_{k}".upper()) for k in ("apiKey", "secret")}
    settings = {k: v for k, v in keys.items() if v}
    exchange = getattr(ccxt, name)({**settings, "enableRateLimit": False, "session": session(name)})
    exchange.has["fetchCurrencies"] = False  # one request less, and no need of a key
    if isinstance(exchange.options.get("fetchMarkets"), dict):
        exchange.options["fetchMarkets"]["types"] = ["spot"]  # Binance would load three more kinds
    return exchange


def session(name: str) -> Any:
    """A requests session, as ccxt wants one, that keeps to the policy."""
    import requests
    from urllib3.exceptions import HTTPError, ReadTimeoutError

    class PoliteSession(requests.Session):
        """Each request is sent by the policy, whole or not at all."""

        def request(self, method: Any, url: Any, **kwargs: Any) -> Any:  # type: ignore[override]
            policy, what = current(), WHAT.get()

            def attempt() -> requests.Response:
                return in_time(what, policy, lambda: self.attempt(what, policy, method, url, kwargs))

            return policy.send(f"ccxt:{name}", url, attempt)

        def attempt(
            self, what: str, policy: Policy, method: str, url: str, kwargs: dict[str, Any]
        ) -> requests.Response:
            kwargs |= {"timeout": policy.idle_seconds, "verify": policy.ca_file or True, "stream": True}
            try:
                with super().request(method, policy.route(url), **kwargs) as answer:
                    body = within(what, policy, pieces(answer.raw))
            except (requests.Timeout, ReadTimeoutError) as error:
                raise timed_out(what) from error
            except requests.TooManyRedirects as error:
                raise endless(what) from error
            except (requests.RequestException, HTTPError, OSError) as error:
                raise broken(what, error) from error
            answer._content = body  # noqa: SLF001 - so that ccxt reads what was checked
            answer._content_consumed = True  # noqa: SLF001
            refuse_throttled(what, judge(what, answer.status_code, answer.headers, body, "json"))
            return answer

    return PoliteSession()


def pieces(raw: Any) -> Iterator[bytes]:
    """A body as it arrives, without waiting for a piece to fill."""
    return iter(lambda: raw.read1(CHUNK, decode_content=True), b"")


def refuse_throttled(what: str, text: str) -> None:
    """Kraken says with status 200 that it was asked too often."""
    if '"error"' in text[:200] and any(words in text[:400].lower() for words in THROTTLED):
        raise FetchError(f"{what}: asks us to slow down", is_transient=True, is_down=True)
