"""The rolling link against NumPy and SciPy one window at a time, and what the verdicts say."""

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from scipy import stats

from schemas import core, mart
from schemas.table import polars_schema, validate
from transforms.correlations import correlations, judged
from transforms.study import Study
from warehouse.reader import connect

PAIRS = (("ETH", "RUT"), ("BTC", "RUT"))
STUDY = Study("ETH", "RUT", ("SPY",), "XNYS", (20, 30), 0.5, PAIRS)
FIRST = date(2024, 1, 1)
CONVENTIONS = ("session_close", "utc_day")


def day(n):
    return FIRST + timedelta(n)


def returns(columns, convention="session_close"):
    rows = [
        {"asset": asset, "convention": convention, "session": day(n), "log_return": value}
        for asset, values in columns.items()
        for n, value in enumerate(values)
    ]
    return pl.DataFrame(rows, schema=polars_schema(core.Returns))


def linked(frame, study=STUDY):
    return validate(correlations(frame.lazy(), study).collect(), mart.Correlations)


def of(made, asset="ETH", window=20, convention="session_close"):
    return made.filter(asset=asset, benchmark="RUT", window_sessions=window, convention=convention)


def random_returns(sessions=120, seed=3, missing=0):
    """Fat-tailed returns of three assets in percent of a log, some of them missing."""
    rng = np.random.default_rng(seed)
    market = rng.standard_t(4, sessions) * 0.01
    values = {
        asset: share * market + rng.standard_t(4, sessions) * 0.02
        for asset, share in (("ETH", 2.0), ("RUT", 1.0), ("BTC", 1.5))
    }
    columns = {asset: list(map(float, series)) for asset, series in values.items()}
    for series in columns.values():
        for n in rng.choice(sessions, missing, replace=False):
            series[n] = None
    return columns


def windows(x, y, length):
    """Session number, and both sides of the last `length` joint returns, where the session has both."""
    joint = [n for n, pair in enumerate(zip(x, y, strict=True)) if None not in pair]
    for last in range(length - 1, len(joint)):
        rows = joint[last - length + 1 : last + 1]
        yield joint[last], rows[0], np.array([x[n] for n in rows]), np.array([y[n] for n in rows])


def interval(x, y, r):
    """Method, section 2: Fisher's z, widened by the kurtosis of Mardia (1970), Student quantiles."""
    n = len(x)
    u, v = (x - x.mean()) / x.std(), (y - y.mean()) / y.std()
    q = (u**2 + v**2 - 2 * r * u * v) / (1 - r**2)
    kappa = max(0.0, (n + 1) / (n - 1) * np.mean(q**2) / 8 - 1)
    half = stats.t.ppf(0.975, n - 3) * np.sqrt((1 + kappa) / (n - 3))
    return np.tanh(np.arctanh(r) - half), np.tanh(np.arctanh(r) + half)


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("window", STUDY.windows)
@pytest.mark.parametrize("missing", [0, 9])
def test_every_figure_is_that_of_a_direct_computation_of_its_window(missing, window, convention):
    columns = random_returns(missing=missing)
    made = of(linked(returns(columns, convention)), "BTC", window, convention)
    expected = {}
    for session, start, x, y in windows(columns["BTC"], columns["RUT"], window):
        r = np.corrcoef(x, y)[0, 1]
        spearman = stats.spearmanr(x, y).statistic
        beta = np.polyfit(y, x, 1)[0]
        expected[day(session)] = (day(start), r, *interval(x, y, r), spearman, beta)
    known = made.filter(pl.col("r").is_not_null())
    assert known["session"].to_list() == list(expected)
    assert known["window_start"].to_list() == [row[0] for row in expected.values()]
    figures = np.array([row[1:] for row in expected.values()])
    found = known.select("r", "lo95", "hi95", "spearman", "beta").to_numpy()
    np.testing.assert_allclose(found[:, [0, 3]], figures[:, [0, 3]], rtol=0, atol=1e-12)
    np.testing.assert_allclose(found, figures, rtol=0, atol=1e-10)


def test_a_missing_return_leaves_its_own_figures_null_and_no_other():
    columns = random_returns(60)
    columns["RUT"][40] = None
    made = of(linked(returns(columns)))
    unknown = made.filter(pl.col("r").is_null())["session"].to_list()
    assert unknown == [day(n) for n in range(19)] + [day(40)]
    assert made.filter(session=day(41))["window_start"].to_list() == [
        day(21)
    ]  # 20 joint returns, one more day


def test_while_warming_up_a_row_says_how_many_returns_there_are():
    columns = random_returns(25)
    columns["ETH"][:3] = [None] * 3
    columns["RUT"][5] = None
    made = of(linked(returns(columns)))
    assert made["session"].to_list() == [day(n) for n in range(3, 25)]  # from the first joint return on
    assert made["n"].to_list() == [1, 2, 2, *range(3, 21), 20]
    full = [day(n) for n in range(3, 25) if n >= 23]  # the 20th joint return comes on day 23
    assert made.filter(pl.col("r").is_not_null())["session"].to_list() == full
    assert made.filter(pl.col("window_start").is_not_null())["session"].to_list() == full
    judgements = made.filter(pl.col("r").is_null()).select("is_above_threshold", "verdict")
    assert judgements.null_count().row(0) == (20, 20)


def test_a_flat_window_has_no_correlation():
    columns = random_returns(60)
    columns["ETH"][10:40] = [0.0] * 30
    made = of(linked(returns(columns)))
    flat = [day(n) for n in range(29, 40)]  # windows that lie wholly in the stretch
    warming = [day(n) for n in range(19)]
    assert made.filter(pl.col("r").is_null())["session"].to_list() == warming + flat
    assert made.filter(pl.col("session").is_in(flat))["verdict"].to_list() == [None] * 11


