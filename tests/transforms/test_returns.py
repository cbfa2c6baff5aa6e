"""Returns and levels on study sessions, from closes that are small enough to check by hand."""

from datetime import UTC, date, datetime, time
from math import log

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from schemas import core, mart
from schemas.table import polars_schema, validate
from transforms.returns import normalized, returns
from transforms.study import Study

STUDY = Study("ETH", "RUT", (), "XNYS", (30,), 0.5, (("ETH", "RUT"),))
THU, FRI, SAT, SUN, MON, TUE, WED, NEXT = (date(2025, 3, day) for day in (6, 7, 8, 9, 10, 11, 12, 13))
GAPS = {THU: 1, FRI: 1, MON: 3, TUE: 1, WED: 1, NEXT: 1}  # days since the session before


def sessions():
    london = [("XLON", day, 1) for day in (THU, FRI, MON)]
    rows = [
        {
            "calendar": calendar,
            "session": day,
            "open_at": datetime.combine(day, time(14, 30), UTC),
            "close_at": datetime.combine(day, time(21), UTC),
            "is_early_close": False,
            "gap_days": gap,
        }
        for calendar, day, gap in [*(("XNYS", day, gap) for day, gap in GAPS.items()), *london]
    ]
    return pl.LazyFrame(rows, schema=polars_schema(core.Sessions))


def closes(*series):
    """Rows from (asset, convention, {session: close or (close, adj_close)})."""
    rows = []
    for asset, convention, prices in series:
        for day, price in prices.items():
            close, adjusted = price if isinstance(price, tuple) else (price, price)
            about = {"asset": asset, "convention": convention, "session": day}
            rows.append({**about, "close": close, "adj_close": adjusted})
    return pl.LazyFrame(rows, schema=polars_schema(core.Closes))


def table(frame):
    return validate(returns(frame, sessions(), STUDY).collect(), core.Returns)


def levels(frame):
    return validate(normalized(frame, sessions(), STUDY).collect(), mart.Normalized)


def rows(made, asset="ETH"):
    return made.filter(pl.col("asset") == asset).select("session", "log_return", "gap_days").rows()


ETH = ("ETH", "session_close", {THU: 100.0, FRI: 110.0, MON: 99.0, TUE: 99.0})
RUT = ("RUT", "session_close", {THU: 50.0, FRI: 40.0, MON: 60.0, TUE: 30.0})


def test_both_sides_have_one_return_per_session_with_the_weekend_inside():
    made = table(closes(ETH, RUT))
    assert rows(made) == [
        (FRI, pytest.approx(log(1.1)), 1),
        (MON, pytest.approx(log(0.9)), 3),
        (TUE, pytest.approx(0.0), 1),
    ]
    assert rows(made, "RUT") == [
        (FRI, pytest.approx(log(0.8)), 1),
        (MON, pytest.approx(log(1.5)), 3),
        (TUE, pytest.approx(log(0.5)), 1),
    ]


def test_the_first_session_of_an_asset_has_no_row():
    late = ("ETH", "session_close", {MON: 10.0, TUE: 20.0})
    assert rows(table(closes(late, RUT))) == [(TUE, pytest.approx(log(2)), 1)]


def test_a_missing_close_makes_its_own_and_the_next_return_unknown_and_nothing_else():
    holed = ("ETH", "session_close", {THU: 100.0, FRI: 110.0, TUE: 121.0, WED: 242.0})
    assert rows(table(closes(holed, ("RUT", "session_close", dict.fromkeys(GAPS, 1.0))))) == [
        (FRI, pytest.approx(log(1.1)), 1),
        (MON, None, 3),
        (TUE, None, 1),
        (WED, pytest.approx(log(2)), 1),
        (NEXT, None, 1),
    ]


def test_rows_end_with_the_newest_session_that_any_asset_has():
    made = table(closes(ETH, ("RUT", "session_close", {THU: 1.0, WED: 2.0})))
    assert [day for day, *_ in rows(made)] == [FRI, MON, TUE, WED]
    assert made["session"].max() == WED  # the calendar goes on to Thursday


def test_prices_of_a_weekend_never_enter_a_return():
    every_day = {THU: 100.0, FRI: 110.0, SAT: 1.0, SUN: 1000.0, MON: 121.0, TUE: 60.5}
    assert rows(table(closes(("ETH", "utc_day", every_day)))) == [
        (FRI, pytest.approx(log(1.1)), 1),
        (MON, pytest.approx(log(1.1)), 3),
        (TUE, pytest.approx(log(0.5)), 1),
    ]


