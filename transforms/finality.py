"""When a bar is final: the one rule that both the intake and the freshness table go by."""

from datetime import timedelta

import polars as pl

HOUR = timedelta(hours=1)
VOLATILITY_DELAY = timedelta(
    minutes=15
)  # Cboe computes the VIX until 16:15 New York, a quarter past the close


def price_delay(kind: pl.Expr) -> pl.Expr:
    """How long after its exchange's close an asset of this kind still gets prices."""
    return pl.when(kind == "volatility").then(VOLATILITY_DELAY).otherwise(timedelta(0))


def daily_final_at(close_at: pl.Expr, kind: pl.Expr, settle_minutes: pl.Expr) -> pl.Expr:
    """A daily bar is final a settling delay after its last price; volume has no say."""
    return close_at + price_delay(kind) + pl.duration(minutes=settle_minutes)
