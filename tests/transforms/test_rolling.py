import sys
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import transforms
from transforms import rolling_kernel
from transforms.rolling import (
    FloatArray,
    Rolling,
    ewma_correlation,
    kurtosis_interval,
    mardia_kappa,
    rolling_correlation,
    rolling_link,
    rolling_spearman,
    spearman_interval,
)

ONE_PAIR = (np.array([0]), np.array([1]))
NAN = np.nan


def matrix(*columns):
    return np.array(columns, dtype=np.float64).T


def fat_tailed(seed, sessions, assets=2, rho=0.6):
    """Daily returns with a sd of about 3 %, each asset but the first correlated with the first."""
    rng = np.random.default_rng(seed)
    returns = rng.standard_t(5, (sessions, assets)) * 0.03
    returns[:, 1:] = rho * returns[:, :1] + np.sqrt(1 - rho**2) * returns[:, 1:]
    return returns


# The references: one window at a time, in two passes, by other people's code where there is some.


def by_window(figure: Callable[..., float], returns, window, left=0, right=1) -> FloatArray:
    """A figure of each pair of windows, at the sessions where the windows end."""
    result = np.full(len(returns), NAN)
    joint = np.flatnonzero(~np.isnan(returns[:, [left, right]]).any(axis=1))
    for last in range(window - 1, len(joint)):
        rows = joint[last - window + 1 : last + 1]
        x, y = returns[rows, left], returns[rows, right]
        if np.ptp(x) > 0 and np.ptp(y) > 0:
            result[joint[last]] = figure(x - x[-1], y - y[-1])  # a shift is exact, and changes nothing
    return result


def pearson(x, y):
    return np.corrcoef(x, y)[0, 1]


def slope(x, y):
    return np.polyfit(y, x, 1)[0]


def kappa(x, y):
    n, r = len(x), pearson(x, y)
    u, v = (x - x.mean()) / x.std(), (y - y.mean()) / y.std()
    q = (u**2 + v**2 - 2 * r * u * v) / (1 - r**2)
    return max(0.0, (n + 1) / (n - 1) * np.mean(q**2) / 8 - 1)


def interval_end(sign):
    def end(x, y):
        n = len(x)
        error = np.sqrt((1 + kappa(x, y)) / (n - 3))
        return np.tanh(np.arctanh(pearson(x, y)) + sign * stats.t.ppf(0.975, n - 3) * error)

    return end


def assert_near(actual, expected, tolerance):
    np.testing.assert_array_equal(np.isnan(actual), np.isnan(expected))
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance)


# By hand


def test_correlation_and_beta_by_hand():
    link = rolling_link(matrix([1, 2, 3, 4], [2, 4, 6, 9]), *ONE_PAIR, 3)
    assert_near(link.r[:, 0], [NAN, NAN, 1, 5 / np.sqrt(2 * 38 / 3)], 1e-15)
    assert_near(link.beta[:, 0], [NAN, NAN, 0.5, 15 / 38], 1e-15)
    assert link.n[:, 0].tolist() == [1, 2, 3, 3]
    assert link.start[:, 0].tolist() == [-1, -1, 0, 1]


def test_missing_returns_are_left_out_and_leave_a_gap():
    returns = matrix([1, NAN, 2, 3, 5, 4], [2, 9, 4, 6, NAN, 9])
    link = rolling_link(returns, *ONE_PAIR, 3)
    assert_near(link.r[:, 0], [NAN, NAN, NAN, 1, NAN, 5 / np.sqrt(2 * 38 / 3)], 1e-15)
    assert link.n[:, 0].tolist() == [1, 1, 2, 3, 3, 3]
    assert link.start[:, 0].tolist() == [-1, -1, -1, 0, 0, 2]


def test_a_flat_window_has_no_link_and_one_ulp_is_not_flat():
    ulp = np.spacing(0.01)
    flat = [0.01, 0.01, 0.01, 0.01, 0.01, 0.01 + ulp, 0.01]
    moving = [3.0, 1, 2, 5, 4, 6, 5]
    for columns in ((flat, moving), (moving, flat)):
        link = rolling_link(matrix(*columns), *ONE_PAIR, 4)
        for figure in (link.r, link.lo95, link.hi95, link.beta):
            assert np.isnan(figure[:5]).all()
        assert_near(
            link.r[5:, 0], [pearson([0, 0, 0, 1], moving[2:6]), pearson([0, 0, 1, 0], moving[3:])], 1e-15
        )


