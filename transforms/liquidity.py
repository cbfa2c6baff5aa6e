"""Money and credit conditions at every close, from the figures that were public by then."""

from datetime import timedelta
from functools import reduce
from typing import Annotated as As

import polars as pl
from polars import LazyFrame as Frame

from schemas import core, mart, raw
from schemas.table import REVISED, conform
from transforms.grid import study_sessions
from transforms.study import Study

CHANGE = timedelta(weeks=13)
MIN_CHANGES = 252  # a year of sessions
MAX_AGE = timedelta(days=45)  # all series here are daily or weekly: an older value is of a series that ended
MILLION_USD = {"million USD": 1.0, "billion USD": 1_000.0}

NET_LIQUIDITY = "net_liquidity_musd"
COMPONENTS = (("WALCL", 1), ("WTREGEN", -1), ("RRPONTSYD", -1))
PARTS = (
    ("net_liquidity_z", NET_LIQUIDITY),
    ("nfci_z", "NFCI"),
    ("hy_spread_z", "BAMLH0A0HYM2"),
    ("rate_expectation_z", "DGS2"),
    ("dollar_z", "DTWEXBGS"),
)
LEVELS = tuple(level for _, level in PARTS)
SERIES = (*(label for label, _ in COMPONENTS), *(level for level in LEVELS if level != NET_LIQUIDITY))


def liquidity(
    macro: As[Frame, raw.Macro],
    revised: As[Frame, raw.Macro, REVISED],
    series: As[Frame, core.Series],
    closes: As[Frame, core.Closes],
    sessions: As[Frame, core.Sessions],
    study: Study,
) -> As[Frame, mart.Liquidity]:
    """Net liquidity in million USD and its change, the five parts as z-scores, their mean if all are known.

    A row per study session from the first to the newest one with a price. Each part is the signed
    expanding-window z-score of the change over 13 weeks, in the series' own unit, positive where looser. Net
    liquidity is the assets of the Federal Reserve less the Treasury's account and the overnight reverse
    repos: WALCL and WTREGEN are in million USD (Federal Reserve, H.4.1), RRPONTSYD in billion (Federal
    Reserve Bank of New York); `core.series` gives the units.

    Raises:
        ValueError: if a component of net liquidity has a unit other than million or billion USD.
    """
    listed = series.collect()
    signs = {**dict(listed.select("series_id", "sign").iter_rows()), NET_LIQUIDITY: 1}
    parts = [part for part, _ in PARTS]
    return (
        in_force(as_published(macro, revised), series, study_sessions(closes, sessions, study))
        .with_columns(net_liquidity(listed).alias(NET_LIQUIDITY))
        .pipe(with_changes)
        .with_columns(
            (signs.get(level, 1) * expanding_z(pl.col(f"{level}_change"))).alias(part)
            for part, level in PARTS
        )
        .with_columns(
            composite=pl.mean_horizontal(parts, ignore_nulls=False),
            net_liquidity_change_13w_musd=f"{NET_LIQUIDITY}_change",
        )
        .sort("session")
        .pipe(conform, mart.Liquidity)
    )


def as_published(macro: Frame, revised: Frame) -> Frame:
    """Every version of every observation, available from when that version was out.

    The first one counts from its release, a later one from when it was learned: a session never sees a
    figure that was revised after its close.
    """
    about = ["source", "series_id", "observed_on"]
    is_first = pl.col("known_at") == pl.col("known_at").min().over(about)
    return pl.concat([macro.join(revised, on=about, how="anti"), revised]).with_columns(
        available_at=pl.when(is_first)
        .then("available_at")
        .otherwise(pl.max_horizontal("available_at", "known_at"))
    )


def in_force(macro: Frame, series: Frame, sessions: Frame) -> Frame:
    """Sessions with one column per series: the newest observation that was public at the close.

    Null where nothing was, or where the newest is more than 45 days old: the series ended, and a value that
    stands still for ever would pass for calm.

    Args:
        macro: `raw.macro`, versions with the instant at which each was out.
        series: `core.series`, which names the source of each series.
        sessions: `session` and `close_at`, sorted.
    """
    served = macro.filter(pl.col("value").is_not_null()).join(series, on=["series_id", "source"], how="semi")
    return reduce(lambda frame, label: with_series(frame, served, label), SERIES, sessions)


def with_series(sessions: Frame, macro: Frame, label: str) -> Frame:
    """The sessions with a column for one more series."""
    by_release = macro.filter(pl.col("series_id") == label).sort("available_at", "observed_on", "known_at")
    # an old observation that was published late, or published anew, is not the newest one
    is_newest = pl.col("observed_on") >= pl.col("observed_on").cum_max()
    news = (
        by_release.filter(is_newest)
        .unique("available_at", keep="last", maintain_order=True)
        .select("available_at", "observed_on", "value")
        .sort("available_at")
    )
    is_alive = pl.col("session") - pl.col("observed_on") <= MAX_AGE
    return (
        sessions.join_asof(news, left_on="close_at", right_on="available_at")
        .with_columns(pl.when(is_alive).then("value").alias(label))
        .drop("available_at", "observed_on", "value", strict=False)
    )


def net_liquidity(series: pl.DataFrame) -> pl.Expr:
    """The sum of the signed components in million USD; null where one of them is unknown."""
    units = dict(series.select("series_id", "unit").iter_rows())
    terms = [
        sign * to_million_usd(label, units[label]) * pl.col(label)
        for label, sign in COMPONENTS
        if label in units
    ]
    return sum(terms[1:], start=terms[0]) if len(terms) == len(COMPONENTS) else pl.lit(None, pl.Float64)


def to_million_usd(label: str, unit: str) -> float:
    """What a value in this unit is to be multiplied by.

    Raises:
        ValueError: naming the series, its unit, and the units that are understood.
    """
    if unit not in MILLION_USD:
        raise ValueError(
            f'core.series: {label} is in "{unit}"; a component of net liquidity must be in '
            f"{' or '.join(MILLION_USD)}: correct `unit` of [[macro]] {label} in the universe file"
        )
    return MILLION_USD[unit]


def with_changes(levels: Frame) -> Frame:
    """The levels, with the change of each against the last study session at least 13 weeks before."""
    before = levels.select(
        pl.col("session").alias("from_session"), *(pl.col(level).alias(f"{level}_before") for level in LEVELS)
    )
    return (
        levels.with_columns(from_session=pl.col("session") - CHANGE)
        .sort("from_session")
        .join_asof(before.sort("from_session"), on="from_session")
        .with_columns(
            (pl.col(level) - pl.col(f"{level}_before")).alias(f"{level}_change") for level in LEVELS
        )
    )


def expanding_z(x: pl.Expr) -> pl.Expr:
    """(x - mean) / standard deviation (ddof 1) of all values up to and including each one.

    Null before 252 values and while they are all equal; a null has no score and is not counted. The sums are
    Welford's (1962, Technometrics 4:419-420), over deviations from the first value: every increment of the
    sum of squares is positive, so nothing cancels however large the level is, and no later value has a say.
    """
    deviation = x - x.drop_nulls().first()
    count = x.is_not_null().cum_sum()
    mean = deviation.cum_sum() / count
    mean_before = mean.forward_fill().shift(1, fill_value=0.0)
    squares = ((deviation - mean_before) * (deviation - mean)).cum_sum()
    spread = (squares / (count - 1)).sqrt()
    return pl.when((count >= MIN_CHANGES) & (spread > 0)).then((deviation - mean) / spread)
