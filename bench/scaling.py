"""What each step beyond one machine costs: `python -m bench.scaling`, about ten minutes on two cores.

Every variant is the command as a user types it, on the samples, in its own process: a first run in an empty
folder, and a second that finds nothing new. The variants take turns, and a round's figures are divided by
those of its plain run. PostgreSQL is a server of its own on loopback.
"""

import os
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from subprocess import DEVNULL, Popen

from tests.servers import Postgres, postgres

ROOT = Path(__file__).parents[1]
ROUNDS = 3
PLAIN = "plain, a DuckDB file"


def variants(home: Path, server: Postgres) -> dict[str, list[str]]:
    """The flags of each variant; each call names new places."""
    database, files = server.database(), home / "files"
    return {
        PLAIN: ["--runner", "plain"],
        "lake, SQLite": ["--runner", "plain", "--warehouse", f"ducklake:sqlite:{home / 'catalog.sqlite'}"],
        "lake, PostgreSQL": [
            *("--runner", "plain", "--warehouse", f"ducklake:postgres:{database}?data_path={files}")
        ],
        "Prefect": ["--runner", "prefect"],
        "Dask, two processes": ["--runner", "dask"],
    }


def timed(flags: list[str], data: Path) -> tuple[float, float]:
    """Seconds on the clock, and seconds of processor time of the command and all that it started."""
    command = [sys.executable, "-m", "flows.refresh", "--universe", "samples/universe.toml"]
    began, before = time.perf_counter(), os.times()
    with Popen([*command, "--data", str(data), *flags], cwd=ROOT, stdout=DEVNULL) as process:
        assert process.wait() == 0, flags
    after = os.times()
    busy = after.children_user + after.children_system - before.children_user - before.children_system
    return time.perf_counter() - began, busy


def measured(server: Postgres) -> dict[tuple[str, str], list[tuple[float, float]]]:
    """Both figures of every round, by variant and run."""
    found = defaultdict(list)
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            for number, (variant, flags) in enumerate(variants(Path(folder), server).items()):
                for run in ("first", "second"):
                    found[variant, run].append(timed(flags, Path(folder) / f"data{number}"))
    return found


def main() -> None:
    """Print the table."""
    from tests.servers import SECRET

    os.environ["PGPASSWORD"] = SECRET
    with postgres() as server:
        found = measured(server)
    print("| variant | run | seconds | to plain | processor seconds | to plain |")
    print("|---|---|---:|---:|---:|---:|")
    for (variant, run), figures in found.items():
        cells = []
        for n in (0, 1):
            ratios = [mine[n] / own[n] for mine, own in zip(figures, found[PLAIN, run], strict=True)]
            median = statistics.median(figure[n] for figure in figures)
            cells += [f"{median:.1f}", f"{statistics.median(ratios):.2f}"]
        print(f"| {variant} | {run} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