def test_perfect_correlation_is_its_own_interval():
    x = np.array([1.0, 2, 4, 8, 16, 32])
    link = rolling_link(np.stack([x, x, -x], axis=1), np.array([0, 0]), np.array([1, 2]), 5)
    for figure in (link.r, link.lo95, link.hi95, link.beta):
        assert_near(figure[4:], [[1, -1], [1, -1]], 1e-12)
    assert np.abs(link.r[4:]).max() <= 1


def test_intervals_by_hand():
    # t(25) = 2.059538553; SE = 1/5 and sqrt(1.125)/5; with a control t(24) = 2.063898562, SE = 1/sqrt(24)
    half = 2.059538553 / 5
    z = 0.5493061443
    assert_near(kurtosis_interval(0.5, 0, 28), np.tanh([z - half, z + half]), 1e-9)
    assert_near(kurtosis_interval(0.5, 3, 28), np.tanh([z - 2 * half, z + 2 * half]), 1e-9)
    half_given_one = 2.063898562 / np.sqrt(24)
    assert_near(kurtosis_interval(0.5, 0, 28, k=1), np.tanh([z - half_given_one, z + half_given_one]), 1e-9)
    wide = half * np.sqrt(1.125)
    assert_near(spearman_interval(0.5, 28), np.tanh([z - wide, z + wide]), 1e-9)


def test_intervals_without_freedom_or_correlation_are_nan_and_certain_ones_a_point():
    lo, hi = kurtosis_interval([1, -1, 1, 0.5, NAN], [0, 0, 1e9, 0, 0], [30, 30, 4, 3, 30])
    assert_near(lo, [1, -1, 1, NAN, NAN], 0)
    assert_near(hi, [1, -1, 1, NAN, NAN], 0)
    assert_near(spearman_interval([1, -1, 0], [10, 10, 3]), [[1, -1, NAN], [1, -1, NAN]], 0)


def test_ewma_by_hand():
    returns = matrix([1, 2, NAN, 0, 1], [1, -1, 3, 1, 1])
    # sums with decay 1/2: xy 1, -1.5, -0.75, 0.625; xx 1, 4.5, 2.25, 2.125; yy 1, 1.5, 1.75, 1.875
    expected = [
        NAN,
        -1.5 / np.sqrt(4.5 * 1.5),
        NAN,
        -0.75 / np.sqrt(2.25 * 1.75),
        0.625 / np.sqrt(2.125 * 1.875),
    ]
    assert_near(ewma_correlation(returns, *ONE_PAIR, decay=0.5, warm_up=2)[:, 0], expected, 1e-15)


def test_ewma_is_null_while_a_side_has_not_moved():
    r = ewma_correlation(matrix([0, 0, 1], [1, 2, 3]), *ONE_PAIR, warm_up=1)
    assert_near(r[:, 0], [NAN, NAN, 3 / np.sqrt(1 * 0.94**2 + 4 * 0.94 + 9)], 1e-12)


# Compiled


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    sessions=st.integers(1, 300),
    window=st.integers(4, 40),
    rho=st.sampled_from([0.0, 0.6, 0.99999]),
    level=st.sampled_from([0.0, 1e6]),
    missing=st.sampled_from([0.0, 0.2]),
    threads=st.integers(1, 2),
)
def test_compiled_loops_give_the_same_to_the_bit(seed, sessions, window, rho, level, missing, threads):
    rng = np.random.default_rng(seed)
    returns = fat_tailed(seed, sessions, 5, rho) + level
    returns[sessions // 2 : sessions // 2 + window, 1] = level
    returns[rng.integers(sessions), rng.integers(5)] = 1e6
    returns[rng.random(returns.shape) < missing] = NAN
    pairs = (np.array([0, 0, 3, 1, 2, 4]), np.array([1, 2, 1, 0, 4, 4]))

    def figures():
        link = rolling_link(returns, *pairs, window, threads=threads)
        r = rolling_correlation(returns, *pairs, window, threads=threads)
        return [r, link.r, link.lo95, link.hi95, link.beta]

    stepped = figures()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rolling_kernel, "_WORTH_COMPILING", 0)
        patch.setattr(rolling_kernel, "_stepped", None)
        looped = figures()
    for expected, actual in zip(stepped, looped, strict=True):
        np.testing.assert_array_equal(np.isnan(actual), np.isnan(expected))
        bits = [np.nan_to_num(figure, copy=True).view(np.int64) for figure in (actual, expected)]
        np.testing.assert_array_equal(*bits)


