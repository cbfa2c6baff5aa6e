"""What the states and the overlay were worth: against all other sessions, against rivals, with intervals."""

from collections.abc import Iterator
from typing import Annotated as As
from typing import Any

import numpy as np
import polars as pl
from polars import LazyFrame as Frame

from schemas import core, mart
from schemas.mart.decisions import STATES
from schemas.table import conform, polars_schema
from transforms.bootstrap import FloatArray, difference_intervals, mean_intervals
from transforms.closes import SESSION_CLOSE
from transforms.exposure import COST
from transforms.intervals import reciprocal
from transforms.signals import PAIR

HORIZONS = (5, 10, 20)
FEW_EPISODES = 10
MIN_BLOCK = 20
SESSIONS_PER_YEAR = 252
BETA_WINDOW = 60


def scorecard(
    signals: As[Frame, mart.Signals], returns: As[Frame, core.Returns]
) -> As[Frame, mart.Scorecard]:
    """Forward returns of the asset over 5, 10 and 20 sessions after each state, against all other sessions.

    The interval is a stationary bootstrap (Politis & Romano 1994) with blocks of at least 20 sessions and the
    horizon. Whole sample up to the last session, so it looks ahead by design; `as_of_session` dates it.
    """
    held = returns.filter(pl.col("convention") == SESSION_CLOSE).select("asset", "session", "log_return")
    frame = signals.join(held, on=["asset", "session"], how="left").sort(*PAIR, "session").collect()
    newest = frame["session"].max()
    rows = [
        {"asset": asset, "benchmark": benchmark, "as_of_session": newest, **row}
        for (asset, benchmark), part in frame.partition_by(PAIR, as_dict=True).items()
        for row in state_rows(part)
    ]
    return pl.LazyFrame(rows, schema=polars_schema(mart.Scorecard)).pipe(conform, mart.Scorecard)


def state_rows(pair: pl.DataFrame) -> Iterator[dict[str, Any]]:
    """One row per horizon and state of one pair."""
    log_returns = pair["log_return"].to_numpy()
    marks = pair["state"].to_numpy()[:, None] == np.array(STATES)
    for horizon in HORIZONS:
        forward = forward_returns(log_returns, horizon)
        known = np.isfinite(forward)
        counts = [episodes(is_in, horizon) for is_in in marks[known].T]
        intervals = np.full((len(STATES), 2), np.nan)
        told = np.array(counts) >= FEW_EPISODES  # the others get no figures: nothing need be drawn for them
        if told.any():
            block = max(MIN_BLOCK, horizon)
            intervals[told] = difference_intervals(forward[known], marks[known][:, told], block)
        for state, is_in, count, interval in zip(STATES, marks[known].T, counts, intervals, strict=True):
            figures = judged(forward[known], is_in, count, interval)
            yield {"state": state, "horizon_sessions": horizon, "episodes": count, **figures}


def forward_returns(log_returns: FloatArray, horizon: int) -> FloatArray:
    """Sum of the next `horizon` log returns; NaN where one is missing or has not happened yet."""
    following = np.append(log_returns[1:], np.full(horizon, np.nan))
    sums: FloatArray = np.lib.stride_tricks.sliding_window_view(following, horizon).sum(axis=1)
    return sums[: len(log_returns)]


def episodes(is_in: np.ndarray, horizon: int) -> int:
    """Stretches of a state; two that are closer than the horizon share returns, so they count once."""
    inside = np.flatnonzero(is_in)
    return int((np.diff(inside) > horizon).sum() + 1) if len(inside) else 0


def judged(forward: FloatArray, is_in: np.ndarray, count: int, interval: FloatArray) -> dict[str, Any]:
    """The figures of one state and horizon, or only the reason why there are none."""
    if count < FEW_EPISODES:
        return {"note": f"too few: {count} episode{'' if count == 1 else 's'}"}
    if is_in.all() or np.isnan(interval).any():
        return {"note": "nothing to compare with"}
    low, high = (float(end) for end in interval)
    mean = float(forward[is_in].mean())
    note = "no clear difference"
    if low > 0:
        note = "better than other sessions"
    elif high < 0:
        note = "worse than other sessions"
    difference = mean - float(forward[~is_in].mean())
    return {"mean_forward_return": mean, "difference": difference, "lo95": low, "hi95": high, "note": note}


