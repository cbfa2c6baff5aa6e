"""`make bench`: every benchmark, printed and written to docs/performance.md.

`python -m bench --only kernel indicators` measures some and prints them alone; `--scale` takes a part of the
large universe.
"""

import argparse
import os
import platform
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from bench import at_scale, correlation, daily, indicators, questions
from bench.timing import Table

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "performance.md"
LIBRARIES = ("polars", "duckdb", "numpy", "pandas", "numba", "numbagg", "TA-Lib", "prefect")


def on_samples() -> list[Table]:
    """The ten questions on the recorded samples."""
    with TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        daily.child(ROOT / "samples" / "universe.toml", data)
        return [questions.table(data, "on the samples")]


SETS: dict[str, Callable[[float], list[Table]]] = {
    "kernel": lambda _: [correlation.table()],
    "indicators": lambda _: [indicators.table()],
    "large": at_scale.tables,
    "runs": lambda _: [daily.table()],
    "questions": lambda _: on_samples(),
}


def heading() -> list[str]:
    """What was measured on what."""
    libraries = ", ".join(f"{library} {version(library)}" for library in LIBRARIES)
    return [
        "# Performance",
        "",
        (
            f"Written by `make bench` on {datetime.now(UTC):%Y-%m-%d}: {os.cpu_count()} cores, "
            f"{platform.machine()}, Python {platform.python_version()}, {libraries}."
        ),
        "",
        "Everyone is timed in alternation in one run and compared within a round: the ratios carry over to",
        "other machines better than the times do. `spread` is the smallest and largest ratio of the rounds.",
        "",
    ]


def main() -> None:
    """Measure, print, and write the page if all of it was measured in full."""
    parser = argparse.ArgumentParser("python -m bench", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=SETS, default=list(SETS), help="what to measure")
    parser.add_argument("--scale", type=float, default=1.0, help="part of the large universe")
    flags = parser.parse_args()
    lines = heading()
    for name in flags.only:
        for table in SETS[name](flags.scale):
            lines += [*table.lines(), ""]
            print("\n".join(table.lines()), flush=True)
    if flags.only == list(SETS) and flags.scale == 1.0:
        PAGE.write_text("\n".join(lines))
        print(f"written: {PAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
