"""Assets, levels and indicators: what is watched, and how it moves."""

import polars as pl

from schemas.table import Table, field, number


class Assets(Table):
    """One row per asset of the universe that has at least one price."""

    asset: pl.String
    name: pl.String = field("Name for people")
    kind: pl.String = field("crypto, index, etf, stock or volatility")
    calendar: pl.String
    currency: pl.String = field("Currency of the prices")
    volume_unit: pl.String = field("What the volume counts, per convention where they differ")
    sources: pl.String = field("Sources that served prices, comma-separated, in the universe's order")
    first_session: pl.Date = field("First session with a price")
    last_session: pl.Date = field("Last session with a price")

    class Config:
        """Name and key."""

        name = "mart.assets"
        metadata = {"key": ("asset",)}


class Normalized(Table):
    """One row per asset, convention and study session: growth of 100 since its first study session."""

    asset: pl.String
    convention: pl.String
    session: pl.Date
    rebased: pl.Float64 = number(
        "Total-return level, 100 at the asset's first study session; of an index the price alone, where the "
        "source gives it no dividends",
        "index",
        gt=0,
    )

    class Config:
        """Name and key."""

        name = "mart.normalized"
        metadata = {"key": ("asset", "convention", "session")}


class Indicators(Table):
    """One row per asset, convention, session and indicator, on the asset's own bars; null until warm."""

    asset: pl.String
    convention: pl.String
    session: pl.Date
    indicator: pl.String = field(
        "Name with its length, e.g. rsi_14; mart.indicators_wide has one column each"
    )
    value: pl.Float64 = number("Value of the indicator", "by indicator")

    class Config:
        """Name and key."""

        name = "mart.indicators"
        metadata = {"key": ("asset", "convention", "session", "indicator")}
