"""The price of a session: which candle, which span, which source; against hand-made bars and a plain loop."""

from datetime import UTC, date, datetime, time, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from schemas import core, raw
from schemas.table import polars_schema, validate
from transforms.closes import closes
from transforms.study import Study

STUDY = Study("ETH", "RUT", (), "XNYS", (30,), 0.5, (("ETH", "RUT"),))
ACTIONS = pl.LazyFrame(schema=polars_schema(raw.Actions))
AS_OF = datetime(2027, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
# Closes of the New York exchange in UTC: summer 20:00, winter 21:00, three hours earlier on a short session.
NEW_YORK = {
    date(2024, 7, 2): 20,
    date(2024, 7, 3): 17,  # before Independence Day
    date(2024, 7, 5): 20,
    date(2025, 3, 6): 21,
    date(2025, 3, 7): 21,
    date(2025, 3, 10): 20,  # the clock changed on Sunday
    date(2025, 10, 30): 20,
    date(2025, 10, 31): 20,
    date(2025, 11, 3): 21,  # and back
    date(2025, 11, 4): 21,
    date(2025, 11, 26): 21,
    date(2025, 11, 28): 18,  # after Thanksgiving
}


def at(day, hour, minute=0):
    return datetime.combine(day, time(), UTC) + timedelta(hours=hour, minutes=minute)


def open_at(day):
    return at(day, 14 if NEW_YORK[day] in (18, 21) else 13, 30)


def new_york():
    return [
        {
            "calendar": "XNYS",
            "session": day,
            "open_at": open_at(day),
            "close_at": at(day, hour),
            "is_early_close": hour in (17, 18),
        }
        for day, hour in NEW_YORK.items()
    ]


def round_the_clock(first, last):
    days = [first + timedelta(n) for n in range((last - first).days + 1)]
    return [
        {
            "calendar": "24/7",
            "session": day,
            "open_at": at(day, 0),
            "close_at": at(day, 24),
            "is_early_close": False,
        }
        for day in days
    ]


def bar(source, symbol, interval, opened_at, **figures):
    prices = dict.fromkeys(("open", "high", "low"), figures.get("close"))
    return {
        "source": source,
        "symbol": symbol,
        "interval": interval,
        "opened_at": opened_at,
        "known_at": at(date(2026, 1, 1), 0),
        "is_known_at_assumed": False,
        "load_id": "1",
        "volume": 1.0,
        **prices,
        **figures,
    }


def stamp(ended_at):
    """A price that says when its candle ended: month, day and hour."""
    return float(ended_at.strftime("%m%d%H"))


def candles(first, last, without=(), source="a"):
    """Hourly candles that end in (first, last], each priced by its end."""
    ends = [first + HOUR * n for n in range(1, int((last - first) / HOUR) + 1)]
    return [bar(source, "ETHUSDT", "1h", end - HOUR, close=stamp(end)) for end in ends if end not in without]


def listing(asset, source, symbol, interval, kind="crypto", calendar="24/7", rank=0, **more):
    return {
        "asset": asset,
        "name": asset,
        "kind": kind,
        "calendar": calendar,
        "currency": "USD",
        "volume_unit": "base",
        "price_basis": "raw",
        "source": source,
        "symbol": symbol,
        "interval": interval,
        "rank": rank,
        "settle_minutes": 30,
        **more,
    }


HOURLY = listing("ETH", "a", "ETHUSDT", "1h")
DAILY = listing("ETH", "a", "ETH-USD", "1d")
RUT = listing("RUT", "a", "^RUT", "1d", kind="index", calendar="XNYS")
VIX = listing("VIX", "a", "^VIX", "1d", kind="volatility", calendar="XNYS")


def priced(bars, listings=(HOURLY,), calendar=None):
    frames = [
        pl.LazyFrame(rows, schema=polars_schema(model))
        for rows, model in (
            (bars, raw.Bars),
            (list(listings), core.Listings),
            (new_york() if calendar is None else calendar, core.Sessions),
        )
    ]
    return validate(closes(frames[0], ACTIONS, *frames[1:], STUDY, AS_OF).collect(), core.Closes)


def prices(made, convention="session_close"):
    rows = made.filter(pl.col("convention") == convention)
    return dict(rows.select("session", "close").iter_rows())


# The same-instant close


@pytest.mark.parametrize(
    ("session", "first", "price"),
    [
        (date(2024, 7, 3), date(2024, 7, 2), 70317.0),  # early close: 17:00 UTC
        (date(2024, 7, 5), date(2024, 7, 2), 70520.0),  # summer
        (date(2025, 3, 7), date(2025, 3, 6), 30721.0),  # winter
        (date(2025, 3, 10), date(2025, 3, 6), 31020.0),  # the first session of summer time
        (date(2025, 10, 31), date(2025, 10, 30), 103120.0),
        (date(2025, 11, 3), date(2025, 10, 30), 110321.0),  # the first session of winter time
        (date(2025, 11, 28), date(2025, 11, 26), 112818.0),  # early close in winter: 18:00 UTC
    ],
)
def test_crypto_is_priced_by_the_candle_that_ends_at_the_exchanges_close(session, first, price):
    made = priced(candles(at(first, 0), at(session, 24)))
    row = made.row(by_predicate=pl.col("session") == session, named=True)
    assert row["close"] == row["adj_close"] == price
    assert row["price_at"] == at(session, NEW_YORK[session])
    assert row["staleness_minutes"] == 0


def test_the_first_session_of_the_calendar_has_no_span_and_no_row():
    day = date(2024, 7, 2)
    assert priced(candles(at(day, 0), at(day, 24))).is_empty()


def test_a_span_that_is_not_over_has_no_row_while_its_last_candle_is_too_old():
    assert list(prices(priced(candles(at(date(2025, 3, 6), 21), at(date(2025, 3, 7), 14))))) == []


@pytest.mark.parametrize("hours", range(1, 7))
def test_in_an_outage_the_last_candle_of_up_to_six_hours_ago_counts_and_says_its_age(hours):
    close_at = at(date(2025, 3, 7), 21)
    outage = {close_at - HOUR * n for n in range(hours)}
    (row,) = priced(candles(at(date(2025, 3, 6), 21), close_at, outage)).iter_rows(named=True)
    assert row["close"] == 30721 - hours
    assert row["price_at"] == close_at - HOUR * hours
    assert row["staleness_minutes"] == 60 * hours


def test_after_seven_hours_without_a_candle_the_session_has_no_row_and_the_next_is_unharmed():
    close_at = at(date(2025, 3, 7), 21)
    outage = {close_at - HOUR * n for n in range(7)}
    made = priced(candles(at(date(2025, 3, 6), 21), at(date(2025, 3, 10), 20), outage))
    assert prices(made) == {date(2025, 3, 10): 31020.0}


def test_a_candle_from_before_the_last_close_never_prices_a_session():
    friday, monday = date(2025, 10, 31), date(2025, 11, 3)
    calendar = [{**row, "close_at": at(monday, 1)} if row["session"] == monday else row for row in new_york()]
    calendar = [{**row, "close_at": at(monday, 0)} if row["session"] == friday else row for row in calendar]
    made = priced(candles(at(date(2025, 10, 30), 20), at(monday, 0)), calendar=calendar)
    assert prices(made) == {friday: 110300.0}  # ended at the very close, an hour before Monday's


def test_the_span_holds_the_candles_that_ended_after_one_close_up_to_and_with_the_next():
    thursday, friday = at(date(2025, 3, 6), 21), at(date(2025, 3, 7), 21)
    figures = {  # the end of each candle
        thursday: {"open": 50.0, "high": 999.0, "low": 1.0, "close": 51.0, "volume": 5000.0},
        thursday + HOUR: {"open": 52.0, "high": 55.0, "low": 50.0, "close": 53.0, "volume": 10.0},
        friday - 5 * HOUR: {"open": 60.0, "high": 80.0, "low": 58.0, "close": 61.0, "volume": 20.0},
        friday: {"open": 62.0, "high": 64.0, "low": 40.0, "close": 63.0, "volume": 30.0, "load_id": "9"},
        friday + HOUR: {"open": 70.0, "high": 998.0, "low": 2.0, "close": 71.0, "volume": 7000.0},
    }
    made = priced([bar("a", "ETHUSDT", "1h", end - HOUR, **row) for end, row in figures.items()])
    assert made["session"].to_list() == [
        date(2025, 3, 6),
        date(2025, 3, 7),
    ]  # the last candle waits for Monday
    row = made.row(1, named=True)
    assert [row[name] for name in ("open", "high", "low", "close", "volume")] == [52, 80, 40, 63, 60]
    assert row["load_id"] == "9"


def test_the_hours_of_a_weekend_belong_to_mondays_span():
    friday, monday = date(2025, 3, 7), date(2025, 3, 10)
    made = priced(candles(at(friday, 21), at(monday, 20)))
    (row,) = made.iter_rows(named=True)
    assert row["session"] == monday
    assert row["volume"] == 3 * 24 - 1  # one candle an hour; the clock change makes it 71
    assert row["open"] == 30722  # the candle that ended an hour after Friday's close
    assert row["low"] == 30722
    assert row["high"] == 31020


def test_one_unknown_volume_makes_the_sum_unknown_and_leaves_the_price():
    rows = candles(at(date(2025, 3, 6), 21), at(date(2025, 3, 10), 20))
    rows[3]["volume"] = None
    made = priced(rows).sort("session")
    assert made["volume"].to_list() == [None, 71.0]
    assert made["close"].to_list() == [30721.0, 31020.0]


def test_a_withdrawn_candle_counts_for_nothing():
    rows = candles(at(date(2025, 3, 6), 21), at(date(2025, 3, 7), 21))
    rows[-1] |= dict.fromkeys(("open", "high", "low", "close", "volume"))
    (row,) = priced(rows).iter_rows(named=True)
    assert (row["close"], row["staleness_minutes"], row["volume"]) == (30720.0, 60, 23.0)


def three_sessions():
    return candles(at(date(2025, 10, 30), 20), at(date(2025, 11, 4), 21))


def test_the_order_of_bars_does_not_matter():
    made = priced(three_sessions())
    assert made.height == 3
    assert_frame_equal(priced(three_sessions()[::-1]), made)


def test_the_order_of_sessions_does_not_matter():
    made = priced(three_sessions())
    assert_frame_equal(priced(three_sessions(), calendar=new_york()[::-1]), made)


# Daily bars


def test_crypto_has_a_row_for_every_utc_day_priced_at_its_end():
    friday, monday = date(2025, 3, 7), date(2025, 3, 10)
    days = round_the_clock(friday, monday)
    rows = [bar("a", "ETH-USD", "1d", day["open_at"], close=100.0 + n) for n, day in enumerate(days)]
    made = priced(rows, [DAILY], new_york() + days)
    assert made["convention"].unique().to_list() == ["utc_day"]
    assert prices(made, "utc_day") == {friday + timedelta(n): 100.0 + n for n in range(4)}
    assert made["price_at"].to_list() == [at(friday + timedelta(n), 24) for n in range(4)]
    assert made["staleness_minutes"].to_list() == [0] * 4


def test_each_convention_of_crypto_takes_its_own_interval():
    day = date(2025, 3, 7)
    rows = [*candles(at(date(2025, 3, 6), 21), at(day, 24)), bar("a", "ETH-USD", "1d", at(day, 0), close=5.0)]
    made = priced(rows, [HOURLY, DAILY], new_york() + round_the_clock(day, day))
    assert prices(made) == {day: 30721.0}
    assert prices(made, "utc_day") == {day: 5.0}


def test_an_exchange_traded_asset_has_the_same_row_in_both_conventions():
    day = date(2025, 11, 28)
    rows = [
        bar(
            "a",
            "^RUT",
            "1d",
            open_at(day),
            open=9.0,
            high=12.0,
            low=8.0,
            close=10.0,
            adj_close=9.5,
            volume=7.0,
        )
    ]
    made = priced(rows, [RUT])
    assert made["convention"].to_list() == ["session_close", "utc_day"]
    for row in made.iter_rows(named=True):
        assert [row[name] for name in ("open", "high", "low", "close", "volume")] == [9, 12, 8, 10, 7]
        assert row["adj_close"] == 9.5
        assert row["price_at"] == at(day, 18)


def test_a_bar_that_opened_on_no_session_of_its_calendar_has_no_row():
    holiday = datetime(2024, 7, 4, 13, 30, tzinfo=UTC)
    assert priced([bar("a", "^RUT", "1d", holiday, close=10.0)], [RUT]).is_empty()


def test_without_adjusted_closes_the_close_counts_for_total_returns():
    made = priced([bar("a", "^RUT", "1d", open_at(date(2025, 3, 7)), close=10.0)], [RUT])
    assert made["adj_close"].to_list() == [10.0, 10.0]


def test_a_withdrawn_daily_bar_has_no_row():
    withdrawn = bar("a", "^RUT", "1d", open_at(date(2025, 3, 7)), close=None, volume=None)
    assert priced([withdrawn], [RUT]).is_empty()


@pytest.mark.parametrize(
    ("day", "hour"),
    [(date(2024, 7, 5), 20), (date(2025, 3, 7), 21), (date(2024, 7, 3), 17), (date(2025, 11, 28), 18)],
)
def test_volatility_is_priced_a_quarter_of_an_hour_after_the_close(day, hour):
    made = priced([bar("a", "^VIX", "1d", open_at(day), close=15.0)], [VIX])
    assert made["price_at"].to_list() == [at(day, hour, 15)] * 2  # 16:15 New York on a normal day
    assert made["staleness_minutes"].to_list() == [0, 0]


# Several sources


def fallback(**more):
    return listing("RUT", "b", "RUT.B", "1d", kind="index", calendar="XNYS", rank=1, **more)


def test_the_first_source_serves_and_the_next_one_where_it_has_no_price():
    thursday, friday, monday = date(2025, 3, 6), date(2025, 3, 7), date(2025, 3, 10)
    rows = [
        bar("a", "^RUT", "1d", open_at(thursday), close=10.0),
        bar("a", "^RUT", "1d", open_at(monday), close=None, volume=None),
        bar("b", "RUT.B", "1d", open_at(thursday), close=20.0),
        bar("b", "RUT.B", "1d", open_at(friday), close=21.0),
        bar("b", "RUT.B", "1d", open_at(monday), close=22.0),
    ]
    made = priced(rows, [fallback(price_basis="adjusted"), RUT]).filter(convention="session_close")
    assert made.select("session", "close", "source", "price_basis").rows() == [
        (thursday, 10.0, "a", "raw"),
        (friday, 21.0, "b", "adjusted"),
        (monday, 22.0, "b", "adjusted"),
    ]


def test_where_the_first_sources_candle_is_too_old_the_next_source_prices_the_whole_span():
    first, last = at(date(2025, 3, 6), 21), at(date(2025, 3, 10), 20)
    friday = at(date(2025, 3, 7), 21)
    outage = {friday - HOUR * n for n in range(7)}
    rows = candles(first, last, outage) + candles(first, last, source="b")
    second = listing("ETH", "b", "ETHUSDT", "1h", rank=1)
    made = priced(rows, [second, HOURLY])
    assert made.select("close", "source", "volume").rows() == [(30721.0, "b", 24.0), (31020.0, "a", 71.0)]


def test_two_assets_may_share_a_symbol_of_a_source():
    twin = {**RUT, "asset": "TWIN"}
    made = priced([bar("a", "^RUT", "1d", open_at(date(2025, 3, 7)), close=10.0)], [RUT, twin])
    assert made["asset"].to_list() == ["RUT", "RUT", "TWIN", "TWIN"]


def test_bars_of_symbols_that_are_not_listed_are_left_out():
    assert priced([bar("a", "DOGE", "1h", at(date(2025, 3, 7), 20), close=1.0)]).is_empty()


# Against a plain loop

CANDLE = st.tuples(
    st.sampled_from(["a", "b"]),
    st.integers(
        0, 5 * 24
    ),  # hours after the first close, so that it ends in one of the three spans or outside
    st.none() | st.integers(1, 1000),
    st.none() | st.integers(0, 50),
)


def by_plain_loop(drawn):
    """Each session's figures, read off the rule of the schema one candle at a time."""
    days = [date(2025, 10, 30), date(2025, 10, 31), date(2025, 11, 3), date(2025, 11, 4)]
    ends = [at(day, NEW_YORK[day]) for day in days]
    expected = {}
    for day, begin, end in zip(days[1:], ends[:-1], ends[1:], strict=True):
        for source in ("a", "b"):
            inside = []
            for provider, hours, close, volume in sorted(drawn, key=lambda candle: candle[1]):
                ended = ends[0] + HOUR * hours
                if provider == source and close is not None and begin < ended <= end:
                    inside.append((ended, float(close), volume))
            if not inside or end - inside[-1][0] > timedelta(hours=6):
                continue
            volumes = [volume for _, _, volume in inside]
            expected[day] = {
                "source": source,
                "open": inside[0][1],
                "high": max(close for _, close, _ in inside) + 1,
                "low": min(close for _, close, _ in inside) / 2,
                "close": inside[-1][1],
                "volume": None if None in volumes else float(sum(volumes)),
                "staleness_minutes": (end - inside[-1][0]) // timedelta(minutes=1),
            }
            break
    return expected


@settings(max_examples=60, deadline=None)
@given(st.lists(CANDLE, max_size=60, unique_by=lambda candle: candle[:2]))
def test_same_instant_closes_are_those_of_a_plain_loop(drawn):
    first = at(date(2025, 10, 30), 20)
    rows = [
        bar(
            source,
            "ETHUSDT",
            "1h",
            first + HOUR * (hours - 1),
            open=close and float(close),
            high=close and close + 1.0,
            low=close and close / 2,
            close=close and float(close),
            volume=None if volume is None else float(volume),
        )
        for source, hours, close, volume in drawn
    ]
    calendar = [row for row in new_york() if date(2025, 10, 30) <= row["session"] <= date(2025, 11, 4)]
    made = priced(rows, [HOURLY, listing("ETH", "b", "ETHUSDT", "1h", rank=1)], calendar)
    expected = by_plain_loop(drawn)
    assert made["session"].to_list() == sorted(expected)
    for row in made.iter_rows(named=True):
        wanted = expected[row["session"]]
        assert {name: row[name] for name in wanted} == wanted
