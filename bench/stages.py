"""The transforms of the large tables, frames in and frames out, against pandas making the same tables."""

from collections.abc import Callable
from pathlib import Path

import polars as pl

from bench import pandas_way
from bench.rebuild import job_of
from bench.timing import Row, Table, alternated, compared
from flows.build import END_OF_TIME
from schemas import core, raw
from schemas.table import conform
from transforms.breadth import breadth
from transforms.closes import SESSION_CLOSE
from transforms.correlations import correlations
from transforms.returns import returns
from warehouse.store import Store

ABOUT = (
    "The large universe: breadth and returns of all members' daily bars, correlations of all pairs. "
    "Pandas makes the same rows and columns, except that it has no rolling Spearman correlation (three of "
    "our columns), that its interval is the plain one for normal returns, and that it asks neither who was a "
    "member nor which source a price is of."
)


def table(folder: Path, rounds: int) -> Table:
    """Each stage by both, on what the rebuild left in the folder."""
    job = job_of(folder)
    with Store(folder / "work" / "warehouse.duckdb", read_only=True) as store:
        bars, constituents, panels, sessions, moves = (
            store.newest(model, END_OF_TIME)
            for model in (raw.Bars, raw.Constituents, core.Panels, core.Sessions, core.Returns)
        )
    members = bars.filter(pl.col("source") == "files:members.csv")
    closes = closes_of(members, sessions)
    study, pairs = job.universe.study_parameters, list(job.universe.pairs)
    bars_in_pandas = members.select("opened_at", "symbol", "close").to_pandas()
    closes_in_pandas = closes.select("session", "close", symbol="asset").to_pandas()
    moves_in_pandas = (
        moves.filter(convention=SESSION_CLOSE).select("session", "log_return", symbol="asset").to_pandas()
    )
    runs: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        "breadth": (
            lambda: breadth(members.lazy(), constituents.lazy(), panels.lazy(), sessions.lazy()).collect(),
            lambda: pandas_way.breadth(bars_in_pandas),
        ),
        "returns": (
            lambda: returns(closes.lazy(), sessions.lazy(), study).collect(),
            lambda: pandas_way.returns(closes_in_pandas),
        ),
        "correlations": (
            lambda: correlations(moves.lazy(), study).collect(),
            lambda: pandas_way.correlations(moves_in_pandas, pairs),
        ),
    }
    rows: list[Row] = []
    for stage, (ours, theirs) in runs.items():
        pair = {f"{stage}: comove": ours, f"{stage}: pandas": theirs}
        rows += compared(alternated(pair, rounds), [f"{stage}: pandas"])
    return Table("Compute stages, frames in and frames out", ABOUT, "pandas", rows)


def closes_of(bars: pl.DataFrame, sessions: pl.DataFrame) -> pl.DataFrame:
    """`core.closes` of daily bars, as if each symbol were an asset."""
    days = sessions.filter(calendar="XNYS").select("session", "open_at", "close_at")
    prices = bars.join(days, left_on="opened_at", right_on="open_at").with_columns(
        asset="symbol",
        convention=pl.lit(SESSION_CLOSE),
        adj_close="close",
        price_at="close_at",
        staleness_minutes=pl.lit(0),
        price_basis=pl.lit("daily"),
    )
    return prices.lazy().pipe(conform, core.Closes).collect()