def test_opposite_and_equal_returns_are_exactly_at_the_ends():
    moves = [0.01 * (-1) ** n * (n % 7 + 1) for n in range(30)]
    columns = {"ETH": moves, "RUT": [2 * move for move in moves], "BTC": [-move for move in moves]}
    made = linked(returns(columns)).filter(pl.col("r").is_not_null(), window_sessions=20)
    assert made.filter(asset="ETH")["r"].to_list() == pytest.approx([1.0] * 11, abs=1e-12)
    assert made.filter(asset="BTC")["r"].to_list() == pytest.approx([-1.0] * 11, abs=1e-12)
    assert made.filter(asset="ETH")["beta"].to_list() == pytest.approx([0.5] * 11)
    assert set(made.filter(asset="ETH")["verdict"]) == {"strong"}
    assert set(made.filter(asset="BTC")["verdict"]) == {"weak"}


def test_the_verdict_asks_whether_the_whole_interval_is_on_one_side():
    rows = pl.DataFrame(
        {
            "r": [0.7, 0.6, 0.4, 0.3, 0.5, 0.6, 0.4, None],
            "lo95": [0.51, 0.4, 0.2, 0.0, 0.1, 0.5, 0.1, None],
            "hi95": [0.9, 0.8, 0.6, 0.49, 0.8, 0.7, 0.5, None],
        },
        schema=dict.fromkeys(("r", "lo95", "hi95"), pl.Float64),
    )
    made = rows.select(judged(0.5))
    assert made["verdict"].to_list() == [
        "strong",
        "undetermined",
        "undetermined",
        "weak",
        "undetermined",
        "undetermined",  # a lower end at the threshold is not above it
        "undetermined",  # nor is an upper end at it below
        None,
    ]
    assert made["is_above_threshold"].to_list() == [True, True, False, False, False, True, False, None]


def test_verdict_and_bare_rule_follow_the_studys_threshold():
    columns = random_returns(200)
    for threshold in (0.2, 0.5, 0.8):
        study = Study("ETH", "RUT", (), "XNYS", (30,), threshold, (("ETH", "RUT"),))
        made = of(linked(returns(columns), study), window=30).drop_nulls("r")
        for row in made.iter_rows(named=True):
            assert row["is_above_threshold"] == (row["r"] > threshold)
            assert (row["verdict"] == "strong") == (row["lo95"] > threshold)
            assert (row["verdict"] == "weak") == (row["hi95"] < threshold)


def test_only_the_pairs_of_the_study_have_rows():
    made = linked(returns({**random_returns(40), "GLD": [0.01 * (-1) ** n for n in range(40)]}))
    assert sorted(made.select("asset", "benchmark").unique().rows()) == sorted(PAIRS)


def test_a_pair_with_a_side_that_has_no_returns_is_left_out():
    columns = random_returns(40)
    del columns["BTC"]
    assert linked(returns(columns))["asset"].unique().to_list() == ["ETH"]
    del columns["ETH"]
    assert linked(returns(columns)).is_empty()
    assert linked(returns({})).is_empty()


def test_each_convention_has_its_own_rows_untouched_by_the_other():
    close, utc = (
        returns(random_returns(50, seed), label) for seed, label in zip((1, 2), CONVENTIONS, strict=True)
    )
    both = linked(pl.concat([utc, close]).sample(fraction=1, shuffle=True, seed=1))
    assert_frame_equal(both.filter(convention="session_close"), linked(close))
    assert_frame_equal(both.filter(convention="utc_day"), linked(utc))


def test_past_rows_stay_when_later_sessions_arrive():
    columns = random_returns(90, missing=5)
    whole = linked(returns(columns))
    early = linked(returns({asset: series[:61] for asset, series in columns.items()}))
    assert_frame_equal(early, whole.filter(pl.col("session") <= day(60)), abs_tol=1e-12)


# What was published of the samples


def direct(x, y, window):
    """Pearson's r of every window of two gapless series, from its mean and its deviations."""
    x, y = (np.lib.stride_tricks.sliding_window_view(side, window) for side in (x, y))
    x, y = (side - side.mean(axis=1, keepdims=True) for side in (x, y))
    return (x * y).sum(axis=1) / np.sqrt((x * x).sum(axis=1) * (y * y).sum(axis=1))


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_all_published_values_of_the_studys_pair_follow_from_the_published_returns(
    convention: str, sample_data: Path
) -> None:
    about = {"convention": convention}
    with connect(sample_data) as con:
        pair = con.sql(
            "SELECT session, a.log_return AS x, b.log_return AS y FROM core.returns a "
            "JOIN core.returns b USING (session, convention) WHERE a.asset = 'ETH' AND b.asset = 'RUT' "
            "AND convention = $convention AND x IS NOT NULL AND y IS NOT NULL ORDER BY session",
            params=about,
        ).pl()
        published = con.sql(
            "SELECT session, window_start, window_sessions, r FROM mart.correlations WHERE asset = 'ETH' "
            "AND benchmark = 'RUT' AND convention = $convention AND r IS NOT NULL ORDER BY session",
            params=about,
        ).pl()
    assert sorted(published["window_sessions"].unique()) == [30, 60, 90]
    assert pair.height > 1900
    for window in (30, 60, 90):
        rows = published.filter(window_sessions=window)
        assert rows["session"].to_list() == pair["session"].to_list()[window - 1 :]
        assert rows["window_start"].to_list() == pair["session"].to_list()[: 1 - window]
        expected = direct(pair["x"].to_numpy(), pair["y"].to_numpy(), window)
        np.testing.assert_allclose(rows["r"].to_numpy(), expected, rtol=0, atol=1e-12)
