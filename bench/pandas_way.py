"""The straightforward pandas script: the large tables of the pipeline as most people would fill them.

It does less than the pipeline (no interval, no rank correlation, no regimes, signals, scorecard or audit, no
validation), which is in its favour.
"""

from pathlib import Path

import duckdb
import numpy as np
import pandas as pd

WINDOWS = (30, 60, 90)


def closes(bars: pd.DataFrame, sessions: pd.DataFrame) -> pd.DataFrame:
    """One price per asset and session: daily bars as they are, hourly ones at the exchange's close."""
    daily = bars[bars["interval"] == "1d"].merge(sessions, left_on="opened_at", right_on="open_at")
    hourly = bars[bars["interval"] == "1h"].copy()
    hourly["price_at"] = hourly["opened_at"] + pd.Timedelta(hours=1)
    ends = pd.merge_asof(
        hourly.sort_values("price_at"),
        sessions.sort_values("close_at"),
        left_on="price_at",
        right_on="close_at",
        direction="forward",
    ).dropna(subset="session")
    crypto = (
        ends.groupby(["symbol", "session"], sort=False)
        .agg(
            open=("open", "first"),
            high=("high", "max"),
            low=("low", "min"),
            close=("close", "last"),
            volume=("volume", "sum"),
        )
        .reset_index()
    )
    columns = ["symbol", "session", "open", "high", "low", "close", "volume"]
    return pd.concat([daily[columns], crypto[columns]]).sort_values(["symbol", "session"], ignore_index=True)


def returns(prices: pd.DataFrame) -> pd.DataFrame:
    """Log returns from session to session, a row for every session, and the days between the two."""
    wide = prices.pivot(index="session", columns="symbol", values="close")
    long = np.log(wide).diff().iloc[1:].melt(ignore_index=False, value_name="log_return").reset_index()
    gaps = wide.index.to_series().diff().dt.days
    return long.assign(gap_days=long["session"].map(gaps))


def normalized(prices: pd.DataFrame) -> pd.DataFrame:
    """100 at the first session."""
    first = prices.groupby("symbol", sort=False)["close"].transform("first")
    return prices[["symbol", "session"]].assign(rebased=100 * prices["close"] / first)


def correlations(moves: pd.DataFrame, pairs: list[tuple[str, str]], threshold: float = 0.5) -> pd.DataFrame:
    """Every column of `mart.correlations` but Spearman's; the interval is Fisher's for normal returns."""
    wide = moves.pivot(index="session", columns="symbol", values="log_return")
    left, right = (wide[[pair[side] for pair in pairs]] for side in (0, 1))
    left.columns = right.columns = pd.MultiIndex.from_tuples(pairs, names=["asset", "benchmark"])
    ewma = left.ewm(alpha=0.06).corr(right, pairwise=False)
    seen = (left.notna() & right.notna()).cumsum()
    parts = []
    for window in WINDOWS:
        link = left.rolling(window).corr(right)
        beta = left.rolling(window).cov(right) / right.rolling(window).var()
        columns = {"n": seen.clip(upper=window), "r": link, "beta": beta, "ewma_r": ewma}
        long = pd.DataFrame({name: one.unstack() for name, one in columns.items()}).reset_index()
        z, half = np.arctanh(long["r"]), 1.96 / np.sqrt(window - 3)
        lo95, hi95 = np.tanh(z - half), np.tanh(z + half)
        starts = wide.index.to_series().shift(window - 1)
        verdict = np.select(
            [lo95 > threshold, hi95 < threshold, lo95.notna()], ["strong", "weak", "undetermined"], ""
        )
        parts.append(
            long.assign(
                window_sessions=window,
                window_start=long["session"].map(starts),
                lo95=lo95,
                hi95=hi95,
                is_above_threshold=long["r"] > threshold,
                verdict=verdict,
            )
        )
    return pd.concat(parts, ignore_index=True)


def breadth(bars: pd.DataFrame) -> pd.DataFrame:
    """Shares above their means, net advances, new highs minus lows."""
    wide = bars.pivot(index="opened_at", columns="symbol", values="close")
    made = {"members": wide.notna().sum(axis=1)}
    for window in (50, 200):
        mean = wide.rolling(window, min_periods=int(0.9 * window)).mean()
        made[f"share_above_{window}"] = (wide > mean).sum(axis=1) / mean.notna().sum(axis=1)
    change = wide.diff()
    made["advance_decline"] = ((change > 0).sum(axis=1) - (change < 0).sum(axis=1)).cumsum()
    year = wide.rolling(252, min_periods=227)
    made["new_highs_minus_lows"] = (wide >= year.max()).sum(axis=1) - (wide <= year.min()).sum(axis=1)
    return pd.DataFrame(made).reset_index()


def indicators(prices: pd.DataFrame) -> pd.DataFrame:
    """RSI, MACD, bands and means, long."""
    parts = []
    for symbol, one in prices.groupby("symbol", sort=False):
        close, change = one["close"], one["close"].diff()
        gain, loss = (
            side.ewm(alpha=1 / 14, min_periods=14, adjust=False).mean()
            for side in (change.clip(lower=0), -change.clip(upper=0))
        )
        line = close.ewm(span=12, adjust=False).mean() - close.ewm(span=26, adjust=False).mean()
        signal = line.ewm(span=9, adjust=False).mean()
        mean, spread = close.rolling(20).mean(), close.rolling(20).std(ddof=0)
        before = close.shift()
        reach = pd.concat(
            [one["high"] - one["low"], (one["high"] - before).abs(), (one["low"] - before).abs()]
        )
        made = {
            "rsi_14": 100 * gain / (gain + loss),
            "macd": line,
            "macd_signal": signal,
            "macd_hist": line - signal,
            "bb_lower": mean - 2 * spread,
            "bb_upper": mean + 2 * spread,
            "bb_bandwidth": 4 * spread / mean,
            "atr_14": reach.groupby(level=0).max().ewm(alpha=1 / 14, adjust=False).mean(),
            "donchian_high_20": one["high"].rolling(20).max().shift(),
            "donchian_low_20": one["low"].rolling(20).min().shift(),
            "sma_20": mean,
            "sma_50": close.rolling(50).mean(),
            "sma_200": close.rolling(200).mean(),
            "volume_median_20": one["volume"].rolling(20).median(),
        }
        frame = pd.DataFrame({"session": one["session"], **made}).melt("session", var_name="indicator")
        parts.append(frame.assign(symbol=symbol))
    return pd.concat(parts, ignore_index=True)


def fill(zone: Path, sessions: pd.DataFrame, pairs: list[tuple[str, str]], target: Path) -> None:
    """From the landed files to tables in a DuckDB file."""
    bars = pd.concat([pd.read_parquet(path) for path in sorted(zone.glob("raw.bars/*/*.parquet"))])
    watched = {symbol for pair in pairs for symbol in pair}
    prices = closes(bars[bars["symbol"].isin(watched)], sessions)
    moves = returns(prices)
    tables = {
        "bars": bars,
        "closes": prices,
        "returns": moves,
        "normalized": normalized(prices),
        "correlations": correlations(moves, pairs),
        "breadth": breadth(bars[~bars["symbol"].isin(watched)]),
        "indicators": indicators(prices),
    }
    with duckdb.connect(str(target)) as con:
        for name, frame in tables.items():
            con.register("frame", frame)
            con.execute(f"CREATE TABLE {name} AS FROM frame")
