"""How fast each host is asked: a token bucket, which a host that wants a pause stops for everybody."""

import threading
from collections.abc import Callable
from types import MappingProxyType

RATES = MappingProxyType(  # requests a second, below what the providers publish or tolerate
    {
        "query1.finance.yahoo.com": 2.0,
        "query2.finance.yahoo.com": 2.0,
        "api.exchange.coinbase.com": 5.0,
        "api.coinbase.com": 5.0,
        "api.kraken.com": 1.0,
        "api.binance.com": 8.0,
        "www.bitstamp.net": 8.0,
        "api.stlouisfed.org": 1.5,  # 120 a minute
        "api.coingecko.com": 0.2,
    }
)


class Bucket:
    """A token bucket: so many requests a second on average, a second's worth at once, none during a pause."""

    def __init__(self, rate: float, clock: Callable[[], float]) -> None:
        """Start full."""
        self.rate, self.clock = rate, clock
        self.tokens, self.at = max(rate, 1.0), clock()
        self.not_before = self.at
        self.lock = threading.Lock()

    def take(self) -> float:
        """Take a token; returns the seconds until it is really there."""
        with self.lock:
            now = self.clock()
            self.tokens = min(max(self.rate, 1.0), self.tokens + (now - self.at) * self.rate) - 1
            self.at = now
            return max(0.0, -self.tokens / self.rate)

    def pause(self, seconds: float) -> None:
        """Let nobody ask for so long, because the host wants it."""
        with self.lock:
            self.not_before = max(self.not_before, self.clock() + seconds)

    def paused(self) -> float:
        """Seconds that are left of the pause."""
        return max(0.0, self.not_before - self.clock())
