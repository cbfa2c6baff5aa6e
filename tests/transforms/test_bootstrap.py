"""The stationary bootstrap's errors against what resampling gives, and how often its intervals are right."""

import numpy as np
import pytest
from scipy import signal, stats

from transforms.bootstrap import (
    difference_intervals,
    mean_interval,
    share_interval,
    standard_errors,
    wilson,
)


def resampled(length, block, draws, seed=7):
    """Row numbers of series put together from blocks as the bootstrap says, (draws, length)."""
    rng = np.random.default_rng(seed)
    rows = np.empty((draws, length), dtype=int)
    rows[:, 0] = rng.integers(0, length, draws)
    for at in range(1, length):
        begins = rng.random(draws) < 1 / block
        rows[:, at] = np.where(begins, rng.integers(0, length, draws), (rows[:, at - 1] + 1) % length)
    return rows


@pytest.mark.parametrize("block", [1, 5, 20, 50])
@pytest.mark.parametrize("share", [0.0, 0.7])
def test_the_standard_error_is_that_of_resampled_means(share, block):
    values = autoregressive(share, 200, seed=3, mean=4)
    means = values[resampled(200, block, 8000)].mean(axis=1)
    (found,) = standard_errors(values[:, None], block)
    assert found == pytest.approx(means.std(ddof=1), rel=4 / np.sqrt(2 * 8000))


@pytest.mark.parametrize("block", [1, 7, 30])
def test_the_standard_error_is_lemma_1_term_by_term(block):
    values = autoregressive(0.6, 83, seed=4)
    off, size = values - values.mean(), 83
    total = np.mean(off**2)
    for lag in range(1, size):  # Politis & Romano 1994, with the covariances that do not wrap around
        weight = (1 - lag / size) * (1 - 1 / block) ** lag + lag / size * (1 - 1 / block) ** (size - lag)
        total += 2 * weight * np.sum(off[:-lag] * off[lag:]) / size
    np.testing.assert_allclose(standard_errors(values[:, None], block), np.sqrt(total / size), rtol=1e-12)


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


def test_the_interval_of_a_mean_is_students_about_it():
    values = np.arange(40.0) ** 2
    (error,) = standard_errors(values[:, None], 5)
    half = 2.3646242510102993 * error  # Student's 97.5 % quantile for 40 / 5 - 1 = 7
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


def test_a_difference_is_as_sure_as_that_of_resampled_sessions():
    rows = np.arange(600)
    values = autoregressive(0.5, 600, seed=5)
    marks = np.column_stack([rows % 120 < 50, rows % 7 == 0, rows % 97 < 30, rows % 100 < 3, rows % 200 < 20])
    drawn = resampled(600, 6, 8000)
    for mark, (low, high) in zip(marks.T, difference_intervals(values, marks, 6), strict=True):
        series, is_in = values[drawn], mark[drawn]
        size = np.maximum(is_in.sum(axis=1), 1)  # of 8,000 draws some have none of the rarest
        found = (series * is_in).sum(axis=1) / size - (series * ~is_in).sum(axis=1) / (600 - size)
        begun = int(mark[0]) + np.count_nonzero(mark[1:] & ~mark[:-1])
        half = stats.t.ppf(0.975, min(600 / 6, begun) - 1) * np.std(found[is_in.any(axis=1)], ddof=1)
        assert (low + high) / 2 == pytest.approx(values[mark].mean() - values[~mark].mean(), abs=1e-12)
        assert (high - low) / 2 == pytest.approx(half, rel=0.04)  # the linear part alone is 8 % too small


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
