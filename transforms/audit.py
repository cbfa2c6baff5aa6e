"""The audit tables that follow from the stored rows: what was revised, and how fresh each source is."""

from datetime import datetime
from typing import Annotated as As

import polars as pl
from polars import LazyFrame as Frame

from schemas import core, ops, raw
from schemas.table import REVISED, Instant, conform, name
from transforms.finality import daily_final_at


def revisions(
    bars: As[Frame, raw.Bars, REVISED],
    macro: As[Frame, raw.Macro, REVISED],
    actions: As[Frame, raw.Actions, REVISED],
    constituents: As[Frame, raw.Constituents, REVISED],
    events: As[Frame, raw.PolicyEvents, REVISED],
) -> As[Frame, ops.Revisions]:
    """One row per figure that differs from the version before it, of every raw table that keeps versions."""
    bar, member = (
        pl.concat_str(*of, separator=" ") for of in (("symbol", "interval"), ("index_id", "symbol"))
    )
    released = pl.col("released_at").min().over("source", "event_id")  # the release itself may be revised
    versions = [
        (bars, raw.Bars, bar, pl.col("opened_at"), ["open", "high", "low", "close", "adj_close", "volume"]),
        (macro, raw.Macro, pl.col("series_id"), midnight("observed_on"), ["value"]),
        (actions, raw.Actions, pl.col("symbol"), midnight("ex_on"), ["dividend", "split_ratio"]),
        (constituents, raw.Constituents, member, midnight("as_of_on"), ["weight_pct"]),
        (
            events,
            raw.PolicyEvents,
            pl.col("event_id"),
            released,
            ["target_low_pct", "target_high_pct", "tone"],
        ),
    ]
    return (
        pl.concat(
            changes(frame.with_columns(item=item, about_at=about_at), name(model), figures)
            for frame, model, item, about_at, figures in versions
        )
        .sort("known_at", "table_name", "source", "item", "about_at", "column_name")
        .pipe(conform, ops.Revisions)
    )


def midnight(day: str) -> pl.Expr:
    """The beginning of a UTC day."""
    return pl.col(day).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")


def changes(versions: Frame, table: str, figures: list[str]) -> Frame:
    """Each figure of each version beside the one before, where they differ."""
    about = ["source", "item", "about_at"]
    return (
        versions.unpivot(
            figures,
            index=[*about, "known_at", "load_id"],
            variable_name="column_name",
            value_name="new_value",
        )
        .with_columns(
            table_name=pl.lit(table),
            old_value=pl.col("new_value").shift(1).over([*about, "column_name"], order_by="known_at"),
            nth=pl.col("known_at").rank("ordinal").over([*about, "column_name"]),
        )
        .filter((pl.col("nth") > 1) & pl.col("old_value").ne_missing(pl.col("new_value")))
    )


def freshness(
    bars: As[Frame, raw.Bars],
    listings: As[Frame, core.Listings],
    sessions: As[Frame, core.Sessions],
    as_of: datetime,
) -> As[Frame, ops.Freshness]:
    """Newest bar of every listed source against its own calendar, so that a holiday is not a delay."""
    of_source = ["source", "symbol", "interval"]
    newest = bars.group_by(of_source).agg(last_opened_at=pl.col("opened_at").max())
    checked_at = pl.min_horizontal(pl.lit(as_of, Instant), pl.coalesce("recorded_at", pl.lit(as_of, Instant)))
    listed = listings.join(newest, on=of_source, how="left").with_columns(checked_at=checked_at)
    final_at = (
        pl.when(pl.col("interval") == "1h")
        .then(pl.col("close_at"))
        .otherwise(daily_final_at(pl.col("close_at"), pl.col("kind"), pl.col("settle_minutes")))
    )
    due = listed.join(sessions, on="calendar").filter(final_at <= pl.col("checked_at"))
    counted = due.group_by("asset", *of_source).agg(
        expected_session=pl.col("session").max(),
        last_session=pl.col("session").filter(pl.col("open_at") <= pl.col("last_opened_at")).max(),
        sessions_behind=pl.when(pl.col("last_opened_at").first().is_not_null()).then(
            (pl.col("open_at") > pl.col("last_opened_at")).sum().cast(pl.Int32)
        ),
    )
    behind = pl.col("sessions_behind") > 1
    return (
        listed.join(counted, on=["asset", *of_source], how="left")
        .with_columns(is_stale=behind.fill_null(value=False) | pl.col("last_opened_at").is_null())
        .sort("asset", *of_source)
        .pipe(conform, ops.Freshness)
    )
