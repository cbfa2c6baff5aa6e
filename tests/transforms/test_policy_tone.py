from datetime import UTC, date, datetime, time, timedelta

import polars as pl
import pytest
from by_hand import sessions
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from schemas import mart, raw
from schemas.table import polars_schema, validate
from transforms.policy_tone import policy_tone
from transforms.study import Study

STUDY = Study("ETH", "RUT", (), "TEST", (30,), 0.5, (("ETH", "RUT"),))
FIRST = date(2021, 1, 4)
CLOSE = time(21)


def day(number):
    return FIRST + timedelta(days=number)


def calendar(count):
    """Consecutive days as sessions that close at 21:00 UTC."""
    return sessions([day(i) for i in range(count)], CLOSE)


def make_closes(count):
    """One asset with a price on each of the first sessions; only that they are there matters."""
    days = [day(i) for i in range(count)]
    return pl.LazyFrame({"asset": ["RUT"] * count, "session": days}, schema_overrides={"session": pl.Date})


def event(number, kind, tone=None, target=None, at=time(19), source="fed"):
    low, high = target or (None, None)
    released_at = datetime.combine(day(number), at, UTC)
    return {
        "source": source,
        "event_id": f"fomc-{day(number)}",
        "known_at": released_at,
        "released_at": released_at,
        "kind": kind,
        "target_low_pct": low,
        "target_high_pct": high,
        "tone": tone,
        "load_id": "1",
    }


def frame(events):
    return pl.LazyFrame(events, schema=polars_schema(raw.PolicyEvents))


def run(events, count, reach=60):
    made = policy_tone(frame(events), make_closes(count), calendar(reach), STUDY)
    return validate(made.collect(), mart.PolicyTone)


def test_the_last_word_by_the_close():
    made = run(
        [
            event(1, "statement", tone=0.2, target=(0.0, 0.25)),
            event(3, "statement", tone=-0.1, target=(0.25, 0.5), at=time(21, 0, 1)),
        ],
        6,
    )
    assert made["session"].to_list() == [day(i) for i in range(1, 6)]
    assert made["tone"].to_list() == [0.2, 0.2, 0.2, -0.1, -0.1]  # a second after the close of 3 is 4
    assert made["tone_change"].to_list() == [None, None, None, pytest.approx(-0.3), pytest.approx(-0.3)]
    assert made["target_mid_pct"].to_list() == [0.125] * 3 + [0.375] * 2
    assert made["last_event_at"].dt.date().to_list() == [day(1)] * 3 + [day(3)] * 2


def test_a_release_at_the_close_is_the_last_one_and_not_the_next():
    made = run([event(0, "statement", tone=0.1), event(2, "statement", tone=0.5, at=CLOSE)], 4)
    assert made["tone"].to_list() == [0.1, 0.1, 0.5, 0.5]
    assert made["sessions_to_next_meeting"].to_list() == [2, 1, None, None]


def test_sessions_to_the_next_scheduled_decision():
    events = [event(0, "statement"), event(4, "unscheduled"), event(6, "statement"), event(9, "meeting")]
    made = run(events, 9)
    # on the day of the decision it is out by the close, so the count goes on to the next
    assert made["sessions_to_next_meeting"].to_list() == [6, 5, 4, 3, 2, 1, 3, 2, 1]


def test_a_decision_between_sessions_is_counted_down_to_the_session_that_first_knows_it():
    sessions = calendar(10).filter(~pl.col("session").is_in([day(5), day(6)]))
    made = policy_tone(frame([event(0, "statement"), event(5, "meeting")]), make_closes(5), sessions, STUDY)
    assert made.collect()["sessions_to_next_meeting"].to_list() == [
        5,
        4,
        3,
        2,
        1,
    ]  # day 7 is next after day 4


def test_a_cancelled_meeting_is_not_counted_down_to_whoever_still_has_it():
    events = [
        event(0, "statement", tone=0.1),
        event(2, "cancelled"),
        event(2, "meeting", source="files:x.csv"),
        event(4, "meeting"),
    ]
    made = run(events, 4)
    assert made["sessions_to_next_meeting"].to_list() == [4, 3, 2, 1]
    assert made["last_event_at"].dt.date().to_list() == [day(0)] * 4


def test_a_meeting_beyond_the_calendar_is_unknown():
    assert run([event(0, "statement"), event(50, "meeting")], 3, reach=20)[
        "sessions_to_next_meeting"
    ].to_list() == [None, None, None]


