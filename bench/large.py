"""A universe of the size that a desk has, seeded: what it costs, and what the same would cost otherwise.

3,000 members of an index with 2,500 daily bars, 50 crypto assets with five years of hours, 20 benchmarks:
1,000 pairs. `scale` takes a part of each.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from flows import calendars
from schemas import ops, raw
from schemas.table import polars_schema
from warehouse import landing

MEMBERS, SESSIONS, CRYPTO, BENCHMARKS, YEARS = 3000, 2500, 50, 20, 5
END = datetime(2026, 1, 2, tzinfo=UTC)
RECORDED = '"2026-01-02T22:00:00Z"'
RUN = "20260102T220000000000Z"


@dataclass(frozen=True, slots=True)
class Size:
    """How much of everything."""

    members: int = MEMBERS
    sessions: int = SESSIONS
    crypto: int = CRYPTO
    benchmarks: int = BENCHMARKS
    years: int = YEARS


def walks(rng: np.random.Generator, rows: int, steps: int, scale: float) -> np.ndarray:
    """Prices (rows, steps) with a common factor in their returns."""
    moves = rng.standard_t(5, (rows, steps)) * scale + rng.standard_t(5, steps) * scale / 2
    return np.asarray(100 * np.exp(np.cumsum(moves, axis=1)))


def bars(
    names: list[str], about: pl.DataFrame, prices: np.ndarray, source: str, interval: str
) -> pl.DataFrame:
    """`raw.bars`: one row per name and instant; `about` has `opened_at` and `known_at`."""
    before = np.concatenate([prices[:, :1], prices[:, :-1]], axis=1)
    frame = pl.concat([about] * len(names)).with_columns(
        pl.Series("symbol", np.repeat(names, about.height)),
        open=pl.Series(before.ravel()),
        high=pl.Series(np.maximum(before, prices).ravel() * 1.002),
        low=pl.Series(np.minimum(before, prices).ravel() * 0.998),
        close=pl.Series(prices.ravel()),
        adj_close=pl.lit(None, pl.Float64),
        volume=pl.lit(1e6),
        source=pl.lit(source),
        interval=pl.lit(interval),
        is_known_at_assumed=pl.lit(value=True),
        load_id=pl.lit(f"{RUN}-0001"),
    )
    return frame.select(list(polars_schema(raw.Bars)))


def days(size: Size) -> pl.DataFrame:
    """Opening of the newest sessions of New York, and when their bars were final."""
    book = calendars.sessions("XNYS", END.year - size.sessions // 250 - 1, END.year)
    past = book.filter(pl.col("close_at") < END).tail(size.sessions)
    return past.select(opened_at="open_at", known_at=pl.col("close_at") + timedelta(minutes=30))


def hours(size: Size) -> pl.DataFrame:
    """Every hour of some years, and its end."""
    count = size.years * 8766
    opened = pl.datetime_range(
        END - timedelta(hours=count), END - timedelta(hours=1), "1h", time_unit="us", eager=True
    )
    return pl.DataFrame({"opened_at": opened}).with_columns(known_at=pl.col("opened_at") + timedelta(hours=1))


def frames(size: Size, seed: int = 2025) -> Iterator[pl.DataFrame]:
    """The bars, one frame a source."""
    rng = np.random.default_rng(seed)
    daily, hourly = days(size), hours(size)
    members = [
        f"M{chr(65 + n // 676)}{chr(65 + n // 26 % 26)}{chr(65 + n % 26)}" for n in range(size.members)
    ]
    yield bars(members, daily, walks(rng, size.members, daily.height, 0.015), "files:members.csv", "1d")
    benchmarks = [f"I{n:02d}" for n in range(size.benchmarks)]
    yield bars(benchmarks, daily, walks(rng, size.benchmarks, daily.height, 0.01), "files:index.csv", "1d")
    for first in range(0, size.crypto, 10):
        names = [f"C{n:02d}" for n in range(first, min(first + 10, size.crypto))]
        yield bars(names, hourly, walks(rng, len(names), hourly.height, 0.005), "files:crypto.csv", "1h")


def universe(size: Size) -> str:
    """The universe file: every crypto asset against every benchmark, and the breadth of the members."""
    blocks = ['[study]\ntarget = "C00"\nbenchmark = "I00"\ncontrols = ["I01"]']
    for kind, prefix, count, path, interval in (
        ("crypto", "C", size.crypto, "crypto.csv", "1h"),
        ("index", "I", size.benchmarks, "index.csv", "1d"),
    ):
        for n in range(count):
            own = f"{prefix}{n:02d}"
            blocks.append(
                f'[[asset]]\nid = "{own}"\nname = "{own}"\nkind = "{kind}"\n'
                f'[[asset.sources]]\nprovider = "files"\npath = "{path}"\nsymbol = "{own}"\n'
                f'interval = "{interval}"\nrecorded_at = {RECORDED}'
            )
    blocks.append(
        f'[[breadth]]\nindex = "I00"\nprovider = "files"\npath = "members.csv"\nmembers = "file"\n'
        f"recorded_at = {RECORDED}"
    )
    return "\n\n".join(blocks) + "\n"


def make(folder: Path, size: Size) -> int:
    """Write the universe and its landing zone; returns the number of bars."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("members.csv", "index.csv", "crypto.csv"):
        (folder / name).write_text("symbol,date,open,high,low,close\n")  # named, never read: all is landed
    (folder / "universe.toml").write_text(universe(size))
    zone, total = folder / "data" / "landing", 0
    for number, frame in enumerate(frames(size)):
        landing.land(frame, raw.Bars, "files", f"{RUN[:-1]}{number}Z", zone)
        total += frame.height
    ledger = pl.DataFrame([line(total)], schema=polars_schema(ops.Loads), orient="row")
    landing.land(ledger, ops.Loads, "comove", RUN, zone)
    return total


def line(rows: int) -> dict[str, object]:
    """The ledger's line for all of it."""
    return {
        "load_id": f"{RUN}-0001",
        "run_id": RUN,
        "source": "files:members.csv",
        "table_name": "raw.bars",
        "item": "*",
        "since_on": date(END.year - YEARS, 1, 1),
        "started_at": END,
        "status": "loaded",
        "rows_fetched": rows,
        "rows_new": rows,
        "rows_revised": 0,
        "rows_running": 0,
        "rows_quarantined": 0,
        "pages": 1,
        "retries": 0,
        "seconds": 1.0,
    }