def test_without_the_extra_the_steps_do_it(monkeypatch):
    returns = fat_tailed(1, 100)
    expected = rolling_correlation(returns, *ONE_PAIR, 30)
    monkeypatch.setattr(rolling_kernel, "_WORTH_COMPILING", 0)
    monkeypatch.setattr(rolling_kernel, "_looped", None)
    monkeypatch.setitem(sys.modules, "numba", None)
    monkeypatch.delitem(sys.modules, "transforms.rolling_compiled", raising=False)
    monkeypatch.delattr(transforms, "rolling_compiled", raising=False)
    np.testing.assert_array_equal(rolling_correlation(returns, *ONE_PAIR, 30), expected)


# Against the references


def spoiled(seed, sessions, level, scale, has_outlier, has_flat, missing):
    rng = np.random.default_rng(seed)
    returns = fat_tailed(seed, sessions) + level
    returns[:, 1] *= scale
    if has_outlier:
        returns[rng.integers(sessions), rng.integers(2)] = 1e6
    if has_flat:
        first = rng.integers(sessions)
        returns[first : first + rng.integers(30), rng.integers(2)] = level
    returns[rng.random(returns.shape) < missing] = NAN
    return returns


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    sessions=st.integers(1, 120),
    window=st.integers(4, 40),
    level=st.sampled_from([0.0, 1e6]),
    scale=st.sampled_from([1.0, 1e8]),
    has_outlier=st.booleans(),
    has_flat=st.booleans(),
    missing=st.sampled_from([0.0, 0.2]),
)
def test_correlation_is_that_of_two_passes_whatever_the_data(
    seed, sessions, window, level, scale, has_outlier, has_flat, missing
):
    returns = spoiled(seed, sessions, level, scale, has_outlier, has_flat, missing)
    expected = by_window(pearson, returns, window)
    tolerance = 1e-9 if level or scale != 1 or has_outlier else 1e-12
    assert_near(rolling_correlation(returns, *ONE_PAIR, window)[:, 0], expected, tolerance)
    link = rolling_link(returns, *ONE_PAIR, window)
    assert_near(link.r[:, 0], expected, tolerance)
    defined = ~np.isnan(expected)
    assert np.all((link.lo95 <= link.r) & (link.r <= link.hi95), where=defined[:, None])


@given(
    x=st.lists(st.integers(-2, 2), min_size=40, max_size=40),
    y=st.lists(st.integers(-2, 2), min_size=40, max_size=40),
    window=st.integers(2, 12),
)
@settings(max_examples=60, deadline=None)
def test_correlation_of_whole_numbers_with_many_ties(x, y, window):
    returns = matrix(x, y)
    assert_near(
        rolling_correlation(returns, *ONE_PAIR, window)[:, 0], by_window(pearson, returns, window), 1e-12
    )


@pytest.mark.parametrize("window", [30, 31, 60, 90])
def test_correlation_of_returns_to_1e_12(window):
    returns = fat_tailed(window, 400)
    assert_near(
        rolling_correlation(returns, *ONE_PAIR, window)[:, 0], by_window(pearson, returns, window), 1e-12
    )


@pytest.mark.parametrize("spoil", ["mean", "scale", "outlier"])
def test_correlation_to_1e_9_after_what_running_sums_do_not_survive(spoil):
    returns = fat_tailed(3, 400)
    if spoil == "mean":
        returns += 1e6
    if spoil == "scale":
        returns[:, 1] *= 1e8
    if spoil == "outlier":
        returns[100] = 1e6
    assert_near(rolling_correlation(returns, *ONE_PAIR, 60)[:, 0], by_window(pearson, returns, 60), 1e-9)


