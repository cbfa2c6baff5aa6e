"""The link: rolling, conditional, dated, and shifted in time."""

import polars as pl

from schemas.table import Table, field, number

VERDICTS = ("strong", "undetermined", "weak")


class Correlations(Table):
    """One row per pair, convention, window and session: the rolling link of log returns with its uncertainty.

    Windows overlap: T sessions hold about T / window independent readings, so averages over days are
    far less certain than their number of rows suggests.
    """

    asset: pl.String
    benchmark: pl.String
    convention: pl.String
    window_sessions: pl.Int32
    session: pl.Date
    window_start: pl.Date = field("Session of the first return in the window", nullable=True)
    n: pl.Int32
    r: pl.Float64 = number(
        "Pearson correlation of log returns; null until the window is full, where a side is flat, and at a "
        "session without a joint return",
        "-1..1",
        ge=-1,
        le=1,
    )
    lo95: pl.Float64 = number(
        "Lower end of the 95 % interval of r, fat tails allowed for", "-1..1", ge=-1, le=1
    )
    hi95: pl.Float64 = number("Upper end of the 95 % interval of r", "-1..1", ge=-1, le=1)
    spearman: pl.Float64 = number("Spearman rank correlation of the same returns", "-1..1", ge=-1, le=1)
    spearman_lo95: pl.Float64 = number("Lower end of its 95 % interval", "-1..1", ge=-1, le=1)
    spearman_hi95: pl.Float64 = number("Upper end of its 95 % interval", "-1..1", ge=-1, le=1)
    beta: pl.Float64 = number("Slope of the asset's return on the benchmark's", "ratio")
    ewma_r: pl.Float64 = number("Exponentially weighted correlation, decay 0.94", "-1..1", ge=-1, le=1)
    is_above_threshold: pl.Boolean = field("The article's bare rule: r above the threshold", nullable=True)
    verdict: pl.String = field(
        "strong (lo95 above the threshold), weak (hi95 below it), otherwise undetermined",
        nullable=True,
        isin=VERDICTS,
    )

    class Config:
        """Name and key."""

        name = "mart.correlations"
        metadata = {"key": ("asset", "benchmark", "convention", "window_sessions", "session")}


class Conditional(Table):
    """One row per pair, window and session: the link that is left when the controls are held constant.

    Session-close returns; the study's controls without the pair's own assets. A pair that is left without a
    control has no rows.
    """

    asset: pl.String
    benchmark: pl.String
    window_sessions: pl.Int32
    session: pl.Date
    controls: pl.String = field("Assets held constant, comma-separated")
    partial_r: pl.Float64 = number("Partial correlation given the controls", "-1..1", ge=-1, le=1)
    lo95: pl.Float64 = number("Lower end of its 95 % interval, fat tails allowed for", "-1..1", ge=-1, le=1)
    hi95: pl.Float64 = number("Upper end of its 95 % interval", "-1..1", ge=-1, le=1)
    r_squared: pl.Float64 = number(
        "Share of the asset's variance that the controls explain", "0..1", ge=0, le=1
    )
    idiosyncratic_share: pl.Float64 = number(
        "1 - r_squared: the share that is the asset's own", "0..1", ge=0, le=1
    )
    idiosyncratic_lo95: pl.Float64 = number(
        "Lower end of its 95 % interval, fat tails allowed for", "0..1", ge=0, le=1
    )
    idiosyncratic_hi95: pl.Float64 = number("Upper end of its 95 % interval", "0..1", ge=0, le=1)

    class Config:
        """Name and key."""

        name = "mart.conditional"
        metadata = {"key": ("asset", "benchmark", "window_sessions", "session")}


class Regimes(Table):
    """One row per pair, window and stretch of sessions in which the link did not change its state.

    Hysteresis: linked after 5 consecutive sessions with r at or above the threshold + 0.05, unlinked after 5
    with r at or below the threshold - 0.10; the change is dated to the fifth. Session-close returns.
    """

    asset: pl.String
    benchmark: pl.String
    window_sessions: pl.Int32
    since: pl.Date = field("First session of the stretch")
    state: pl.String = field("linked or unlinked", isin=["linked", "unlinked"])
    until: pl.Date = field("Last session of the stretch; null while it lasts", nullable=True)
    sessions: pl.Int32 = field(
        "Sessions in the stretch so far, those without an r included", "sessions", ge=1
    )

    class Config:
        """Name and key."""

        name = "mart.regimes"
        metadata = {"key": ("asset", "benchmark", "window_sessions", "since")}


class RegimeSummary(Table):
    """One row per pair and window: how often the link changed its state, and how often by chance alone."""

    asset: pl.String
    benchmark: pl.String
    window_sessions: pl.Int32
    as_of_session: pl.Date
    mean_r: pl.Float64 = number("Mean of the rolling correlation", "-1..1", ge=-1, le=1)
    flips_per_year: pl.Float64 = number("Changes of state per year of sessions", "per year", ge=0)
    flips_expected_by_chance: pl.Float64 = number(
        "Changes per year that a constant correlation of the same mean shows, simulated", "per year", ge=0
    )

    class Config:
        """Name and key."""

        name = "mart.regime_summary"
        metadata = {"key": ("asset", "benchmark", "window_sessions", "as_of_session")}


class LeadLag(Table):
    """One row per pair, convention and lag: the cross-correlation, and what chance reaches over all lags.

    A positive lag means that the benchmark moved that many sessions before the asset. Whole history up to
    `as_of_session`. Under utc_day crypto closes 3-4 hours after New York, which in simulations moves part of
    lag 0 to lag -1; in the recorded data it does not show.
    """

    asset: pl.String
    benchmark: pl.String
    convention: pl.String
    as_of_session: pl.Date
    lag_sessions: pl.Int32 = field(
        "Sessions by which the benchmark leads; negative: the asset leads", "sessions"
    )
    n: pl.Int32 = field("Pairs of returns at this lag", "sessions")
    r: pl.Float64 = number("Cross-correlation at this lag", "-1..1", ge=-1, le=1)
    band95: pl.Float64 = number(
        "What the largest |r| over all lags reaches by chance in 95 of 100 draws", "0..1", ge=0, le=1
    )
    p_value: pl.Float64 = number(
        "Share of chance draws whose largest |r| over all lags reaches this one", "0..1", ge=0, le=1
    )
    q_value: pl.Float64 = number(
        "Benjamini-Hochberg value, across pairs, of the strongest lag other than 0", "0..1", ge=0, le=1
    )

    class Config:
        """Name and key."""

        name = "mart.lead_lag"
        metadata = {"key": ("asset", "benchmark", "convention", "as_of_session", "lag_sessions")}
