"""The hosts that the recorded provider stands in for, and time that passes only when somebody sleeps."""

HOSTS = (
    "query1.finance.yahoo.com",
    "query2.finance.yahoo.com",
    "fc.yahoo.com",
    "guce.yahoo.com",
    "consent.yahoo.com",
    "api.coinbase.com",
    "api.exchange.coinbase.com",
    "api.kraken.com",
    "api.binance.com",
    "www.bitstamp.net",
    "fred.stlouisfed.org",
    "api.stlouisfed.org",
    "api.coingecko.com",
    "www.federalreserve.gov",
)


class Clock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def __call__(self) -> float:
        return self.now
