"""The overlay: the share of the asset that the state of the session before holds, and what it earned."""

from typing import Annotated as As

import polars as pl
from polars import LazyFrame as Frame

from schemas import core, mart
from schemas.table import conform
from transforms.closes import SESSION_CLOSE
from transforms.signals import PAIR

SHARE = {"confirmed": 1.0, "watch": 0.75, "neutral": 0.5, "unknown": 0.5, "risk_off": 0.0}
COST = 0.0010  # 10 basis points of what is bought or sold


def exposure(signals: As[Frame, mart.Signals], returns: As[Frame, core.Returns]) -> As[Frame, mart.Exposure]:
    """One row per session after a state: the share held from the close of the session before to this close.

    The shares and the cost were fixed before looking at the outcome. The share starts from nothing, so the
    first session pays for buying it; a share that stays is not charged for being kept in balance.
    """
    held = returns.filter(pl.col("convention") == SESSION_CLOSE).select("asset", "session", "log_return")
    return (
        signals.join(held, on=["asset", "session"], how="left")
        .with_columns(
            exposure=pl.col("state")
            .replace_strict(SHARE, return_dtype=pl.Float64)
            .shift(1)
            .over(PAIR, order_by="session"),
        )
        .filter(pl.col("exposure").is_not_null())
        .with_columns(
            turnover=(
                pl.col("exposure")
                - pl.col("exposure").shift(1, fill_value=0.0).over(PAIR, order_by="session")
            ).abs()
        )
        .with_columns(hold_log_return="log_return", net_log_return=net_log_return())
        .sort(*PAIR, "session")
        .pipe(conform, mart.Exposure)
    )


def net_log_return(share: str = "exposure", turnover: str = "turnover") -> pl.Expr:
    """Log return of a share of the asset, the rest in cash without interest, after cost."""
    return (pl.col(share) * (pl.col("log_return").exp() - 1) - COST * pl.col(turnover)).log1p()
