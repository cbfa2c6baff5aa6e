"""Yahoo's chart service over a table of daily bars that a test may change between two runs."""

import json
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import exchange_calendars
from server import Provider, Said

NEW_YORK = ZoneInfo("America/New_York")


def sessions(first: str, last: str) -> list[date]:
    """Trading days of the New York Stock Exchange."""
    book = exchange_calendars.get_calendar("XNYS", start="2019-01-01", end="2026-12-31")
    return [day.date() for day in book.sessions_in_range(first, last)]


@dataclass
class Chart:
    """Closes by day; open, high and low follow from them, adjusted closes from `factor`."""

    closes: dict[date, float]
    factor: float = 1.0
    adjusted_until: date | None = None
    dividends: dict[date, float] = field(default_factory=dict)
    running_at: datetime | None = None  # the last bar is of this instant and still moves

    def stamp(self, day: date) -> int:
        opened = datetime.combine(day, time(9, 30), NEW_YORK).timestamp()
        is_last = self.running_at and day == max(self.closes)
        return int(self.running_at.timestamp()) if is_last and self.running_at else int(opened)

    def adjusted(self, day: date) -> float:
        return self.closes[day] * (self.factor if self.adjusted_until and day < self.adjusted_until else 1.0)

    def result(self, symbol: str, asked: dict[str, str]) -> dict[str, Any]:
        first, last = int(asked["period1"]), int(asked["period2"])
        days = [day for day in sorted(self.closes) if first <= self.stamp(day) < last]
        closes = [self.closes[day] for day in days]
        quote = {
            "open": closes,
            "high": [close + 1 for close in closes],
            "low": [close - 1 for close in closes],
            "close": closes,
            "volume": [1000] * len(days),
        }
        paid = {
            str(self.stamp(day)): {"amount": amount, "date": self.stamp(day)}
            for day, amount in self.dividends.items()
        }
        return {
            "meta": {"symbol": symbol, "exchangeTimezoneName": "America/New_York", "dataGranularity": "1d"},
            "timestamp": [self.stamp(day) for day in days],
            "events": {"dividends": paid},
            "indicators": {
                "quote": [quote],
                "adjclose": [{"adjclose": [self.adjusted(day) for day in days]}],
            },
        }

    def serve(self, provider: Provider, symbol: str) -> None:
        provider.routes[f"/v8/finance/chart/{symbol}?"] = lambda asked: Said(
            json.dumps({"chart": {"result": [self.result(symbol, asked)], "error": None}})
        )


def day_of(stamp: str) -> date:
    """The UTC day of a period that was asked for."""
    return datetime.fromtimestamp(int(stamp), UTC).date()
