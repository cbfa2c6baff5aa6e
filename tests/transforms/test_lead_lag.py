"""Which side a lag names, what chance reaches over all lags, and the lead that unequal closes fake."""

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from schemas import core, mart
from schemas.table import polars_schema, validate
from transforms.lead_lag import LAGS, benjamini_hochberg, cross_correlation, lead_lag
from transforms.study import Study

PAIR = (("ETH", "RUT"),)


def frame(columns, convention="session_close"):
    """Returns in long form; NaN becomes null."""
    series = [
        pl.DataFrame(
            {
                "asset": asset,
                "convention": convention,
                "session": [date(2020, 1, 1) + timedelta(n) for n in range(len(values))],
                "log_return": np.asarray(values, dtype=float),
            }
        )
        for asset, values in columns.items()
    ]
    return pl.concat(series).with_columns(pl.col("log_return").fill_nan(None), gap_days=pl.lit(1, pl.Int32))


def run(returns, pairs=PAIR):
    study = Study(*pairs[0], (), "XNYS", (30,), 0.5, tuple(pairs))
    return validate(lead_lag(returns.lazy(), study).collect(), mart.LeadLag)


def noise(height, *names, seed=1):
    return dict(
        zip(names, np.random.default_rng(seed).standard_t(5, (len(names), height)) * 0.01, strict=True)
    )


def only(asset, benchmark):
    """The figures of one pair."""
    (figures,) = cross_correlation(asset[None], benchmark)
    return figures


def at(table, lag):
    return table.filter(lag_sessions=lag).row(0, named=True)


def test_four_sessions_by_hand():
    table = run(frame({"ETH": [1, -1, 1, -1], "RUT": [1, 1, -1, -1]}))
    figures = {lag: (n, r) for lag, n, r in table.select("lag_sessions", "n", "r").iter_rows() if n}
    assert list(figures) == [-3, -2, -1, 0, 1, 2, 3]
    assert [n for n, _ in figures.values()] == [1, 2, 3, 4, 3, 2, 1]
    assert [r for _, r in figures.values()] == pytest.approx([-1, 0, 1 / 3, 0, 1 / 3, 0, -1])
    assert table.filter(pl.col("n") == 0)["r"].null_count() == 34
    assert table["as_of_session"].unique().to_list() == [date(2020, 1, 4)]


def test_gaps_stay_where_they_are():
    columns = noise(150, "ETH", "RUT")
    columns["ETH"][[0, 1, 30, 31, 32, 99]] = np.nan
    columns["RUT"][[31, 60, 61, 149]] = np.nan
    table = run(frame(columns))
    joint = [t for t in range(150) if not np.isnan(columns["ETH"][t] + columns["RUT"][t])]
    x, y = ((side[joint] - side[joint].mean()) / side[joint].std() for side in columns.values())
    x, y = dict(zip(joint, x, strict=True)), dict(zip(joint, y, strict=True))
    for row in table.iter_rows(named=True):
        products = [x[t] * y[t - row["lag_sessions"]] for t in joint if t - row["lag_sessions"] in y]
        assert row["n"] == len(products)
        assert row["r"] == pytest.approx(np.mean(products), abs=1e-12)
    pearson = np.corrcoef(columns["ETH"][joint], columns["RUT"][joint])[0, 1]
    assert at(table, 0)["r"] == pytest.approx(pearson, abs=1e-12)


def test_a_benchmark_that_moves_two_sessions_before_is_found_there():
    columns = noise(500, "ETH", "RUT")
    columns["ETH"][2:] += 0.5 * columns["RUT"][:-2]
    table = run(frame(columns))
    peak = table.sort(pl.col("r").abs()).row(-1, named=True)
    assert peak["lag_sessions"] == 2
    assert peak["r"] > 2 * peak["band95"]
    assert peak["p_value"] == pytest.approx(1 / 500)
    outside = table.filter(pl.col("r").abs() > pl.col("band95"))
    assert outside["lag_sessions"].to_list() == [2]


def test_p_value_and_band_agree():
    table = run(frame(noise(300, "ETH", "RUT", seed=8)))
    assert table["band95"].n_unique() == table["q_value"].n_unique() == 1
    inside = table.filter(pl.col("r").abs() < pl.col("band95"))
    assert inside["p_value"].min() > 0.05
    by_size = table.sort(pl.col("r").abs())["p_value"].to_list()
    assert by_size == sorted(by_size, reverse=True)
    assert by_size[0] == 1  # the smallest of 41 is reached in every permutation


def test_the_band_pays_for_all_lags():
    rng = np.random.default_rng(6)
    bands = [only(*rng.standard_normal((2, 250))).band95 for _ in range(40)]
    # The largest of 41 normal |r| with variance 1 / (n - |lag|): 0.207; each alone would have 0.124.
    largest = np.abs(rng.standard_normal((40_000, 41)) / np.sqrt(250 - np.abs(LAGS))).max(axis=1)
    assert np.mean(bands) == pytest.approx(np.quantile(largest, 0.95), abs=0.006)


def test_with_few_returns_there_is_no_band():
    short = run(frame(noise(99, "ETH", "RUT")))
    assert short["r"].null_count() == 0
    assert short.select("band95", "p_value", "q_value").null_count().row(0) == (41, 41, 41)
    assert run(frame(noise(100, "ETH", "RUT"))).null_count().sum_horizontal().item() == 0


