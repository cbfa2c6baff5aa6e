"""Pandas makes the figures of the transforms that it is timed against."""

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from bench import pandas_way
from schemas import core
from schemas.table import polars_schema
from transforms.correlations import correlations
from transforms.returns import returns
from transforms.study import Study

PAIRS = (("A", "X"), ("B", "X"))
STUDY = Study("A", "X", (), "XNYS", (30, 60, 90), 0.5, PAIRS)


@pytest.fixture
def sessions() -> pl.DataFrame:
    """A calendar of 200 days without a gap."""
    days = pl.date_range(pl.date(2025, 1, 1), pl.date(2025, 7, 19), eager=True)
    frame = pl.DataFrame({"session": days, "calendar": "XNYS", "gap_days": 1}).with_columns(
        open_at=pl.col("session").cast(pl.Datetime("us")).dt.replace_time_zone("UTC") + pl.duration(hours=14),
        close_at=pl.col("session").cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
        + pl.duration(hours=21),
        is_early_close=pl.lit(value=False),
    )
    return frame.select(list(polars_schema(core.Sessions))).cast(polars_schema(core.Sessions))


@pytest.fixture
def closes(sessions: pl.DataFrame) -> pl.DataFrame:
    """Random walks of three assets in `core.closes`."""
    walks = 100 * np.exp(np.random.default_rng(5).normal(0, 0.02, (3, sessions.height)).cumsum(axis=1))
    rows = pl.concat(
        sessions.select("session", asset=pl.lit(name), close=pl.Series(walk))
        for name, walk in zip("ABX", walks, strict=True)
    ).with_columns(convention=pl.lit("session_close"), adj_close="close", source=pl.lit("files:a.csv"))
    empty = pl.DataFrame(schema=polars_schema(core.Closes))
    return pl.concat([empty, rows], how="diagonal_relaxed").cast(polars_schema(core.Closes))


def test_pandas_makes_the_same_returns_and_correlations(closes: pl.DataFrame, sessions: pl.DataFrame) -> None:
    ours = returns(closes.lazy(), sessions.lazy(), STUDY).collect()
    moves = pandas_way.returns(closes.select("session", "close", symbol="asset").to_pandas())
    key = ["asset", "session", "log_return", "gap_days"]
    theirs = pl.from_pandas(moves).rename({"symbol": "asset"}).with_columns(pl.col("session").cast(pl.Date))
    assert_frame_equal(
        theirs.select(key).sort("asset", "session"),
        ours.select(key).sort("asset", "session"),
        check_dtypes=False,
    )
    columns = ["asset", "benchmark", "window_sessions", "session", "window_start", "n", "r", "beta"]
    linked = correlations(ours.lazy(), STUDY).collect().select(columns).sort(columns[:4])
    links = pl.from_pandas(pandas_way.correlations(moves, list(PAIRS))).with_columns(
        pl.col("session", "window_start").cast(pl.Date)
    )
    assert_frame_equal(links.select(columns).sort(columns[:4]), linked, check_dtypes=False, abs_tol=1e-9)
