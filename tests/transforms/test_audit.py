"""What was revised, from to; and how fresh a source is by its own calendar."""

from datetime import UTC, date, datetime, time, timedelta

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from schemas import core, ops, raw
from schemas.table import polars_schema, validate
from transforms.audit import freshness, revisions

OPENED = datetime(2025, 9, 3, 13, 30, tzinfo=UTC)
FIGURES = ("open", "high", "low", "close", "adj_close", "volume")


def known(hour):
    return datetime(2025, 9, 4, hour, tzinfo=UTC)


def bar(hour, opened_at=OPENED, source="a", symbol="^RUT", interval="1d", **figures):
    return {
        "source": source,
        "symbol": symbol,
        "interval": interval,
        "opened_at": opened_at,
        "known_at": known(hour),
        "is_known_at_assumed": False,
        "load_id": f"load-{hour}",
        **dict.fromkeys(FIGURES, 10.0),
        **figures,
    }


def observation(hour, value, series="WALCL", observed_on=date(2025, 9, 3)):
    return {
        "source": "fred",
        "series_id": series,
        "observed_on": observed_on,
        "known_at": known(hour),
        "value": value,
        "available_at": known(0),
        "is_known_at_assumed": False,
        "load_id": f"load-{hour}",
    }


VERSIONED = (raw.Bars, raw.Macro, raw.Actions, raw.Constituents, raw.PolicyEvents)


def revised(bars=(), macro=(), actions=(), constituents=(), events=()):
    given = (bars, macro, actions, constituents, events)
    frames = [
        pl.LazyFrame(list(rows), schema=polars_schema(model))
        for rows, model in zip(given, VERSIONED, strict=True)
    ]
    return validate(revisions(*frames).collect(), ops.Revisions)


def test_each_changed_figure_has_a_row_with_what_it_was_and_what_it_became():
    made = revised([bar(1), bar(2, close=11.0, volume=7.0)])
    assert made.rows(named=True) == [
        {
            "table_name": "raw.bars",
            "source": "a",
            "item": "^RUT 1d",
            "about_at": OPENED,
            "column_name": column,
            "known_at": known(2),
            "old_value": 10.0,
            "new_value": new,
            "load_id": "load-2",
        }
        for column, new in (("close", 11.0), ("volume", 7.0))
    ]


def test_dividends_weights_and_decisions_are_told_too():
    def version(hour, **row):
        return {"source": "a", "known_at": known(hour), "load_id": f"load-{hour}"} | row

    dividend = {"symbol": "IWM", "ex_on": date(2025, 9, 3), "dividend": 0.5}
    weight = {"index_id": "RUT", "symbol": "ABC", "as_of_on": date(2025, 9, 3), "weight_pct": 0.1}
    decision = {"event_id": "fomc", "kind": "statement", "target_low_pct": 4.0, "target_high_pct": 4.25}
    released = datetime(2025, 9, 17, 18, tzinfo=UTC)
    made = revised(
        actions=[version(1, **dividend), version(2, **dividend | {"dividend": 0.6})],
        constituents=[version(1, **weight), version(2, **weight | {"weight_pct": 0.2})],
        events=[
            version(1, **decision, released_at=released),
            version(2, **decision, released_at=released + timedelta(hours=1), tone=0.3),
        ],
    )
    wanted = [
        ("raw.actions", "IWM", datetime(2025, 9, 3, tzinfo=UTC), "dividend", 0.5, 0.6),
        ("raw.constituents", "RUT ABC", datetime(2025, 9, 3, tzinfo=UTC), "weight_pct", 0.1, 0.2),
        ("raw.policy_events", "fomc", released, "tone", None, 0.3),
    ]
    columns = ("table_name", "item", "about_at", "column_name", "old_value", "new_value")
    assert made.select(columns).rows() == wanted


def test_a_withdrawal_is_a_change_to_null_and_a_return_one_from_null():
    gone = dict.fromkeys(FIGURES)
    made = revised([bar(1), bar(2, **gone), bar(3, close=12.0)]).filter(column_name="close")
    assert made.select("known_at", "old_value", "new_value").rows() == [
        (known(2), 10.0, None),
        (known(3), None, 12.0),
    ]
    assert revised([bar(1), bar(2, **gone)])["column_name"].to_list() == sorted(FIGURES)


