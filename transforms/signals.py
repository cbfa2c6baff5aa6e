"""The article's six conditions for every pair, each true, false or unknown, and what they add up to."""

import operator
from functools import reduce
from typing import Annotated as As

import polars as pl
from polars import Expr
from polars import LazyFrame as Frame

from schemas import core, mart
from schemas.table import conform
from transforms.closes import SESSION_CLOSE
from transforms.grid import study_sessions
from transforms.study import Study

PAIR = ["asset", "benchmark"]
LINK_WINDOW = 60
MOMENTUM_LAG, BREADTH_LAG = 5, 10
BREAKOUT_WITHIN, QUIET_WITHIN, YEAR, QUIET_QUANTILE = 5, 20, 252, 0.2
BREADTH_HALF, BREADTH_WEAK = 0.5, 0.4
ROUNDING = 1e-12
OTHERS_TO_WATCH = 3
CONDITIONS = {
    "link": "too few joint returns, or no return at this session",
    "momentum": "RSI or MACD still warming up, or a price is missing",
    "volume": "no volume, or fewer than 20 sessions of it",
    "breadth": "too few members have a bar, or their means are warming up",
    "liquidity": "a macro series is not public yet, or has ended",
    "breakout": "less than a year of Bollinger bandwidth, or a price is missing",
}


def signals(
    correlations: As[Frame, mart.Correlations],
    indicators: As[Frame, mart.Indicators],
    closes: As[Frame, core.Closes],
    listings: As[Frame, core.Listings],
    breadth: As[Frame, mart.Breadth],
    liquidity: As[Frame, mart.Liquidity],
    sessions: As[Frame, core.Sessions],
    study: Study,
) -> As[Frame, mart.Signals]:
    """One row per pair and session of its rolling correlation; nothing in it looks past the session's close.

    Lags and means count study sessions. A benchmark without breadth of its own is judged by that of the
    study's benchmark. Where either side has a condition false, it is false, even if the other is unknown.
    """
    links = link(correlations, study)
    grid = study_sessions(closes, sessions, study).select("session")
    sides = per_asset(grid, indicators, closes, listings)
    return (
        links.join(sides, on=["asset", "session"], how="left")
        .join(sides, left_on=["benchmark", "session"], right_on=["asset", "session"], how="left", suffix="_b")
        .join(breadth_of(breadth, links, grid, study), on=["benchmark", "session"], how="left")
        .join(liquidity.select("session", "composite"), on="session", how="left")
        .with_columns(
            momentum=pl.col("rises") & pl.col("rises_b"),
            volume=pl.col("swells") & pl.col("swells_b"),
            liquidity=pl.col("composite") > 0,
            breakout=pl.col("breaks_out"),
            is_weak=(pl.col("close_b") < pl.col("sma_200_b")) | (pl.col("share_above_50") < BREADTH_WEAK),
        )
        .with_columns(conditions_met=pl.sum_horizontal(pl.col(CONDITIONS).cast(pl.Int32)))
        .with_columns(state=state())
        .with_columns(reason=reason())
        .sort(*PAIR, "session")
        .pipe(conform, mart.Signals)
    )


def link(correlations: Frame, study: Study) -> Frame:
    """The bare rule on the 60-session correlation, or on the window that comes nearest to it."""
    window = min(study.windows, key=lambda length: abs(length - LINK_WINDOW))
    return correlations.filter(
        (pl.col("convention") == SESSION_CLOSE) & (pl.col("window_sessions") == window)
    ).select(*PAIR, "session", "r", link="is_above_threshold")


def per_asset(grid: Frame, indicators: Frame, closes: Frame, listings: Frame) -> Frame:
    """What one side of a pair has to say on every session of the grid: momentum, volume, breakout, trend."""
    wanted = ["rsi_14", "macd_hist", "donchian_high_20", "sma_200"]
    own = indicators.filter(pl.col("convention") == SESSION_CLOSE)
    figures = (
        own.filter(pl.col("indicator").is_in(wanted))
        .group_by("asset", "session")
        .agg(pl.col("value").filter(pl.col("indicator") == name).first().alias(name) for name in wanted)
    )
    bandwidths = own.filter((pl.col("indicator") == "bb_bandwidth") & pl.col("value").is_not_null())
    quiet = bandwidths.select(
        "asset", "session", quiet=is_quiet(pl.col("value")).over("asset", order_by="session")
    )
    prices = closes.filter(pl.col("convention") == SESSION_CLOSE).select(
        "asset", "session", "close", "volume"
    )
    lenders = listings.select("asset", lender=pl.coalesce("volume_from", "asset")).unique()
    lent = prices.select(pl.col("asset").alias("lender"), "session", lent="volume")
    return (
        prices.select("asset")
        .unique()
        .join(grid, how="cross")
        .join(prices, on=["asset", "session"], how="left")
        .join(figures, on=["asset", "session"], how="left")
        .join(lenders, on="asset")
        .join(lent, on=["lender", "session"], how="left")
        .join(quiet, on=["asset", "session"], how="left")
        .with_columns(
            rises=rises().over("asset", order_by="session"),
            swells=swells(pl.col("lent")).over("asset", order_by="session"),
            breaks_out=breaks_out().over("asset", order_by="session"),
        )
        .select("asset", "session", "close", "sma_200", "rises", "swells", "breaks_out")
    )


