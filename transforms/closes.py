"""One price per asset, convention and session: bars of any source aligned to the sessions that they price."""

from datetime import datetime, timedelta
from typing import Annotated as As

import polars as pl
from polars import LazyFrame as Frame

from schemas import core, raw
from schemas.table import Instant, conform
from transforms.actions import with_actions
from transforms.finality import HOUR, price_delay
from transforms.study import Study

SESSION_CLOSE, UTC_DAY = "session_close", "utc_day"
MAX_STALENESS = timedelta(hours=6)
BAR = ("asset", "source", "rank")


def closes(
    bars: As[Frame, raw.Bars],
    actions: As[Frame, raw.Actions],
    listings: As[Frame, core.Listings],
    sessions: As[Frame, core.Sessions],
    study: Study,
    as_of: datetime,
) -> As[Frame, core.Closes]:
    """Every asset's prices in both conventions, the best-ranked source with a price first.

    A session whose close is still to come has no price, however fresh the last hour is.
    """
    now = pl.min_horizontal(pl.lit(as_of, Instant), pl.coalesce("recorded_at", pl.lit(as_of, Instant)))
    listed = bars.join(listings.with_columns(now=now), on=["source", "symbol", "interval"])
    exchange = sessions.filter(pl.col("calendar") == study.calendar)
    traded = daily_closes(listed.filter(pl.col("kind") != "crypto"), actions, sessions)
    return (
        pl.concat(
            [
                traded.with_columns(convention=pl.lit(SESSION_CLOSE)),
                traded.with_columns(convention=pl.lit(UTC_DAY)),
                daily_closes(listed.filter(pl.col("kind") == "crypto"), actions, sessions).with_columns(
                    convention=pl.lit(UTC_DAY)
                ),
                same_instant_closes(listed.filter(pl.col("kind") == "crypto"), exchange).with_columns(
                    convention=pl.lit(SESSION_CLOSE)
                ),
            ],
            how="diagonal",
        )
        .sort("asset", "convention", "session", "rank")
        .unique(["asset", "convention", "session"], keep="first", maintain_order=True)
        .pipe(conform, core.Closes)
    )


def daily_closes(bars: Frame, actions: Frame, sessions: Frame) -> Frame:
    """Daily bars under the session that they opened; the price is that of the close, 0 minutes old."""
    return (
        bars.filter((pl.col("interval") == "1d") & pl.col("close").is_not_null())
        .join(sessions, left_on=["calendar", "opened_at"], right_on=["calendar", "open_at"])
        .pipe(with_actions, actions)
        .with_columns(
            price_at=pl.col("close_at") + price_delay(pl.col("kind")),
            staleness_minutes=pl.lit(0, pl.Int32),
        )
    )


def same_instant_closes(bars: Frame, sessions: Frame) -> Frame:
    """Hourly bars gathered into the spans between exchange closes: `(close_at of s-1, close_at of s]`.

    The price is the close of the last bar that ended in the span, at most 6 hours before the session's close.
    """
    hourly = bars.filter((pl.col("interval") == "1h") & pl.col("close").is_not_null()).with_columns(
        price_at=pl.col("opened_at") + HOUR
    )
    ends = sessions.sort("close_at").select("session", "close_at", open_at=pl.col("close_at").shift(1))
    return (
        hourly.sort("price_at")
        .join_asof(ends, left_on="price_at", right_on="close_at", strategy="forward")
        .filter((pl.col("price_at") > pl.col("open_at")) & (pl.col("close_at") <= pl.col("now")))
        .group_by(*BAR, "session", maintain_order=True)
        .agg(
            pl.col("open").first(),
            pl.col("high").max(),
            pl.col("low").min(),
            pl.when(pl.col("volume").null_count() == 0)
            .then(pl.col("volume").implode().list.sum())  # in one piece: threads add in any order
            .alias("volume"),
            pl.col("close", "price_at", "load_id", "price_basis", "close_at").last(),
        )
        .filter(pl.col("close_at") - pl.col("price_at") <= MAX_STALENESS)
        .with_columns(
            adj_close=pl.col("close"),
            staleness_minutes=(pl.col("close_at") - pl.col("price_at")).dt.total_minutes().cast(pl.Int32),
        )
    )
