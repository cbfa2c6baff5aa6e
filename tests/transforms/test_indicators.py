"""Indicators against TA-Lib, on walks and on recorded data, and the rules that TA-Lib does not keep."""

import re
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pytest
import talib
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from polars.testing import assert_frame_equal

from schemas import mart
from schemas.table import polars_schema, validate
from transforms import indicators as module
from transforms.indicators import (
    INDICATORS,
    Indicator,
    atr,
    bollinger,
    donchian_high,
    donchian_low,
    indicators,
    macd,
    rsi,
    sma,
    volume_median,
)

FloatArray = NDArray[np.float64]
ROOT = Path(__file__).parents[2]
VIEW = ROOT / "warehouse" / "views" / "mart" / "indicators_wide.sql"
NAMES = [name for indicator in INDICATORS for name in indicator.names]
SERIES = ["asset", "convention"]
C, HLC = ("close",), ("high", "low", "close")


def rsi_with_flat_start(close: FloatArray) -> FloatArray:
    """TA-Lib's RSI, with 50 where it says 0 for prices that have not moved: the one exception to parity."""
    moved = np.cumsum(np.abs(np.diff(close, prepend=close[0]))) > 0
    value = talib.RSI(close, 14)
    return np.where(moved | np.isnan(value), value, 50.0)


def bandwidth(close: FloatArray) -> FloatArray:
    upper, middle, lower = talib.BBANDS(close, 20, 2, 2)
    return (upper - lower) / middle


def prior(values: FloatArray) -> FloatArray:
    return np.concatenate([[np.nan], values[:-1]])


def median_20(volume: FloatArray) -> FloatArray:
    result = np.full(len(volume), np.nan)
    if len(volume) >= 20:
        result[19:] = np.median(sliding_window_view(volume, 20), axis=1)
    return result


REFERENCE: dict[str, tuple[tuple[str, ...], Callable[..., FloatArray]]] = {
    "rsi_14": (C, rsi_with_flat_start),
    "macd": (C, lambda close: talib.MACD(close, 12, 26, 9)[0]),
    "macd_signal": (C, lambda close: talib.MACD(close, 12, 26, 9)[1]),
    "macd_hist": (C, lambda close: talib.MACD(close, 12, 26, 9)[2]),
    "bb_lower": (C, lambda close: talib.BBANDS(close, 20, 2, 2)[2]),
    "bb_upper": (C, lambda close: talib.BBANDS(close, 20, 2, 2)[0]),
    "bb_bandwidth": (C, bandwidth),
    "atr_14": (HLC, lambda high, low, close: talib.ATR(high, low, close, 14)),
    "donchian_high_20": (("high",), lambda high: prior(talib.MAX(high, 20))),
    "donchian_low_20": (("low",), lambda low: prior(talib.MIN(low, 20))),
    "sma_20": (C, lambda close: talib.SMA(close, 20)),
    "sma_50": (C, lambda close: talib.SMA(close, 50)),
    "sma_200": (C, lambda close: talib.SMA(close, 200)),
    "volume_median_20": (("volume",), median_20),
}


def walk(
    seed: int, bars: int, *, asset: str = "A", start: float = 100.0, volatility: float = 0.02
) -> pl.DataFrame:
    """Bars of a random walk, with a weekend's gap now and then and bars in which nothing happens."""
    rng = np.random.default_rng(seed)
    close = start * np.exp(np.cumsum(rng.normal(0, volatility, bars) * (rng.random(bars) > 0.1)))
    reach = np.exp(np.abs(rng.normal(0, volatility, (2, bars))))
    return frame(asset, close, close * reach[0], close / reach[1], np.round(rng.lognormal(10, 1, bars)))


def frame(asset: str, close: Any, high: Any = None, low: Any = None, volume: Any = None) -> pl.DataFrame:
    """Closes with a bar a day, as core.closes has them."""
    bars = pl.DataFrame(
        {
            "asset": asset,
            "convention": "session_close",
            "open": close,
            "high": close if high is None else high,
            "low": close if low is None else low,
            "close": close,
            "volume": close if volume is None else volume,
        },
        schema_overrides=dict.fromkeys(["open", *HLC, "volume"], pl.Float64),
    )
    first = date(2020, 1, 1)
    return bars.with_columns(session=pl.lit(first) + pl.duration(days=pl.int_range(pl.len())))


def run(closes: pl.DataFrame) -> pl.DataFrame:
    return indicators(closes.lazy()).collect()


