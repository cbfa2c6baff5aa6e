"""The partial correlation against regressions window by window, its interval, and what leaves a null."""

import math
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from schemas import core, mart
from schemas.table import polars_schema, validate
from transforms.conditional import conditional, partial_figures
from transforms.study import Study

H1, H2, H3, H4 = (  # rows of a Hadamard matrix: mean zero, variance one, uncorrelated
    np.array([1.0, -1, 1, -1, 1, -1, 1, -1]),
    np.array([1.0, 1, -1, -1, 1, 1, -1, -1]),
    np.array([1.0, -1, -1, 1, 1, -1, -1, 1]),
    np.array([1.0, 1, 1, 1, -1, -1, -1, -1]),
)
T_975 = {86: 1.987934, 25: 2.059539, 24: 2.063899}  # Student quantiles from a printed table


def frame(columns, convention="session_close", first=date(2024, 1, 1)):
    """Returns in long form; NaN becomes null."""
    series = [
        pl.DataFrame(
            {
                "asset": asset,
                "convention": convention,
                "session": [first + timedelta(n) for n in range(len(values))],
                "log_return": np.asarray(values, dtype=float),
            }
        )
        for asset, values in columns.items()
    ]
    return pl.concat(series).with_columns(pl.col("log_return").fill_nan(None), gap_days=pl.lit(1, pl.Int32))


def study(pairs, controls, windows):
    return Study(*pairs[0], tuple(controls), "XNYS", tuple(windows), 0.5, tuple(pairs))


def run(returns, pairs=(("ETH", "RUT"),), controls=("SPY",), windows=(30,)):
    result = conditional(returns.lazy(), study(pairs, controls, windows)).collect()
    return validate(result, mart.Conditional)


def linked(height, names=("ETH", "RUT", "SPY", "BTC", "GLD"), seed=3):
    """Fat-tailed returns with a common factor."""
    rng = np.random.default_rng(seed)
    common = rng.standard_t(5, height)
    return {name: 0.01 * (common + rng.standard_t(5, height)) for name in names}


def test_one_control_by_hand():
    # Residuals given H1: H2 for the asset, H2 + H3 for the benchmark; r = 1/sqrt 2, and H1 explains half.
    # Every squared distance is 2, so kappa is 0: z = 0.881374 -+ t(4) / sqrt 4 = 0.881374 -+ 1.388223.
    last = run(frame({"ETH": H1 + H2, "RUT": H1 + H2 + H3, "SPY": H1}), windows=(8,)).row(-1, named=True)
    assert last["controls"] == "SPY"
    assert last["partial_r"] == pytest.approx(0.70710678, abs=1e-8)
    ends = (math.tanh(0.881374 - 1.388223), math.tanh(0.881374 + 1.388223))
    assert (last["lo95"], last["hi95"]) == pytest.approx(ends, abs=1e-6)
    assert (last["r_squared"], last["idiosyncratic_share"]) == pytest.approx((0.5, 0.5))


def test_two_controls_by_hand():
    returns = frame({"ETH": H1 + H2 + 2 * H4, "RUT": H2 + H3 + H4, "SPY": H1, "BTC": H1 + H4})
    last = run(returns, controls=("SPY", "BTC"), windows=(8,)).row(-1, named=True)
    assert last["controls"] == "SPY,BTC"
    assert last["partial_r"] == pytest.approx(0.70710678, abs=1e-8)
    assert last["r_squared"] == pytest.approx(5 / 6)


def test_one_control_is_the_closed_formula():
    columns = linked(30)
    xy, xz, yz = (
        np.corrcoef(columns[a], columns[b])[0, 1] for a, b in (("ETH", "RUT"), ("ETH", "SPY"), ("RUT", "SPY"))
    )
    expected = (xy - xz * yz) / np.sqrt((1 - xz**2) * (1 - yz**2))
    last = run(frame(columns)).row(-1, named=True)
    assert last["partial_r"] == pytest.approx(expected, abs=1e-12)
    assert last["r_squared"] == pytest.approx(xz**2, abs=1e-12)


