"""Forward returns, episodes and the overlay's rivals by hand; and what is said where there is nothing."""

from datetime import date, timedelta
from functools import partial
from math import exp, log, sqrt

import by_hand
import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from scipy.stats import binom

from schemas import mart
from schemas.mart.decisions import STATES, STRATEGIES
from schemas.table import polars_schema, validate
from transforms.exposure import exposure
from transforms.scorecard import episodes, forward_returns, overlay_scorecard, scorecard

FIRST = date(2021, 1, 4)
NAN = np.nan


def day(n):
    return FIRST + timedelta(int(n))


signals = partial(by_hand.signals, FIRST)
returns = partial(by_hand.returns, FIRST)


def judged(states, values):
    made = scorecard(signals(states).lazy(), returns(values).lazy()).collect()
    return validate(made, mart.Scorecard)


def one(made, state, horizon=5):
    return made.row(
        by_predicate=(pl.col("state") == state) & (pl.col("horizon_sessions") == horizon), named=True
    )


# Forward returns and episodes


def test_a_forward_return_is_the_sum_of_the_next_returns_without_the_sessions_own():
    made = forward_returns(np.array([100.0, 1.0, 2.0, 4.0, 8.0]), 2)
    np.testing.assert_array_equal(made, [3, 6, 12, NAN, NAN])


def test_a_forward_return_with_a_missing_part_is_unknown():
    made = forward_returns(np.array([1.0, 2.0, NAN, 4.0, 8.0, 16.0]), 2)
    np.testing.assert_array_equal(made, [NAN, NAN, 12, 24, NAN, NAN])


@pytest.mark.parametrize("length", range(4))
def test_a_history_shorter_than_the_horizon_has_no_forward_returns(length):
    made = forward_returns(np.ones(length), 5)
    assert made.shape == (length,)
    assert np.isnan(made).all()


@pytest.mark.parametrize(
    ("inside", "horizon", "expected"),
    [
        ([], 5, 0),
        ([3], 5, 1),
        ([3, 4, 5, 6], 5, 1),
        ([3, 8], 5, 1),  # five apart: the forward returns of the first reach the second
        ([3, 9], 5, 2),
        ([3, 9], 10, 1),
        ([0, 5, 10, 15, 20], 5, 1),  # a chain
        ([0, 6, 12, 30], 5, 4),
    ],
)
def test_stretches_closer_than_the_horizon_are_one_episode(inside, horizon, expected):
    marks = np.zeros(40, dtype=bool)
    marks[inside] = True
    assert episodes(marks, horizon) == expected


# The scorecard


def spikes(count, every=25, tail=30):
    """A session of `watch` every so many of `neutral`; the five returns after it are 0.02, others 0."""
    length = count * every + tail
    states, values = ["neutral"] * length, [0.0] * length
    for n in range(0, count * every, every):
        states[n] = "watch"
        values[n + 1 : n + 6] = [0.02] * 5
    return states, values


def test_the_mean_after_a_state_and_its_difference_to_all_other_sessions_by_hand():
    made = judged(*spikes(12))
    row = one(made, "watch")
    assert row["episodes"] == 12
    assert row["mean_forward_return"] == pytest.approx(0.10)
    # Known are 330 - 5 sessions. The four before and the four after a spike see 1 to 4 of its returns of
    # 0.02; the first spike has none before it.
    others = 0.02 * (12 * (4 + 3 + 2 + 1) + 11 * (1 + 2 + 3 + 4))
    assert row["difference"] == pytest.approx(0.10 - others / (325 - 12))
    assert 0 < row["lo95"] <= row["difference"] <= row["hi95"]
    assert row["note"] == "better than other sessions"
    assert row["as_of_session"] == day(329)


def test_a_state_that_falls_is_worse_than_others():
    states, values = spikes(12)
    row = one(judged(states, [-value for value in values]), "watch")
    assert row["note"] == "worse than other sessions"
    assert row["hi95"] < 0


def test_with_fewer_than_ten_episodes_there_are_no_figures():
    row = one(judged(*spikes(9)), "watch")
    assert (row["episodes"], row["note"]) == (9, "too few: 9 episodes")
    assert row["mean_forward_return"] is row["difference"] is row["lo95"] is row["hi95"] is None
    assert one(judged(*spikes(10)), "watch")["mean_forward_return"] is not None


def test_the_longer_the_horizon_the_fewer_the_episodes():
    made = judged(*spikes(30, every=8))
    counts = {horizon: one(made, "watch", horizon)["episodes"] for horizon in (5, 10, 20)}
    assert counts == {5: 30, 10: 1, 20: 1}


def test_only_sessions_with_a_full_horizon_count():
    states, values = spikes(12, tail=0)
    states[-3] = "watch"
    assert one(judged(states, values), "watch")["episodes"] == 12


def test_a_state_without_any_other_has_nothing_to_compare_with():
    values = np.random.default_rng(1).normal(size=400)
    made = judged(["neutral"] * 400, values)
    assert one(made, "neutral")["note"] == "too few: 1 episode"
    assert one(made, "watch")["episodes"] == 0


