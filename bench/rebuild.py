"""From landed files to published tables on the large universe: against pandas, and against the floor.

The floor reads the same landed files and writes the same tables, computed beforehand, and does nothing else.
"""

import json
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import polars as pl

from bench import large, pandas_way
from bench.timing import Row, Table, alternated, compared
from flows import calendars, universe
from flows.build import END_OF_TIME, build
from flows.job import Job
from flows.ledger import load_landed
from schemas import core, raw
from transforms.breadth import breadth
from transforms.returns import returns
from transforms.rolling import rolling_correlation
from warehouse.publish import publish
from warehouse.store import Store

ROOT = Path(__file__).parents[1]
FLOOR, PANDAS, OURS = "the floor", "pandas, the large tables alone", "comove, all tables"


class Spent:
    """What this process has spent since: seconds, those of its processors, and its peak of memory in GiB."""

    def __init__(self) -> None:
        self.started, self.processor = time.perf_counter(), time.process_time()

    def so_far(self) -> dict[str, float]:
        """The figures until now; a store that was closed has paid for its checkpoint."""
        return {
            "all": time.perf_counter() - self.started,
            "processor": time.process_time() - self.processor,
            "gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        }


def job_of(folder: Path) -> Job:
    """The run that rebuilds a folder."""
    path = folder / "universe.toml"
    return Job(universe.load(path), folder / "data", universe_path=path)


def rebuilt(folder: Path, target: Path) -> dict[str, float]:
    """Landing zone to warehouse; seconds of every part, and what was published of it."""
    job, spent = job_of(folder), Spent()
    with Store(target) as store:
        load_landed(store, job.zone)
        loaded = spent.so_far()["all"]
        parts = build(store, job.universe, job.now)
    found = {**parts, "load": loaded, **spent.so_far()}
    with Store(target) as store:
        started = time.perf_counter()
        made = publish(store, target.parent / "published", job.run_id, job.manifest)
        found |= {"publish": time.perf_counter() - started, "rows": sum(made.tables.values())}
    return {**found, "megabytes": made.database.stat().st_size / 1e6}


def by_pandas(folder: Path, target: Path) -> dict[str, float]:
    """The same by the pandas script."""
    job = job_of(folder)
    sessions, spent = calendars.sessions("XNYS", 2014, 2027).to_pandas(), Spent()
    pandas_way.fill(job.zone, sessions, list(job.universe.pairs), target)
    return spent.so_far()


def floor(folder: Path, target: Path) -> dict[str, float]:
    """Landed files and finished tables as Parquet into a DuckDB file."""
    zone, made, spent = folder / "data" / "landing", folder / "made", Spent()
    with duckdb.connect(str(target)) as con:
        con.execute(f"CREATE TABLE bars AS FROM read_parquet('{zone}/raw.bars/*/*.parquet')")
        for path in sorted(made.glob("*.parquet")):
            con.execute(f"CREATE TABLE \"{path.stem}\" AS FROM read_parquet('{path}')")
    return spent.so_far()


WAYS: dict[str, Callable[[Path, Path], dict[str, float]]] = {OURS: rebuilt, PANDAS: by_pandas, FLOOR: floor}


def apart(way: str, folder: Path) -> dict[str, float]:
    """One way in a process of its own, into a new file."""
    work = folder / "work"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    command = [sys.executable, "-m", "bench.rebuild", way, str(folder), str(work / "warehouse.duckdb")]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def keep_made(folder: Path) -> None:
    """The tables of core and mart that the rebuild left, as Parquet for the floor."""
    made = folder / "made"
    made.mkdir(exist_ok=True)
    with duckdb.connect(str(folder / "work" / "warehouse.duckdb"), read_only=True) as con:
        for (table,) in con.execute(
            "SELECT schema_name || '.' || table_name FROM duckdb_tables() "
            "WHERE schema_name IN ('core', 'mart')"
        ).fetchall():
            con.execute(f"COPY {table} TO '{made}/{table}.parquet' (COMPRESSION snappy)")


def stages(folder: Path, rounds: int) -> Table:
    """Frames in, frames out, against pandas."""
    job = job_of(folder)
    with Store(folder / "work" / "warehouse.duckdb", read_only=True) as store:
        tables: dict[Any, pl.DataFrame] = {
            model: store.newest(model, END_OF_TIME)
            for model in (raw.Bars, raw.Constituents, core.Panels, core.Sessions, core.Closes, core.Returns)
        }
    study, pairs = job.universe.study_parameters, list(job.universe.pairs)
    members = tables[raw.Bars].filter(pl.col("source") == "files:members.csv")
    own = tables[core.Closes].filter(pl.col("convention") == "session_close")
    prices = own.select("asset", "session", "close").to_pandas().rename(columns={"asset": "symbol"})
    moves = pandas_way.returns(prices)
    wide = (
        tables[core.Returns]
        .filter(pl.col("convention") == "session_close")
        .pivot("asset", index="session", values="log_return")
        .sort("session")
    )
    assets = wide.columns[1:]
    left, right = (pl.Series([assets.index(pair[side]) for pair in pairs]).to_numpy() for side in (0, 1))
    in_pandas = members.select("opened_at", "symbol", "close").to_pandas()
    lazy = {model: frame.lazy() for model, frame in tables.items()}
    runs: list[tuple[str, Callable[[], Any], Callable[[], Any]]] = [
        (
            "breadth",
            lambda: breadth(
                members.lazy(), lazy[raw.Constituents], lazy[core.Panels], lazy[core.Sessions]
            ).collect(),
            lambda: pandas_way.breadth(in_pandas),
        ),
        (
            "returns",
            lambda: returns(own.lazy(), lazy[core.Sessions], study).collect(),
            lambda: pandas_way.returns(prices),
        ),
        (
            "correlations (r)",
            lambda: [
                rolling_correlation(wide.drop("session").to_numpy(), left, right, window)
                for window in study.windows
            ],
            lambda: pandas_way.correlations(moves, pairs),
        ),
    ]
    rows: list[Row] = []
    for stage, ours, theirs in runs:
        rows += compared(
            alternated({f"{stage}: comove": ours, f"{stage}: pandas": theirs}, rounds), [f"{stage}: pandas"]
        )
    return Table("Compute stages, frames in and frames out", "The large universe.", "pandas", rows)


def tables(scale: float = 1.0, rounds: int = 3) -> list[Table]:
    """The stages, the whole rebuild, and twice the members."""
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        whole = large.Size(members=int(3000 * scale), crypto=max(2, int(50 * scale)))
        bars = large.make(folder, whole)
        apart(OURS, folder)
        keep_made(folder)
        parts = stages(folder, rounds)
        found = [{way: apart(way, folder) for way in WAYS} for _ in range(rounds)]
        half = folder / "half"
        large.make(half, large.Size(members=whole.members // 2, crypto=whole.crypto))
        of_half = [apart(OURS, half) for _ in range(rounds)]
    times = {way: [of_round[way]["all"] for of_round in found] for way in WAYS}
    rows = compared(times, [FLOOR])
    for row in rows:
        row.notes["peak memory"] = f"{max(one[row.name]['gib'] for one in found):.1f} GiB"
    ours = [one[OURS] for one in found]
    slowest = sorted(ours[0].items(), key=lambda item: -item[1])
    told = ", ".join(
        f"{label} {spent:.1f} s" for label, spent in slowest if spent > 1 and label not in TOTALS
    )
    twice = compared(
        {"all members": times[OURS], "half of them": [one["all"] for one in of_half]}, ["half of them"]
    )
    publishing = compared({"publish": [one["publish"] for one in ours], "rebuild": times[OURS]}, ["rebuild"])
    pairs, rows_in_all = whole.crypto * whole.benchmarks, ours[0]["rows"]
    about = f"{bars:,} bars, {pairs:,} pairs, {rows_in_all:,.0f} rows in all. {told}."
    return [
        parts,
        Table("The whole rebuild, landing zone to mart", about, FLOOR, rows),
        Table("Twice the members", "The whole rebuild.", "half of them", twice),
        Table("Publishing the large universe", "DuckDB copy, Parquet, hashes.", "the rebuild", publishing),
    ]


TOTALS = ("all", "rows", "gib", "publish")

if __name__ == "__main__":
    print(json.dumps(WAYS[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]))))