def regression(window):
    """Partial r, r_squared and Mardia's kappa of rows (n, asset, benchmark, controls) by least squares."""
    n = len(window)
    design = np.column_stack([np.ones(n), window[:, 2:]])
    rest = window[:, :2] - design @ np.linalg.lstsq(design, window[:, :2], rcond=None)[0]
    r = np.corrcoef(rest.T)[0, 1]
    u, v = (rest / rest.std(axis=0)).T
    q = (u**2 + v**2 - 2 * r * u * v) / (1 - r**2)
    kappa = max(0, (n + 1) / (n - 1) * np.mean(q**2) / 8 - 1)
    return r, 1 - rest[:, 0].var() / window[:, 0].var(), kappa


@pytest.mark.parametrize(
    ("controls", "window"), [(("SPY",), 90), (("SPY", "BTC"), 30), (("SPY", "BTC", "GLD"), 30)]
)
@pytest.mark.parametrize("offset", [0, 1000])
def test_every_window_is_the_regression_on_its_joint_returns(controls, window, offset):
    columns = linked(160)
    columns["RUT"][[40, 41, 100]] = np.nan
    columns["SPY"][70] = np.nan
    columns["ETH"][:10] = np.nan
    columns = {name: values + offset for name, values in columns.items()}
    table = run(frame(columns), controls=controls, windows=(window,))
    matrix = np.column_stack([columns[name] for name in ("ETH", "RUT", *controls)])
    joint = ~np.isnan(matrix).any(axis=1)
    assert table.height == 150  # from the first joint return on
    freedom = window - 3 - len(controls)
    tolerance = 1e-9 if offset else 1e-12
    for row, session in zip(table.iter_rows(named=True), range(10, 160), strict=True):
        seen = np.flatnonzero(joint[: session + 1])
        if len(seen) < window or not joint[session]:
            assert row["partial_r"] is row["lo95"] is row["hi95"] is row["r_squared"] is None
            continue
        r, r_squared, kappa = regression(matrix[seen[-window:]])
        half = T_975[freedom] * np.sqrt((1 + kappa) / freedom)
        assert row["partial_r"] == pytest.approx(r, abs=tolerance)
        assert row["r_squared"] == pytest.approx(r_squared, abs=tolerance)
        assert row["idiosyncratic_share"] == pytest.approx(1 - r_squared, abs=tolerance)
        ends = np.tanh([np.arctanh(r) - half, np.arctanh(r) + half])
        assert (row["lo95"], row["hi95"]) == pytest.approx(tuple(ends), abs=1e-6)


def test_a_pair_is_never_held_constant_against_itself():
    pairs = (("ETH", "RUT"), ("BTC", "SPY"), ("BTC", "RUT"))
    table = run(frame(linked(40)), pairs, ("SPY", "BTC"))
    controls = dict(
        table.select(pl.concat_str("asset", "benchmark", separator="/"), "controls").unique().rows()
    )
    assert controls == {"ETH/RUT": "SPY,BTC", "BTC/RUT": "SPY"}  # BTC/SPY is left with none


def test_a_control_without_returns_leaves_no_rows():
    assert run(frame(linked(40)), controls=("SPY", "QQQ")).is_empty()


def test_empty_returns_give_an_empty_table():
    assert run(pl.DataFrame(schema=polars_schema(core.Returns))).is_empty()


def test_other_conventions_do_not_count():
    close = frame(linked(40))
    both = pl.concat([close, frame(linked(40, seed=9), "utc_day")])
    assert_frame_equal(run(both), run(close))


