from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from by_hand import sessions
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from flows import calendars
from schemas import core, mart, raw
from schemas.table import conform, polars_schema, validate
from transforms.breadth import breadth, breadth_proxies
from transforms.grid import trailing

SAMPLES = Path(__file__).parents[2] / "samples"
pytestmark = pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning")  # of the calendars' library
FIRST = date(2021, 1, 1)
KNOWN = datetime(2030, 1, 1, tzinfo=UTC)
FIGURES = ["share_above_50", "share_above_200", "advance_decline", "new_highs_minus_lows"]


def calendar(count):
    """Consecutive days as sessions; the windows do not care about weekends."""
    return sessions([FIRST + timedelta(days=i) for i in range(count)])


def make_bars(prices, source="panel", adjusted=None):
    """Daily bars from lists of prices, one per session; None is no bar."""
    rows = [
        {
            "source": source,
            "symbol": symbol,
            "interval": "1d",
            "opened_at": datetime.combine(FIRST + timedelta(days=i), time(14, 30), UTC),
            "known_at": KNOWN,
            "close": price,
            "adj_close": None if adjusted is None else adjusted[symbol][i],
            "is_known_at_assumed": False,
            "load_id": "1",
        }
        for symbol, series in prices.items()
        for i, price in enumerate(series)
        if price is not None
    ]
    return pl.LazyFrame(rows, schema=polars_schema(raw.Bars))


def make_panels(*bases):
    rows = [{"index_id": "RUT", "basis": b, "source": "panel", "calendar": "TEST"} for b in bases]
    return pl.LazyFrame(rows, schema=polars_schema(core.Panels))


def make_lists(lists, withdrawn=()):
    """Constituents from {day number: symbols}; a corrected list took the withdrawn ones off."""
    rows = [
        {
            "source": "fund",
            "index_id": "RUT",
            "as_of_on": FIRST + timedelta(days=day - 1),  # a list counts from the day after its date
            "symbol": symbol,
            "known_at": KNOWN,
            "weight_pct": None if symbol in withdrawn else 1.0,
            "load_id": "1",
        }
        for day, symbols in lists.items()
        for symbol in symbols
    ]
    return pl.LazyFrame(rows, schema=polars_schema(raw.Constituents))


def run(prices, count, bases=("panel",), lists=None, withdrawn=(), **options):
    made = breadth(
        make_bars(prices, **options),
        make_lists(lists or {}, withdrawn),
        make_panels(*bases),
        calendar(count + 50),
    )
    return validate(made.collect(), mart.Breadth)


def test_advance_decline_by_hand():
    made = run({"A": [1.0, 2, 3, 3], "B": [5.0, 6, 5, 5], "C": [9.0, 8, 7, 8]}, 4)
    # +2-1, then +1-2, then +1 with two unchanged
    assert made["advance_decline"].to_list() == [None, 1.0, 0.0, 1.0]
    assert made["members"].to_list() == [3, 3, 3, 3]
    assert made["session"].to_list() == [FIRST + timedelta(days=i) for i in range(4)]


def test_advance_decline_goes_on_after_a_session_without_a_quorum():
    prices = {"A": [1.0, 2, None, 3, 4], "B": [1.0, 2, None, 3, 4], "C": [1.0, 2, 3, 4, 5]}
    # bars on session 2 for 1 of 3; on session 3 only C has one before; on session 4 all three advance
    assert run(prices, 5)["advance_decline"].to_list() == [None, 3.0, None, None, 6.0]


def test_shares_need_bars_on_nine_tenths_of_the_sessions():
    rising, falling = [float(i) for i in range(1, 61)], [float(i) for i in range(60, 0, -1)]
    made = run({"A": rising, "B": falling, "C": rising}, 60)
    assert made["share_above_50"].to_list() == [None] * 44 + [pytest.approx(2 / 3)] * 16


def test_one_missing_bar_nulls_a_member_for_one_session_only():
    rising, falling = [float(i) for i in range(1, 61)], [float(i) for i in range(60, 0, -1)]
    falling[55] = None
    shares = run({"A": rising, "B": falling, "C": rising}, 60)["share_above_50"].to_list()
    assert shares[54:57] == [pytest.approx(2 / 3), 1.0, pytest.approx(2 / 3)]


