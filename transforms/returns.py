"""Total log returns between consecutive study sessions, and the growth that they add up to."""

from typing import Annotated as As

import polars as pl
from polars import LazyFrame as Frame

from schemas import core, mart
from schemas.table import conform
from transforms.grid import study_sessions
from transforms.study import Study

SERIES = ["asset", "convention"]
SAME_ADJUSTMENT = 1e-6


def returns(
    closes: As[Frame, core.Closes], sessions: As[Frame, core.Sessions], study: Study
) -> As[Frame, core.Returns]:
    """Log return over the study session before, for every session after the asset's first.

    A session without a close keeps its row with a null return, and so does the one after it: nothing is
    filled forward, so no return is invented. Nor is one where another source stands in whose adjustment for
    dividends and splits is not the same.
    """
    return (
        study_grid(closes, sessions, study)
        .join(closes, on=[*SERIES, "session"], how="left")
        .with_columns(
            log_return=pl.when(is_comparable())
            .then(pl.col("adj_close").log().diff())
            .over(SERIES, order_by="session"),
        )
        .filter(pl.col("session") > pl.col("first_session"))
        .sort(*SERIES, "session")
        .pipe(conform, core.Returns)
    )


def is_comparable() -> pl.Expr:
    """Both closes are from one source, or adjusted alike."""
    same_source = pl.col("source").eq_missing(pl.col("source").shift(1))
    adjustment = pl.col("adj_close") / pl.col("close")
    return same_source | ((adjustment / adjustment.shift(1) - 1).abs() < SAME_ADJUSTMENT)


def normalized(
    closes: As[Frame, core.Closes], sessions: As[Frame, core.Sessions], study: Study
) -> As[Frame, mart.Normalized]:
    """Total-return level with 100 at the asset's first study session; null where the session has no close."""
    prices = closes.select(*SERIES, "session", "adj_close")
    first = prices.rename({"session": "first_session", "adj_close": "first_close"})
    return (
        study_grid(closes, sessions, study)
        .join(first, on=[*SERIES, "first_session"])
        .join(prices, on=[*SERIES, "session"], how="left")
        .with_columns(rebased=100 * (pl.col("adj_close") / pl.col("first_close")))
        .sort(*SERIES, "session")
        .pipe(conform, mart.Normalized)
    )


def study_grid(closes: Frame, sessions: Frame, study: Study) -> Frame:
    """Every study session from an asset's first price to the newest session that any asset has."""
    grid = study_sessions(closes, sessions, study)
    priced = closes.join(grid, on="session", how="semi")
    starts = priced.group_by(SERIES).agg(first_session=pl.col("session").min())
    return starts.join_where(grid, pl.col("session") >= pl.col("first_session"))