def test_each_version_is_held_against_the_one_before_it():
    bars = [bar(hour, close=close) for hour, close in ((3, 13.0), (1, 11.0), (2, 12.0), (4, 13.0))]
    made = revised(bars)
    assert made.select("known_at", "old_value", "new_value").rows() == [
        (known(2), 11.0, 12.0),
        (known(3), 12.0, 13.0),
    ]


def test_a_figure_that_was_unknown_twice_did_not_change():
    assert revised([bar(1, adj_close=None), bar(2, adj_close=None)]).is_empty()


def test_rows_of_other_days_symbols_intervals_and_sources_are_not_versions_of_each_other():
    others = [
        bar(2, close=1.0, opened_at=OPENED + timedelta(1)),
        bar(3, close=2.0, symbol="SPY"),
        bar(4, close=3.0, interval="1h"),
        bar(5, close=4.0, source="b"),
    ]
    assert revised([bar(1), *others], [observation(1, 1.0), observation(2, 2.0, "M2SL")]).is_empty()


def test_a_macro_revision_is_about_the_start_of_its_day():
    (row,) = revised([], [observation(2, 6.5), observation(1, 6.0)]).rows(named=True)
    assert (row["table_name"], row["item"], row["column_name"]) == ("raw.macro", "WALCL", "value")
    assert row["about_at"] == datetime(2025, 9, 3, tzinfo=UTC)
    assert (row["old_value"], row["new_value"], row["known_at"]) == (6.0, 6.5, known(2))


def test_revisions_do_not_depend_on_the_order_of_versions():
    bars = [bar(hour, close=float(hour), volume=float(hour % 2)) for hour in range(5)]
    macro = [observation(hour, float(hour)) for hour in range(3)]
    assert_frame_equal(revised(bars[::-1], macro[::-1]), revised(bars, macro))


# Freshness. Monday, 2025-09-01, was Labor Day: New York had no session between Friday and Tuesday.

FRIDAY, TUESDAY, WEDNESDAY, THURSDAY = (date(2025, 8, 29), *(date(2025, 9, n) for n in (2, 3, 4)))


def on(day, hour, minute=0):
    return datetime.combine(day, time(hour, minute), UTC)


def calendars():
    def session(calendar, day, open_at, close_at):
        about = {"calendar": calendar, "session": day, "open_at": open_at, "close_at": close_at}
        return {**about, "is_early_close": False}

    new_york = [
        session("XNYS", day, on(day, 13, 30), on(day, 20)) for day in (FRIDAY, TUESDAY, WEDNESDAY, THURSDAY)
    ]
    week = [FRIDAY + timedelta(n) for n in range(7)]
    crypto = [session("24/7", day, on(day, 0), on(day, 0) + timedelta(1)) for day in week]
    return pl.LazyFrame(new_york + crypto, schema=polars_schema(core.Sessions))


def listing(interval="1d", kind="index", calendar="XNYS", recorded_at=None, settle_minutes=30):
    return {
        "asset": "RUT",
        "name": "Russell 2000",
        "kind": kind,
        "calendar": calendar,
        "currency": "USD",
        "volume_unit": "shares",
        "price_basis": "raw",
        "source": "a",
        "symbol": "^RUT",
        "interval": interval,
        "rank": 0,
        "recorded_at": recorded_at,
        "settle_minutes": settle_minutes,
    }


def fresh(newest, now, **about):
    """The one row of a source whose newest bar opened at an instant."""
    rows = [] if newest is None else [bar(1, newest, interval=about.get("interval", "1d"))]
    frames = (
        pl.LazyFrame(rows, schema=polars_schema(raw.Bars)),
        pl.LazyFrame([listing(**about)], schema=polars_schema(core.Listings)),
        calendars(),
    )
    (row,) = validate(freshness(*frames, now).collect(), ops.Freshness).rows(named=True)
    return row


def behind(newest, now, **about):
    row = fresh(newest, now, **about)
    return row["expected_session"], row["sessions_behind"], row["is_stale"]


