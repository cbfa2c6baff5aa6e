"""Each condition by hand, true, false and unknown; how they add up, and in which order the states apply."""

from contextlib import closing
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from schemas import core, mart
from schemas.table import polars_schema, validate
from transforms.signals import CONDITIONS, any_within, signals
from transforms.study import Study
from warehouse.reader import connect

STUDY = Study("ETH", "RUT", ("SPY",), "XNYS", (30, 60, 90), 0.5, (("ETH", "RUT"),))
FIRST = date(2024, 1, 1)
LENGTH = 30  # sessions in most tests; the last one is looked at
YEAR = 252
FIGURES = ("rsi_14", "macd_hist", "bb_bandwidth", "donchian_high_20", "sma_200")


def day(n):
    """Every other day is a session, so that between two of them others may trade."""
    return FIRST + timedelta(2 * n)


class Market:
    """Flat inputs of the transform that a test bends; series are lists, one value a session, None is no row.

    As made, the link is true, breadth is half true, and every other condition of both sides is false.
    """

    def __init__(self, length=LENGTH, assets=("ETH", "RUT")):
        self.length = length
        self.link = {("ETH", "RUT"): [True] * length}
        self.side = {asset: self._flat() for asset in assets}
        self.lenders = dict.fromkeys(assets)
        self.breadth = {("RUT", "constituents"): [0.5] * length}
        self.composite = [0.0] * length

    def _flat(self):
        level = {
            "close": 100.0,
            "volume": 1000.0,
            "rsi_14": 50.0,
            "macd_hist": -1.0,
            "bb_bandwidth": 0.1,
            "donchian_high_20": 110.0,
            "sma_200": 90.0,
        }
        return {name: [value] * self.length for name, value in level.items()}

    def rows(self, model, rows):
        return pl.LazyFrame(rows, schema=polars_schema(model))

    def inputs(self):
        close = [
            {
                "asset": asset,
                "convention": "session_close",
                "session": day(n),
                "close": side["close"][n],
                "volume": side["volume"][n],
            }
            for asset, side in self.side.items()
            for n in range(self.length)
            if side["close"][n] is not None
        ]
        figures = [
            {
                "asset": asset,
                "convention": "session_close",
                "session": day(n),
                "indicator": name,
                "value": side[name][n],
            }
            for asset, side in self.side.items()
            for name in FIGURES
            for n in range(self.length)
            if side["close"][n] is not None
        ]
        links = [
            {
                "asset": asset,
                "benchmark": benchmark,
                "convention": "session_close",
                "window_sessions": 60,
                "session": day(n),
                "n": 60,
                "is_above_threshold": is_above,
            }
            for (asset, benchmark), path in self.link.items()
            for n, is_above in enumerate(path)
        ]
        listings = [
            {
                "asset": asset,
                "name": asset,
                "kind": "crypto",
                "calendar": "XNYS",
                "currency": "USD",
                "volume_from": lender,
                "volume_unit": "base",
                "price_basis": "raw",
                "source": source,
                "symbol": asset,
                "interval": "1d",
                "rank": 0,
                "settle_minutes": 30,
            }
            for asset, lender in self.lenders.items()
            for source in ("a", "b")
        ]
        breadth = [
            {
                "index_id": index,
                "basis": basis,
                "session": day(n),
                "members": 100,
                "share_above_50": share,
            }
            for (index, basis), path in self.breadth.items()
            for n, share in enumerate(path)
            if share != "no row"
        ]
        sessions = [{"calendar": "XNYS", "session": day(n)} for n in range(self.length)]
        liquidity = [{"session": day(n), "composite": value} for n, value in enumerate(self.composite)]
        return [
            self.rows(mart.Correlations, links),
            self.rows(mart.Indicators, figures),
            self.rows(core.Closes, close),
            self.rows(core.Listings, listings),
            self.rows(mart.Breadth, breadth),
            self.rows(mart.Liquidity, liquidity),
            self.rows(core.Sessions, sessions),
        ]

    def table(self, study=STUDY):
        return validate(signals(*self.inputs(), study).collect(), mart.Signals)

    def last(self):
        return self.table().row(-1, named=True)

    def confirm(self):
        """Make all six conditions true at the last session."""
        for side in self.side.values():
            side["rsi_14"][-1], side["macd_hist"][-1] = 60.0, 1.0
            side["volume"][-1] = 2000.0
        self.breadth["RUT", "constituents"][-1] = 0.6
        self.composite[-1] = 0.1
        self.break_out("ETH")
        return self

    def break_out(self, asset):
        """A year of bandwidth of which the second last session is the quietest, then a new high."""
        missing = YEAR + 30 - self.length
        if missing > 0:
            grown = Market(YEAR + 30, tuple(self.side))
            for name, side in self.side.items():
                for figure, values in side.items():
                    grown.side[name][figure][missing:] = values
            grown.lenders = self.lenders
            grown.breadth = {key: path[:1] * missing + path for key, path in self.breadth.items()}
            grown.composite[missing:] = self.composite
            grown.link = {key: path[:1] * missing + path for key, path in self.link.items()}
            vars(self).update(vars(grown))
        side = self.side[asset]
        side["bb_bandwidth"] = [0.10 + 0.0001 * n for n in range(self.length)]
        side["bb_bandwidth"][-2] = 0.01
        side["close"][-1] = 111.0


