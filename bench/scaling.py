"""What each step beyond one machine costs: `python -m bench.scaling`, some minutes on two cores.

All variants run the samples in one process that has imported everything: first in an empty folder, then again
with nothing new. They take turns, and a round's figures are divided by those of its plain run. Prefect's
server runs already; the processes of the Dask cluster start within the run. PostgreSQL is on loopback.
"""

import os
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from prefect import flow

from flows import universe
from flows.cluster import cluster
from flows.command import quietly
from flows.job import Job
from flows.pipeline import run
from flows.runners import Plain, Prefect
from tests.servers import SECRET, Postgres, postgres
from warehouse.address import parse
from warehouse.lake import Lake

SAMPLES = Path(__file__).parents[1] / "samples" / "universe.toml"
NOW = datetime(2026, 8, 22, 6, tzinfo=UTC)
ROUNDS = 3
PLAIN = "plain, a DuckDB file"
Figures = dict[tuple[str, str], list[tuple[float, float]]]  # by variant and run: seconds, processor seconds


@flow(persist_result=False)
def orchestrated(job: Job) -> None:
    """As tasks of a flow."""
    run(job, Prefect())


@flow(persist_result=False)
def clustered(job: Job) -> None:
    """The requests on processes of their own."""
    with cluster(None) as workers:
        run(job, workers)


def plain(job: Job) -> None:
    """Without an orchestrator."""
    run(job, Plain())


def variants(home: Path, server: Postgres) -> dict[str, tuple[Callable[[Job], None], Lake | None]]:
    """Who runs the steps, and where the warehouse is; each call names new places."""
    on_postgres = f"ducklake:postgres:{server.database()}?data_path={home / 'files'}"
    return {
        PLAIN: (plain, None),
        "plain, a lake on SQLite": (plain, parse(f"ducklake:sqlite:{home / 'catalog.sqlite'}")),
        "plain, a lake on PostgreSQL": (plain, parse(on_postgres)),
        "Prefect, a DuckDB file": (orchestrated, None),
        "Dask, a DuckDB file": (clustered, None),
    }


def processor() -> float:
    """Processor seconds of this process and of the children that ended."""
    return sum(os.times()[:4])


def timed(action: Callable[[Job], None], job: Job) -> tuple[float, float]:
    """Seconds on the clock, and of processors."""
    began, before = time.perf_counter(), processor()
    action(job)
    return time.perf_counter() - began, processor() - before


def measured(server: Postgres) -> Figures:
    """The figures of every round; one run before them pays for what is done once in a process."""
    found: Figures = defaultdict(list)
    watched = universe.load(SAMPLES)
    with tempfile.TemporaryDirectory() as folder:
        orchestrated(Job(watched, Path(folder), now=NOW, universe_path=SAMPLES))
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            for number, (label, (action, lake)) in enumerate(variants(Path(folder), server).items()):
                data = Path(folder) / f"data{number}"
                for hours, which in enumerate(("first", "nothing new")):
                    now = NOW + timedelta(hours=hours)
                    job = Job(watched, data, now=now, universe_path=SAMPLES, lake=lake)
                    found[label, which].append(timed(action, job))
                    sys.stderr.write(f"{label}, {which}: {found[label, which][-1]}\n")
    return found


def main() -> None:
    """Print the table."""
    os.environ["PGPASSWORD"] = SECRET
    with postgres() as server, quietly():
        found = measured(server)
    print("| | run | seconds | to plain | processor seconds | to plain |")
    print("|---|---|---:|---:|---:|---:|")
    for (label, which), figures in found.items():
        cells = []
        for n in (0, 1):
            ratios = [mine[n] / own[n] for mine, own in zip(figures, found[PLAIN, which], strict=True)]
            cells += [f"{statistics.median(one[n] for one in figures):.1f}"]
            cells += [f"{statistics.median(ratios):.2f}"]
        print(f"| {label} | {which} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