def test_every_state_and_horizon_has_a_row_per_pair_and_pairs_do_not_mix():
    states, values = spikes(12)
    both = scorecard(
        pl.concat([signals(states), signals(states[::-1], benchmark="SPY")]).lazy(),
        pl.concat([returns(values), returns(values[::-1], convention="utc_day")]).lazy(),
    ).collect()
    assert both.height == 2 * 3 * len(STATES)
    assert_frame_equal(both.filter(benchmark="RUT"), judged(states, values))


def test_the_order_of_rows_does_not_matter():
    states, values = spikes(12)
    shuffled = scorecard(
        signals(states).sample(fraction=1, shuffle=True, seed=1).lazy(),
        returns(values).sample(fraction=1, shuffle=True, seed=2).lazy(),
    )
    assert_frame_equal(shuffled.collect(), judged(states, values))


def test_no_signals_give_empty_tables():
    assert judged([], []).is_empty()


def persistent(rng, length, stay):
    """States that last a random while, `stay` sessions on average, and follow each other blindly."""
    starts = np.where(rng.random(length) < 1 / stay, np.arange(length), 0)
    return np.array(STATES)[rng.integers(0, len(STATES), length)[np.maximum.accumulate(starts)]].tolist()


@pytest.mark.slow
def test_states_that_know_nothing_look_better_or_worse_in_few_cases_of_a_hundred():
    rng = np.random.default_rng(2024)
    pairs = [f"PAIR{n}" for n in range(110)]
    states = pl.concat([signals(persistent(rng, 900, 5), asset) for asset in pairs])
    values = pl.concat([returns(rng.standard_t(5, 900) * 0.03, asset) for asset in pairs])
    made = scorecard(states.lazy(), values.lazy()).collect().drop_nulls("lo95")
    is_alarm = (pl.col("lo95") > 0) | (pl.col("hi95") < 0)
    assert made.height > 1500
    # Of 5 states of 110 pairs, 5 in 100 err nominally; the three horizons of a state err together.
    assert made.select(is_alarm.mean()).item() <= binom.ppf(0.999, 550, 0.05) / 550


# The overlay


def exposures(shares, growth, asset="ETH"):
    """Rows of `mart.exposure` for an asset that grows by factors; None is a missing return."""
    rows = [
        {
            "asset": asset,
            "benchmark": "RUT",
            "session": day(n),
            "exposure": share,
            "turnover": 0.0,
            "hold_log_return": None if factor is None else log(factor),
        }
        for n, (share, factor) in enumerate(zip(shares, growth, strict=True))
    ]
    return pl.LazyFrame(rows, schema=polars_schema(mart.Exposure))


def betas(values, window=60, convention="session_close"):
    rows = [
        {
            "asset": "ETH",
            "benchmark": "RUT",
            "convention": convention,
            "window_sessions": window,
            "session": day(n),
            "n": window,
            "beta": beta,
        }
        for n, beta in enumerate(values)
    ]
    return pl.LazyFrame(rows, schema=polars_schema(mart.Correlations))


def rivals(shares, growth, beta=()):
    made = overlay_scorecard(exposures(shares, growth), betas(beta)).collect()
    validate(made, mart.OverlayScorecard)
    return {row["strategy"]: row for row in made.iter_rows(named=True)}


SHARES, GROWTH = [1.0, 0.5, 0.5, 0.0], [1.10, 0.80, 1.50, 0.90]


def yearly(factors):
    return 252 / len(factors) * sum(log(factor) for factor in factors)


def test_the_overlay_pays_for_every_change_of_its_share():
    overlay = rivals(SHARES, GROWTH)["overlay"]
    assert overlay["sessions"] == 4
    assert overlay["mean_exposure"] == 0.5
    assert overlay["turnover_per_year"] == pytest.approx((1 + 0.5 + 0 + 0.5) / 4 * 252)
    factors = [1 + 0.10 - 0.001, 1 - 0.10 - 0.0005, 1 + 0.25, 1 - 0.0005]
    assert overlay["annual_log_return"] == pytest.approx(yearly(factors))


def test_holding_buys_once():
    hold = rivals(SHARES, GROWTH)["hold"]
    assert hold["mean_exposure"] == 1
    assert hold["turnover_per_year"] == pytest.approx(252 / 4)
    assert hold["annual_log_return"] == pytest.approx(yearly([1.10 - 0.001, 0.80, 1.50, 0.90]))
    assert hold["difference"] == 0


def test_the_constant_share_is_the_overlays_mean():
    constant = rivals(SHARES, GROWTH)["constant_exposure"]
    assert constant["mean_exposure"] == rivals(SHARES, GROWTH)["overlay"]["mean_exposure"]
    factors = [1 + 0.05 - 0.0005, 1 - 0.10, 1 + 0.25, 1 - 0.05]
    assert constant["annual_log_return"] == pytest.approx(yearly(factors))
    held = yearly([1.10 - 0.001, 0.80, 1.50, 0.90])
    assert constant["difference"] == pytest.approx(yearly(factors) - held)