def nulled(bars: pl.DataFrame, columns: list[str], rows: list[int]) -> pl.DataFrame:
    gone = pl.int_range(pl.len()).is_in(rows)
    return bars.with_columns(pl.when(~gone).then(pl.col(columns)))


def wanted(name: str, bars: pl.DataFrame) -> FloatArray:
    """The reference over the bars that have what it needs; NaN at the others."""
    needs, reference = REFERENCE[name]
    usable = bars.select(pl.all_horizontal(pl.col(needs).is_not_null())).to_series()
    result = np.full(bars.height, np.nan)
    if usable.any():
        result[usable.to_numpy()] = reference(*(bars[need].filter(usable).to_numpy() for need in needs))
    return result


def assert_parity(closes: pl.DataFrame) -> None:
    """Every series and indicator as near to the reference as that is exact."""
    results = run(closes).partition_by(*SERIES, "indicator", as_dict=True)
    for series, bars in closes.sort("session").partition_by(SERIES, as_dict=True).items():
        scale = bars.select(pl.max_horizontal(pl.col(HLC).max())).item() or 1.0
        for name in REFERENCE:
            got = results[*series, name]
            assert got["session"].equals(bars["session"])
            assert not got["value"].is_nan().any()
            tolerance = 1e-9 * (1.0 if name == "rsi_14" else scale)
            if name == "bb_bandwidth":
                tolerance = 1e-8  # of TA-Lib: its variance is the difference of two sums
            np.testing.assert_allclose(
                got["value"].to_numpy(),
                wanted(name, bars),
                rtol=0,
                atol=tolerance,
                err_msg=f"{series} {name}",
            )


def test_the_names_are_the_published_ones() -> None:
    assert list(REFERENCE) == NAMES


@pytest.mark.parametrize("seed", range(3))
def test_random_walks_match_talib(seed: int) -> None:
    assert_parity(pl.concat([walk(seed, 2500), walk(seed + 100, 700, asset="B", start=6e4, volatility=0.05)]))


@st.composite
def walks_with_null_bars(draw: st.DrawFn) -> pl.DataFrame:
    """Walks of any length and price, calm or wild, of which some columns are null at some bars."""
    bars = draw(st.integers(1, 300))
    closes = walk(
        draw(st.integers(0, 2**32 - 1)),
        bars,
        start=draw(st.sampled_from([1e-6, 0.5, 100.0, 6e4, 1e9])),
        volatility=draw(st.sampled_from([1e-4, 0.01, 0.2])),
    )
    columns = draw(st.sampled_from([["close"], ["high"], ["volume"], ["open", *HLC, "volume"]]))
    return nulled(closes, columns, draw(st.lists(st.integers(0, bars - 1), max_size=8)))


@settings(max_examples=100, deadline=None)
@given(walks_with_null_bars())
def test_any_walk_matches_talib_without_its_null_bars(closes: pl.DataFrame) -> None:
    assert_parity(closes)


@pytest.mark.parametrize("file", ["equity_1d", "crypto_1d_utc"])
def test_recorded_series_match_talib(file: str) -> None:
    recorded = pl.read_parquet(ROOT / "samples" / f"{file}.parquet")
    assert_parity(
        recorded.rename({"symbol": "asset", "date": "session"}).with_columns(convention=pl.lit("utc_day"))
    )


def test_short_series_have_talibs_nulls() -> None:
    assert_parity(pl.concat([walk(bars, bars, asset=f"A{bars}") for bars in range(1, 41)]))


def test_first_values_come_at_the_documented_bars() -> None:
    rows = run(walk(5, 250)).filter(pl.col("value").is_not_null()).group_by("indicator").len()
    first = {name: 250 - count for name, count in rows.iter_rows()}
    averages = {"sma_20": 19, "sma_50": 49, "sma_200": 199, "volume_median_20": 19}
    bands = {
        "bb_lower": 19,
        "bb_upper": 19,
        "bb_bandwidth": 19,
        "donchian_high_20": 20,
        "donchian_low_20": 20,
    }
    macds = {"macd": 33, "macd_signal": 33, "macd_hist": 33}
    assert first == {"rsi_14": 14, "atr_14": 14} | macds | bands | averages


@pytest.mark.parametrize("bar", [0, 1, 13, 14, 25, 33, 60, 299])
def test_a_null_bar_poisons_nothing(bar: int) -> None:
    bars = walk(9, 300)
    session = bars["session"][bar]
    got = run(nulled(bars, ["open", *HLC, "volume"], [bar]))
    assert_frame_equal(got.filter(session=session).drop_nulls(), got.clear())
    assert_frame_equal(
        got.filter(pl.col("session") != session), run(bars.filter(pl.col("session") != session))
    )