def test_the_market_of_these_tests_meets_no_condition_but_the_link():
    row = Market().last()
    assert [row[name] for name in CONDITIONS] == [True] + [False] * 5
    assert (row["state"], row["conditions_met"]) == ("neutral", 1)


# The link


@pytest.mark.parametrize("value", [True, False, None])
def test_the_link_is_the_bare_rule_of_the_session(value):
    market = Market()
    market.link["ETH", "RUT"][-1] = value
    assert market.last()["link"] is value


def test_the_link_is_read_off_the_60_session_window_of_same_instant_closes():
    market = Market()
    links, *others = market.inputs()
    away = [
        links.with_columns(is_above_threshold=False, window_sessions=pl.lit(30, pl.Int32)),
        links.with_columns(is_above_threshold=False, window_sessions=pl.lit(90, pl.Int32)),
        links.with_columns(is_above_threshold=False, convention=pl.lit("utc_day")),
    ]
    made = signals(pl.concat([*away, links]), *others, STUDY).collect()
    assert made.height == LENGTH
    assert made["link"].all()


def test_without_a_60_session_window_the_one_that_comes_nearest_counts():
    study = Study("ETH", "RUT", (), "XNYS", (20, 45, 120), 0.5, (("ETH", "RUT"),))
    links, *others = Market().inputs()
    near = links.with_columns(window_sessions=pl.lit(45, pl.Int32))
    far = links.with_columns(is_above_threshold=False, window_sessions=pl.lit(120, pl.Int32))
    assert signals(pl.concat([far, near]), *others, study).collect()["link"].to_list() == [True] * LENGTH


# Momentum


def momentum(before, now, hist, before_b=40.0, now_b=50.0, hist_b=1.0):
    market = Market()
    for asset, figures in (("ETH", (before, now, hist)), ("RUT", (before_b, now_b, hist_b))):
        side = market.side[asset]
        side["rsi_14"][-6], side["rsi_14"][-1], side["macd_hist"][-1] = figures
    return market.last()["momentum"]