def test_meetings_say_nothing_and_unscheduled_decisions_do():
    events = [
        event(0, "statement", tone=0.1, target=(1.0, 1.25)),
        event(2, "meeting", tone=0.9, target=(8.0, 9.0)),
        event(3, "unscheduled", tone=-0.4, target=(0.0, 0.25)),
    ]
    made = run(events, 5)
    assert made["tone"].to_list() == [0.1, 0.1, 0.1, -0.4, -0.4]
    assert made["target_mid_pct"].to_list() == [1.125] * 3 + [0.125] * 2
    assert made["last_event_at"].dt.date().to_list() == [day(0)] * 3 + [day(3)] * 2


def test_a_decision_without_figures_leaves_the_earlier_ones_in_force():
    events = [
        event(0, "statement", target=(1.0, 1.25)),
        event(1, "statement", tone=0.3),
        event(2, "statement"),
        event(3, "statement", tone=0.1, target=(1.0, None)),
    ]
    made = run(events, 5)
    assert made["tone"].to_list() == [None, 0.3, 0.3, 0.1, 0.1]
    assert made["tone_change"].to_list() == [None, None, None, pytest.approx(-0.2), pytest.approx(-0.2)]
    assert made["target_mid_pct"].to_list() == [1.125] * 5
    assert made["last_event_at"].dt.date().to_list() == [day(0), day(1), day(2), day(3), day(3)]


def test_sources_that_know_the_same_event_are_one_event():
    plan = event(2, "meeting", at=time(18), source="files")
    said = event(2, "statement", tone=0.3, at=time(19))
    target = event(2, "statement", target=(1.0, 1.5), at=time(19, 30), source="other")
    for events in ([plan, said, target], [target, said, plan]):
        made = run([event(0, "statement", tone=0.1), *events], 4)
        assert made["tone"].to_list() == [0.1, 0.1, 0.3, 0.3]
        assert made["tone_change"].to_list()[2] == pytest.approx(0.2)
        assert made["target_mid_pct"].to_list() == [None, None, 1.25, 1.25]
        assert made["last_event_at"][3].time() == time(19, 30)  # when all of it was public


def test_rows_are_the_sessions_with_prices_from_the_first_event_on():
    assert run([event(3, "meeting"), event(30, "meeting")], 6)["session"].to_list() == [
        day(3),
        day(4),
        day(5),
    ]
    assert run([event(8, "meeting")], 6).is_empty()
    assert run([], 6).is_empty()


def as_of(events, close_at):
    """The events as they stood at a close: what was to come was planned, or not known at all."""
    is_past = pl.col("released_at") <= close_at
    figures = ("tone", "target_low_pct", "target_high_pct")
    return events.filter(is_past | (pl.col("kind") != "unscheduled")).with_columns(
        pl.when(is_past).then("kind").otherwise(pl.lit("meeting")).alias("kind"),
        *(pl.when(is_past).then(figure).alias(figure) for figure in figures),
    )


some_events = st.dictionaries(
    st.integers(0, 49),
    st.tuples(
        st.sampled_from(["statement", "statement", "unscheduled"]),
        st.none() | st.floats(-1, 1),
        st.none() | st.tuples(st.floats(0, 5), st.floats(0, 5)),
        st.sampled_from([time(19), CLOSE, time(23)]),
    ),
    max_size=12,
)


@settings(max_examples=40, deadline=None)
@given(drawn=some_events, cut=st.integers(0, 39), seed=st.integers(0, 9))
def test_rows_never_look_ahead_and_ignore_the_order_of_events(drawn, cut, seed):
    events = [event(number, *rest) for number, rest in drawn.items()]
    whole = policy_tone(frame(events), make_closes(40), calendar(60), STUDY).collect()
    shuffled = frame(events).collect().sample(fraction=1.0, shuffle=True, seed=seed).lazy()
    again = policy_tone(shuffled, make_closes(40).reverse(), calendar(60).reverse(), STUDY)
    assert_frame_equal(again.collect(), whole)
    close_at = datetime.combine(day(cut), CLOSE, UTC)
    earlier = policy_tone(as_of(frame(events), close_at), make_closes(cut + 1), calendar(60), STUDY)
    assert_frame_equal(earlier.collect(), whole.filter(pl.col("session") <= day(cut)))
    for row in whole.iter_rows(named=True):
        at = datetime.combine(row["session"], CLOSE, UTC)
        said = [e for e in events if e["released_at"] <= at]
        tones = [e["tone"] for e in sorted(said, key=lambda e: e["released_at"]) if e["tone"] is not None]
        assert row["tone"] == (tones[-1] if tones else None)
        assert row["last_event_at"] == max((e["released_at"] for e in said), default=None)