def breadth_of(breadth: Frame, links: Frame, grid: Frame, study: Study) -> Frame:
    """Each benchmark's breadth and whether it improves; dated membership before a panel of survivors.

    A basis is compared with itself, so that a change from the one to the other is no improvement.
    """
    share = pl.col("share_above_50")
    before = share.shift(BREADTH_LAG).over("index_id", "basis", order_by="session")
    by_basis = (
        grid.join(breadth.select("index_id", "basis").unique(), how="cross")
        .join(breadth, on=["index_id", "basis", "session"], how="left")
        .with_columns(breadth=(share > BREADTH_HALF) & (share > before))
        .sort("basis")  # constituents, then panel
    )
    judged = by_basis.group_by("index_id", "session").agg(
        pl.col("share_above_50", "breadth").drop_nulls().first()
    )
    has_own = pl.col("benchmark").is_in(pl.col("indices"))
    indices = breadth.select(pl.col("index_id").unique().implode().alias("indices"))
    chosen = (
        links.select("benchmark")
        .unique()
        .join(indices, how="cross")
        .select("benchmark", index_id=pl.when(has_own).then("benchmark").otherwise(pl.lit(study.benchmark)))
    )
    return chosen.join(judged, on="index_id").drop("index_id")


def rises() -> Expr:
    """RSI above that of 5 sessions ago, and MACD above its signal."""
    return (pl.col("rsi_14") > pl.col("rsi_14").shift(MOMENTUM_LAG)) & (pl.col("macd_hist") > 0)


def swells(volume: Expr) -> Expr:
    """5-session mean volume above the 20-session mean; an index that reports only zeros has no volume."""
    short, long = (direct_mean(volume, n) for n in (5, 20))
    return pl.when(long > 0).then(short > long * (1 + ROUNDING))


def direct_mean(values: Expr, n: int) -> Expr:
    """Mean of the last n values, null if one is; added up afresh, for running sums keep a residue."""
    return reduce(operator.add, (values.shift(back) for back in range(n))) / n


def is_quiet(bandwidth: Expr) -> Expr:
    """Bollinger bandwidth in the lowest quintile of the asset's last 252 bars."""
    return bandwidth <= bandwidth.rolling_quantile(QUIET_QUANTILE, interpolation="linear", window_size=YEAR)


def breaks_out() -> Expr:
    """Within 5 sessions a close above the prior 20-session high, with a quiet session in the 20 before it."""
    above = pl.col("close") > pl.col("donchian_high_20")
    return any_within(above & any_within(pl.col("quiet").shift(1), QUIET_WITHIN), BREAKOUT_WITHIN)


def any_within(flag: Expr, sessions: int) -> Expr:
    """True if the flag was true in the last sessions, false if it was false in all, else unknown."""
    count = flag.cast(pl.Int8)
    is_any = count.rolling_max(sessions, min_samples=1) == 1
    all_false = count.rolling_max(sessions) == 0
    return pl.when(is_any).then(pl.lit(value=True)).when(all_false).then(pl.lit(value=False))


def state() -> Expr:
    """unknown, risk_off, confirmed, watch, neutral: the first that applies."""
    others = pl.col("conditions_met") - 1
    return (
        pl.when(pl.col("link").is_null())
        .then(pl.lit("unknown"))
        .when(pl.col("link") & pl.col("is_weak"))
        .then(pl.lit("risk_off"))
        .when(pl.col("conditions_met") == len(CONDITIONS))
        .then(pl.lit("confirmed"))
        .when(pl.col("link") & (others >= OTHERS_TO_WATCH))
        .then(pl.lit("watch"))
        .otherwise(pl.lit("neutral"))
    )


def reason() -> Expr:
    """What decided the state, then each unknown condition with its cause."""
    met = pl.col("conditions_met")
    decided = (
        pl.when(pl.col("state") == "unknown")
        .then(pl.lit("the link is unknown"))
        .when(pl.col("state") == "risk_off")
        .then(pl.lit("linked to a benchmark below its 200-session mean, or to breadth below 40 %"))
        .when(pl.col("state") == "confirmed")
        .then(pl.lit("all six conditions hold"))
        .when(pl.col("link"))
        .then(pl.format("linked, and {} of the 5 other conditions hold", met - 1))
        .otherwise(pl.lit("the correlation is not above the threshold"))
    )
    unknown = [
        pl.when(pl.col(condition).is_null()).then(pl.lit(f"{condition} ({cause})"))
        for condition, cause in CONDITIONS.items()
    ]
    unknown.append(
        pl.when(pl.col("link") & pl.col("is_weak").is_null()).then(pl.lit("the check for weakness"))
    )
    listed = pl.concat_str(unknown, separator=", ", ignore_nulls=True)
    return pl.concat_str(
        decided, pl.when(listed != "").then(pl.lit("; unknown: ") + listed).otherwise(pl.lit(""))
    )
