"""The stationary bootstrap against its own theory: what is drawn, how often, and how often it is right."""

import numpy as np
import pytest
from scipy import signal, stats

from transforms.bootstrap import (
    DRAWS,
    difference_intervals,
    draw_counts,
    mean_interval,
    share_interval,
    wilson,
)


@pytest.mark.parametrize(("length", "block"), [(1, 1), (7, 1), (50, 3), (120, 60), (300, 20), (40, 400)])
def test_every_resampled_series_is_as_long_as_the_first(length, block):
    counts = draw_counts(length, block, 200)
    assert counts.shape == (200, length)
    assert (counts >= 0).all()
    assert (counts == counts.round()).all()
    assert (counts.sum(axis=1) == length).all()


@pytest.mark.parametrize("block", [1, 10, 40])
def test_no_row_is_drawn_more_often_than_another(block):
    mean = draw_counts(100, block, 8000).mean(axis=0)
    # A row is drawn 1 time a series on average, the first and the last as often as those in the middle.
    assert mean.mean() == pytest.approx(1)
    assert np.abs(mean - 1).max() < 5 * np.sqrt(2 * block / 8000)


@pytest.mark.parametrize("block", [1, 5, 20, 50])
def test_the_variance_of_a_resampled_mean_is_the_one_that_the_mean_block_implies(block):
    length = 200
    values = autoregressive(0.7, length, seed=3)
    values -= values.mean()
    lags = np.arange(1, length)
    around = [np.mean(values * np.roll(values, -lag)) for lag in lags]  # circular autocovariance
    # Politis & Romano 1994, lemma 1: a step stays in its block with the probability 1 - 1/block
    weights = (1 - lags / length) * (1 - 1 / block) ** lags
    expected = (np.mean(values**2) + 2 * np.sum(weights * around)) / length
    means = draw_counts(length, block, 6000) @ values / length
    assert means.var() == pytest.approx(expected, rel=5 * np.sqrt(2 / 6000))


def test_a_block_of_one_draws_each_row_independently():
    counts = draw_counts(60, 1, 6000)
    assert counts.var() == pytest.approx(1 - 1 / 60, rel=0.02)  # binomial
    assert np.corrcoef(counts[:, 10], counts[:, 11])[0, 1] == pytest.approx(-1 / 59, abs=0.05)


def test_long_blocks_draw_neighbours_together_round_the_end_too():
    counts = draw_counts(60, 30, 4000)
    assert np.corrcoef(counts[:, 10], counts[:, 11])[0, 1] > 0.8
    assert np.corrcoef(counts[:, -1], counts[:, 0])[0, 1] > 0.8
    assert np.corrcoef(counts[:, 0], counts[:, 30])[0, 1] < 0


def test_draws_are_the_same_every_time_and_others_for_other_arguments():
    first = draw_counts(90, 7, 50).copy()
    draw_counts.cache_clear()
    assert (draw_counts(90, 7, 50) == first).all()
    assert (draw_counts(90, 8, 50) != first).any()


def autoregressive(share, length, seed, mean=0.0):
    """A normal AR(1) in its steady state."""
    shocks = np.random.default_rng(seed).normal(size=length)
    values = np.empty(length)
    values[0] = shocks[0] / np.sqrt(1 - share**2)
    for n in range(1, length):
        values[n] = share * values[n - 1] + shocks[n]
    return values + mean


@pytest.mark.parametrize(("share", "block"), [(0.0, 10), (0.5, 20), (0.7, 30)])
def test_the_interval_of_a_mean_holds_the_true_one_about_nineteen_times_in_twenty(share, block):
    held = 0
    for seed in range(200):
        low, high = mean_interval(autoregressive(share, 700, seed, mean=5), block)
        held += low <= 5 <= high
    assert 0.88 <= held / 200 <= 0.98  # 0.90 to 0.97 with the error of 200 series


def test_the_interval_of_a_mean_is_that_of_its_draws():
    values = np.arange(40.0) ** 2
    drawn = [sum(c * v for c, v in zip(row, values, strict=True)) / 40 for row in draw_counts(40, 5)]
    assert len(drawn) == DRAWS == 999
    half = 2.3646242510102993 * np.std(drawn, ddof=1)  # Student's 97.5 % quantile for 40 / 5 - 1 = 7
    assert mean_interval(values, 5) == pytest.approx((values.mean() - half, values.mean() + half))


def test_the_interval_of_a_share_stays_between_none_and_all():
    low, high = mean_interval(np.r_[np.zeros(38), 1.0, 1.0], 10)
    assert low == 0
    assert 0.05 < high <= 1


