"""What a scheduled run costs: the first, one that finds nothing, one that finds a day; and Prefect's part.

Each in a process of its own, on the recorded samples, cut by a day for the run that finds one.
"""

import json
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from bench.timing import Row, Table, compared

ROOT = Path(__file__).parents[1]
DATED = ("crypto_1h", "crypto_1d_utc", "equity_1d", "smallcaps_1d")  # the files that grow every day
BASE = "plain: one new day"
CHILD = """
import json, sys, time
clock = [time.perf_counter()]
from pathlib import Path
universe, data = Path(sys.argv[1]), Path(sys.argv[2])
if sys.argv[3] == "prefect":
    from flows.command import quietly
    from flows.refresh import refresh
    def once():
        with quietly():
            refresh(universe, data)
else:
    from flows import universe as universes
    from flows.job import Job
    from flows.pipeline import run
    from flows.runners import Plain
    def once():
        run(Job(universes.load(universe), data, universe_path=universe), Plain())
clock.append(time.perf_counter())
for _ in range(int(sys.argv[4])):
    once()
    clock.append(time.perf_counter())
print(json.dumps([b - a for a, b in zip(clock, clock[1:])]))
"""


def child(universe: Path, data: Path, runner: str = "plain", times: int = 1) -> list[float]:
    """Seconds of the imports and of each run, in a new process."""
    command = [sys.executable, "-c", CHILD, str(universe), str(data), runner, str(times)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return [float(spent) for spent in json.loads(done.stdout.splitlines()[-1])]


def cut(folder: Path) -> None:
    """Take the newest day off every file of prices."""
    for name in DATED:
        path = folder / f"{name}.parquet"
        rows = pl.read_parquet(path)
        about = "opened_at" if "opened_at" in rows.columns else "date"
        newest = rows[about].max()
        last = newest - timedelta(hours=23) if rows.schema[about] == pl.Datetime else newest
        rows.filter(pl.col(about) < last).write_parquet(path)


def one_round(folder: Path) -> dict[str, float]:
    """Every kind of run once."""
    samples, data = folder / "samples", folder / "data"
    shutil.copytree(ROOT / "samples", samples)
    cut(samples)
    universe = samples / "universe.toml"
    start, first = child(universe, data)
    _, nothing, again = child(universe, data, times=2)
    shutil.copytree(ROOT / "samples", samples, dirs_exist_ok=True)
    _, day = child(universe, data)
    imports, with_server, warm = child(universe, data, "prefect", 2)
    return {
        "plain: Python's imports": start,
        "plain: first run": first,
        "plain: nothing new": nothing,
        "plain: nothing new, again in the same process": again,
        BASE: day,
        "Prefect: imports more": imports - start,
        "Prefect: start of its temporary server": with_server - warm,
        "Prefect: flow and tasks (second run of a process, less the same without it)": warm - again,
    }


def table(rounds: int = 3) -> Table:
    """Medians of the rounds."""
    found = []
    for _ in range(rounds):
        with TemporaryDirectory() as folder:
            found.append(one_round(Path(folder)))
    times = {name: [of_round[name] for of_round in found] for name in found[0]}
    rows: list[Row] = compared(times, [BASE])
    return Table("A scheduled run", "The recorded samples; each run in a process of its own.", BASE, rows)