def test_windows_count_sessions_not_rows():
    every_second = [float(i) if i % 2 == 0 else None for i in range(400)]
    made = run({"A": every_second, "B": every_second}, 400)
    assert made["share_above_50"].null_count() == made.height


def test_quorum_is_three_fifths_exactly():
    names = ["A", "B", "C", "D", "E"]
    three = {n: [1.0, 2.0, 3.0 if i < 3 else None] for i, n in enumerate(names)}
    two = {n: [1.0, 2.0, 3.0 if i < 2 else None] for i, n in enumerate(names)}
    assert run(three, 3)["advance_decline"].to_list() == [None, 5.0, 8.0]
    assert run(two, 3)["advance_decline"].to_list() == [None, 5.0, None]


def test_a_member_that_stops_leaves_after_twenty_sessions():
    prices = {"A": [1.0] * 40, "B": [1.0] * 10 + [None] * 30}
    made = run(prices, 40)
    assert made["members"].to_list() == [2] * 29 + [1] * 11  # its last bar is that of session 9


def test_a_flat_price_is_not_above_its_mean():
    made = run({"A": [0.1] * 300, "B": [7.77] * 300}, 300)
    assert made["share_above_50"].drop_nulls().unique().to_list() == [0.0]
    assert made["share_above_200"].drop_nulls().unique().to_list() == [0.0]
    assert made["new_highs_minus_lows"].drop_nulls().unique().to_list() == [0.0]


def test_an_outlier_that_left_the_window_leaves_no_trace():
    rng = np.random.default_rng(3)
    prices = 10 + rng.normal(0, 1e-6, 120)
    clean = run({"A": prices.tolist()}, 120)
    prices[5] = 1e12
    spiked = run({"A": prices.tolist()}, 120)
    assert spiked["share_above_50"][60:].equals(clean["share_above_50"][60:])


def test_new_highs_minus_lows_by_hand():
    up, down = [float(i) for i in range(1, 261)], [float(i) for i in range(260, 0, -1)]
    middle = [100.0 + i % 7 for i in range(259)] + [102.5]
    made = run({"A": up, "B": up, "C": down, "D": middle}, 260)
    assert made["new_highs_minus_lows"].to_list()[226] is not None
    assert made["new_highs_minus_lows"].to_list()[:226] == [None] * 226
    assert made["new_highs_minus_lows"][-1] == 1.0  # two highs, one low


def test_adjusted_closes_count_where_delivered():
    halved = {"A": [10.0, 11, 5.6]}  # a split two for one after session 1
    adjusted = {"A": [5.0, 5.5, 5.6]}
    assert run(halved, 3)["advance_decline"].to_list() == [None, 1.0, 0.0]
    assert run(halved, 3, adjusted=adjusted)["advance_decline"].to_list() == [None, 1.0, 2.0]


def test_a_symbol_has_adjusted_closes_throughout_or_not_at_all():
    raw_after = run({"A": [10.0, 11, 5.6]}, 3, adjusted={"A": [5.0, 5.5, None]})
    # not 5.6 against 5.5: the last session has no price of the kind that the others have
    assert raw_after["advance_decline"].to_list() == [None, 1.0, None]
    raw_before = run({"A": [10.0, 11, 5.6]}, 3, adjusted={"A": [None, 5.5, 5.6]})
    assert raw_before["advance_decline"].to_list() == [None, 1.0, 0.0]


def test_withdrawn_hourly_and_foreign_bars_are_no_bars():
    good = make_bars({"A": [1.0, 2, 3]})
    withdrawn = make_bars({"B": [1.0, 2, 3]}).with_columns(close=pl.lit(None, pl.Float64))
    hourly = make_bars({"C": [1.0, 2, 3]}).with_columns(interval=pl.lit("1h"))
    foreign = make_bars({"D": [1.0, 2, 3]}, source="elsewhere")
    every = pl.concat([good, withdrawn, hourly, foreign])
    made = breadth(every, make_lists({}), make_panels("panel"), calendar(9)).collect()
    assert made["members"].to_list() == [1, 1, 1]


def test_constituents_are_those_of_the_newest_list_by_then():
    prices = {s: [float(i) for i in range(1, 11)] for s in ("A", "B", "C")}
    lists = {3: ["A", "B", "-", "P5N994"], 6: ["C", "BRK.B", "-"]}
    made = run(prices, 10, bases=("constituents",), lists=lists)
    assert made["session"].to_list() == [FIRST + timedelta(days=i) for i in range(3, 10)]
    assert made["members"].to_list() == [2] * 7
    # on session 6 one of two members has a bar: no quorum
    assert made["advance_decline"].to_list() == [2.0, 4.0, 6.0, None, None, None, None]


