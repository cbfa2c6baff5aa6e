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
from schemas.table import polars_schema, validate
from transforms.liquidity import expanding_z, liquidity
from transforms.study import Study

pytestmark = pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning")  # of the calendars' library
SAMPLES = Path(__file__).parents[2] / "samples"
STUDY = Study("ETH", "RUT", (), "TEST", (30,), 0.5, (("ETH", "RUT"),))
FIRST = date(2021, 1, 4)
UNITS = {
    "WALCL": ("million USD", 1),
    "WTREGEN": ("million USD", -1),
    "RRPONTSYD": ("billion USD", -1),
    "NFCI": ("standard deviations", -1),
    "BAMLH0A0HYM2": ("percent", -1),
    "DGS2": ("percent", -1),
    "DTWEXBGS": ("index", -1),
}
PARTS = {
    "nfci_z": "NFCI",
    "hy_spread_z": "BAMLH0A0HYM2",
    "rate_expectation_z": "DGS2",
    "dollar_z": "DTWEXBGS",
}
WEEKLY = ("WALCL", "WTREGEN", "NFCI")


def weekdays(count):
    days = (FIRST + timedelta(days=i) for i in range(2 * count))
    return [d for d in days if d.weekday() < 5][:count]


def calendar(count):
    """Weekdays that close at 21:00 UTC."""
    return sessions(weekdays(count))


def make_closes(count):
    """One asset with a price on each of the first sessions; only that they are there matters."""
    return pl.LazyFrame(
        {"asset": ["RUT"] * count, "session": weekdays(count)}, schema_overrides={"session": pl.Date}
    )


def make_series(**units):
    rows = [
        {
            "series_id": label,
            "source": "fred",
            "unit": units.get(label, unit),
            "sign": sign,
            "release_lag_days": 1,
        }
        for label, (unit, sign) in UNITS.items()
    ]
    return pl.LazyFrame(rows, schema=polars_schema(core.Series))


def observation(series_id, observed_on, value, available_at=None):
    """A row of raw.macro, public at the end of the day after unless said otherwise."""
    at = available_at or datetime.combine(observed_on + timedelta(days=2), time(0), UTC)
    return {
        "source": "fred",
        "series_id": series_id,
        "observed_on": observed_on,
        "known_at": at,
        "value": value,
        "available_at": at,
        "is_known_at_assumed": True,
        "load_id": "1",
    }


def as_macro(rows):
    return pl.LazyFrame(rows, schema=polars_schema(raw.Macro))


def random_macro(count, seed, lag_days=1):
    """Random walks of all seven series, weekly and daily, from five weeks before the first session on."""
    rng = np.random.default_rng(seed)
    rows = []
    for label in UNITS:
        step = 7 if label in WEEKLY else 1
        days = [FIRST + timedelta(days=i) for i in range(-35, int(1.5 * count), step)]
        values = 1000 + rng.normal(0, 5, len(days)).cumsum()
        for day, value in zip(days, values.tolist(), strict=True):
            public = datetime.combine(day + timedelta(days=int(rng.integers(1, 2 + lag_days))), time(12), UTC)
            rows.append(observation(label, day, value, public))
    return rows


def run(rows, count, **units):
    made = liquidity(
        as_macro(rows),
        as_macro(rows).clear(),
        make_series(**units),
        make_closes(count),
        calendar(count + 250),
        STUDY,
    )
    return validate(made.collect(), mart.Liquidity)


def in_force(rows, label, session):
    """The value in force at a close, by looking through all rows."""
    close_at = datetime.combine(session, time(21), UTC)
    public = [r for r in rows if r["series_id"] == label and r["available_at"] <= close_at]
    newest = max(public, key=lambda r: r["observed_on"], default=None)
    if newest is None or (session - newest["observed_on"]).days > 45:
        return np.nan
    return newest["value"]


