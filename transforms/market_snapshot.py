"""The size of the crypto market, one look a day."""

from typing import Annotated as As

import polars as pl
from polars import LazyFrame as Frame

from schemas import mart, raw
from schemas.table import conform


def market_snapshot(snapshots: As[Frame, raw.MarketSnapshot]) -> As[Frame, mart.MarketSnapshot]:
    """The last snapshot of every UTC day, whole: figures of two looks are never mixed.

    Of two at the same instant the source that comes last in the alphabet counts, so that the order in which
    rows arrive does not. Days without a snapshot have no row; the provider keeps no history to fill them.
    """
    return (
        snapshots.with_columns(captured_on=pl.col("captured_at").dt.date())
        .sort("captured_at", "source")
        .unique("captured_on", keep="last", maintain_order=True)
        .sort("captured_on")
        .pipe(conform, mart.MarketSnapshot)
    )
