"""Upkeep: `python -m flows.maintain TASK --data DIR`.

`rebuild` makes the warehouse anew from the landing zone, `verify` hashes again all that was stored, `compact`
makes one landed file of a month's many, `backup` and `restore` copy the landing zone to and from `--place`.
"""

import sys

if __name__ == "__main__":  # before the imports that take seconds
    from flows.start import refuse_wrong_paths

    refuse_wrong_paths(sys.argv[1:], is_new="restore" in sys.argv)

from argparse import Namespace
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from prefect import flow, get_run_logger
from prefect.context import FlowRunContext
from prefect.logging import get_logger

from flows import universe as universes
from flows.command import exit_code, parser
from flows.job import Job
from flows.lakes import lake
from flows.last import last
from flows.ledger import load_landed
from flows.lock import one_writer
from flows.parameters import Place, Seconds
from flows.rebuild import rebuild, rebuild_test
from warehouse.backup import backup, restore
from warehouse.boundary import boundary
from warehouse.compact import AGE, compact
from warehouse.lake import Lake
from warehouse.landing import LandingError
from warehouse.place import StoreError
from warehouse.prune import prune
from warehouse.store import Store
from warehouse.verify import broken, broken_landing


def verify(data: Path) -> int:
    """Name everything in a data folder that is not as it was written; 1 if there is such a thing."""
    found = list(broken(data))
    sys.stdout.write("".join(f"broken: {line}\n" for line in found) or f"{data}: every file is as written\n")
    return 1 if found else 0


def compacted(data: Path, now: datetime, wait: float = 0.0, where: Lake | None = None) -> list[str]:
    """Compact the landing zone and let the warehouse know; returns the new files."""
    with one_writer(data, wait):
        return compacted_alone(data, now, where)


def compacted_alone(data: Path, now: datetime, where: Lake | None) -> list[str]:
    """The same, once nobody else writes to the folder."""
    zone, warehouse = data / "landing", where or data / "warehouse.duckdb"
    with Store(warehouse) as store:
        load_landed(store, zone)  # only what is loaded may be compacted
    made = compact(zone, now)
    boundary("compacted-loaded")
    with Store(warehouse) as store:
        load_landed(store, zone)
        store.tidy(now - AGE)
    return made


def backed_up(data: Path, place: str, wait: float) -> int:
    """Copy what a backup lacks, while nobody compacts; returns the number of files."""
    with one_writer(data, wait):
        return backup(data / "landing", place)


def restored(place: str, data: Path, wait: float) -> int:
    """Copy back what the landing zone lacks, while nobody loads; returns the number of files."""
    with one_writer(data, wait):
        return restore(place, data / "landing")


@flow(name="maintain", persist_result=False)
def maintain(
    data: Path = Path("data"),
    backup_to: Place | None = None,
    wait: Seconds = 600.0,
    warehouse: str | None = None,
) -> dict[str, int]:
    """Verify the landing zone, copy what a backup lacks, prune, compact, try a rebuild.

    Raises:
        LandingError: if something landed is not as it was written; it is named, and nothing else is done.
        StoreError: if a rebuild makes other tables, or the publication is damaged; all the rest is done.
    """
    with one_writer(data, wait):
        return maintained(data, backup_to, datetime.now(UTC), lake(warehouse))


def maintained(data: Path, backup_to: str | None, now: datetime, where: Lake | None) -> dict[str, int]:
    """The upkeep, once nobody else writes to the folder."""
    if found := list(broken_landing(data)):
        raise LandingError("; ".join(found))
    copied = backup(data / "landing", backup_to) if backup_to else 0
    removed = prune(data, now)
    made = compacted_alone(data, now, where)
    path = last(data).universe
    tried = rebuild_test(Job(universes.load(path), data, universe_path=path, lake=where))
    if tried.skipped:
        log = get_run_logger() if FlowRunContext.get() else get_logger("comove")
        log.warning("%s: no rebuild was tried: %s", data, tried.skipped)
    troubles = [f"{data}: a rebuild makes {table} otherwise; run `make rebuild`" for table in tried.differing]
    if troubles := [*troubles, *broken(data)]:
        raise StoreError("; ".join(troubles))
    return {"backed_up": copied, "replays_removed": len(removed), "compacted": len(made)}


def main(arguments: list[str] | None = None) -> int:
    """Run one task of upkeep; 0 if it was done, 1 if not, 2 for a bad universe or flag, 3 if locked out."""
    made = parser("flows.maintain", "Upkeep of a data folder.", universe=None)
    made.add_argument("task", choices=TASKS)
    made.add_argument("--place", help="for backup and restore: a folder, or a URI such as s3://bucket/path")
    flags = made.parse_args(arguments)
    if flags.task in ("backup", "restore") and not flags.place:
        made.error(f"{flags.task} needs --place")
    return exit_code(lambda: TASKS[flags.task](flags))


def rebuilt(flags: Namespace) -> int:
    """Rebuild, and print the rows per table and where the page is."""
    path = flags.universe or last(flags.data).universe
    where = lake(flags.warehouse)
    done = rebuild(Job(universes.load(path), flags.data, universe_path=path, wait=flags.wait, lake=where))
    lines = [f"{table:<24}{count:>12,}" for table, count in done.tables.items()]
    lines += [f"trouble: {' '.join(trouble.split())}" for trouble in done.troubles]
    lines += [f"page:    {done.page}"] if done.page else []
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    return 0


def told(what: str, count: int) -> int:
    """Say how much was done."""
    sys.stdout.write(f"{what}: {count}\n")
    return 0


TASKS: dict[str, Callable[[Namespace], int]] = {
    "rebuild": rebuilt,
    "verify": lambda flags: verify(flags.data),
    "compact": lambda flags: told(
        "compacted files",
        len(compacted(flags.data, datetime.now(UTC), flags.wait, lake(flags.warehouse))),
    ),
    "backup": lambda flags: told("files copied", backed_up(flags.data, flags.place, flags.wait)),
    "restore": lambda flags: told("files restored", restored(flags.place, flags.data, flags.wait)),
}


if __name__ == "__main__":
    sys.exit(main())
