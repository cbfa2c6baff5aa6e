"""What the providers said, append-only, on two clocks: what it is about, and when we learned it.

Nothing is updated or deleted. A changed row is a further version with a later `known_at`; a version whose
figures are null withdraws the row, because a later bar showed that it was never right.
"""

import pandera.polars as pa
import polars as pl
from pandera.api.polars.types import PolarsData

from schemas.table import PRICE_TOLERANCE, Instant, Table, field, is_finite, number


class Bars(Table):
    """One row per version of a final bar of one symbol at one source."""

    source: pl.String
    symbol: pl.String
    interval: pl.String = field("Length of the bar", isin=["1h", "1d"])
    opened_at: Instant
    known_at: Instant
    open: pl.Float64 = number("First price, as delivered", "currency", gt=0)
    high: pl.Float64 = number("Highest price, as delivered", "currency", gt=0)
    low: pl.Float64 = number("Lowest price, as delivered", "currency", gt=0)
    close: pl.Float64 = number("Last price, as delivered; null withdraws the bar", "currency", gt=0)
    adj_close: pl.Float64 = number("Close adjusted for dividends and splits, if delivered", "currency", gt=0)
    volume: pl.Float64 = number("Volume as delivered; its unit is in mart.assets", "volume_unit", ge=0)
    is_known_at_assumed: pl.Boolean
    load_id: pl.String

    class Config:
        """Name and key."""

        name = "raw.bars"
        metadata = {"key": ("source", "symbol", "interval", "opened_at", "known_at")}

    @pa.check("open", "high", "low", "close", "adj_close", "volume", name="finite")
    def finite(cls, data: PolarsData) -> pl.LazyFrame:
        """Prices and volumes are numbers."""
        return is_finite(data)

    @pa.dataframe_check(name="high_is_highest")
    def high_is_highest(cls, data: PolarsData) -> pl.LazyFrame:
        """The high is not below open, low or close (relative tolerance 1e-6)."""
        highest = pl.max_horizontal("open", "low", "close")
        return data.lazyframe.select(pl.col("high").ge(highest * (1 - PRICE_TOLERANCE)).fill_null(value=True))

    @pa.dataframe_check(name="low_is_lowest")
    def low_is_lowest(cls, data: PolarsData) -> pl.LazyFrame:
        """The low is not above open, high or close (relative tolerance 1e-6)."""
        lowest = pl.min_horizontal("open", "high", "close")
        return data.lazyframe.select(pl.col("low").le(lowest * (1 + PRICE_TOLERANCE)).fill_null(value=True))


class Actions(Table):
    """One row per version of a dividend or split of one symbol."""

    source: pl.String
    symbol: pl.String
    ex_on: pl.Date = field("First date on which the share trades without the right")
    known_at: Instant
    dividend: pl.Float64 = number("Cash paid per share", "currency", ge=0)
    split_ratio: pl.Float64 = number("New shares per old share", "ratio", gt=0)
    load_id: pl.String

    class Config:
        """Name and key."""

        name = "raw.actions"
        metadata = {"key": ("source", "symbol", "ex_on", "known_at")}


class Macro(Table):
    """One row per version of one observation of a macro series."""

    source: pl.String
    series_id: pl.String
    observed_on: pl.Date
    known_at: Instant
    value: pl.Float64 = number("Value in the unit of the series", "series")
    available_at: Instant
    is_known_at_assumed: pl.Boolean
    load_id: pl.String

    class Config:
        """Name and key."""

        name = "raw.macro"
        metadata = {"key": ("source", "series_id", "observed_on", "known_at")}

    @pa.check("value", name="finite")
    def finite(cls, data: PolarsData) -> pl.LazyFrame:
        """Values are numbers."""
        return is_finite(data)


class Constituents(Table):
    """One row per version of one member of an index on one date."""

    source: pl.String
    index_id: pl.String
    as_of_on: pl.Date = field("Date of the holdings")
    symbol: pl.String
    known_at: Instant
    weight_pct: pl.Float64 = number(
        "Weight in the fund; null where a corrected list of the date lacks the member",
        "percent",
        ge=0,
        le=100,
    )
    load_id: pl.String

    class Config:
        """Name and key."""

        name = "raw.constituents"
        metadata = {"key": ("source", "index_id", "as_of_on", "symbol", "known_at")}


class MarketSnapshot(Table):
    """One row per look at the whole crypto market; the provider keeps no history, so each is kept here."""

    source: pl.String
    captured_at: Instant
    total_market_cap_usd: pl.Float64 = number(gt=0)
    volume_24h_usd: pl.Float64 = number(ge=0)
    active_coins: pl.Int64 = number(gt=0)
    btc_dominance_pct: pl.Float64 = number(ge=0, le=100)
    eth_dominance_pct: pl.Float64 = number(ge=0, le=100)
    load_id: pl.String

    class Config:
        """Name and key."""

        name = "raw.market_snapshot"
        metadata = {"key": ("source", "captured_at")}


class PolicyEvents(Table):
    """One row per version of a decision or scheduled meeting of the FOMC."""

    source: pl.String
    event_id: pl.String = field("Stable id of the event, e.g. fomc-2025-10-29")
    known_at: Instant
    released_at: Instant = field("Instant of the (planned) release", "UTC")
    kind: pl.String = field(
        "meeting (scheduled, no decision yet), statement, unscheduled, or cancelled (off the calendar)"
    )
    target_low_pct: pl.Float64 = number("Lower bound of the federal funds target", "percent")
    target_high_pct: pl.Float64 = number("Upper bound of the federal funds target", "percent")
    tone: pl.Float64 = number("Hawkish minus dovish share of the statement's phrases", "-1..1", ge=-1, le=1)
    load_id: pl.String

    class Config:
        """Name and key."""

        name = "raw.policy_events"
        metadata = {"key": ("source", "event_id", "known_at")}