def test_a_symbol_that_a_corrected_list_took_off_is_no_member():
    prices = {s: [float(i) for i in range(1, 11)] for s in ("A", "B", "C")}
    made = run(prices, 10, bases=("constituents",), lists={3: ["A", "B", "C"]}, withdrawn=["B"])
    assert made["members"].to_list() == [2] * 7


def test_a_member_that_joins_brings_its_earlier_bars():
    rising = [float(i) for i in range(1, 61)]
    made = run({"A": rising, "B": rising}, 60, bases=("constituents",), lists={50: ["A"], 55: ["A", "B"]})
    assert made["share_above_50"].to_list() == [1.0] * 10
    assert made["advance_decline"].to_list() == [1.0, 2, 3, 4, 5, 7, 9, 11, 13, 15]


def test_members_without_any_bars_count_as_members():
    made = run({"A": [1.0, 2]}, 2, bases=("constituents",), lists={0: ["A", "B", "C"]})
    assert made["members"].to_list() == [3, 3]
    assert made["advance_decline"].null_count() == 2


def test_no_panels_no_bars_and_no_lists_give_no_rows():
    assert run({"A": [1.0]}, 1, bases=()).is_empty()
    assert run({}, 1, bases=("panel", "constituents"), lists={0: ["A"]}).is_empty()
    assert run({"A": [1.0]}, 1, bases=("constituents",)).is_empty()


def test_rows_end_with_the_newest_daily_bar_of_any_source():
    bars = pl.concat([make_bars({"A": [1.0, 2]}), make_bars({"SPY": [1.0] * 30}, source="other")])
    made = breadth(bars, make_lists({}), make_panels("panel"), calendar(99)).collect()
    assert made["members"].to_list() == [1] * 21 + [0] * 9
    assert made["advance_decline"].null_count() == 29


def facts(one, s):
    """What is true of a member at a session, straight from the definitions; None if it is not in use."""
    if np.isnan(one[max(0, s - 19) : s + 1]).all():
        return None
    fact = {"move": np.sign(one[s] - one[s - 1]) if s else np.nan}
    for window in (50, 200, 252):
        seen = one[max(0, s - window + 1) : s + 1]
        seen = seen[~np.isnan(seen)]
        if np.isnan(one[s]) or len(seen) < 0.9 * window:
            fact[window] = np.nan
        elif window == 252:
            fact[window] = int(one[s] == seen.max()) - int(one[s] == seen.min())
        else:
            fact[window] = int(one[s] > seen.mean() * (1 + 1e-9))  # a tie is not above
    return fact


def reference(prices):
    """The figures by loops over sessions and members; prices of shape (members, sessions)."""
    rows = []
    for s in range(prices.shape[1]):
        in_use = [fact for one in prices if (fact := facts(one, s)) is not None]
        row = {"members": len(in_use)}
        for label in ("move", 50, 200, 252):
            known = [fact[label] for fact in in_use if not np.isnan(fact[label])]
            enough = in_use and len(known) / len(in_use) >= 0.6
            row[label] = np.array(known, dtype=float) if enough else None
        rows.append(row)
    lines = {"advance_decline": [], "share_above_50": [], "share_above_200": [], "new_highs_minus_lows": []}
    total = 0.0
    for row in rows:
        total += 0 if row["move"] is None else row["move"].sum()
        lines["advance_decline"].append(None if row["move"] is None else total)
        lines["share_above_50"].append(None if row[50] is None else row[50].mean())
        lines["share_above_200"].append(None if row[200] is None else row[200].mean())
        lines["new_highs_minus_lows"].append(None if row[252] is None else row[252].sum())
    members = pl.Series("members", [row["members"] for row in rows], dtype=pl.Int32)
    return pl.DataFrame(lines, schema=dict.fromkeys(lines, pl.Float64)).with_columns(members)