def test_a_missing_column_nulls_only_the_indicators_that_need_it() -> None:
    bars = walk(2, 260)
    changed = run(nulled(bars, ["volume"], [30, 100])).join(run(bars), on=[*SERIES, "session", "indicator"])
    differs = changed.filter(pl.col("value").ne_missing(pl.col("value_right")))
    assert differs["indicator"].unique().to_list() == ["volume_median_20"]


def test_a_series_without_any_price_is_null_throughout() -> None:
    got = run(pl.concat([frame("X", [None] * 40), walk(1, 40)]))
    assert got.filter(asset="X")["value"].null_count() == 40 * len(NAMES)


def test_what_is_not_finite_counts_as_missing() -> None:
    bars = walk(4, 120)
    broken = bars.with_columns(close=pl.when(pl.int_range(pl.len()) == 50).then(np.nan).otherwise("close"))
    assert_frame_equal(run(broken), run(nulled(bars, ["close"], [50])))


def test_flat_prices_have_an_rsi_of_50_and_no_width() -> None:
    got = run(frame("A", [5.0] * 40)).filter(pl.col("value").is_not_null())
    last = dict(got.group_by("indicator").agg(pl.col("value").unique()).iter_rows())
    assert last["rsi_14"] == [50.0]
    assert last["bb_bandwidth"] == last["atr_14"] == last["macd_hist"] == [0.0]


@pytest.mark.parametrize(("step", "value"), [(1.0, 100.0), (-1.0, 0.0)])
def test_prices_that_only_rise_or_fall_have_an_extreme_rsi(step: float, value: float) -> None:
    close = [0.1 * (100 + step * bar) for bar in range(60)]
    assert set(run(frame("A", close)).filter(indicator="rsi_14")["value"][14:]) == {value}


def test_moments_do_not_drift_after_huge_prices() -> None:
    rng = np.random.default_rng(0)
    calm = 1 + 0.01 * rng.random(600)
    for huge in (slice(0, 5), slice(150, 155)):
        close = calm.copy()
        close[huge] = 1e9 * (1 + rng.random(5))
        got = {name: rows["value"].to_numpy() for (name,), rows in by_name(run(frame("A", close))).items()}
        mean, deviation = (figure(sliding_window_view(close, 20), axis=1) for figure in (np.mean, np.std))
        tail = slice(200, None)
        np.testing.assert_allclose(got["sma_20"][19:][tail], mean[tail], rtol=1e-14)
        np.testing.assert_allclose(got["bb_upper"][19:][tail], (mean + 2 * deviation)[tail], rtol=1e-14)
        np.testing.assert_allclose(got["bb_lower"][19:][tail], (mean - 2 * deviation)[tail], rtol=1e-14)
        np.testing.assert_allclose(
            got["sma_200"][400:], sliding_window_view(close, 200)[201:].mean(axis=1), rtol=1e-14
        )


def by_name(result: pl.DataFrame) -> dict[tuple[Any, ...], pl.DataFrame]:
    return result.partition_by("indicator", as_dict=True)


def evaluate(expression: pl.Expr, **columns: list[float]) -> list[Any]:
    return pl.DataFrame(columns).select(value=expression).to_series().to_list()


def test_rsi_by_hand() -> None:
    # changes 1, -0.5, 1: gains 0.5 of 0.75, then (0.5 + 1) / 2 = 0.75 of (0.75 + 1) / 2 = 0.875
    got = evaluate(rsi(pl.col("close"), 2), close=[10.0, 11, 10.5, 11.5])
    assert got == [None, None, pytest.approx(200 / 3), pytest.approx(600 / 7)]


def test_macd_by_hand() -> None:
    # fast 3, 19/3, 115/9; slow 7/3, 31/6, 127/12; line 2/3, 7/6, 79/36
    # signal: the mean of 2/3 and 7/6, then two thirds of the way to 79/36
    got = evaluate(macd(pl.col("close"), 2, 3, 2), close=[1.0, 2, 4, 8, 16])
    assert [list(bar.values()) for bar in got] == [
        [None] * 3,
        [None] * 3,
        [None] * 3,
        pytest.approx([7 / 6, 11 / 12, 1 / 4]),
        pytest.approx([79 / 36, 191 / 108, 23 / 54]),
    ]


def test_bollinger_by_hand() -> None:
    # mean 2, deviation of the population 1
    got = evaluate(bollinger(pl.col("close"), 2, 2), close=[1.0, 3])
    assert [list(bar.values()) for bar in got] == [[None] * 3, [0.0, 4.0, 2.0]]