def z_by_loop(changes, sign=1):
    """Expanding z-scores, each from all changes up to it."""
    out = []
    for i, change in enumerate(changes):
        seen = [x for x in changes[: i + 1] if not np.isnan(x)]
        known = len(seen) >= 252 and not np.isnan(change)
        out.append(sign * (change - np.mean(seen)) / np.std(seen, ddof=1) if known else None)
    return out


def changes_by_loop(days, levels):
    out = []
    for i, day in enumerate(days):
        earlier = [j for j in range(i + 1) if days[j] <= day - timedelta(days=91)]
        out.append(levels[i] - levels[earlier[-1]] if earlier else np.nan)
    return out


def close_to(series, expected, tolerance=1e-9):
    assert [x is None for x in series.to_list()] == [x is None for x in expected]
    for value, other in zip(series.to_list(), expected, strict=True):
        assert other is None or value == pytest.approx(other, rel=tolerance, abs=tolerance)


def test_figures_equal_loops():
    count = 360
    rows, days = random_macro(count, seed=5, lag_days=4), weekdays(count)
    made = run(rows, count)
    levels = {label: np.array([in_force(rows, label, d) for d in days]) for label in UNITS}
    net = levels["WALCL"] - levels["WTREGEN"] - 1000 * levels["RRPONTSYD"]
    close_to(made["net_liquidity_musd"], net.tolist())
    changes = changes_by_loop(days, net)
    close_to(made["net_liquidity_change_13w_musd"], [None if np.isnan(x) else x for x in changes])
    assert 0 < made["net_liquidity_change_13w_musd"].null_count() < count / 2
    expected = {"net_liquidity_z": z_by_loop(changes)}
    for part, label in PARTS.items():
        expected[part] = z_by_loop(changes_by_loop(days, levels[label]), sign=-1)
    for part, values in expected.items():
        close_to(made[part], values)
    five = zip(*expected.values(), strict=True)
    close_to(made["composite"], [None if None in z else sum(z) / 5 for z in five])
    assert made["composite"].null_count() < count


def test_net_liquidity_by_hand_whatever_the_units():
    def at(*values):
        labels = ("WALCL", "WTREGEN", "RRPONTSYD")
        day = FIRST - timedelta(days=7)
        return [observation(label, day, value) for label, value in zip(labels, values, strict=True)]

    assert run(at(7_000_000.0, 500_000.0, 2_000.0), 3)["net_liquidity_musd"].to_list() == [4_500_000.0] * 3
    swapped = run(
        at(7_000.0, 500.0, 2_000_000.0),
        3,
        WALCL="billion USD",
        WTREGEN="billion USD",
        RRPONTSYD="million USD",
    )
    assert swapped["net_liquidity_musd"].to_list() == [4_500_000.0] * 3


def test_the_change_is_that_over_thirteen_weeks():
    weeks = [FIRST + timedelta(days=7 * week) for week in range(-1, 20)]
    rows = [
        observation(label, day, value)
        for label in ("WALCL", "WTREGEN", "RRPONTSYD")
        for day, value in zip(weeks, [100.0 * n if label == "WALCL" else 0.0 for n in range(21)], strict=True)
    ]
    made = run(rows, 80)
    # 100 a week more on WALCL; from the 66th session on, a Monday, there is one 13 weeks before it
    assert made["net_liquidity_change_13w_musd"].to_list() == [None] * 65 + [1300.0] * 15


def test_an_unknown_unit_is_named():
    with pytest.raises(ValueError, match=r"RRPONTSYD is in \"trillion USD\".*million USD or billion USD"):
        run(random_macro(5, seed=1), 5, RRPONTSYD="trillion USD")


def test_a_value_released_after_the_close_is_not_used_that_day():
    monday, friday = FIRST, FIRST - timedelta(days=3)
    rows = [
        observation(label, friday - timedelta(days=7), 1.0) for label in ("WTREGEN", "RRPONTSYD", "WALCL")
    ]
    # observed on Friday, public a second after Monday's close
    rows.append(observation("WALCL", friday, 5.0, datetime.combine(monday, time(21, 0, 1), UTC)))
    assert run(rows, 2)["net_liquidity_musd"].to_list() == [1 - 1 - 1000.0, 5 - 1 - 1000.0]
    rows[-1] = observation("WALCL", friday, 5.0, datetime.combine(monday, time(21), UTC))
    assert run(rows, 2)["net_liquidity_musd"].to_list() == [5 - 1 - 1000.0] * 2