@pytest.mark.parametrize(
    ("figures", "expected"),
    [
        ((40.0, 41.0, 0.1), True),
        ((40.0, 40.0, 0.1), False),  # not higher
        ((41.0, 40.0, 0.1), False),
        ((40.0, 41.0, 0.0), False),  # not positive
        ((40.0, 41.0, -0.1), False),
        ((None, 41.0, 0.1), None),
        ((40.0, None, 0.1), None),
        ((40.0, 41.0, None), None),
        ((None, 41.0, -0.1), False),  # one part is false whatever the other is
        ((41.0, 40.0, None), False),
        ((40.0, 41.0, 0.1, 40.0, 39.0, 1.0), False),  # the benchmark falls
        ((40.0, 41.0, 0.1, 40.0, 50.0, -1.0), False),
        ((40.0, 41.0, 0.1, None, 50.0, 1.0), None),
        ((None, 41.0, 0.1, 40.0, 39.0, 1.0), False),  # unknown on one side, false on the other
        ((40.0, 39.0, 0.1, None, None, None), False),
    ],
)
def test_momentum_needs_rsi_above_that_of_five_sessions_ago_and_macd_above_its_signal_on_both(
    figures, expected
):
    assert momentum(*figures) is expected


def test_momentum_is_unknown_in_the_first_five_sessions():
    market = Market()
    for side in market.side.values():
        side["macd_hist"] = [1.0] * LENGTH
        side["rsi_14"] = [40.0 + n for n in range(LENGTH)]
    assert market.table()["momentum"].to_list() == [None] * 5 + [True] * (LENGTH - 5)


# Volume


def volume(values, values_b):
    market = Market()
    market.side["ETH"]["volume"][-len(values) :] = values
    market.side["RUT"]["volume"][-len(values_b) :] = values_b
    return market.last()["volume"]


@pytest.mark.parametrize(
    ("values", "values_b", "expected"),
    [
        ([2000.0], [2000.0], True),  # 1200 against 1050
        ([2000.0], [1000.0], False),  # the same is not above
        ([500.0], [2000.0], False),
        ([3000.0, *[1000.0] * 5], [2000.0], False),  # the surge is six sessions ago: 1000 against 1100
        ([3000.0, *[1000.0] * 4], [2000.0], True),  # and still within five
        ([None, *[2000.0] * 5], [2000.0], None),
        ([None, *[2000.0] * 5], [500.0], False),  # one side is false whatever the other is
        ([2000.0], [0.0] * LENGTH, None),  # an index that reports zeros has no volume
        ([500.0], [0.0] * LENGTH, False),
        ([2000.0], [None] * LENGTH, None),
    ],
)
def test_volume_needs_the_5_session_mean_above_the_20_session_mean_on_both(values, values_b, expected):
    assert volume(values, values_b) is expected


def test_volume_is_unknown_until_there_are_20_sessions_of_it():
    market = Market()
    for side in market.side.values():
        side["volume"] = [1000.0 + n for n in range(LENGTH)]
    assert market.table()["volume"].to_list() == [None] * 19 + [True] * (LENGTH - 19)


def test_an_index_takes_the_volume_of_its_lender():
    market = Market(assets=("ETH", "RUT", "IWM"))
    market.lenders["RUT"] = "IWM"
    market.side["ETH"]["volume"][-1] = market.side["IWM"]["volume"][-1] = 2000.0
    market.side["RUT"]["volume"] = [0.0] * LENGTH
    assert market.last()["volume"] is True
    market.side["IWM"]["volume"][-1] = 500.0
    market.side["RUT"]["volume"] = [1000.0] * (LENGTH - 1) + [2000.0]
    assert market.last()["volume"] is False


def test_a_lender_without_prices_leaves_the_volume_unknown():
    market = Market()
    market.lenders["RUT"] = "IWM"
    market.side["ETH"]["volume"][-1] = 2000.0
    assert market.last()["volume"] is None


def test_volume_that_has_become_zero_is_unknown_whatever_it_was_before():
    market = Market(100)
    once = np.random.default_rng(3).uniform(0.1, 1, 60) * 1e9
    market.side["RUT"]["volume"] = [*map(float, once), *[0.0] * 40]
    market.side["ETH"]["volume"] = [1000.0 + n for n in range(100)]
    assert market.table()["volume"].to_list()[80:] == [None] * 20