def overlay_scorecard(
    exposure: As[Frame, mart.Exposure], correlations: As[Frame, mart.Correlations]
) -> As[Frame, mart.OverlayScorecard]:
    """The overlay beside holding, a constant share of equal mean, and beta scaling; same sessions, same cost.

    Beta scaling holds 1 / beta of the session before where that beta (60 sessions) is above 1, else all.
    """
    betas = correlations.filter(
        (pl.col("convention") == SESSION_CLOSE) & (pl.col("window_sessions") == BETA_WINDOW)
    ).select(*PAIR, "session", beta=pl.col("beta").shift(1).over(PAIR, order_by="session"))
    frame = (
        exposure.join(betas, on=[*PAIR, "session"], how="left")
        .filter(pl.col("hold_log_return").is_not_null())
        .with_columns(pl.col("beta").fill_null(1.0))
        .sort(*PAIR, "session")
        .collect()
    )
    pairs = frame.group_by(PAIR, maintain_order=True).agg(
        "hold_log_return", "exposure", "beta", sessions=pl.len()
    )
    rows = [strategies(alike) for alike in pairs.partition_by("sessions", maintain_order=True)]
    return (
        pl.concat(rows or [pl.DataFrame(schema=polars_schema(mart.OverlayScorecard))])
        .lazy()
        .with_columns(pl.lit(frame["session"].max(), pl.Date).alias("as_of_session"))
        .with_columns(pl.when(pl.col(pl.Float64).is_finite()).then(pl.col(pl.Float64)))
        .sort(PAIR, maintain_order=True)
        .pipe(conform, mart.OverlayScorecard)
    )


def strategies(pairs: pl.DataFrame) -> pl.DataFrame:
    """One row per pair and strategy, of pairs that have equally many sessions."""
    length = pairs["sessions"][0]
    hold, overlay, beta = (
        pairs[column].explode().to_numpy().reshape(-1, length)
        for column in ("hold_log_return", "exposure", "beta")
    )
    shares = {
        "overlay": overlay,
        "hold": np.ones_like(hold),
        "constant_exposure": np.repeat(overlay.mean(axis=1, keepdims=True), length, axis=1),
        "beta_scaled": 1 / np.maximum(beta, 1.0),
    }
    benchmark = earned(shares["hold"], hold)
    return pl.concat(
        pairs.select(*PAIR, "sessions").with_columns(
            strategy=pl.lit(strategy), **performance(share, hold, benchmark)
        )
        for strategy, share in shares.items()
    )


def earned(share: FloatArray, hold: FloatArray) -> FloatArray:
    """Log returns after cost of a share of the asset, (pairs, sessions); the first session buys it."""
    turnover = np.abs(np.diff(share, prepend=0.0))
    return np.asarray(np.log1p(share * np.expm1(hold) - COST * turnover))


def performance(share: FloatArray, hold: FloatArray, benchmark: FloatArray) -> dict[str, FloatArray]:
    """Yearly figures of one strategy for each pair, not finite where there is none; see `earned`."""
    returns = earned(share, hold)
    growth = np.pad(returns.cumsum(axis=1), ((0, 0), (1, 0)))
    excess = returns - benchmark
    is_one = returns.shape[1] == 1
    deviation = np.full(len(returns), np.nan) if is_one else returns.std(axis=1, ddof=1)
    volatility = deviation * np.sqrt(SESSIONS_PER_YEAR)
    annual = returns.mean(axis=1) * SESSIONS_PER_YEAR
    low, high = mean_intervals(excess.T, MIN_BLOCK).T * SESSIONS_PER_YEAR
    return {
        "mean_exposure": share.mean(axis=1),
        "turnover_per_year": np.abs(np.diff(share, prepend=0.0)).mean(axis=1) * SESSIONS_PER_YEAR,
        "annual_log_return": annual,
        "annual_volatility": volatility,
        "sharpe": annual * reciprocal(volatility),
        "max_drawdown": 1 - np.exp(np.min(growth - np.maximum.accumulate(growth, axis=1), axis=1)),
        "difference": excess.mean(axis=1) * SESSIONS_PER_YEAR,
        "lo95": low,
        "hi95": high,
    }