def test_an_older_observation_published_later_does_not_displace_the_newest():
    rows = [observation(label, FIRST - timedelta(days=4), 1.0) for label in ("WTREGEN", "RRPONTSYD", "WALCL")]
    late = datetime.combine(FIRST + timedelta(days=1), time(12), UTC)
    rows.append(observation("WALCL", FIRST - timedelta(days=11), 99.0, late))
    assert run(rows, 4)["net_liquidity_musd"].to_list() == [-1000.0] * 4


def test_of_two_released_together_the_newest_observation_counts():
    rows = [observation(label, FIRST - timedelta(days=4), 1.0) for label in ("WTREGEN", "RRPONTSYD")]
    at = datetime.combine(FIRST - timedelta(days=1), time(12), UTC)
    for days, value in ((4, 3.0), (2, 9.0), (3, 5.0)):
        rows.append(observation("WALCL", FIRST - timedelta(days=days), value, at))
    assert run(rows, 1)["net_liquidity_musd"].to_list() == [9 - 1 - 1000.0]


def test_a_withdrawn_value_gives_way_to_the_one_before():
    rows = [observation(label, FIRST - timedelta(days=9), 1.0) for label in ("WTREGEN", "RRPONTSYD", "WALCL")]
    rows.append(observation("WALCL", FIRST - timedelta(days=4), None))
    assert run(rows, 1)["net_liquidity_musd"].to_list() == [-1000.0]


def test_rows_of_another_source_are_not_used():
    rows = random_macro(60, seed=2)
    stray = [row | {"source": "elsewhere", "value": 1e9} for row in rows]
    assert_frame_equal(run(rows + stray, 60), run(rows, 60))


def test_a_series_that_ended_is_unknown_after_45_days():
    count = 420
    rows = random_macro(count, seed=7)
    whole = run(rows, count)
    last = weekdays(count)[350]
    ended = run([r for r in rows if r["series_id"] != "BAMLH0A0HYM2" or r["observed_on"] <= last], count)
    is_dead = pl.col("session") > last + timedelta(days=45)
    assert ended.filter(is_dead)["hy_spread_z"].null_count() == ended.filter(is_dead).height > 0
    assert ended.filter(is_dead)["composite"].null_count() == ended.filter(is_dead).height
    assert (
        ended.filter(~is_dead)["hy_spread_z"].null_count()
        == whole.filter(~is_dead)["hy_spread_z"].null_count()
    )
    assert_frame_equal(ended.drop("hy_spread_z", "composite"), whole.drop("hy_spread_z", "composite"))


def test_a_series_that_is_missing_leaves_its_part_and_the_composite_unknown():
    count = 330
    rows = [r for r in random_macro(count, seed=8) if r["series_id"] != "NFCI"]
    made = run(rows, count)
    assert made["nfci_z"].null_count() == made["composite"].null_count() == count
    assert made["dollar_z"].null_count() < count
    unlisted = make_series().filter(pl.col("series_id") != "WALCL")
    short = liquidity(
        as_macro(rows), as_macro(rows).clear(), unlisted, make_closes(9), calendar(9), STUDY
    ).collect()
    assert short["net_liquidity_musd"].null_count() == short.height == 9


def test_rows_are_the_study_sessions_with_prices():
    rows = random_macro(100, seed=3)
    assert run(rows, 40)["session"].to_list() == weekdays(40)  # not those of the macro data or the calendar
    nothing = liquidity(
        as_macro(rows), as_macro(rows).clear(), make_series(), make_closes(0), calendar(40), STUDY
    ).collect()
    assert nothing.is_empty()