@pytest.mark.parametrize("rho", [0.0, 0.6, 0.95, 0.999, 0.99999])
def test_interval_and_beta_follow_their_formulas(rho):
    returns = fat_tailed(11, 300, rho=rho)
    returns[::41] *= 15
    link = rolling_link(returns, *ONE_PAIR, 60)
    assert_near(link.lo95[:, 0], by_window(interval_end(-1), returns, 60), 1e-9)
    assert_near(link.hi95[:, 0], by_window(interval_end(1), returns, 60), 1e-9)
    assert_near(link.beta[:, 0], by_window(slope, returns, 60), 1e-9)


@pytest.mark.parametrize("spoil", ["mean", "scale", "outlier"])
def test_interval_survives_what_the_correlation_survives(spoil):
    returns = fat_tailed(5, 300)
    if spoil == "mean":
        returns = np.round(returns * 2**20) / 2**20  # so that the shift by 1e6 loses nothing
    clean = returns.copy()
    if spoil == "mean":
        returns = returns + 1e6
    if spoil == "scale":
        returns[:, 1] *= 1e8
    if spoil == "outlier":
        returns[100], clean = 1e6, clean[101:]
    rows = slice(160, None)
    link, expected = rolling_link(returns, *ONE_PAIR, 60), rolling_link(clean, *ONE_PAIR, 60)
    for name in ("lo95", "hi95"):
        figure, right = getattr(link, name)[rows], getattr(expected, name)[-140:]
        assert_near(figure, right, 1e-9)


def test_mardia_kappa_follows_its_formula_and_takes_a_stack():
    returns = fat_tailed(2, 90)
    x, y = returns[:, 0].reshape(3, 30), returns[:, 1].reshape(3, 30)
    assert_near(mardia_kappa(x, y), [kappa(*windows) for windows in zip(x, y, strict=True)], 1e-12)
    assert np.isnan(mardia_kappa(x, np.ones_like(y))).all()
    assert np.isfinite(mardia_kappa(x, -x)).all()


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    sessions=st.integers(1, 80),
    window=st.integers(2, 25),
    decimals=st.sampled_from([1, 2, 9]),
    missing=st.sampled_from([0.0, 0.2]),
)
def test_spearman_is_that_of_scipy(seed, sessions, window, decimals, missing):
    returns = np.round(spoiled(seed, sessions, 0, 1, False, True, missing), decimals)
    expected = by_window(lambda x, y: stats.spearmanr(x, y).statistic, returns, window)
    assert_near(rolling_spearman(returns, *ONE_PAIR, window)[:, 0], expected, 1e-12)


def test_n_and_start_are_those_of_the_last_window():
    returns = spoiled(4, 80, 0, 1, False, False, 0.3)
    link = rolling_link(returns, *ONE_PAIR, 10)
    for session in range(len(returns)):
        joint = np.flatnonzero(~np.isnan(returns[: session + 1]).any(axis=1))
        assert link.n[session, 0] == min(len(joint), 10)
        assert link.start[session, 0] == (joint[-10] if len(joint) >= 10 else -1)


# Many pairs


@pytest.fixture(name="many")
def _many():
    """Ten assets, three without gaps, two listed late, five with gaps of their own."""
    returns = fat_tailed(8, 260, assets=10)
    returns[:70, 3:5] = NAN
    gaps = np.random.default_rng(1).random(returns[:, 5:].shape) < 0.1
    returns[:, 5:][gaps] = NAN
    left, right = np.divmod(np.random.default_rng(2).permutation(100), 10)
    return returns, left, right


def figures(link: Rolling):
    return [getattr(link, name) for name in Rolling.__slots__]


def test_every_pair_of_a_list_is_as_if_alone(many):
    returns, left, right = many
    together = figures(rolling_link(returns, left, right, 30))
    for number, (a, b) in enumerate(zip(left, right, strict=True)):
        alone = figures(rolling_link(returns, np.array([a]), np.array([b]), 30))
        for figure, expected in zip(together, alone, strict=True):
            np.testing.assert_array_equal(figure[:, [number]], expected)
        if number % 10 == 0 and a != b:
            assert_near(together[2][:, number], by_window(pearson, returns, 30, a, b), 1e-12)