def test_an_asset_that_starts_on_a_weekend_starts_with_the_session_after():
    made = table(closes(("ETH", "utc_day", {SUN: 1.0, MON: 10.0, TUE: 20.0})))
    assert rows(made) == [(TUE, pytest.approx(log(2)), 1)]


def test_returns_are_total_with_the_dividend_inside():
    paid = ("SPY", "session_close", {THU: (100.0, 99.0), FRI: (99.0, 99.0), MON: (99.0, 99.0)})
    made = rows(table(closes(paid)), "SPY")
    assert made == [(FRI, pytest.approx(0.0), 1), (MON, pytest.approx(0.0), 3)]


def test_a_stand_in_source_with_another_adjustment_invents_no_return():
    # The price stood still. The first source takes later dividends out of its adjusted close, the second not.
    served = {THU: (100.0, 80.0), FRI: (100.0, 100.0), MON: (100.0, 80.0), TUE: (100.0, 80.0)}
    source = pl.when(pl.col("session") == FRI).then(pl.lit("b")).otherwise(pl.lit("a"))
    made = table(closes(("SPY", "session_close", served)).with_columns(source=source))
    for value in made["log_return"].drop_nulls():  # unknown would do as well
        assert value == pytest.approx(0.0, abs=0.01)


def test_levels_are_unknown_while_a_source_with_another_adjustment_stands_in():
    served = {THU: (100.0, 80.0), FRI: (100.0, 100.0), MON: (101.0, 101.0), TUE: (110.0, 88.0)}
    other = closes(("SPY", "session_close", served)).with_columns(
        source=pl.when(pl.col("session").is_in([FRI, MON])).then(pl.lit("b")).otherwise(pl.lit("a"))
    )
    assert levels(other)["rebased"].to_list() == [100.0, None, None, pytest.approx(110.0)]
    alike = {THU: (100.0, 100.0), MON: (101.0, 101.0), TUE: (110.0, 110.0)}  # and Friday is missing
    source = pl.when(pl.col("session") == MON).then(pl.lit("b")).otherwise(pl.lit("a"))
    made = levels(closes(("SPY", "session_close", alike)).with_columns(source=source))
    assert made["rebased"].to_list() == [100.0, None, pytest.approx(101.0), pytest.approx(110.0)]


def test_the_conventions_are_never_mixed():
    other = ("ETH", "utc_day", {THU: 1.0, FRI: 2.0, MON: 4.0, TUE: 8.0})
    made = table(closes(ETH, other))
    assert made.filter(pl.col("convention") == "utc_day")["log_return"].to_list() == pytest.approx(
        [log(2)] * 3
    )
    alone = made.filter(pl.col("convention") == "session_close")
    assert_frame_equal(alone, table(closes(ETH)))


def test_sessions_of_another_calendar_do_not_count():
    holiday = ("ETH", "session_close", {THU: 100.0, FRI: 110.0, MON: 99.0})
    made = table(closes(holiday))
    assert made["session"].to_list() == [FRI, MON]
    assert made["gap_days"].to_list() == [1, 3]  # those of New York, not London's


def test_the_order_of_closes_does_not_matter():
    frame = closes(RUT, ETH)
    backwards = frame.reverse()
    assert_frame_equal(table(backwards), table(frame))
    assert_frame_equal(levels(backwards), levels(frame))


def test_no_prices_give_no_rows():
    assert table(closes()).is_empty()
    assert levels(closes()).is_empty()


def test_levels_start_at_exactly_100_and_follow_the_total_return():
    first = 3 * 0.1  # 100 * (x / x) is 100, (100 / x) * x need not be
    grown = ("ETH", "session_close", {FRI: (9.0, first), MON: (9.0, 2 * first), TUE: (9.0, first / 2)})
    made = levels(closes(grown, RUT)).filter(pl.col("asset") == "ETH")
    assert made["session"].to_list() == [FRI, MON, TUE]
    assert made["rebased"][0] == 100.0
    assert made["rebased"].to_list() == pytest.approx([100, 200, 50])


def test_a_level_is_unknown_where_the_session_has_no_close_and_comes_back_after():
    holed = ("ETH", "session_close", {THU: 4.0, MON: 5.0})
    made = levels(closes(holed, RUT)).filter(pl.col("asset") == "ETH")
    assert made.select("session", "rebased").rows() == [
        (THU, 100.0),
        (FRI, None),
        (MON, 125.0),
        (TUE, None),
    ]


def test_levels_start_on_a_study_session_not_on_a_weekend():
    made = levels(closes(("ETH", "utc_day", {SAT: 1.0, SUN: 2.0, MON: 8.0, TUE: 10.0})))
    assert made.select("session", "rebased").rows() == [(MON, 100.0), (TUE, 125.0)]
