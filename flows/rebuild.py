"""The warehouse anew from the landing zone: nothing in it is needed but what the landed files say."""

from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from flows import alerts
from flows.aftermath import failure_told
from flows.build import build
from flows.build_cache import basis
from flows.job import Job
from flows.last import last
from flows.ledger import load_landed
from flows.lock import one_writer
from flows.pipeline import leave_page
from flows.runners import Plain
from schemas import ops
from warehouse.boundary import boundary
from warehouse.definitions import only_builder
from warehouse.files import sync
from warehouse.lake import Lake
from warehouse.landing import LandingError
from warehouse.publish import publish, refuse_log_beside
from warehouse.store import Store

TRIED = ".rebuild-test.duckdb"  # in the data folder


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """Rows per published table, the page, and what failed after the publication."""

    tables: dict[str, int]
    page: Path | None
    troubles: list[str]


def rebuild(job: Job) -> Rebuilt:
    """A new warehouse from every landed file, published; the old one is replaced when the new one is whole.

    Raises:
        LandingError: if a landed file is not what was written; the old warehouse stays.
    """
    if not job.zone.is_dir():
        raise LandingError(
            f"{job.zone}: there is no landing zone to rebuild from; name another folder with --data"
        )
    channels = alerts.channels(has_events=False)
    with failure_told(job, channels), one_writer(job.data, job.wait):
        return rebuild_alone(job)


def rebuild_alone(job: Job) -> Rebuilt:
    """The rebuild, once nobody else writes to the folder."""
    if job.lake:
        rebuild_lake(job, job.lake)
    else:
        rebuild_file(job)
    with Store(job.warehouse) as store:
        tables = publish(store, job.home / "published", job.run_id, job.manifest).tables
    return Rebuilt(tables, *leave_page(job.home, Plain()))


def rebuild_file(job: Job) -> None:
    """A new file, which takes the old one's place; the old one's log must be gone before it does."""
    fresh = job.file.with_suffix(".rebuild")
    make(job, fresh)
    refuse_log_beside(fresh)
    boundary("rebuilt")
    log_of(job.file).unlink(missing_ok=True)
    boundary("rebuild-log-removed")
    fresh.replace(job.file)
    sync(job.data)
    boundary("rebuild-replaced")


def rebuild_lake(job: Job, where: Lake) -> None:
    """All tables of the lake anew, in one transaction."""
    with Store(where, anew=True) as store:

        def write() -> None:
            store.clear()
            load_landed(store, job.zone)
            build(store, job.universe, job.now)

        store.transact(write, only_builder)


def make(job: Job, file: Path) -> dict[str, str]:
    """A warehouse in a file of its own, in place of what a killed rebuild left there; gives its digests."""
    remove(file)
    with Store(file) as store:
        load_landed(store, job.zone)
        build(store, job.universe, job.now)
        return store.digests()


def log_of(database: Path) -> Path:
    """The write-ahead log of a database file."""
    return database.with_name(database.name + ".wal")


def remove(database: Path) -> None:
    """Remove a database file and, first, its write-ahead log, which must never lie beside another file."""
    for path in (log_of(database), database):
        path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Tried:
    """What a trial rebuild found: the tables that differ, or why nothing could be compared."""

    differing: list[str]
    skipped: str | None = None


def rebuild_test(job: Job) -> Tried:
    """Compare `core` and `mart` with what a rebuild makes of them at the instant of the last publication.

    Nobody may write to the folder meanwhile. Other code, another universe or rows that no publication has
    make other tables rightly: then nothing is compared.
    """
    made = last(job.data)
    with Store(job.warehouse) as store:
        wanted, stored = store.digests(), store.read(ops.Built)
    if stored["basis"].unique().to_list() != [basis(job.universe.fingerprint)]:
        return Tried([], "it was built by other code or for another universe; run once, then try again")
    if any(wanted[table] != digest for table, digest in made.digests.items() if table.startswith("raw.")):
        return Tried([], "rows were loaded that are not published yet; run once, then try again")
    unpublished = [table for table, digest in made.digests.items() if wanted.get(table) != digest]
    if stored.filter(pl.col("table_name").is_in(unpublished) & (pl.col("built_at") > made.now)).height:
        return Tried([], "tables were built that are not published yet; run once, then try again")
    try:
        found = make(replace(job, now=made.now), job.data / TRIED)
    finally:
        remove(job.data / TRIED)
    ours = [table for table in wanted if table.startswith(("core.", "mart."))]
    return Tried([table for table in ours if found[table] != wanted[table]])