@st.composite
def random_panels(draw):
    """Random walks with missing bars, late starts, early ends and one outage of all members."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    members, count = draw(st.integers(1, 6)), 320
    prices = np.round(50 * np.exp(rng.normal(0, 0.03, (members, count)).cumsum(axis=1)), 2)
    prices[rng.random(prices.shape) < draw(st.sampled_from([0, 0.02, 0.12]))] = np.nan
    for one in prices:
        one[: rng.integers(0, 60)] = np.nan
        one[count - rng.integers(0, 60) :] = np.nan
    gap = draw(st.integers(0, count))
    prices[:, gap : gap + draw(st.sampled_from([0, 5, 30]))] = np.nan
    return prices


def as_lists(prices):
    return {chr(65 + i): [None if np.isnan(x) else x for x in one] for i, one in enumerate(prices.tolist())}


def with_clock(prices):
    """The bars of a panel beside those of another source that has one every session."""
    clock = make_bars({"CLOCK": [1.0] * prices.shape[1]}, source="other")
    return pl.concat([make_bars(as_lists(prices)), clock])


@settings(max_examples=12, deadline=None)
@given(prices=random_panels(), cut=st.integers(1, 319), seed=st.integers(0, 99))
def test_figures_equal_loops_whatever_the_order_and_never_look_ahead(prices, cut, seed):
    bars, lists, panel = with_clock(prices), make_lists({}), make_panels("panel")
    made = breadth(bars, lists, panel, calendar(400)).collect()
    expected = reference(prices)
    start = (expected["members"] > 0).arg_max() if expected["members"].sum() else len(expected)
    assert_frame_equal(made.select("members", *FIGURES), expected[start:].select("members", *FIGURES))
    shuffled = bars.collect().sample(fraction=1.0, shuffle=True, seed=seed).lazy()
    assert_frame_equal(breadth(shuffled, lists, panel, calendar(400)).collect(), made)
    until = FIRST + timedelta(days=cut)
    earlier = breadth(bars.filter(pl.col("opened_at").dt.date() <= until), lists, panel, calendar(400))
    assert_frame_equal(earlier.collect(), made.filter(pl.col("session") <= until))


@given(
    values=st.lists(st.integers(-1000, 1000), min_size=1, max_size=60),
    windows=st.lists(st.integers(1, 70), min_size=1, max_size=3),
)
def test_trailing_equals_windows_taken_one_by_one(values, windows):
    row = np.array([values], dtype=float)
    sums = trailing(row, windows, np.add, empty=0.0)
    highest = trailing(row, windows, np.maximum, empty=-np.inf)
    for at, window in enumerate(windows):
        one_by_one = [values[max(0, i - window + 1) : i + 1] for i in range(len(values))]
        assert sums[at][0].tolist() == [sum(w) for w in one_by_one]
        assert highest[at][0].tolist() == [max(w) for w in one_by_one]
    assert row.tolist() == [values]


@pytest.fixture(scope="module")
def sample():
    """The recorded panel with the sessions of its exchange, and the S&P 500 fund as a second source."""
    sessions = calendars.sessions("XNYS", 2020, 2027)
    files = {"panel": "smallcaps_1d.parquet", "other": "equity_1d.parquet"}
    bars = [
        pl.read_parquet(SAMPLES / path)
        .join(sessions.select("session", opened_at="open_at"), left_on="date", right_on="session")
        .with_columns(
            source=pl.lit(source),
            interval=pl.lit("1d"),
            known_at=pl.col("opened_at"),
            is_known_at_assumed=pl.lit(value=True),
            load_id=pl.lit("1"),
        )
        .lazy()
        .pipe(conform, raw.Bars)
        for source, path in files.items()
    ]
    panel = make_panels("panel").with_columns(calendar=pl.lit("XNYS"))
    return pl.concat(bars).collect().lazy(), panel, sessions.lazy()


@pytest.fixture(scope="module")
def recorded(sample):
    bars, panel, sessions = sample
    return validate(breadth(bars, make_lists({}), panel, sessions).collect(), mart.Breadth)


def test_the_sample_equals_pandas(sample, recorded):
    bars, _, sessions = sample
    daily = bars.filter(pl.col("source") == "panel").join(sessions, left_on="opened_at", right_on="open_at")
    wide = daily.select("session", "symbol", "close").collect().to_pandas()
    wide = wide.pivot_table(index="session", columns="symbol", values="close")
    wide = wide.reindex(pd.to_datetime(recorded["session"].to_pandas()))
    members = wide.notna().rolling(20, min_periods=1).max().sum(axis=1)
    assert recorded["members"].to_list() == members.astype(int).to_list()
    for window in (50, 200):
        mean = wide.rolling(window, min_periods=int(0.9 * window)).mean()
        known = (mean.notna() & wide.notna()).sum(axis=1)
        share = (wide > mean * (1 + 1e-9)).sum(axis=1) / known
        share = share.where((members > 0) & (known >= 0.6 * members))
        expected = pl.Series(share.to_numpy(), nan_to_null=True)
        difference = (recorded[f"share_above_{window}"] - expected).abs()
        assert recorded[f"share_above_{window}"].is_null().equals(expected.is_null())
        assert difference.max() < 1e-12
    move = np.sign(wide - wide.shift(1))
    net = move.sum(axis=1).where(move.notna().sum(axis=1) >= np.maximum(0.6 * members, 1))
    line = pl.Series(net.cumsum().to_numpy(), nan_to_null=True)
    assert recorded["advance_decline"].to_list() == line.to_list()


def test_the_gap_of_the_sample_is_null_until_the_windows_are_warm_again(recorded):
    gap = recorded.filter(pl.col("session").is_between(date(2025, 4, 5), date(2025, 8, 21)))
    assert gap.height == 95
    assert gap.select(FIGURES).null_count().row(0) == (95, 95, 95, 95)
    after = recorded.filter(pl.col("session") > date(2025, 8, 21))
    warm = {name: after.filter(pl.col(name).is_not_null())["session"].min() for name in FIGURES}
    nth = {name: after["session"].index_of(session) for name, session in warm.items()}
    assert nth == {
        "share_above_50": 44,
        "share_above_200": 179,
        "advance_decline": 1,
        "new_highs_minus_lows": 226,
    }


@pytest.mark.parametrize("until", [date(2021, 3, 1), date(2025, 4, 4), date(2025, 6, 2), date(2026, 8, 20)])
def test_the_sample_up_to_a_session_does_not_know_what_follows(sample, recorded, until):
    bars, panel, sessions = sample
    earlier = bars.filter(pl.col("opened_at").dt.date() <= until)
    made = breadth(earlier, make_lists({}), panel, sessions).collect()
    assert_frame_equal(made, recorded.filter(pl.col("session") <= until))


def make_closes(prices, convention="session_close"):
    rows = [
        {"asset": asset, "convention": convention, "session": FIRST + timedelta(days=i), "close": price}
        for asset, series in prices.items()
        for i, price in enumerate(series)
        if price is not None
    ]
    return pl.LazyFrame(rows, schema=polars_schema(core.Closes))


def test_proxies_are_ratios_on_sessions_with_both():
    prices = {"IWM": [2.0] * 50 + [4.0, None, 4.0], "SPY": [4.0] * 52 + [8.0], "QQQ": [1.0] * 53}
    closes = pl.concat([make_closes(prices), make_closes({"IWM": [9.0], "SPY": [1.0]}, "utc_day")])
    made = validate(breadth_proxies(closes).collect(), mart.BreadthProxies)
    assert made["proxy"].unique().to_list() == ["IWM/SPY"]
    assert made["ratio"].to_list() == [0.5] * 50 + [1.0, 0.5]
    assert made["ratio_sma_50"].to_list() == [None] * 49 + [0.5, 0.51, 0.51]
    assert made["is_above_sma_50"].to_list() == [None] * 49 + [False, True, False]
    assert made["session"][-1] == FIRST + timedelta(days=52)


def test_proxies_never_look_ahead_and_ignore_the_order_of_rows():
    rng = np.random.default_rng(1)
    walks = np.exp(rng.normal(0, 0.01, (3, 150)).cumsum(axis=1))
    closes = make_closes(dict(zip(["IWM", "SPY", "RSP"], walks.tolist(), strict=True)))
    made = breadth_proxies(closes).collect()
    shuffled = closes.collect().sample(fraction=1.0, shuffle=True, seed=2).lazy()
    assert_frame_equal(breadth_proxies(shuffled).collect(), made)
    assert made["proxy"].unique(maintain_order=True).to_list() == ["IWM/SPY", "RSP/SPY"]
    for day in (10, 49, 50, 120):
        until = FIRST + timedelta(days=day)
        earlier = breadth_proxies(closes.filter(pl.col("session") <= until)).collect()
        assert_frame_equal(earlier, made.filter(pl.col("session") <= until))
