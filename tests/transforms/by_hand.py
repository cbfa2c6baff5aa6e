"""Small frames that several tests write by hand."""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta

import polars as pl

from schemas import core, mart
from schemas.table import polars_schema


def signals(first: date, states: Iterable[str], asset: str = "ETH", benchmark: str = "RUT") -> pl.DataFrame:
    """`mart.signals` of one pair, a state a day."""
    rows = [
        {
            "asset": asset,
            "benchmark": benchmark,
            "session": first + timedelta(n),
            "conditions_met": 0,
            "state": state,
            "reason": "by hand",
        }
        for n, state in enumerate(states)
    ]
    return pl.DataFrame(rows, schema=polars_schema(mart.Signals))


def returns(
    first: date, log_returns: Iterable[float | None], asset: str = "ETH", convention: str = "session_close"
) -> pl.DataFrame:
    """`core.returns` of one asset, a log return a day."""
    rows = [
        {
            "asset": asset,
            "convention": convention,
            "session": first + timedelta(n),
            "log_return": None if value is None else float(value),
        }
        for n, value in enumerate(log_returns)
    ]
    return pl.DataFrame(rows, schema=polars_schema(core.Returns))


def sessions(days: Sequence[date], close: time = time(21)) -> pl.LazyFrame:
    """`core.sessions` of a calendar TEST, all of them from 14:30 UTC to one hour."""
    return pl.DataFrame(
        {
            "calendar": "TEST",
            "session": days,
            "open_at": [datetime.combine(d, time(14, 30), UTC) for d in days],
            "close_at": [datetime.combine(d, close, UTC) for d in days],
            "is_early_close": False,
            "gap_days": 1,
        },
        schema=polars_schema(core.Sessions),
    ).lazy()
