"""From landed files to tables in a DuckDB file, each way in its own process: ours, pandas, and the floor.

The floor reads the same landed files and writes the same tables, computed beforehand, and does nothing else.
"""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import duckdb

import flows.steps
from bench import pandas_way
from flows import calendars, universe
from flows.build import build
from flows.job import Job
from flows.ledger import load_landed
from transforms.breadth import breadth
from transforms.closes import closes
from transforms.correlations import correlations
from transforms.indicators import indicators
from transforms.returns import normalized, returns
from warehouse.publish import publish
from warehouse.store import Store

ROOT = Path(__file__).parents[1]
FLOOR, PANDAS, OURS = "the floor", "pandas, the large tables alone", "comove, all tables"
SAME = "comove, the tables that pandas fills"
AS_PANDAS = (closes, returns, normalized, correlations, breadth, indicators)


class Spent:
    """What this process has spent since: seconds, those of its processors, and its peak of memory in GiB."""

    def __init__(self) -> None:
        self.started, self.processor = time.perf_counter(), time.process_time()

    def so_far(self) -> dict[str, float]:
        """The figures until now; a store that was closed has paid for its checkpoint."""
        return {
            "all": time.perf_counter() - self.started,
            "processor": time.process_time() - self.processor,
            "gib": peak(),
        }


def peak() -> float:
    """The largest memory of this process so far, in GiB; `getrusage` would count that of its parent too."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 2**20


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


def rebuilt_as_pandas(folder: Path, target: Path) -> dict[str, float]:
    """Landing zone to warehouse, but of the derived tables only those that pandas fills."""
    flows.steps.TRANSFORMS = AS_PANDAS
    return rebuilt(folder, target)


WAYS: dict[str, Callable[[Path, Path], dict[str, float]]] = {
    OURS: rebuilt,
    PANDAS: by_pandas,
    SAME: rebuilt_as_pandas,
    FLOOR: floor,
}


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


if __name__ == "__main__":
    print(json.dumps(WAYS[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]))))
