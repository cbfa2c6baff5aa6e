"""Reads a publication over and over on four threads, in one of five ways; prints what it saw as JSON.

`python loop_reader.py WAY DATA SECONDS`. Every table of a generation holds the generation's number, so a read
that sees two numbers saw a mix.
"""

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import duckdb
import polars as pl
import pyarrow.parquet as pq

from warehouse.reader import connect, parquet

THREADS = 4
PATIENCE = 60.0  # seconds more for a busy machine, until a reader has seen a second generation
TABLES = ("core.returns", "mart.normalized")
BOTH = """
SELECT min(log_return), max(log_return), count(*) FROM core.returns
UNION ALL SELECT min(rebased), max(rebased), count(*) FROM mart.normalized
"""
Seen = set[float]


def numbers(rows: list[tuple[float, float, int]]) -> Seen:
    return {number for low, high, count in rows for number in (low, high, float(count))}


def fresh(data: str) -> Iterator[Seen]:
    with closing(connect(data)) as con:
        yield numbers(con.execute(BOTH).fetchall())


def held(data: str) -> Iterator[Seen]:
    """One connection for many reads: all of them see the same generation."""
    with closing(connect(data)) as con:
        first = numbers(con.execute(BOTH).fetchall())
        for _ in range(20):
            time.sleep(0.02)
            yield first | numbers(con.execute(BOTH).fetchall())


def parquet_by_duckdb(data: str) -> Iterator[Seen]:
    paths = parquet(data)
    with duckdb.connect() as con:
        yield numbers(
            [
                con.execute(
                    f"SELECT min({c}), max({c}), count(*) FROM read_parquet(?)", [str(paths[t])]
                ).fetchall()[0]
                for t, c in zip(TABLES, ("log_return", "rebased"), strict=True)
            ]
        )


def parquet_by_polars(data: str) -> Iterator[Seen]:
    paths = parquet(data)
    columns = [pl.read_parquet(paths[t])[c] for t, c in zip(TABLES, ("log_return", "rebased"), strict=True)]
    yield {*columns[0], *columns[1], float(len(columns[0])), float(len(columns[1]))}


def parquet_by_pyarrow(data: str) -> Iterator[Seen]:
    paths = parquet(data)
    found = [
        pq.read_table(paths[t]).column(c).to_pylist()
        for t, c in zip(TABLES, ("log_return", "rebased"), strict=True)
    ]
    yield {*found[0], *found[1], float(len(found[0])), float(len(found[1]))}


WAYS: dict[str, Callable[[str], Iterator[Seen]]] = {
    way.__name__: way for way in (fresh, held, parquet_by_duckdb, parquet_by_polars, parquet_by_pyarrow)
}


class Reader(threading.Thread):
    """One reader: what it read, and what was wrong."""

    def __init__(self, way: str, data: str, until: float) -> None:
        super().__init__()
        self.way, self.data, self.until = WAYS[way], data, until
        self.reads: list[float] = []
        self.faults: list[str] = []

    def run(self) -> None:
        while time.monotonic() < self.until or (
            len(set(self.reads)) < 2 and time.monotonic() < self.until + PATIENCE
        ):
            try:
                for seen in self.way(self.data):
                    self.judge(seen)
            except Exception as error:
                self.faults.append(f"{type(error).__name__}: {error}")

    def judge(self, seen: Seen) -> None:
        if len(seen) != 1:
            self.faults.append(f"mix {sorted(seen)}")
        if self.reads and max(seen) < self.reads[-1]:
            self.faults.append(f"back from {self.reads[-1]} to {max(seen)}")
        self.reads.append(max(seen))


def main(way: str, data: str, seconds: float) -> None:
    readers = [Reader(way, data, time.monotonic() + seconds) for _ in range(THREADS)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    reads = [number for reader in readers for number in reader.reads]
    faults = [fault for reader in readers for fault in reader.faults]
    sys.stdout.write(json.dumps({"reads": len(reads), "generations": len(set(reads)), "faults": faults[:20]}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]))
