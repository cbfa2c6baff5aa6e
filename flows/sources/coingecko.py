"""CoinGecko: one look at the whole crypto market. It keeps no history for us, so every run keeps its own."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from flows.sources import Answer, Request
from flows.sources.answers import FetchError
from flows.sources.web import get

URL = "https://api.coingecko.com/api/v3/global"
STALE = timedelta(hours=6)


def fetch(request: Request) -> Answer:
    """The figures of this instant; a look that CoinGecko took long ago is refused.

    Raises:
        FetchError: if there are none.
    """

    def check(text: str) -> None:
        status = json.loads(text).get("status") or {}
        if status.get("error_code"):
            said = f"{request.what}: asks us to slow down ({status['error_code']} inside an answer)"
            raise FetchError(said, is_transient=True, is_down=True)

    data = json.loads(get(request.what, URL, "json", check=check)).get("data")
    try:
        row = figures(data, request)
    except (KeyError, TypeError, ValueError) as error:
        raise FetchError(f"{request.what}: an answer without {error}; run again later") from error
    return Answer(pl.DataFrame([row]))


def figures(data: Any, request: Request) -> dict[str, Any]:
    """The figures under our names."""
    seen_at = datetime.fromtimestamp(int(data["updated_at"]), UTC)
    if request.now - seen_at > STALE:
        raise FetchError(f"{request.what}: its figures are of {seen_at:%Y-%m-%d %H:%M} UTC; run again later")
    return {
        "captured_at": request.now,
        "total_market_cap_usd": float(data["total_market_cap"]["usd"]),
        "volume_24h_usd": float(data["total_volume"]["usd"]),
        "active_coins": int(data["active_cryptocurrencies"]),
        "btc_dominance_pct": float(data["market_cap_percentage"]["btc"]),
        "eth_dominance_pct": float(data["market_cap_percentage"]["eth"]),
    }
