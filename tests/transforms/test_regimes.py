"""The dates of a hand-made link, its hysteresis against a plain state machine, and the flips of chance."""

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view
from polars.testing import assert_frame_equal

from schemas import mart
from schemas.table import conform, polars_schema, validate
from transforms.regimes import chance, hysteresis, regime_summary, regimes
from transforms.study import Study

STUDY = Study("ETH", "RUT", ("SPY",), "XNYS", (30, 60), 0.5, (("ETH", "RUT"), ("BTC", "RUT")))
FIRST = date(2024, 1, 1)
# Sessions 0-2 have no r yet; 3-6 are one short of a run; 8-12 link; 15-18 are one short again, and 19, inside
# the band, breaks them; 20-24 end the link.
PATH = [None] * 3 + [0.6] * 4 + [0.54] + [0.55] * 5 + [0.45] * 2 + [0.4] * 4 + [0.41] + [0.3] * 5 + [0.5] * 2


def table(path, asset="ETH", benchmark="RUT", window=30, convention="session_close"):
    """Rolling correlations of one pair, with the columns that regimes do not read left null."""
    rows = pl.DataFrame(
        {
            "asset": asset,
            "benchmark": benchmark,
            "convention": convention,
            "window_sessions": pl.Series([window] * len(path), dtype=pl.Int32),
            "session": [FIRST + timedelta(n) for n in range(len(path))],
            "n": pl.Series([window] * len(path), dtype=pl.Int32),
            "r": pl.Series(path, dtype=pl.Float64),
        }
    )
    return rows.lazy().pipe(conform, mart.Correlations).collect()


def stretches(correlations):
    return validate(regimes(correlations.lazy(), STUDY).collect(), mart.Regimes)


def summary(correlations):
    dated = regimes(correlations.lazy(), STUDY)
    return validate(regime_summary(correlations.lazy(), dated, STUDY).collect(), mart.RegimeSummary)


def day(n):
    return FIRST + timedelta(n)


def test_a_hand_made_path():
    assert stretches(table(PATH)).select("since", "state", "until", "sessions").rows() == [
        (day(3), "unlinked", day(11), 9),
        (day(12), "linked", day(23), 12),
        (day(24), "unlinked", None, 3),
    ]


def test_a_null_breaks_the_run_and_keeps_the_state():
    path = [0.6] * 4 + [None] + [0.6] * 5 + [None] * 3 + [0.1] * 4 + [None] + [0.1]
    assert stretches(table(path)).select("since", "state", "until", "sessions").rows() == [
        (day(0), "unlinked", day(8), 9),
        (day(9), "linked", None, 10),
    ]


def test_the_first_reading_is_unlinked_however_high():
    assert stretches(table([0.9] * 4)).select("state", "until", "sessions").rows() == [("unlinked", None, 4)]


def test_a_pair_without_r_has_no_stretch_and_an_empty_summary():
    never = table([None] * 9)
    assert stretches(never).is_empty()
    figures = summary(never).row(0, named=True)
    assert figures["as_of_session"] == day(8)
    assert figures["mean_r"] is figures["flips_per_year"] is figures["flips_expected_by_chance"] is None


def test_no_correlations_give_empty_tables():
    nothing = pl.DataFrame(schema=polars_schema(mart.Correlations))
    assert stretches(nothing).is_empty()
    assert summary(nothing).is_empty()


def test_only_same_instant_closes_count():
    other = table([0.9] * 40, convention="utc_day")
    assert_frame_equal(stretches(pl.concat([table(PATH), other])), stretches(table(PATH)))
    assert_frame_equal(summary(pl.concat([table(PATH), other])), summary(table(PATH)))


@pytest.mark.parametrize("cut", range(4, len(PATH)))
def test_stretches_never_change_when_later_sessions_arrive(cut):
    whole, early = stretches(table(PATH)), stretches(table(PATH[:cut]))
    begun = whole.filter(pl.col("since") < day(cut))
    assert_frame_equal(early.select("since", "state"), begun.select("since", "state"))
    assert_frame_equal(early[:-1], begun[:-1])
    assert early["until"][-1] is None


def random_walks():
    rng = np.random.default_rng(4)
    keys = [(asset, window) for asset in ("ETH", "BTC") for window in (30, 60)]
    paths = {key: np.tanh(0.5 + np.cumsum(rng.normal(0, 0.06, 400))) for key in keys}
    return {key: table(path, asset=key[0], window=key[1]) for key, path in paths.items()}


