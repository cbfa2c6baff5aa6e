"""RSI and MACD of 3,000 symbols x 2,500 bars: our expressions, TA-Lib in a loop, and pandas-ta's way.

From the long frame and back to it. The loop over TA-Lib's C functions splits the frame into symbols and puts
the answers together again; its bare calls are a row of their own. The pandas way is that of its popular
indicator packages: `ewm` and `rolling` on each symbol's series.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
import polars as pl
import talib

from bench.timing import Table, alternated, compared
from transforms.indicators import INDICATORS, bars_by_series

SYMBOLS, BARS = 3000, 2500
CHOSEN = [one for one in INDICATORS if one.names[0] in ("rsi_14", "macd")]
LOOP = "TA-Lib in a loop over symbols"


def frame(symbols: int = SYMBOLS, bars: int = BARS) -> pl.DataFrame:
    """`core.closes` of random walks, one row per symbol and bar, sorted."""
    moves = np.random.default_rng(7).standard_t(5, (symbols, bars)) * 0.01
    close = 100 * np.exp(np.cumsum(moves, axis=1)).ravel()
    session = pl.date_range(pl.date(2015, 1, 1), pl.date(2015, 1, 1) + pl.duration(days=bars - 1), eager=True)
    return pl.DataFrame(
        {
            "asset": np.repeat([f"S{n:04d}" for n in range(symbols)], bars),
            "session": np.tile(session.to_numpy(), symbols),
            "close": close,
        }
    ).with_columns(
        pl.lit("session_close").alias("convention"),
        *(pl.col("close").alias(other) for other in ("open", "high", "low", "volume")),
    )


def ours(closes: pl.DataFrame) -> pl.DataFrame:
    """The expressions of the pipeline, one column an indicator."""
    return (
        closes.lazy()
        .pipe(bars_by_series)
        .group_by("series", maintain_order=True)
        .agg(pl.col("asset").first(), "session", *(one.values() for one in CHOSEN))
        .select("asset", "session", *(column for one in CHOSEN for column in one.columns()))
        .explode("session", "rsi_14", "macd", "macd_signal", "macd_hist")
        .collect()
    )


def talib_loop(closes: pl.DataFrame) -> pl.DataFrame:
    """One symbol after the other through TA-Lib, split and put together by Polars."""
    parts = []
    for part in closes.partition_by("asset", maintain_order=True):
        prices = part["close"].to_numpy()
        line, signal, hist = talib.MACD(prices, 12, 26, 9)
        parts.append(
            part.select("asset", "session").with_columns(
                rsi_14=talib.RSI(prices, 14), macd=line, macd_signal=signal, macd_hist=hist
            )
        )
    return pl.concat(parts)


def talib_bare(prices: np.ndarray) -> list[object]:
    """Nothing but the C calls, on arrays that are split already."""
    return [(talib.RSI(row, 14), talib.MACD(row, 12, 26, 9)) for row in prices]


def pandas_way(closes: pd.DataFrame) -> pd.DataFrame:
    """Ewm means of each symbol's series."""

    def of_symbol(close: pd.Series) -> pd.DataFrame:
        change = close.diff()
        gain, loss = (
            side.ewm(alpha=1 / 14, min_periods=14, adjust=False).mean()
            for side in (change.clip(lower=0), -change.clip(upper=0))
        )
        line = (
            close.ewm(span=12, min_periods=12, adjust=False).mean()
            - close.ewm(span=26, min_periods=26, adjust=False).mean()
        )
        signal = line.ewm(span=9, min_periods=9, adjust=False).mean()
        rsi = 100 * gain / (gain + loss)
        return pd.DataFrame({"rsi_14": rsi, "macd": line, "macd_signal": signal, "macd_hist": line - signal})

    return closes.groupby("asset", sort=False)["close"].apply(of_symbol)


def worst_error(answer: pl.DataFrame, reference: pl.DataFrame) -> float:
    """Largest relative difference where TA-Lib has a figure; infinite where only one of them has."""
    worst, order = 0.0, ["asset", "session"]
    answer, reference = answer.sort(order), reference.sort(order)
    for column in ("rsi_14", "macd", "macd_signal", "macd_hist"):
        found, wanted = answer[column].to_numpy(), reference[column].to_numpy()
        both = ~np.isnan(wanted)
        if np.any(np.isnan(found) == both):
            return float("inf")
        worst = max(
            worst, float(np.max(np.abs(found[both] - wanted[both]) / np.maximum(1, np.abs(wanted[both]))))
        )
    return worst


def table(rounds: int = 9) -> Table:
    """Time them and compare the answers."""
    closes = frame()
    in_pandas = closes.select("asset", "close").to_pandas()
    prices = closes["close"].to_numpy().reshape(SYMBOLS, BARS)
    runs: dict[str, Callable[[], object]] = {
        "comove, long frame to long frame": lambda: ours(closes),
        LOOP: lambda: talib_loop(closes),
        "TA-Lib's C calls alone": lambda: talib_bare(prices),
        "pandas, ewm per symbol": lambda: pandas_way(in_pandas),
    }
    rows = compared(alternated(runs, rounds), [LOOP])
    error = worst_error(ours(closes), talib_loop(closes))
    about = (
        f"{SYMBOLS:,} symbols x {BARS:,} bars. Largest relative difference from TA-Lib: {error:.0e}, "
        "and a figure exactly where TA-Lib has one."
    )
    return Table("RSI and MACD", about, LOOP, rows)
