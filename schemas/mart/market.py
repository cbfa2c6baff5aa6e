"""The market around the link: breadth, liquidity, policy, and the size of it all."""

import polars as pl

from schemas.table import Instant, Table, field, number


class Breadth(Table):
    """One row per index, basis and session: how many of its members take part in a move.

    The basis panel counts all symbols of a file: members that left the index are not in it, so the figures
    lean to the survivors. Null while windows warm up, or with bars for fewer than 60 % of the members in use.
    """

    index_id: pl.String
    basis: pl.String = field("constituents (dated membership) or panel (survivors of a file)")
    session: pl.Date
    members: pl.Int32 = field("Members in use at the session", "members", ge=0)
    share_above_50: pl.Float64 = number("Share of members above their 50-session mean", "0..1", ge=0, le=1)
    share_above_200: pl.Float64 = number("Share of members above their 200-session mean", "0..1", ge=0, le=1)
    advance_decline: pl.Float64 = number("Running sum of advancing minus declining members", "members")
    new_highs_minus_lows: pl.Float64 = number("Members at a 252-session high minus those at a low", "members")

    class Config:
        """Name and key."""

        name = "mart.breadth"
        metadata = {"key": ("index_id", "basis", "session")}


class BreadthProxies(Table):
    """One row per ratio and session: prices of two funds divided, a stand-in that is not breadth."""

    proxy: pl.String = field("The ratio, e.g. IWM/SPY")
    session: pl.Date
    ratio: pl.Float64 = number("Close of the first divided by the close of the second", "ratio", gt=0)
    ratio_sma_50: pl.Float64 = number("Its mean over 50 sessions", "ratio", gt=0)
    is_above_sma_50: pl.Boolean = field("True where the ratio is above that mean", nullable=True)

    class Config:
        """Name and key."""

        name = "mart.breadth_proxies"
        metadata = {"key": ("proxy", "session")}


class Liquidity(Table):
    """One row per study session: money and credit conditions from what was public at the close.

    Each part is the signed expanding-window z-score of a 13-week change; positive is looser. The composite is
    the mean of the five parts, null unless all are known.
    """

    session: pl.Date
    composite: pl.Float64 = number("Mean of the five parts", "z-score")
    net_liquidity_musd: pl.Float64 = number("WALCL - WTREGEN - 1000 * RRPONTSYD", "million USD")
    net_liquidity_change_13w_musd: pl.Float64 = number(
        "Its change against the last session at least 13 weeks before", "million USD"
    )
    net_liquidity_z: pl.Float64 = number("Part: net liquidity (+)", "z-score")
    nfci_z: pl.Float64 = number("Part: Chicago Fed financial conditions (-)", "z-score")
    hy_spread_z: pl.Float64 = number("Part: high-yield spread (-)", "z-score")
    rate_expectation_z: pl.Float64 = number("Part: two-year Treasury yield (-)", "z-score")
    dollar_z: pl.Float64 = number("Part: broad dollar (-)", "z-score")

    class Config:
        """Name and key."""

        name = "mart.liquidity"
        metadata = {"key": ("session",)}


class PolicyTone(Table):
    """One row per study session: the Federal Reserve's last word by the close, sessions to its next."""

    session: pl.Date
    last_event_at: Instant = field("Instant of the last statement", "UTC", nullable=True)
    tone: pl.Float64 = number("Tone of that statement: hawkish minus dovish", "-1..1", ge=-1, le=1)
    tone_change: pl.Float64 = number("Its difference to the statement before", "-2..2")
    target_mid_pct: pl.Float64 = number("Middle of the federal funds target range", "percent")
    sessions_to_next_meeting: pl.Int32 = number(
        "Sessions until the next scheduled decision", "sessions", ge=0
    )

    class Config:
        """Name and key."""

        name = "mart.policy_tone"
        metadata = {"key": ("session",)}


class MarketSnapshot(Table):
    """One row per UTC day with a snapshot: the last look at the whole crypto market on that day."""

    captured_on: pl.Date = field("UTC day of the snapshot")
    captured_at: Instant
    total_market_cap_usd: pl.Float64 = number(gt=0)
    volume_24h_usd: pl.Float64 = number(ge=0)
    active_coins: pl.Int64 = number(gt=0)
    btc_dominance_pct: pl.Float64 = number(ge=0, le=100)
    eth_dominance_pct: pl.Float64 = number(ge=0, le=100)
    source: pl.String

    class Config:
        """Name and key."""

        name = "mart.market_snapshot"
        metadata = {"key": ("captured_on",)}