def test_neither_the_order_of_rows_nor_other_pairs_matter():
    walks = random_walks()
    everything = pl.concat(list(walks.values())[::-1]).sample(fraction=1, shuffle=True, seed=1)
    assert_frame_equal(stretches(everything), pl.concat([stretches(walks[key]) for key in sorted(walks)]))
    assert_frame_equal(summary(everything), pl.concat([summary(walks[key]) for key in sorted(walks)]))


def test_flips_are_counted_per_year_of_readings():
    row = summary(table(PATH)).row(0, named=True)  # 24 readings, 2 changes
    assert row["flips_per_year"] == pytest.approx(2 * 252 / 24)
    assert row["mean_r"] == pytest.approx(
        (4 * 0.6 + 0.54 + 5 * 0.55 + 2 * 0.45 + 4 * 0.4 + 0.41 + 1.5 + 1) / 24
    )


def machine(path, threshold):
    """The rule of the schema, session by session."""
    is_linked, up, down, states = False, 0, 0, []
    for r in path:
        up = up + 1 if r >= threshold + 0.05 else 0
        down = down + 1 if r <= threshold - 0.10 else 0
        if up >= 5:
            is_linked = True
        if down >= 5:
            is_linked = False
        states.append(is_linked)
    return states


@given(st.lists(st.sampled_from([0.2, 0.4, 0.45, 0.55, 0.7, np.nan]), max_size=60), st.integers(1, 6))
def test_hysteresis_is_the_plain_state_machine(path, stay):
    path = np.repeat(np.array(path, dtype=float), stay)
    assert hysteresis(path, 0.5).tolist() == machine(path, 0.5)


def test_hysteresis_takes_each_series_on_its_own():
    paths = np.random.default_rng(5).uniform(0.2, 0.8, (300, 2, 3)).round(1)
    paths = np.repeat(paths, 3, axis=0)
    for series in np.ndindex(2, 3):
        alone = hysteresis(paths[:, *series], 0.5)
        assert (
            hysteresis(paths, 0.5)[:, *series].tolist() == alone.tolist() == machine(paths[:, *series], 0.5)
        )


def simulated(mean_r, window, readings, histories):
    """Changes per year by brute force, from Student t5 returns that are turbulent together."""
    rng = np.random.default_rng(77)
    noise = rng.standard_normal((2, histories, readings + window - 1))
    noise[1] = mean_r * noise[0] + np.sqrt(1 - mean_r**2) * noise[1]
    noise /= np.sqrt(rng.chisquare(5, noise.shape[1:]) / 5)
    x, y = (side - side.mean(-1, keepdims=True) for side in sliding_window_view(noise, window, axis=2))
    r = (x * y).sum(-1) / np.sqrt((x**2).sum(-1) * (y**2).sum(-1))
    changes = sum(np.count_nonzero(np.diff(machine(path, 0.5))) for path in r)
    return changes / histories * 252 / readings


@pytest.mark.parametrize(("mean_r", "window", "readings"), [(0.45, 20, 252), (0.4, 30, 500)])
def test_the_flips_of_chance_are_those_of_a_brute_force_simulation(mean_r, window, readings):
    (expected,) = chance([(window, mean_r, readings)], 0.5)
    assert expected == pytest.approx(simulated(mean_r, window, readings, 400), rel=0.07)


def test_a_constant_correlation_far_from_the_threshold_hardly_flips():
    none, perfect, near, long_window = chance(
        [(60, 0.0, 1900), (60, 1.0, 1900), (30, 0.48, 1900), (90, 0.48, 1900)], 0.5
    )
    assert none == pytest.approx(0, abs=0.05)  # fat tails lift an r now and then
    assert perfect == pytest.approx(252 / 1900)  # it begins unlinked, and links once
    assert near > 2 * long_window > 0.5


def test_expected_flips_depend_on_nothing_but_the_series():
    alone = chance([(30, 0.4, 500)], 0.5)
    among_others = chance([(60, 0.1, 900), (30, 0.2, 1900), (30, 0.4, 500), (30, None, 0)], 0.5)
    assert [*alone, None] == among_others[2:]