def test_a_holiday_is_no_delay():
    bar_of_friday = on(FRIDAY, 13, 30)
    assert behind(bar_of_friday, on(TUESDAY, 12)) == (FRIDAY, 0, False)
    row = fresh(bar_of_friday, on(TUESDAY, 12))
    assert row["last_session"] == FRIDAY
    assert row["last_opened_at"] == bar_of_friday


@pytest.mark.parametrize(
    ("now", "expected", "missing"),
    [
        (on(TUESDAY, 20, 29), FRIDAY, 0),  # the close is settling
        (on(TUESDAY, 20, 30), TUESDAY, 1),
        (on(WEDNESDAY, 20, 29), TUESDAY, 1),
        (on(WEDNESDAY, 20, 30), WEDNESDAY, 2),
        (on(THURSDAY, 23), THURSDAY, 3),
    ],
)
def test_a_daily_bar_is_due_half_an_hour_after_the_close_and_two_missing_make_it_stale(
    now, expected, missing
):
    assert behind(on(FRIDAY, 13, 30), now) == (expected, missing, missing > 1)


def test_a_source_may_ask_for_more_time_to_settle():
    assert behind(on(FRIDAY, 13, 30), on(TUESDAY, 21, 59), settle_minutes=120) == (FRIDAY, 0, False)
    assert behind(on(FRIDAY, 13, 30), on(TUESDAY, 22), settle_minutes=120) == (TUESDAY, 1, False)


def test_volatility_is_due_a_quarter_of_an_hour_later():
    assert behind(on(FRIDAY, 13, 30), on(TUESDAY, 20, 44), kind="volatility") == (FRIDAY, 0, False)
    assert behind(on(FRIDAY, 13, 30), on(TUESDAY, 20, 45), kind="volatility") == (TUESDAY, 1, False)


def test_hourly_candles_are_due_at_the_end_of_the_utc_day_and_weekends_count():
    crypto = {"interval": "1h", "kind": "crypto", "calendar": "24/7"}
    last = on(FRIDAY, 23)
    saturday, sunday = FRIDAY + timedelta(1), FRIDAY + timedelta(2)
    assert behind(last, on(saturday, 23, 59), **crypto) == (FRIDAY, 0, False)
    assert behind(last, on(sunday, 0), **crypto) == (saturday, 1, False)
    assert behind(last, on(sunday, 23, 59), **crypto) == (saturday, 1, False)
    assert behind(last, on(sunday + timedelta(1), 0), **crypto) == (sunday, 2, True)


def test_daily_candles_of_crypto_settle_too():
    crypto = {"kind": "crypto", "calendar": "24/7"}
    saturday = FRIDAY + timedelta(1)
    assert behind(on(FRIDAY, 0), on(saturday + timedelta(1), 0, 29), **crypto) == (FRIDAY, 0, False)
    assert behind(on(FRIDAY, 0), on(saturday + timedelta(1), 0, 30), **crypto) == (saturday, 1, False)


def test_for_a_recorded_file_the_instant_of_recording_is_now():
    recorded_at = on(TUESDAY, 21)
    row = fresh(on(TUESDAY, 13, 30), on(THURSDAY, 23), recorded_at=recorded_at)
    assert (row["checked_at"], row["expected_session"], row["is_stale"]) == (recorded_at, TUESDAY, False)


def test_a_replay_of_the_past_never_looks_past_its_own_instant():
    now = on(TUESDAY, 12)
    row = fresh(on(FRIDAY, 13, 30), now, recorded_at=on(THURSDAY, 23))
    assert (row["checked_at"], row["expected_session"]) == (now, FRIDAY)


def test_a_source_that_never_answered_is_stale():
    row = fresh(None, on(THURSDAY, 23))
    assert row["is_stale"]
    assert row["last_opened_at"] is row["last_session"] is None
    assert row["expected_session"] == THURSDAY


def test_a_source_that_never_answered_does_not_claim_to_miss_nothing():
    assert fresh(None, on(THURSDAY, 23))["sessions_behind"] != 0


def test_before_the_first_session_nothing_is_due():
    row = fresh(None, on(FRIDAY, 13))
    assert row["expected_session"] is row["sessions_behind"] is None
    assert row["is_stale"]
