"""Aligned prices: sessions, one close per asset, convention and session, and the returns between them."""

import polars as pl

from schemas.table import Instant, Table, field, number


class Listings(Table):
    """One row per source of an asset: the universe file as a table, to be joined."""

    asset: pl.String
    name: pl.String = field("Name for people")
    kind: pl.String = field("crypto, index, etf, stock or volatility")
    calendar: pl.String
    currency: pl.String = field("Currency of the prices")
    volume_from: pl.String = field("Asset whose volume counts for this one", nullable=True)
    volume_unit: pl.String = field("What the volume counts: shares, base, quote or contracts")
    price_basis: pl.String = field(
        "raw, split_adjusted (history divided by later splits) or adjusted (dividends too, as raw)"
    )
    source: pl.String
    symbol: pl.String
    interval: pl.String
    rank: pl.Int32 = field("Order among the asset's sources of this interval; 0 serves first")
    recorded_at: Instant = field("For recorded files: the instant that counts as now", "UTC", nullable=True)
    settle_minutes: pl.Int32 = field("Delay after a daily close before a bar is final", "minutes")

    class Config:
        """Name and key."""

        name = "core.listings"
        metadata = {"key": ("asset", "source", "symbol", "interval")}


class Panels(Table):
    """One row per breadth block of the universe: whose members are counted, and how they are known."""

    index_id: pl.String
    basis: pl.String = field(
        "constituents (dated membership) or panel (all symbols of a file, survivors only)"
    )
    source: pl.String
    calendar: pl.String

    class Config:
        """Name and key."""

        name = "core.panels"
        metadata = {"key": ("index_id", "basis")}


class Series(Table):
    """One row per macro series of the universe: its unit, and which way it counts."""

    series_id: pl.String
    source: pl.String
    unit: pl.String = field("Unit of the values")
    sign: pl.Int32 = field("1 where more is looser liquidity, -1 where more is tighter", isin=[1, -1])
    release_lag_days: pl.Int32 = field("Days from the date observed to the release", "days", ge=0)

    class Config:
        """Name and key."""

        name = "core.series"
        metadata = {"key": ("series_id",)}


class Sessions(Table):
    """One row per trading session of a calendar, early closes and daylight saving included."""

    calendar: pl.String
    session: pl.Date
    open_at: Instant = field("Instant of the opening", "UTC")
    close_at: Instant = field("Instant of the close", "UTC")
    is_early_close: pl.Boolean = field("True on a shortened session")
    gap_days: pl.Int32 = field("Calendar days since the session before", "days", nullable=True, ge=1)

    class Config:
        """Name and key."""

        name = "core.sessions"
        metadata = {"key": ("calendar", "session")}


class Closes(Table):
    """One row per asset, convention and session: the price of that session, how old it was and who served it.

    Crypto has study sessions under session_close and every UTC day under utc_day; an exchange-traded asset
    has its own sessions, the same bar under both. One whose calendar is not the study's is priced at the
    close of its own exchange: on the same date, not at the same instant. A session without a usable price
    has no row.
    """

    asset: pl.String
    convention: pl.String
    session: pl.Date
    open: pl.Float64 = number("First price of the session", "currency", gt=0)
    high: pl.Float64 = number("Highest price since the close before", "currency", gt=0)
    low: pl.Float64 = number("Lowest price since the close before", "currency", gt=0)
    close: pl.Float64 = number(
        "Price at the close, splits chained forward, dividends left in", "currency", gt=0
    )
    adj_close: pl.Float64 = number(
        "Close for total returns: adjusted for dividends and splits", "currency", gt=0
    )
    volume: pl.Float64 = number("Volume since the close before; unit in mart.assets", "volume_unit", ge=0)
    price_at: Instant = field("Instant of the price", "UTC", nullable=True)
    staleness_minutes: pl.Int32 = number("Age of the price at the session's close", "minutes", ge=0, le=360)
    price_basis: pl.String = field(
        "Basis on which the source delivers prices; see core.listings", nullable=True
    )
    source: pl.String = field("Provider that served the price", nullable=True)
    load_id: pl.String = field("Load of the bar that set the close; see ops.loads", nullable=True)

    class Config:
        """Name and key."""

        name = "core.closes"
        metadata = {"key": ("asset", "convention", "session")}


class Returns(Table):
    """One row per asset, convention and study session: total log return since the study session before.

    Weekends and holidays are inside the return; a missing close leaves its own and the next return null.
    """

    asset: pl.String
    convention: pl.String
    session: pl.Date
    log_return: pl.Float64 = number(
        "Log of the total return since the session before; of an index that of the price, where the source "
        "gives it no dividends",
        "log return",
    )
    gap_days: pl.Int32 = field("Calendar days that the return spans", "days", nullable=True, ge=1)

    class Config:
        """Name and key."""

        name = "core.returns"
        metadata = {"key": ("asset", "convention", "session")}