@pytest.mark.parametrize("cut", [29, 30, 77])
def test_rows_stay_when_later_returns_arrive(cut):
    returns = frame({**linked(120), "QQQ": [np.nan] * 90 + [0.01, -0.01] * 15})
    seen = pl.col("session") < date(2024, 1, 1) + timedelta(cut)
    arguments = ((("ETH", "RUT"), ("ETH", "QQQ")), ("SPY", "BTC"), (20, 30))
    assert_frame_equal(run(returns.filter(seen), *arguments), run(returns, *arguments).filter(seen))


def test_neither_the_order_of_rows_nor_other_pairs_matter():
    returns = frame(linked(60))
    alone = run(returns)
    pairs = (("BTC", "GLD"), ("ETH", "RUT"))
    together = run(returns.sample(fraction=1, shuffle=True, seed=1), pairs)
    assert_frame_equal(together.filter(asset="ETH"), alone)
    assert_frame_equal(together, run(returns, pairs[::-1]))


def test_to_the_bit_it_does_not_matter_which_other_pairs_share_the_newest_session():
    columns = linked(200, ("ETH", "BTC", "RUT", "GLD", "QQQ", "SPY"))
    pairs = tuple((left, right) for left in ("ETH", "BTC") for right in ("RUT", "GLD", "QQQ"))
    order = ["asset", "benchmark", "window_sessions", "session"]
    whole = run(frame(columns), pairs, windows=(30, 60)).sort(order)
    before = pl.col("session") < whole["session"].max()
    for late in ("GLD", "QQQ", "BTC"):
        columns[late][-1] = np.nan
        made = run(frame(columns), pairs, windows=(30, 60)).sort(order)
        assert_frame_equal(made.filter(before), whole.filter(before), check_exact=True)


def test_a_flat_or_collinear_window_is_null():
    columns = linked(40, ("ETH", "RUT", "SPY"))
    flat = run(frame({**columns, "SPY": np.full(40, 0.1)}))
    twice = run(frame({**columns, "BTC": 3 * columns["SPY"] + 0.001}), controls=("SPY", "BTC"))
    for table in (flat, twice):
        assert table.height == 40
        assert table.select("partial_r", "lo95", "hi95", "r_squared").null_count().row(0) == (40,) * 4


def test_an_asset_that_is_its_control_has_nothing_left_to_correlate():
    columns = linked(30, ("ETH", "RUT"))
    last = run(frame({**columns, "SPY": 2 * columns["ETH"]})).row(-1, named=True)
    assert last["partial_r"] is None
    assert (last["r_squared"], last["idiosyncratic_share"]) == pytest.approx((1, 0))


def test_a_window_without_a_degree_of_freedom_has_no_interval():
    last = run(frame(linked(9)), windows=(4,)).row(-1, named=True)
    assert last["partial_r"] is not None
    assert last["lo95"] is last["hi95"] is None


@pytest.mark.slow
@pytest.mark.parametrize("controls", [1, 2])
@pytest.mark.parametrize("n", [30, 60, 90])
def test_the_interval_covers_what_it_says(controls, n):
    size, windows = 2 + controls, 6000
    rng = np.random.default_rng(n + controls)
    mixed = np.linalg.cholesky(np.full((size, size), 0.5) + 0.5 * np.eye(size))
    draws = np.einsum("ij,jwn->iwn", mixed, rng.standard_normal((size, windows, n)))
    draws /= np.sqrt(rng.chisquare(5, (windows, n)) / 5)  # multivariate t with 5 degrees of freedom
    true = 1 / (2 + controls)  # of equal correlations of one half
    one = np.array([0])
    _, lo95, hi95, _, _, own_lo95, own_hi95 = partial_figures(draws, controls, one, one + 1)[:, 0]
    assert 0.92 <= np.mean((lo95 <= true) & (true <= hi95)) <= 0.96
    own = 1 - controls / (2 * (1 + controls))  # 1 - R^2 of an asset given them
    assert 0.92 <= np.mean((own_lo95 <= own) & (own <= own_hi95)) <= 0.97