def test_order_of_pairs_sides_and_threads_do_not_matter(many):
    returns, left, right = many
    order = np.random.default_rng(3).permutation(len(left))
    for roll in (rolling_correlation, rolling_spearman):
        expected = roll(returns, left, right, 30)
        np.testing.assert_array_equal(roll(returns, left[order], right[order], 30), expected[:, order])
        assert_near(roll(returns, right, left, 30), expected, 1e-14)
    one, three = (figures(rolling_link(returns, left, right, 30, threads=threads)) for threads in (1, 3))
    for figure, expected in zip(three, one, strict=True):
        np.testing.assert_array_equal(figure, expected)


@pytest.mark.parametrize("session", [29, 30, 59, 60, 100, 179])
def test_later_sessions_change_nothing(many, session):
    returns, left, right = many

    def everything(rows):
        link = figures(rolling_link(rows, left, right, 30))
        return [*link, rolling_spearman(rows, left, right, 30), ewma_correlation(rows, left, right)]

    for figure, expected in zip(everything(returns[:session]), everything(returns), strict=True):
        np.testing.assert_array_equal(figure, expected[:session])


def test_empty_and_short_inputs_give_empty_and_null_answers():
    none = np.array([], dtype=np.intp)
    returns = fat_tailed(1, 20)
    for roll in (rolling_correlation, rolling_spearman):
        assert roll(returns, none, none, 5).shape == (20, 0)
        assert roll(returns[:0], *ONE_PAIR, 5).shape == (0, 1)
        assert np.isnan(roll(returns, *ONE_PAIR, 21)).all()
        assert np.isnan(roll(np.full((20, 2), NAN), *ONE_PAIR, 5)).all()
    link = rolling_link(returns, *ONE_PAIR, 21)
    assert (link.n[-1, 0], link.start[-1, 0]) == (20, -1)
    assert rolling_link(returns, none, none, 5).n.shape == (20, 0)


@pytest.mark.parametrize(
    ("left", "right", "window", "message"),
    [
        ([0], [1], 1, "window is 1"),
        ([0], [2], 5, "columns 0 to 1"),
        ([-1], [1], 5, "columns 0 to 1"),
        ([0, 0], [1], 5, "equally long"),
    ],
)
def test_bad_arguments_are_refused(left, right, window, message):
    for roll in (rolling_correlation, rolling_link, rolling_spearman):
        with pytest.raises(ValueError, match=message):
            roll(fat_tailed(1, 20), np.array(left), np.array(right), window)


def test_an_infinite_return_is_refused_by_its_place():
    returns = fat_tailed(1, 20)
    returns[7, 1] = -np.inf
    with pytest.raises(ValueError, match=r"returns\[7, 1\]"):
        rolling_correlation(returns, *ONE_PAIR, 5)


# Coverage


def draws(kind, n, rho, pairs, seed):
    """(n, 2 * pairs) of bivariate Student draws: t5, or GARCH(.10, .88) with t6 innovations."""
    rng = np.random.default_rng(seed)
    freedom, burn = (5, 0) if kind == "t5" else (6, 200)
    z = rng.standard_normal((n + burn, pairs, 2))
    z[..., 1] = rho * z[..., 0] + np.sqrt(1 - rho**2) * z[..., 1]
    z *= np.sqrt((freedom - 2) / rng.chisquare(freedom, (n + burn, pairs, 1)))
    if kind == "garch":
        variance = np.ones((pairs, 2))
        for session in range(len(z)):
            z[session] *= np.sqrt(variance)
            variance = 0.02 + 0.10 * z[session] ** 2 + 0.88 * variance
    return z[burn:].reshape(n, -1)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["t5", "garch"])
@pytest.mark.parametrize("rho", [0.3, 0.5])
@pytest.mark.parametrize("n", [30, 60, 90])
def test_interval_covers_a_constant_correlation_about_95_times_in_100(kind, rho, n):
    pairs = 4000
    link = rolling_link(
        draws(kind, n, rho, pairs, seed=7), np.arange(0, 2 * pairs, 2), np.arange(1, 2 * pairs, 2), n
    )
    covered = np.mean((link.lo95[-1] <= rho) & (rho <= link.hi95[-1]))
    assert 0.92 <= covered <= 0.96