@settings(max_examples=8, deadline=None)
@given(
    seed=st.integers(0, 999),
    cut=st.integers(1, 330) | st.integers(330, 399),  # scores begin about session 317
    lag=st.integers(0, 9),
)
def test_rows_never_look_ahead_and_ignore_the_order_of_their_inputs(seed, cut, lag):
    count = 400
    macro = as_macro(random_macro(count, seed, lag)).collect()
    whole = liquidity(
        macro.lazy(), macro.clear().lazy(), make_series(), make_closes(count), calendar(count + 250), STUDY
    ).collect()
    shuffled = liquidity(
        macro.sample(fraction=1.0, shuffle=True, seed=seed).lazy(),
        macro.clear().lazy(),
        make_series().reverse(),
        make_closes(count).reverse(),
        calendar(count + 250).reverse(),
        STUDY,
    )
    assert_frame_equal(shuffled.collect(), whole, check_exact=True)
    until = weekdays(count)[cut]
    close_at = datetime.combine(until, time(21), UTC)
    earlier = liquidity(
        macro.lazy().filter(pl.col("available_at") <= close_at),
        macro.clear().lazy(),
        make_series(),
        make_closes(count).filter(pl.col("session") <= until),
        calendar(count + 250),
        STUDY,
    )
    assert_frame_equal(earlier.collect(), whole.filter(pl.col("session") <= until), check_exact=True)


@pytest.mark.parametrize(("offset", "spike"), [(0.0, None), (1e8, None), (0.0, 1e8), (-5.0, -1e4)])
def test_expanding_z_equals_a_loop(offset, spike):
    rng = np.random.default_rng(11)
    values = (offset + rng.normal(0, 1, 600)).tolist()
    values[17] = values[300] = np.nan
    if spike is not None:
        values[0] = spike
    made = pl.DataFrame({"x": pl.Series(np.array(values), nan_to_null=True)}).select(expanding_z(pl.col("x")))
    expected = z_by_loop(values)
    assert expected[251] is None
    assert expected[252] is not None  # one of the first 253 is missing
    # the loop itself carries the rounding of a mean of 1e8, about 1e-8
    close_to(made["x"], expected, tolerance=1e-7 if offset > 1 else 1e-9)


def test_expanding_z_of_equal_values_is_unknown():
    made = pl.DataFrame({"x": [0.1] * 300, "y": [None] * 300}, schema_overrides={"y": pl.Float64})
    assert made.select(expanding_z(pl.col("x", "y"))).null_count().row(0) == (300, 300)


def test_net_liquidity_of_the_sample_equals_pandas():
    sessions = calendars.sessions("XNYS", 2025, 2026).filter(pl.col("session") <= date(2026, 8, 21))
    macro = pl.read_parquet(SAMPLES / "macro.parquet").filter(
        pl.col("series_id").is_in(["WALCL", "WTREGEN", "RRPONTSYD"])
    )
    rows = [observation(r["series_id"], r["observed_on"], r["value"]) for r in macro.iter_rows(named=True)]
    study = Study("ETH", "RUT", (), "XNYS", (30,), 0.5, (("ETH", "RUT"),))
    closes = sessions.lazy().select(pl.lit("RUT").alias("asset"), "session")
    made = liquidity(
        as_macro(rows), as_macro(rows).clear(), make_series(), closes, sessions.lazy(), study
    ).collect()
    frame = pd.DataFrame({"at": sessions["close_at"].dt.replace_time_zone(None).to_numpy()})
    for label in ("WALCL", "WTREGEN", "RRPONTSYD"):
        one = macro.filter(pl.col("series_id") == label).sort("observed_on")
        public = pd.DataFrame(
            {
                "at": (one["observed_on"].cast(pl.Datetime("us")) + timedelta(days=2)).to_numpy(),
                label: one["value"].to_numpy(),
            }
        )
        frame = pd.merge_asof(frame, public, on="at")
    net = frame["WALCL"] - frame["WTREGEN"] - 1000 * frame["RRPONTSYD"]
    close_to(made["net_liquidity_musd"], net.tolist(), tolerance=1e-12)
    assert made.height == sessions.height