def test_a_volume_that_does_not_change_never_swells_whatever_it_was_before():
    market = Market(100)
    once = np.random.default_rng(1).uniform(1e8, 1e9, 60)
    market.side["RUT"]["volume"] = [*map(float, once), *[0.3] * 40]
    market.side["ETH"]["volume"] = [1000.0 + n for n in range(100)]
    assert market.table()["volume"].to_list()[80:] == [False] * 20


# Breadth


def breadth_at_end(before, now):
    market = Market()
    path = market.breadth["RUT", "constituents"]
    path[-11], path[-1] = before, now
    return market.last()["breadth"]


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        (0.5, 0.6, True),
        (0.6, 0.6, False),  # not higher
        (0.7, 0.6, False),
        (0.4, 0.5, False),  # half is not over half
        (0.3, 0.4, False),
        (None, 0.6, None),
        (0.5, None, None),
        (None, 0.4, False),
        ("no row", 0.6, None),
    ],
)
def test_breadth_needs_over_half_the_members_and_more_than_ten_sessions_ago(before, now, expected):
    assert breadth_at_end(before, now) is expected


def test_dated_membership_comes_before_a_panel_of_survivors():
    market = Market()
    market.breadth["RUT", "panel"] = [0.9] * LENGTH
    market.breadth["RUT", "constituents"] = ["no row"] * 25 + [None, 0.6, 0.6, None, 0.1]
    assert market.table()["breadth"].to_list()[-5:] == [False] * 5
    market.breadth["RUT", "panel"] = [0.55 + 0.01 * n for n in range(LENGTH)]
    assert market.table()["breadth"].to_list()[-5:] == [True, True, True, True, False]


def test_breadth_is_compared_with_that_of_the_same_basis():
    market = Market()
    market.breadth["RUT", "panel"] = [0.55] * LENGTH
    market.breadth["RUT", "constituents"] = ["no row"] * 12 + [0.6 + 0.01 * n for n in range(18)]
    # 0.6 of the members is no improvement on 0.55 of the survivors; ten sessions later members have a past
    assert market.table()["breadth"].to_list() == [None] * 10 + [False] * 12 + [True] * 8


def test_a_benchmark_without_breadth_of_its_own_is_judged_by_that_of_the_study():
    market = Market(assets=("ETH", "RUT", "GLD", "SPY"))
    market.link |= {("ETH", "GLD"): [True] * LENGTH, ("ETH", "SPY"): [True] * LENGTH}
    market.breadth["RUT", "constituents"][-1] = 0.6
    market.breadth["SPY", "constituents"] = [0.7] * (LENGTH - 1) + [0.3]
    made = market.table().filter(session=day(LENGTH - 1))
    assert dict(made.select("benchmark", "breadth").iter_rows()) == {"RUT": True, "GLD": True, "SPY": False}
    assert dict(made.select("benchmark", "state").iter_rows())["SPY"] == "risk_off"


def test_without_any_breadth_it_is_unknown_and_weakness_is_the_benchmarks_alone():
    market = Market()
    market.breadth = {}
    row = market.last()
    assert (row["breadth"], row["state"]) == (None, "neutral")
    market.side["RUT"]["sma_200"][-1] = 101.0
    assert market.last()["state"] == "risk_off"


# Liquidity


@pytest.mark.parametrize(("composite", "expected"), [(0.1, True), (0.0, False), (-0.1, False), (None, None)])
def test_liquidity_needs_a_composite_above_zero(composite, expected):
    market = Market()
    market.composite[-1] = composite
    assert market.last()["liquidity"] is expected


# Breakout


def broken_out(*, high=-1, quiet=-2, length=YEAR + 60):
    """The last session's breakout, with a new high and a quiet session at the given places."""
    market = Market(length)
    side = market.side["ETH"]
    side["bb_bandwidth"] = [0.10 + 0.0001 * n for n in range(length)]  # widening: never the lowest quintile
    if quiet is not None:
        side["bb_bandwidth"][quiet] = 0.01
    if high is not None:
        side["close"][high] = 111.0
    return market.last()["breakout"]


