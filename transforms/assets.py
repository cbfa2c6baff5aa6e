"""The assets that have prices, and what their figures are in."""

from typing import Annotated as As

import polars as pl
from polars import LazyFrame as Frame

from schemas import core, mart
from schemas.table import conform


def assets(closes: As[Frame, core.Closes], listings: As[Frame, core.Listings]) -> As[Frame, mart.Assets]:
    """One row per asset: names and units from the universe, first and last session from the prices."""
    spans = closes.group_by("asset").agg(
        first_session=pl.col("session").min(),
        last_session=pl.col("session").max(),
        served=pl.col("source").unique(),
    )
    return (
        listings.join(spans, on="asset")
        .filter(pl.col("source").is_in(pl.col("served")))
        .group_by("asset", maintain_order=True)
        .agg(
            pl.col("name", "kind", "calendar", "currency", "first_session", "last_session").first(),
            volume_unit=pl.col("volume_unit").unique(maintain_order=True).str.join(", "),
            sources=pl.col("source").unique(maintain_order=True).str.join(", "),
        )
        .sort("asset")
        .pipe(conform, mart.Assets)
    )
