"""What follows: signals, the overlay that they would steer, and what the claims were worth."""

import polars as pl

from schemas.table import Table, field, number

STATES = ("unknown", "risk_off", "confirmed", "watch", "neutral")
STRATEGIES = ("overlay", "hold", "constant_exposure", "beta_scaled")
CLAIM_VERDICTS = ("held", "not held", "undecided")


class Signals(Table):
    """One row per pair and session: the article's six conditions, each true, false or unknown, and the state.

    A condition that cannot be known is null and `reason` says why; the state acts one session later.
    """

    asset: pl.String
    benchmark: pl.String
    session: pl.Date
    link: pl.Boolean = field("r of the window nearest to 60 sessions above the threshold", nullable=True)
    momentum: pl.Boolean = field(
        "RSI above that of 5 sessions ago and MACD histogram positive, on both", nullable=True
    )
    volume: pl.Boolean = field("5-session mean volume above the 20-session mean, on both", nullable=True)
    breadth: pl.Boolean = field(
        "Over half the members above their 50-session mean, more than 10 sessions ago", nullable=True
    )
    liquidity: pl.Boolean = field("Liquidity composite above 0", nullable=True)
    breakout: pl.Boolean = field(
        "New 20-session high within 5 sessions, out of a quiet stretch", nullable=True
    )
    conditions_met: pl.Int32 = field("Conditions that are true", "conditions", ge=0, le=6)
    state: pl.String = field("unknown, risk_off, confirmed, watch or neutral", isin=STATES)
    reason: pl.String = field("What is unknown and why, or what decided the state")

    class Config:
        """Name and key."""

        name = "mart.signals"
        metadata = {"key": ("asset", "benchmark", "session")}


class Exposure(Table):
    """One row per pair and session: the share that the state of the session before had an overlay hold."""

    asset: pl.String
    benchmark: pl.String
    session: pl.Date
    exposure: pl.Float64 = field(
        "Share held during the session, set by the state of the session before", "0..1", ge=0, le=1
    )
    turnover: pl.Float64 = field("Change of the share against the session before", "0..1", ge=0, le=1)
    net_log_return: pl.Float64 = number("Log return of the overlay after cost", "log return")
    hold_log_return: pl.Float64 = number("Log return of holding the asset", "log return")

    class Config:
        """Name and key."""

        name = "mart.exposure"
        metadata = {"key": ("asset", "benchmark", "session")}


class Scorecard(Table):
    """One row per pair, state and horizon: what the asset did after the state, against other sessions.

    With fewer than 10 independent episodes the figures are null and the note says "too few".
    """

    asset: pl.String
    benchmark: pl.String
    state: pl.String = field("unknown, risk_off, confirmed, watch or neutral", isin=STATES)
    horizon_sessions: pl.Int32 = field("Sessions ahead", "sessions")
    as_of_session: pl.Date
    episodes: pl.Int32 = field(
        "Independent episodes of the state with a full horizon after them", "episodes", ge=0
    )
    mean_forward_return: pl.Float64 = number("Mean log return over the horizon after the state", "log return")
    difference: pl.Float64 = number("That mean minus the mean after all other sessions", "log return")
    lo95: pl.Float64 = number(
        "Lower end of the stationary-bootstrap 95 % interval of the difference", "log return"
    )
    hi95: pl.Float64 = number("Upper end of that interval", "log return")
    note: pl.String = field("too few, or what the interval says in words")

    class Config:
        """Name and key."""

        name = "mart.scorecard"
        metadata = {"key": ("asset", "benchmark", "state", "horizon_sessions", "as_of_session")}


class OverlayScorecard(Table):
    """One row per pair and strategy: the overlay against its rivals, after cost."""

    asset: pl.String
    benchmark: pl.String
    strategy_: pl.String = field(
        "overlay, hold, constant_exposure (the overlay's mean share) or beta_scaled",
        isin=STRATEGIES,
        alias="strategy",
    )
    as_of_session: pl.Date
    sessions: pl.Int32 = field("Sessions with a return", "sessions", ge=0)
    mean_exposure: pl.Float64 = number("Mean share held", "0..1", ge=0, le=1)
    turnover_per_year: pl.Float64 = number("Sum of changes of the share per year", "per year", ge=0)
    annual_log_return: pl.Float64 = number("Mean log return per year, after cost", "log return per year")
    annual_volatility: pl.Float64 = number(
        "Standard deviation of log returns per year", "log return per year", ge=0
    )
    sharpe: pl.Float64 = number("annual_log_return / annual_volatility, no riskless rate", "ratio")
    max_drawdown: pl.Float64 = number("Largest fall from a high", "0..1", ge=0, le=1)
    difference: pl.Float64 = number("Mean annual log return minus that of holding", "log return per year")
    lo95: pl.Float64 = number("Lower end of its stationary-bootstrap 95 % interval", "log return per year")
    hi95: pl.Float64 = number("Upper end of that interval", "log return per year")

    class Config:
        """Name and key."""

        name = "mart.overlay_scorecard"
        metadata = {"key": ("asset", "benchmark", "strategy", "as_of_session")}


class Claims(Table):
    """One row per claim of the article and day of reading: the figure that tests it, and whether it held."""

    claim_id: pl.String = field("Short name of the claim")
    as_of_session: pl.Date
    claim: pl.String = field("The claim, in our words")
    question_sql: pl.String = field("The query that gives the figure from the published tables")
    figure: pl.Float64 = number("The figure that tests the claim", "by claim")
    unit: pl.String = field("Unit of the figure")
    lo95: pl.Float64 = number("Lower end of its 95 % interval", "by claim")
    hi95: pl.Float64 = number("Upper end of its 95 % interval", "by claim")
    verdict: pl.String = field("held, not held or undecided", isin=CLAIM_VERDICTS)
    explanation: pl.String = field("The verdict in a sentence for a reader without statistics")

    class Config:
        """Name and key."""

        name = "mart.claims"
        metadata = {"key": ("claim_id", "as_of_session")}