@pytest.mark.parametrize(("found", "count"), [(0, 12), (1, 12), (6, 20), (12, 12)])
def test_wilsons_interval_is_that_of_scipy(found, count):
    expected = stats.binomtest(found, count).proportion_ci(method="wilson")
    assert wilson(found / count, count) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_a_share_has_the_wider_end_on_either_side():
    seldom = np.r_[np.zeros(597), np.ones(3)]
    assert mean_interval(seldom, 60)[1] < 0.02
    assert share_interval(seldom, 60) == (0, pytest.approx(wilson(0.005, 10)[1]))
    regular = np.tile([0.0, 1.0], 300)
    assert share_interval(regular, 60) == pytest.approx(wilson(0.5, 10))
    clustered = np.r_[np.ones(300), np.zeros(300)]
    assert share_interval(clustered, 20) == mean_interval(clustered, 20)


def test_what_was_never_seen_is_not_impossible():
    assert share_interval(np.zeros(600), 60) == (0, pytest.approx(1.959964**2 / (10 + 1.959964**2)))
    assert share_interval(np.ones(600), 60) == (pytest.approx(10 / (10 + 1.959964**2)), 1)
    assert np.isnan(share_interval(np.zeros(119), 60)).all()


@pytest.mark.parametrize("share", [0.01, 0.05, 0.3])
def test_the_interval_of_a_share_that_lasts_holds_the_true_one_at_least_nineteen_times_in_twenty(share):
    rng, runs, stay = np.random.default_rng(27), 150, 0.97
    shocks = rng.normal(size=(runs, 1700))
    series = signal.lfilter([np.sqrt(1 - stay**2)], [1, -stay], shocks)[:, 300:] > stats.norm.ppf(1 - share)
    ends = [share_interval(one.astype(float), 60) for one in series]
    missed = sum(not low <= share <= high for low, high in ends)
    assert missed <= stats.binom.ppf(0.999, runs, 0.05)


def test_a_constant_has_an_interval_of_no_width():
    assert mean_interval(np.full(50, 3.0), 10) == pytest.approx((3.0, 3.0))


def test_fewer_than_two_blocks_give_no_interval():
    assert np.isnan(mean_interval(np.arange(39.0), 20)).all()
    assert np.isfinite(mean_interval(np.arange(40.0), 20)).all()
    marks = np.arange(40)[:, None] % 3 == 0
    assert np.isnan(difference_intervals(np.arange(39.0), marks[:39], 20)).all()
    assert np.isfinite(difference_intervals(np.arange(40.0), marks, 20)).all()
    assert np.isnan(mean_interval(np.array([]), 20)).all()


def test_a_difference_is_taken_between_the_marked_and_the_other_rows_of_each_draw():
    rng = np.random.default_rng(5)
    rows = np.arange(60)
    values, marks = rng.normal(size=60), np.column_stack([rows < 25, rows % 7 == 0, rows == 17])
    counts = draw_counts(60, 6).astype(int)
    intervals = difference_intervals(values, marks, 6)
    for mark, interval in zip(marks.T, intervals, strict=True):
        found = []
        for row in counts:
            series, is_in = np.repeat(values, row), np.repeat(mark, row)
            if is_in.any() and not is_in.all():
                found.append(series[is_in].mean() - series[~is_in].mean())
        assert len(found) > 500  # a draw may leave out the only row with the last mark
        begun = int(mark[0]) + np.count_nonzero(mark[1:] & ~mark[:-1])
        half = stats.t.ppf(0.975, max(1, min(60 / 6, begun) - 1)) * np.std(found, ddof=1)
        middle = values[mark].mean() - values[~mark].mean()
        np.testing.assert_allclose(interval, [middle - half, middle + half], rtol=0, atol=1e-12)


def test_a_mark_on_all_rows_or_on_none_has_nothing_to_be_compared_with():
    marks = np.column_stack([np.ones(50, bool), np.zeros(50, bool), np.arange(50) < 25])
    intervals = difference_intervals(np.arange(50.0), marks, 5)
    assert np.isnan(intervals[:2]).all()
    assert np.isfinite(intervals[2]).all()


def test_a_plain_difference_is_found_and_no_difference_is_not():
    rng = np.random.default_rng(6)
    marks = (np.arange(1000) // 25 % 2 == 0)[:, None]
    noise = rng.normal(size=1000)
    (none,) = difference_intervals(noise, marks, 20)
    (some,) = difference_intervals(noise + 0.5 * marks[:, 0], marks, 20)
    assert none[0] < 0 < none[1]
    assert 0 < some[0] < 0.5 < some[1]
