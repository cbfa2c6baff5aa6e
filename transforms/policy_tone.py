"""What the Federal Reserve last said, as of every close, and how far its next decision is."""

from typing import Annotated as As

import polars as pl
from polars import LazyFrame as Frame

from schemas import core, mart, raw
from schemas.table import conform
from transforms.grid import study_sessions
from transforms.study import Study

PLANNED, STATEMENT, UNSCHEDULED = "meeting", "statement", "unscheduled"


def policy_tone(
    events: As[Frame, raw.PolicyEvents],
    closes: As[Frame, core.Closes],
    sessions: As[Frame, core.Sessions],
    study: Study,
) -> As[Frame, mart.PolicyTone]:
    """The tone and target in force at every study session's close, and the sessions to the next decision.

    A decision counts from the first close at or after its release; a later one without a tone or a target
    leaves the earlier figure in force. The next decision is taken from the calendar of meetings, which the
    FOMC publishes about a year ahead (federalreserve.gov/monetarypolicy/fomccalendars.htm): that it will
    take place was known at the close, so counting down to it is no look-ahead. What it will say is not used,
    and unscheduled decisions, which nobody saw coming, are never counted down to; nor are cancelled meetings.

    Rows begin with the first event and end with the newest session that any asset has a price for, so that
    leaving out what came after a session leaves the rows up to it as they are.
    """
    known = merged(events)
    first = known.select(first_at=pl.col("released_at").min())
    return (
        study_sessions(closes, sessions, study)
        .join(first, how="cross")
        .filter(pl.col("close_at") >= pl.col("first_at"))
        .sort("close_at")
        .join_asof(decisions(known), left_on="close_at", right_on="last_event_at", coalesce=False)
        .join_asof(
            meetings(known, sessions, study),
            left_on="close_at",
            right_on="next_at",
            strategy="forward",
            allow_exact_matches=False,  # a decision released at the close is the last one, not the next
        )
        .join(numbered(sessions, study), on="close_at")
        .with_columns(sessions_to_next_meeting=pl.col("next_nth") - pl.col("nth"))
        .sort("session")
        .pipe(conform, mart.PolicyTone)
    )


def merged(events: Frame) -> Frame:
    """One row per event: where several sources know it, the decision before the plan, the first figure given.

    Of two release instants of a decision the later one counts, so that no figure is used before every source
    has it public.
    """
    is_decided = pl.col("kind").is_in([STATEMENT, UNSCHEDULED])
    figures = ("tone", "target_low_pct", "target_high_pct")
    return (
        events.sort("event_id", "source")
        .group_by("event_id", maintain_order=True)
        .agg(
            pl.coalesce(pl.col("kind").filter(is_decided).first(), pl.col("kind").first()),
            pl.coalesce(pl.col("released_at").filter(is_decided).max(), pl.col("released_at").max()),
            *(pl.col(figure).drop_nulls().first() for figure in figures),
        )
    )


def decisions(events: Frame) -> Frame:
    """Decisions in order, each with the tone and the target in force from then on."""
    before = pl.col("tone").forward_fill().shift(1)
    target = (pl.col("target_low_pct") + pl.col("target_high_pct")) / 2
    return (
        events.filter(pl.col("kind").is_in([STATEMENT, UNSCHEDULED]))
        .sort("released_at", "event_id")
        .select(
            last_event_at=pl.col("released_at"),
            tone=pl.col("tone").forward_fill(),
            tone_change=(pl.col("tone") - before).forward_fill(),
            target_mid_pct=target.forward_fill(),
        )
        .unique("last_event_at", keep="last", maintain_order=True)
        .sort("last_event_at")
    )


def meetings(events: Frame, sessions: Frame, study: Study) -> Frame:
    """Scheduled decisions, held or planned, with the number of the session at whose close each is known."""
    return (
        events.filter(pl.col("kind").is_in([STATEMENT, PLANNED]))
        .select(next_at=pl.col("released_at"))
        .unique()
        .sort("next_at")
        .join_asof(
            numbered(sessions, study).rename({"nth": "next_nth"}),
            left_on="next_at",
            right_on="close_at",
            strategy="forward",
            coalesce=False,
        )
        .select("next_at", "next_nth")
    )


def numbered(sessions: Frame, study: Study) -> Frame:
    """Closes of the study calendar with their running number, those to come included."""
    return (
        sessions.filter(pl.col("calendar") == study.calendar)
        .select("close_at")
        .sort("close_at")
        .with_columns(nth=pl.int_range(pl.len(), dtype=pl.Int32))
    )