def test_atr_by_hand() -> None:
    # true ranges 3 - 1.5 and 5 - 2.5, both from the close before; then (2 + 1) / 2
    columns = {"high": [2.0, 3, 5, 4.5], "low": [1.0, 2, 3, 3.5], "close": [1.5, 2.5, 4, 4]}
    assert evaluate(atr(*map(pl.col, HLC), 2), **columns) == [None, None, 2.0, 1.5]


def test_channels_and_averages_by_hand() -> None:
    x = [5.0, 1, 2, 9]
    assert evaluate(donchian_high(pl.col("x"), 2), x=x) == [None, None, 5, 2]
    assert evaluate(donchian_low(pl.col("x"), 2), x=x) == [None, None, 1, 1]
    assert evaluate(sma(pl.col("x"), 2), x=x) == [None, 3, 1.5, 5.5]
    assert evaluate(volume_median(pl.col("x"), 3), x=x) == [None, None, 2, 2]


@pytest.mark.parametrize("bars", [1, 14, 34, 77, 230])
def test_later_bars_change_nothing(bars: int) -> None:
    closes = pl.concat([walk(1, 260), walk(2, 260, asset="B")])
    until = closes["session"].unique().sort()[bars - 1]
    got = run(closes).filter(pl.col("session") <= until)
    assert_frame_equal(got, run(closes.filter(pl.col("session") <= until)), check_exact=True)


def test_row_order_changes_nothing() -> None:
    closes = nulled(pl.concat([walk(1, 260), walk(2, 40, asset="B")]), ["close"], [3, 270])
    shuffled = closes.sample(fraction=1, shuffle=True, seed=1)
    assert_frame_equal(run(closes), run(shuffled), check_exact=True)


def test_other_assets_and_conventions_change_nothing() -> None:
    alone = walk(1, 260)
    other = [
        walk(2, 50, asset="0", start=1e9),
        walk(3, 300, asset="B"),
        walk(4, 9).with_columns(convention=pl.lit("x")),
    ]
    together = run(pl.concat([*other, alone]))
    assert_frame_equal(together.filter(asset="A", convention="session_close"), run(alone), check_exact=True)


def test_the_result_is_a_sorted_table_of_its_schema() -> None:
    closes = pl.concat([walk(1, 60, asset="B"), walk(2, 250)])
    got = run(closes)
    assert_frame_equal(validate(got, mart.Indicators), got.sort(*SERIES, "indicator", "session"))
    assert got.height == closes.height * len(NAMES)


def test_no_closes_give_no_rows() -> None:
    assert_frame_equal(run(walk(1, 1).clear()), pl.DataFrame(schema=polars_schema(mart.Indicators)))


def test_a_newcomer_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "INDICATORS", (*INDICATORS, Indicator(("sma_2",), ("volume",), sma, (2,))))
    got = run(frame("A", [1.0] * 3, volume=[1.0, None, 4.0])).filter(indicator="sma_2")
    assert got["value"].to_list() == [None, None, 2.5]


@pytest.mark.parametrize("indicator", INDICATORS, ids=lambda indicator: indicator.names[0])
def test_every_indicator_says_its_unit_its_warm_up_and_why(indicator: Indicator) -> None:
    text = " ".join((indicator.expression.__doc__ or "").split())
    assert re.search(r"price units|0 to 100|volume unit", text), "the docstring names no unit"
    assert re.search(r"irst values? at bar|is the first of all", text), "the docstring names no first bar"
    assert re.search(r"\((19|20)\d\d\)|Equal weights|A median", text), (
        "the docstring names neither source nor reason"
    )


def test_the_wide_view_has_every_indicator() -> None:
    lines = VIEW.read_text().splitlines()
    assert lines[0].startswith("-- One row per asset, convention and session")
    columns = re.findall(r"FILTER \(indicator = '(\w+)'\) AS (\w+)", VIEW.read_text())
    assert columns == [(name, name) for name in NAMES], (
        f"{VIEW.name} must list the registry's names in its order"
    )


def test_the_wide_view_pivots() -> None:
    long = run(walk(1, 40))
    with duckdb.connect() as con:
        con.execute("CREATE SCHEMA mart")
        con.execute("CREATE TABLE mart.indicators AS FROM long")
        con.execute(f"CREATE VIEW mart.indicators_wide AS {VIEW.read_text()}")
        wide = con.sql("FROM mart.indicators_wide ORDER BY session").pl()
    assert_frame_equal(
        wide, long.pivot("indicator", index=[*SERIES, "session"]).select(*SERIES, "session", *NAMES)
    )