@pytest.mark.parametrize(
    ("high", "quiet", "expected"),
    [
        (-1, -2, True),
        (-1, -21, True),  # 20 sessions before
        (-1, -22, False),  # 21 before
        (-1, -1, False),  # quiet only on the day itself
        (-5, -6, True),  # within the last 5 sessions
        (-5, -25, True),
        (-6, -7, False),  # 6 sessions ago
        (-1, None, False),
        (None, -2, False),
    ],
)
def test_a_breakout_is_a_new_high_within_5_sessions_out_of_quiet_in_the_20_before(high, quiet, expected):
    assert broken_out(high=high, quiet=quiet) is expected


def test_a_close_at_the_high_is_not_above_it():
    market = Market(YEAR + 60)
    market.break_out("ETH")
    market.side["ETH"]["close"][-1] = 110.0
    assert market.last()["breakout"] is False


def test_the_breakout_is_the_targets_alone():
    market = Market(YEAR + 60)
    market.break_out("RUT")
    assert market.last()["breakout"] is not True


@pytest.mark.parametrize(("below", "expected"), [(0, True), (50, True), (51, False), (60, False)])
def test_quiet_is_the_lowest_quintile_of_the_last_252_sessions(below, expected):
    # Of 252 values the 20 % quantile lies at place 0.2 * 251 = 50.2, counted from 0. With 50 below it a value
    # has place 50 and lies below the quantile; with 51 it is itself the upper neighbour, above the quantile.
    market = Market(YEAR + 60)
    side = market.side["ETH"]
    quiet = market.length - 2
    window = range(quiet - YEAR + 1, quiet)
    side["bb_bandwidth"] = [9.0] * market.length
    for place, n in enumerate(window):
        side["bb_bandwidth"][n] = 0.01 if place < below else 9.0 + place
    side["bb_bandwidth"][quiet] = 5.0
    side["bb_bandwidth"][-1] = 99.0
    side["close"][-1] = 111.0
    for n in range(market.length - 22, quiet):  # nothing else in the 20 sessions before is quiet
        assert side["bb_bandwidth"][n] > 8
    assert market.last()["breakout"] is expected


def test_a_breakout_is_unknown_with_less_than_a_year_of_bandwidth():
    assert broken_out(length=YEAR) is None  # of the 20 sessions before, none has a year behind it
    assert broken_out(length=YEAR + 1) is True


def test_without_a_close_above_the_high_nothing_was_broken_even_while_quiet_is_unknown():
    assert Market().table()["breakout"].to_list() == [None] * 4 + [False] * (LENGTH - 4)


def test_a_missing_price_leaves_the_breakout_unknown_for_five_sessions_unless_there_was_one():
    market = Market(YEAR + 60)
    market.break_out("ETH")
    side = market.side["ETH"]
    side["bb_bandwidth"][-9], side["close"][-1], side["close"][-7] = 0.01, 100.0, None
    assert market.table()["breakout"].to_list()[-8:] == [False, *[None] * 5, False, False]
    side["close"][-5] = 111.0
    assert market.table()["breakout"].to_list()[-8:] == [False, None, None, *[True] * 5]


def test_a_missing_price_leaves_what_is_quiet_known_for_the_rest_of_the_year():
    market = Market(YEAR + 60)
    market.break_out("ETH")
    market.side["ETH"]["close"][-40] = None
    assert market.last()["breakout"] is True
    market.side["ETH"]["bb_bandwidth"][-2] = 0.2  # widening: nothing in the 20 sessions before is quiet
    assert market.last()["breakout"] is False


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ([False] * 3, False),
        ([True, False, False], True),
        ([None, None, True], True),  # one is enough, whatever the others are
        ([None, False, False], None),
        ([False, None], None),
        ([None] * 3, None),
        ([True, False, False, False], False),  # four ago
    ],
)
def test_any_of_the_last_three_is_true_false_or_unknown(flags, expected):
    frame = pl.DataFrame({"flag": pl.Series(flags, dtype=pl.Boolean)})
    assert frame.select(any_within(pl.col("flag"), 3)).to_series()[-1] is expected


