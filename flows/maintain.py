"""Upkeep: `python -m flows.maintain TASK --data DIR`.

`rebuild` makes the warehouse anew from the landing zone, `verify` hashes again all that was stored, `compact`
makes one landed file of a month's many, `backup` and `restore` copy the landing zone to and from `--place`.
"""

import json
import sys
from argparse import Namespace
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from prefect import flow

from flows import universe as universes
from flows.build import build
from flows.command import exit_code, parser
from flows.job import Job
from flows.lakes import lake
from flows.ledger import load_landed
from flows.lock import one_writer
from flows.parameters import Seconds
from warehouse.backup import backup, restore
from warehouse.boundary import boundary
from warehouse.compact import AGE, compact
from warehouse.lake import Lake
from warehouse.landing import LandingError, sync
from warehouse.place import StoreError
from warehouse.publish import POINTER, publish, refuse_log_beside
from warehouse.store import Store, only_builder
from warehouse.verify import broken


def rebuild(job: Job) -> dict[str, int]:
    """A new warehouse from every landed file, published; the old one is replaced when the new one is whole.

    Returns:
        Rows per table.

    Raises:
        LandingError: if a landed file is not what was written; the old warehouse stays.
    """
    if not job.zone.is_dir():
        raise LandingError(
            f"{job.zone}: there is no landing zone to rebuild from; name another folder with --data"
        )
    with one_writer(job.data, job.wait):
        return rebuild_alone(job)


def rebuild_alone(job: Job) -> dict[str, int]:
    """The rebuild, once nobody else writes to the folder."""
    if job.lake:
        rebuild_lake(job, job.lake)
    else:
        rebuild_file(job)
    with Store(job.warehouse) as store:
        return publish(store, job.home / "published", job.run_id, job.manifest).tables


def rebuild_file(job: Job) -> None:
    """A new file, which takes the old one's place."""
    fresh = job.file.with_suffix(".rebuild")
    remove(fresh)
    with Store(fresh) as store:
        load_landed(store, job.zone)
        build(store, job.universe, job.now)
    refuse_log_beside(fresh)
    remove(job.file)
    fresh.replace(job.file)
    sync(job.data)


def rebuild_lake(job: Job, where: Lake) -> None:
    """All tables of the lake anew, in one transaction."""
    with Store(where, anew=True) as store:

        def write() -> None:
            store.clear()
            load_landed(store, job.zone)
            build(store, job.universe, job.now)

        store.transact(write, only_builder)


def remove(database: Path) -> None:
    """Remove a database file and, first, its write-ahead log, which must never lie beside another file."""
    for path in (database.with_name(database.name + ".wal"), database):
        path.unlink(missing_ok=True)


def last_universe(data: Path) -> Path:
    """The universe file of the newest publication."""
    pointer = data / "published" / POINTER
    try:
        return Path(json.loads(pointer.read_text())["universe"]["path"])
    except (OSError, ValueError, KeyError) as error:
        raise StoreError(
            f"{pointer}: does not say which universe was used; name it with --universe"
        ) from error


def verify(data: Path) -> int:
    """Name everything in a data folder that is not as it was written; 1 if there is such a thing."""
    found = list(broken(data))
    sys.stdout.write("".join(f"broken: {line}\n" for line in found) or f"{data}: every file is as written\n")
    return 1 if found else 0


def compacted(data: Path, now: datetime, wait: float = 0.0, where: Lake | None = None) -> list[str]:
    """Compact the landing zone and let the warehouse know; returns the new files."""
    job_zone, warehouse = data / "landing", where or data / "warehouse.duckdb"
    with one_writer(data, wait):
        with Store(warehouse) as store:
            load_landed(store, job_zone)  # only what is loaded may be compacted
        made = compact(job_zone, now)
        boundary("compacted-loaded")
        with Store(warehouse) as store:
            load_landed(store, job_zone)
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


def rebuild_test(job: Job) -> list[str]:
    """The tables of `core` and `mart` that a rebuild would make otherwise than they are."""
    with TemporaryDirectory(dir=job.data) as folder, one_writer(job.data, job.wait):
        with Store(job.warehouse) as store:
            wanted = store.digests()
        with Store(Path(folder) / "rebuilt.duckdb") as store:
            load_landed(store, job.zone)
            build(store, job.universe, job.now)
            found = store.digests()
    return [
        table for table in wanted if table.startswith(("core.", "mart.")) and found[table] != wanted[table]
    ]


@flow(name="maintain", persist_result=False)
def maintain(
    data: Path = Path("data"),
    backup_to: str | None = None,
    wait: Seconds = 600.0,
    warehouse: str | None = None,
) -> dict[str, int]:
    """Verify every hash, compact the landing zone, try a rebuild, copy what a backup lacks.

    Raises:
        LandingError: if something stored is not as it was written; it is named, and nothing else is done.
    """
    where = lake(warehouse)
    with one_writer(data, wait):  # a run that is publishing would look broken
        found = list(broken(data))
    if found:
        raise LandingError("; ".join(found))
    made = compacted(data, datetime.now(UTC), wait, where)
    path = last_universe(data)
    differing = rebuild_test(Job(universes.load(path), data, universe_path=path, wait=wait, lake=where))
    if differing:
        raise StoreError(f"{data}: a rebuild makes {', '.join(differing)} otherwise; run `make rebuild`")
    copied = backed_up(data, backup_to, wait) if backup_to else 0
    return {"compacted": len(made), "backed_up": copied}


def main(arguments: list[str] | None = None) -> int:
    """Run one task of upkeep; 0 if it was done, 1 if not, 2 for a bad universe or flag, 3 if locked out."""
    made = parser("flows.maintain", "Upkeep of a data folder.")
    made.add_argument("task", choices=TASKS)
    made.add_argument("--place", help="for backup and restore: a folder, or a URI such as s3://bucket/path")
    made.set_defaults(universe=None)
    flags = made.parse_args(arguments)
    if flags.task in ("backup", "restore") and not flags.place:
        made.error(f"{flags.task} needs --place")
    return exit_code(lambda: TASKS[flags.task](flags))


def rebuilt(flags: Namespace) -> int:
    """Rebuild, and print the rows per table."""
    path = flags.universe or last_universe(flags.data)
    where = lake(flags.warehouse)
    counts = rebuild(Job(universes.load(path), flags.data, universe_path=path, wait=flags.wait, lake=where))
    sys.stdout.write("".join(f"{table:<24}{count:>12,}\n" for table, count in counts.items()))
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
