"""Five services of exchanges with the same hourly candles, each in its own words, order, unit and page size.

The candle formats are those of the recorded payloads; the markets are written after the exchanges' docs.
"""

import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from server import Provider, Said

HOUR = 3600
Candle = tuple[int, float, float, float, float, float]  # seconds, open, high, low, close, volume
SYMBOLS = ("BTC", "ETH", "ADA", "AVAX", "DOGE", "DOT", "LINK", "LTC", "SOL", "XRP")
HOSTS = {
    "coinbase": "api.coinbase.com",
    "coinbaseexchange": "api.exchange.coinbase.com",
    "kraken": "api.kraken.com",
    "binance": "api.binance.com",
    "bitstamp": "www.bitstamp.net",
}
EXCHANGES = {"coinbase": 300, "coinbaseexchange": 300, "kraken": 720, "binance": 1000, "bitstamp": 1000}
MARKETS = {
    "coinbase": "/market/products",
    "coinbaseexchange": "/products",
    "kraken": "/AssetPairs",
    "binance": "/exchangeInfo",
    "bitstamp": "/markets/",
}
CANDLES = {
    "coinbase": "/candles",
    "coinbaseexchange": "/candles",
    "kraken": "/OHLC",
    "binance": "/klines",
    "bitstamp": "/ohlc/",
}


def hours(start: datetime, count: int, holes: Iterable[int] = (), price: float = 100.0) -> list[Candle]:
    """Consecutive candles; the n-th opens at `price` + n; those in `holes` never came."""
    first = int(start.timestamp())
    return [
        (first + n * HOUR, price + n, price + n + 2, price + n - 1, price + n + 1, 10.0 + n)
        for n in range(count)
        if n not in set(holes)
    ]


def markets(name: str) -> str:
    """The exchange's list of markets of ten coins against USD."""
    if name == "coinbase":
        increments = {"base_increment": "0.1", "quote_increment": "0.01", "price_increment": "0.01"}
        shared = {"quote_currency_id": "USD", "product_type": "SPOT", "status": "online", **increments}
        products = [{"product_id": f"{s}-USD", "base_currency_id": s, **shared} for s in SYMBOLS]
        return json.dumps({"products": products})
    if name == "coinbaseexchange":
        shared = {
            "quote_currency": "USD",
            "base_increment": "0.00000001",
            "quote_increment": "0.01",
            "status": "online",
        }
        return json.dumps([{"id": f"{base}-USD", "base_currency": base, **shared} for base in SYMBOLS])
    if name == "kraken":
        base = {s: f"X{s}" for s in SYMBOLS} | {"BTC": "XXBT"}
        shared = {
            "quote": "ZUSD",
            "pair_decimals": 2,
            "lot_decimals": 8,
            "leverage_buy": [],
            "leverage_sell": [],
            "fees": [[0, 0.26]],
            "fees_maker": [[0, 0.16]],
            "ordermin": "1",
            "status": "online",
        }
        pairs = {
            f"{base[s]}ZUSD": {
                "altname": f"{base[s][1:]}USD",
                "wsname": f"{s}/USD",
                "base": base[s],
                **shared,
            }
            for s in SYMBOLS
        }
        return json.dumps({"error": [], "result": pairs})
    if name == "binance":
        shared = {
            "quoteAsset": "USD",
            "status": "TRADING",
            "baseAssetPrecision": 8,
            "quotePrecision": 8,
            "filters": [],
            "isSpotTradingAllowed": True,
            "permissions": ["SPOT"],
        }
        return json.dumps({"symbols": [{"symbol": f"{s}USD", "baseAsset": s, **shared} for s in SYMBOLS]})
    shared = {
        "counter_currency": "USD",
        "base_decimals": 8,
        "counter_decimals": 2,
        "minimum_order_value": "10",
        "trading": "Enabled",
        "market_type": "SPOT",
    }
    return json.dumps(
        [
            {"name": f"{s}/USD", "market_symbol": f"{s.lower()}usd", "base_currency": s, **shared}
            for s in SYMBOLS
        ]
    )


def page(name: str, candles: list[Candle], asked: dict[str, str]) -> str:
    """One page of candles as the exchange answers it, its own limit and order included."""
    limit = EXCHANGES[name]
    if name in {"coinbase", "bitstamp"}:
        found = [c for c in candles if int(asked["start"]) <= c[0] <= int(asked["end"])][:limit]
        names = ("timestamp" if name == "bitstamp" else "start", "open", "high", "low", "close", "volume")
        rows = [dict(zip(names, map(str, c), strict=True)) for c in found]
        data = {"candles": rows[::-1]} if name == "coinbase" else {"data": {"pair": "X", "ohlc": rows}}
        return json.dumps(data)
    if name == "coinbaseexchange":
        first, last = (
            int(datetime.fromisoformat(asked[k]).replace(tzinfo=UTC).timestamp()) for k in ("start", "end")
        )
        found = [c for c in candles if first <= c[0] <= last][:limit]
        return json.dumps([[t, low, high, o, c, v] for t, o, high, low, c, v in reversed(found)])
    if name == "kraken":
        since = int(asked.get("since", 0))
        found = [c for c in candles[-limit:] if c[0] > since]  # older ones are never served
        rows = [[t, *(str(x) for x in (o, h, low, c)), "100.0", str(v), 7] for t, o, h, low, c, v in found]
        pair = asked["pair"]
        return json.dumps({"error": [], "result": {pair: rows, "last": rows[-1][0] if rows else 0}})
    first = int(asked["startTime"]) // 1000
    found = [c for c in candles if c[0] >= first][: int(asked["limit"])]
    rest = ["0", 1, "0", "0", "0"]
    rows = [[t * 1000, *map(str, c), t * 1000 + 3599999, *rest] for t, *c in found]
    return json.dumps(rows)


def exchange(provider: Provider, name: str, candles: Callable[[], list[Candle]]) -> None:
    """Let the provider answer as one exchange."""
    provider.routes[CANDLES[name]] = lambda asked: Said(page(name, candles(), asked))
    provider.routes[MARKETS[name]] = Said(markets(name))