# States


def test_all_six_conditions_confirm():
    row = Market().confirm().last()
    assert [row[name] for name in CONDITIONS] == [True] * 6
    assert (row["conditions_met"], row["state"]) == (6, "confirmed")
    assert row["reason"] == "all six conditions hold"


@pytest.mark.parametrize("condition", [name for name in CONDITIONS if name != "link"])
def test_five_of_six_are_watched_whether_the_sixth_is_false_or_unknown(condition):
    spoil = {
        "momentum": [lambda m: m.side["ETH"]["macd_hist"], -1.0],
        "volume": [lambda m: m.side["ETH"]["volume"], 1.0],
        "breadth": [lambda m: m.breadth["RUT", "constituents"], 0.5],
        "liquidity": [lambda m: m.composite, -1.0],
        "breakout": [lambda m: m.side["ETH"]["close"], 100.0],
    }
    series, false = spoil[condition]
    for value in (false, None):
        market = Market().confirm()
        series(market)[-1] = value
        row = market.last()
        assert row[condition] is (None if value is None else False)
        if condition == "breakout" and value is None:  # without a price the others are unknown too
            continue
        assert (row["conditions_met"], row["state"]) == (5, "watch")


@pytest.mark.parametrize(("others", "state"), [(2, "neutral"), (3, "watch"), (4, "watch")])
def test_a_link_is_watched_with_at_least_three_others(others, state):
    market = Market().confirm()
    market.composite[-1] = 0.0 if others < 5 else 1.0
    if others < 4:
        market.side["ETH"]["close"][-1] = 100.0
    if others < 3:
        market.side["RUT"]["volume"][-1] = 1.0
    row = market.last()
    assert (row["conditions_met"], row["state"]) == (others + 1, state)
    assert row["reason"] == f"linked, and {others} of the 5 other conditions hold"


def test_without_a_link_nothing_is_watched():
    market = Market().confirm()
    market.link["ETH", "RUT"][-1] = False
    row = market.last()
    assert (row["conditions_met"], row["state"]) == (5, "neutral")
    assert row["reason"] == "the correlation is not above the threshold"


def weak(market, how):
    if "sma" in how:
        market.side["RUT"]["sma_200"][-1] = 100.5
    if "breadth" in how:
        market.breadth["RUT", "constituents"][-1] = 0.39
    return market


@pytest.mark.parametrize("how", ["sma", "breadth", "sma and breadth"])
def test_a_link_to_a_weak_benchmark_is_risk_off_before_anything_else(how):
    row = weak(Market().confirm(), how).last()
    assert row["state"] == "risk_off"
    assert row["reason"] == "linked to a benchmark below its 200-session mean, or to breadth below 40 %"


def test_the_bounds_of_weakness_are_not_weak():
    market = Market()
    market.side["RUT"]["sma_200"][-1] = 100.0
    market.breadth["RUT", "constituents"][-1] = 0.40
    assert market.last()["state"] == "neutral"


def test_an_unknown_sign_of_weakness_is_none_but_a_known_one_is_enough():
    market = Market().confirm()
    market.side["RUT"]["sma_200"][-1] = None
    assert market.last()["state"] == "confirmed"
    assert weak(market, "breadth").last()["state"] == "risk_off"


@pytest.mark.parametrize("how", ["", "sma and breadth"])
def test_without_a_link_weakness_does_not_matter(how):
    market = weak(Market(), how)
    market.link["ETH", "RUT"][-1] = False
    assert market.last()["state"] == "neutral"


@pytest.mark.parametrize("how", ["", "sma and breadth"])
def test_an_unknown_link_is_unknown_before_anything_else(how):
    market = weak(Market().confirm(), how)
    market.link["ETH", "RUT"][-1] = None
    row = market.last()
    assert row["state"] == "unknown"
    assert row["reason"].startswith("the link is unknown; unknown: link (")