def test_a_flat_series_has_no_correlation():
    table = run(frame({"ETH": np.full(120, 0.1), **noise(120, "RUT")}))
    assert table.select("r", "band95", "p_value", "q_value").null_count().row(0) == (41,) * 4


def test_pairs_without_joint_returns_have_no_rows():
    columns = noise(200, "ETH", "RUT")
    columns["ETH"][:100] = np.nan
    columns["RUT"][100:] = np.nan
    assert run(frame(columns)).is_empty()
    assert run(frame(columns), (("ETH", "SPY"),)).is_empty()
    assert run(pl.DataFrame(schema=polars_schema(core.Returns))).is_empty()
    by_day = frame({"ETH": columns["ETH"]}, "utc_day")  # a convention that has one side of the pair alone
    both = frame(noise(200, "ETH", "RUT"))
    assert_frame_equal(run(pl.concat([both, by_day])), run(both))


def test_neither_the_order_of_rows_nor_other_pairs_matter_but_for_q():
    returns = frame(noise(200, "ETH", "BTC", "RUT", "SPY"))
    alone = run(returns)
    pairs = (("BTC", "SPY"), ("ETH", "RUT"), ("BTC", "RUT"))
    together = run(returns.sample(fraction=1, shuffle=True, seed=1), pairs)
    assert_frame_equal(together.filter(asset="ETH").drop("q_value"), alone.drop("q_value"))
    smallest = together.group_by("asset", "benchmark").agg(pl.col("p_value").min(), pl.col("q_value").first())
    p = sorted(smallest["p_value"])
    q = [min(3 * p[0], 1.5 * p[1], p[2]), min(1.5 * p[1], p[2]), p[2]]
    assert sorted(smallest["q_value"]) == pytest.approx(q)


def test_conventions_are_tested_apart():
    close, utc = noise(150, "ETH", "RUT"), noise(150, "ETH", "RUT", seed=2)
    both = run(pl.concat([frame(close), frame(utc, "utc_day")]))
    for convention, columns in (("session_close", close), ("utc_day", utc)):
        assert_frame_equal(both.filter(convention=convention), run(frame(columns, convention)))


def test_benjamini_hochberg_by_hand():
    q = benjamini_hochberg(np.array([0.01, 0.04, np.nan, 0.03, 0.005]))
    assert q[[0, 1, 3, 4]].tolist() == pytest.approx([0.02, 0.04, 0.04, 0.02])
    assert np.isnan(q[2])
    assert benjamini_hochberg(np.array([0.9, 0.8])).tolist() == pytest.approx([0.9, 0.9])
    assert benjamini_hochberg(np.array([])).tolist() == []


def test_closes_at_different_hours_fake_a_lead_of_crypto():
    days, rng = 1600, np.random.default_rng(21)
    common = rng.normal(0, 1, 24 * days)
    own = rng.normal(0, 1, (2, 24 * days))
    crypto, equity = (np.cumsum(common + 0.7 * side) for side in own)
    at_hour = {hour: slice(hour - 1, None, 24) for hour in (20, 24)}
    rut = np.diff(equity[at_hour[20]])
    close = run(frame({"ETH": np.diff(crypto[at_hour[20]]), "RUT": rut}))
    utc = run(frame({"ETH": np.diff(crypto[at_hour[24]]), "RUT": rut}, "utc_day"))
    # The four hours after the equity close are in crypto's return of that day and in the equities' next one.
    fake = at(utc, -1)
    assert fake["r"] == pytest.approx(4 / 24 / 1.49, abs=0.08)  # three standard errors
    assert fake["r"] > fake["band95"]
    assert fake["p_value"] <= 0.01
    assert abs(at(utc, 1)["r"]) < fake["band95"]
    outside = pl.col("r").abs() > pl.col("band95")
    assert utc.filter(outside)["lag_sessions"].to_list() == [-1, 0]
    assert close.filter(outside)["lag_sessions"].to_list() == [0]


def iid(rng, shape):
    return rng.standard_t(5, shape)


def clustered(rng, shape, warm_up=300):
    """GARCH(0.10, 0.88) with t6 innovations, each series with a volatility of its own."""
    innovations = rng.standard_t(6, (shape[0] + warm_up, shape[1])) / np.sqrt(1.5)
    variance, path = np.ones(shape[1]), []
    for innovation in innovations:
        path.append(np.sqrt(variance) * innovation)
        variance = 0.02 + 0.10 * path[-1] ** 2 + 0.88 * variance
    return np.array(path[warm_up:])


@pytest.mark.slow
@pytest.mark.parametrize("draw", [iid, clustered])
def test_independent_series_seldom_break_the_band(draw):
    runs = 600
    x, y = np.split(draw(np.random.default_rng(31), (250, 2 * runs)).T, 2)
    found = [only(a, b) for a, b in zip(x, y, strict=True)]
    broken = np.mean([np.abs(one.r).max() > one.band95 for one in found])
    # At most 6 % are wanted; two binomial deviations of 600 runs are 0.02.
    assert broken <= 0.08, f"{broken:.1%} of {runs} independent pairs break the band, wanted: at most 6 %"
    assert broken >= 0.03, f"{broken:.1%} of {runs}: the band is wider than it says"
