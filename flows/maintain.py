"""Upkeep: `python -m flows.maintain TASK --data DIR`.

`rebuild` makes the warehouse anew from the landing zone; `verify` hashes again all that was stored.
"""

import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from flows import universe as universes
from flows.build import build
from flows.job import Job
from flows.ledger import load_landed
from flows.lock import LockedError, one_writer
from flows.refresh import FAILURES, Parser, complain
from warehouse.landing import LandingError, sync
from warehouse.publish import POINTER, publish
from warehouse.store import Store, StoreError
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
    fresh = job.warehouse.with_suffix(".rebuild")
    remove(fresh)
    with Store(fresh) as store:
        load_landed(store, job.zone)
        build(store, job.universe, job.now)
    remove(job.warehouse)
    fresh.replace(job.warehouse)
    sync(job.data)
    with Store(job.warehouse) as store:
        return publish(store, job.home / "published", job.run_id, job.manifest).tables


def remove(database: Path) -> None:
    """Remove a database file with its write-ahead log."""
    for path in (database, database.with_name(database.name + ".wal")):
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


def main(arguments: list[str] | None = None) -> int:
    """Run one task of upkeep; 0 if it was done, 1 if not, 2 for a bad universe or flag."""
    parser = Parser("python -m flows.maintain", description="Upkeep of a data folder.")
    parser.add_argument("task", choices=["rebuild", "verify"])
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("COMOVE_DATA", "data")))
    parser.add_argument("--universe", type=Path, help="default: that of the newest publication")
    flags = parser.parse_args(arguments)
    if flags.task == "verify":
        return verify(flags.data)
    try:
        path = flags.universe or last_universe(flags.data)
        counts = rebuild(Job(universes.load(path), flags.data, now=datetime.now(UTC), universe_path=path))
    except universes.UniverseError as error:
        return complain(str(error), 2)
    except LockedError as error:
        return complain(str(error), 3)
    except FAILURES as error:
        return complain(str(error), 1)
    sys.stdout.write("".join(f"{table:<24}{count:>12,}\n" for table, count in counts.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