def test_the_reason_names_every_unknown_condition_and_why():
    market = Market()
    market.composite[-1] = market.side["ETH"]["donchian_high_20"][-1] = None
    reason = market.last()["reason"]
    assert reason == (
        "linked, and 0 of the 5 other conditions hold; unknown: "
        "liquidity (a macro series is not public yet, or has ended), "
        "breakout (less than a year of Bollinger bandwidth, or a price is missing)"
    )


def test_every_row_names_exactly_its_unknown_conditions():
    market = Market().confirm()
    market.side["ETH"]["close"][-3] = None
    market.breadth["RUT", "constituents"][40] = None
    for row in market.table().iter_rows(named=True):
        unknown = row["reason"].partition("; unknown: ")[2]
        assert {name for name in CONDITIONS if f"{name} (" in unknown} == {
            name for name in CONDITIONS if row[name] is None
        }
        assert row["conditions_met"] == sum(row[name] is True for name in CONDITIONS)


# The table


def shaken(length=YEAR + 40):
    """Two pairs whose every input moves at random."""
    rng = np.random.default_rng(11)
    market = Market(length, ("ETH", "BTC", "RUT"))
    market.link = {(asset, "RUT"): (rng.random(length) < 0.7).tolist() for asset in ("ETH", "BTC")}
    for side in market.side.values():
        side["close"] = (100 + rng.normal(0, 8, length)).tolist()
        side["volume"] = rng.uniform(500, 1500, length).tolist()
        side["rsi_14"] = rng.uniform(20, 80, length).tolist()
        side["macd_hist"] = rng.normal(0, 1, length).tolist()
        side["bb_bandwidth"] = rng.uniform(0.01, 0.2, length).tolist()
    market.breadth["RUT", "constituents"] = rng.uniform(0.3, 0.8, length).tolist()
    market.composite = rng.normal(0, 1, length).tolist()
    return market


@pytest.mark.parametrize("cut", [25, YEAR, YEAR + 20])
def test_nothing_changes_when_later_rows_are_cut(cut):
    market = shaken()
    whole = market.table()
    assert whole["state"].n_unique() >= 3
    inputs = [
        frame.filter(pl.col("session") < day(cut)) if "session" in frame.collect_schema() else frame
        for frame in market.inputs()
    ]
    assert_frame_equal(signals(*inputs, STUDY).collect(), whole.filter(pl.col("session") < day(cut)))


def test_the_order_of_rows_does_not_matter_and_pairs_do_not_mix():
    market = shaken()
    whole = market.table()
    inputs = [frame.collect().sample(fraction=1, shuffle=True, seed=3).lazy() for frame in market.inputs()]
    assert_frame_equal(signals(*inputs, STUDY).collect(), whole)
    del market.link["BTC", "RUT"]
    assert_frame_equal(market.table(), whole.filter(asset="ETH"))


def test_an_asset_that_trades_on_other_days_changes_nothing():
    market = shaken()
    correlations, indicators, closes, *others = market.inputs()
    abroad = closes.filter(asset="BTC").with_columns(
        asset=pl.lit("NKY"), session=pl.col("session") + timedelta(1)
    )
    made = signals(correlations, indicators, pl.concat([closes, abroad]), *others, STUDY).collect()
    assert_frame_equal(made, market.table())


def test_the_states_of_the_samples_are_not_degenerate(sample_data):
    with closing(connect(sample_data)) as con:
        rows = con.execute(
            "SELECT state, count(*) FROM mart.signals "
            "WHERE asset = 'ETH' AND benchmark = 'RUT' GROUP BY state"
        ).fetchall()
    counts = dict(rows)
    assert min(counts[state] for state in ("watch", "risk_off", "neutral")) >= 20
    assert max(counts.values()) < 0.95 * sum(counts.values())


def test_no_correlations_give_an_empty_table():
    market = Market()
    market.link = {}
    assert market.table().is_empty()