def test_beta_scaling_holds_the_inverse_of_the_beta_of_the_session_before_where_it_is_above_one():
    scaled = rivals(SHARES, GROWTH, beta=[2.0, 4.0, 0.5, 9.0])["beta_scaled"]
    # shares: nothing known, 1/2, 1/4, all (0.5 is below 1)
    factors = [1 + 0.10 - 0.001, 1 - 0.10 - 0.0005, 1 + 0.125 - 0.00025, 1 - 0.10 - 0.00075]
    assert scaled["mean_exposure"] == pytest.approx((1 + 0.5 + 0.25 + 1) / 4)
    assert scaled["annual_log_return"] == pytest.approx(yearly(factors))


def test_a_negative_or_unknown_beta_holds_all():
    scaled = rivals(SHARES, GROWTH, beta=[-3.0, None, 1.0, 1.0])["beta_scaled"]
    assert scaled["mean_exposure"] == 1


def test_only_the_60_session_beta_of_same_instant_returns_scales():
    away = [betas([5.0] * 4, window=30), betas([5.0] * 4, convention="utc_day")]
    frame = pl.concat([*away, betas([2.0] * 4)])
    made = overlay_scorecard(exposures(SHARES, GROWTH), frame).collect().filter(strategy="beta_scaled")
    assert made["mean_exposure"].to_list() == pytest.approx([(1 + 0.5 * 3) / 4])


def test_volatility_and_sharpe_are_yearly():
    hold = rivals([1.0] * 3, [1.2, 0.9, 1.1])["hold"]
    earned = [log(1.2 - 0.001), log(0.9), log(1.1)]
    mean = sum(earned) / 3
    volatility = sqrt(sum((value - mean) ** 2 for value in earned) / 2 * 252)
    assert hold["annual_volatility"] == pytest.approx(volatility)
    assert hold["sharpe"] == pytest.approx(252 * mean / volatility)


@pytest.mark.parametrize(
    ("growth", "expected"),
    [
        ([2.0, 0.5, 1.5, 0.5, 3.0], 1 - 0.5 * 1.5 * 0.5),  # from the first high to the second low
        ([0.8, 0.5, 2.0], 1 - (0.8 - 0.001) * 0.5),  # a fall from the start counts, cost included
        ([1.5, 1.1, 1.0], 0.0),
    ],
)
def test_the_drawdown_is_the_largest_fall_from_a_high(growth, expected):
    assert rivals([1.0] * len(growth), growth)["hold"]["max_drawdown"] == pytest.approx(expected)


def test_sessions_without_a_return_are_left_out_for_all_rivals():
    made = rivals([1.0, 1.0, 1.0], [1.1, None, 1.2])
    assert {row["sessions"] for row in made.values()} == {2}
    assert made["hold"]["annual_log_return"] == pytest.approx(252 / 2 * (log(1.1 - 0.001) + log(1.2)))


def test_a_short_history_has_figures_but_no_interval():
    made = rivals(SHARES, GROWTH)
    assert all(row["lo95"] is row["hi95"] is None for row in made.values())
    single = rivals([1.0], [1.1])["hold"]
    assert single["annual_volatility"] is single["sharpe"] is None


def test_the_interval_holds_the_difference_to_holding():
    rng = np.random.default_rng(5)
    growth = np.exp(rng.normal(0, 0.02, 500)).tolist()
    made = rivals(rng.choice([0.0, 0.5, 1.0], 500).tolist(), growth)
    for strategy in ("overlay", "constant_exposure"):
        row = made[strategy]
        assert row["lo95"] < row["difference"] < row["hi95"]
    assert (made["hold"]["lo95"], made["hold"]["hi95"]) == (0, 0)


def test_there_is_one_row_per_pair_and_strategy_whatever_the_order_of_rows():
    frame = pl.concat([exposures(SHARES, GROWTH), exposures(SHARES[::-1], GROWTH, "BTC")])
    made = overlay_scorecard(frame, betas([2.0] * 4)).collect()
    assert made.select("asset", "strategy").rows() == [(a, s) for a in ("BTC", "ETH") for s in STRATEGIES]
    assert_frame_equal(overlay_scorecard(frame.reverse(), betas([2.0] * 4).reverse()).collect(), made)
    alone = overlay_scorecard(exposures(SHARES, GROWTH), betas([2.0] * 4)).collect()
    assert_frame_equal(made.filter(asset="ETH"), alone)


def test_the_overlay_of_the_scorecard_earns_what_the_table_of_exposures_says():
    states, growth = ["watch", "confirmed", "risk_off", "neutral", "watch"], [1.0, 1.1, 0.9, 1.2, 1.3]
    table = exposure(signals(states).lazy(), returns([log(g) for g in growth]).lazy())
    made = overlay_scorecard(table, betas([])).collect().filter(strategy="overlay")
    published = table.collect()["net_log_return"].to_list()
    assert made["annual_log_return"].to_list() == pytest.approx([252 * sum(published) / len(published)])
    assert exp(sum(published)) == pytest.approx(
        (1 + 0.75 * 0.1 - 0.00075) * (1 - 0.1 - 0.00025) * (1 - 0.001) * (1 + 0.15 - 0.0005)
    )
