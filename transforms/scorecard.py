"""What the states and the overlay were worth: against all other sessions, against rivals, with intervals."""

from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
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
        .sort(*PAIR, "session")
        .collect()
    )
    newest = frame["session"].max()
    rows = [
        {"asset": asset, "benchmark": benchmark, "as_of_session": newest, **row}
        for (asset, benchmark), part in frame.partition_by(PAIR, as_dict=True).items()
        for row in strategy_rows(part)
    ]
    add_intervals(rows)
    return pl.LazyFrame(rows, schema=polars_schema(mart.OverlayScorecard)).pipe(
        conform, mart.OverlayScorecard
    )


def add_intervals(rows: list[dict[str, Any]]) -> None:
    """The interval of each row's difference to holding, in place of its `excess`.

    Rows of as many sessions have the same draws, and share one matrix product.
    """
    for _, some in groupby(sorted(rows, key=itemgetter("sessions")), key=itemgetter("sessions")):
        alike = list(some)
        excess = np.column_stack([row.pop("excess") for row in alike])
        ends = mean_intervals(excess, MIN_BLOCK) * SESSIONS_PER_YEAR
        for row, (low, high) in zip(alike, ends, strict=True):
            row |= {"lo95": known(low), "hi95": known(high)}


def strategy_rows(pair: pl.DataFrame) -> Iterator[dict[str, Any]]:
    """One row per strategy of one pair."""
    hold = pair["hold_log_return"].to_numpy()
    overlay, beta = pair["exposure"].to_numpy(), pair["beta"].fill_null(1.0).to_numpy()
    shares = {
        "overlay": overlay,
        "hold": np.ones(len(hold)),
        "constant_exposure": np.full(len(hold), overlay.mean()),
        "beta_scaled": 1 / np.maximum(beta, 1.0),
    }
    benchmark = earned(shares["hold"], hold)
    for strategy, share in shares.items():
        yield {"strategy": strategy, "sessions": len(hold), **performance(share, hold, benchmark)}


def earned(share: FloatArray, hold: FloatArray) -> FloatArray:
    """Log returns of a share of the asset after cost; the first session pays for buying it."""
    turnover = np.abs(np.diff(share, prepend=0.0))
    return np.log1p(share * np.expm1(hold) - COST * turnover)


def performance(share: FloatArray, hold: FloatArray, benchmark: FloatArray) -> dict[str, Any]:
    """Yearly figures of one strategy, and `excess`, its log returns over those of holding."""
    returns = earned(share, hold)
    growth = np.append(0.0, returns.cumsum())
    excess = returns - benchmark
    volatility = returns.std(ddof=1) * np.sqrt(SESSIONS_PER_YEAR) if len(returns) > 1 else np.nan
    annual = returns.mean() * SESSIONS_PER_YEAR
    figures = {
        "mean_exposure": share.mean(),
        "turnover_per_year": np.abs(np.diff(share, prepend=0.0)).mean() * SESSIONS_PER_YEAR,
        "annual_log_return": annual,
        "annual_volatility": volatility,
        "sharpe": annual / volatility if volatility > 0 else np.nan,
        "max_drawdown": 1 - np.exp(np.min(growth - np.maximum.accumulate(growth))),
        "difference": excess.mean() * SESSIONS_PER_YEAR,
    }
    return {**{name: known(figure) for name, figure in figures.items()}, "excess": excess}


def known(figure: float) -> float | None:
    """A plain number; None for one that is not finite."""
    return float(figure) if np.isfinite(figure) else None
