"""What a run brought: new versions, refused rows and one ledger line per attempt, landed and then loaded."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType

import polars as pl

from flows import spool
from flows.batch import FIGURES
from flows.intake import RefusedError
from flows.sources import Request, SourceError
from flows.spool import Part
from flows.versions import CALENDARS, LISTS, cancelled, new_versions, removed
from schemas import TABLES, Table, ops
from schemas.table import conform, key, name, polars_schema
from warehouse import landing
from warehouse.boundary import boundary
from warehouse.definitions import owners
from warehouse.integrity import refuse_mismatch
from warehouse.store import Store

NOTHING = {"rows_revised": 0, "rows_running": 0, "rows_quarantined": 0, "pages": 0, "retries": 0}
OWN = "comove"  # the provider of what the pipeline itself says


@dataclass(frozen=True, slots=True)
class Outcome:
    """One attempt: what was asked, what came, what went wrong; `also` is what came along for other tables.

    Without a part and without an error, it was known before it was asked that nothing new would come.
    """

    request: Request
    started_at: datetime
    part: Part | None = None
    error: SourceError | None = None
    seconds: float = 0.0
    pages: int = 0
    retries: int = 0
    note: str | None = None
    also: tuple["Outcome", ...] = ()
    answer: str | None = None

    @property
    def table(self) -> str:
        """Name of the table that it was meant for."""
        return name(self.request.model)

    @property
    def seen(self) -> Part | None:
        """What came, also where it was refused as a whole."""
        return self.error.part if isinstance(self.error, RefusedError) else self.part


def land(outcomes: list[Outcome], store: Store, zone: Path, run_id: str, loaded_at: datetime) -> list[Path]:
    """Land what the outcomes say that the warehouse does not know yet: one file per provider and table.

    The ledger comes last, so that it never tells of rows that were not landed.
    """
    landing.sweep(zone)
    files, counts = [], Counts()
    parts: dict[tuple[type[Table], str], list[Part]] = {}
    for outcome in outcomes:
        if outcome.part:
            provider = outcome.request.source.partition(":")[0]
            parts.setdefault((outcome.request.model, provider), []).append(outcome.part)
    for (model, provider), some in parts.items():
        news = versions(some, model, store, loaded_at, counts)
        files.append(landing.land(news, model, provider, run_id, zone))
    files += land_attempts(outcomes, zone, run_id, counts, store)
    spool.clear(zone)
    return [path for path in files if path]


def land_attempts(
    outcomes: list[Outcome],
    zone: Path,
    run_id: str,
    counts: Mapping[str, tuple[int, int]] = MappingProxyType({}),
    store: Store | None = None,
) -> list[Path | None]:
    """Land the refused rows that are not in quarantine yet, and one ledger line per attempt.

    Args:
        outcomes: The attempts.
        zone: The landing zone.
        run_id: The run.
        counts: New and revised rows by load id.
        store: Where quarantined rows are known already.
    """
    lines = [
        ledger_line(outcome, *counts.get(outcome.request.load_id, (0, 0)), run_id) for outcome in outcomes
    ]
    ledger = pl.DataFrame(lines, schema=polars_schema(ops.Loads), orient="row")
    return [
        landing.land(refused(outcomes, store), ops.Quarantine, OWN, run_id, zone),
        landing.land(ledger, ops.Loads, OWN, run_id, zone),
    ]


def refused(outcomes: list[Outcome], store: Store | None) -> Iterator[pl.DataFrame]:
    """The refused rows that are not in quarantine, an attempt at a time."""
    for outcome in outcomes:
        rows = outcome.seen.refused if outcome.seen else None
        if rows is not None:
            fresh = store.lacking(ops.Quarantine, rows) if store else rows
            if fresh.height:
                yield conform(fresh.lazy(), ops.Quarantine).collect().sort("quarantine_id")


class Counts(dict[str, tuple[int, int]]):
    """New and revised rows by load id."""

    def add(self, news: pl.DataFrame) -> None:
        """Count the rows of a group; a load may have rows in one only."""
        found = news.group_by("load_id").agg(pl.col("is_new").sum(), revised=(~pl.col("is_new")).sum())
        self.update({load_id: (new, revised) for load_id, new, revised in found.iter_rows()})


def versions(
    parts: list[Part], model: type[Table], store: Store, loaded_at: datetime, counts: Counts
) -> Iterator[pl.DataFrame]:
    """The new versions for one raw table, a group of parts at a time; they are counted as they go."""
    empty = pl.DataFrame(schema=polars_schema(model))
    of_whole = (LISTS | CALENDARS).get(model)
    about = list(of_whole or (column for column in key(model) if column != "known_at"))
    for group in spool.groups(parts):
        rows = pl.concat([part.rows for part in group])
        if not of_whole and "known_at" in key(model):
            rows = unsaid(rows, model, about, store)
        found = [part.frozen for part in group]
        frozen = pl.concat([empty, *(some.select(empty.columns) for some in found if some.height)])
        stored = store.versions_of(model, pl.concat([some.select(about) for some in (rows, frozen)]))
        # what is not there may have been refused: then nobody is taken off
        whole = [part.rows for part in group if of_whole and part.is_whole]
        if model in LISTS:
            frozen = removed(
                model, pl.concat([empty, *(some.select(empty.columns) for some in whole)]), stored
            )
        if model in CALENDARS and whole:
            rows = pl.concat([rows, cancelled(pl.concat(whole), stored)], how="diagonal")
        news = new_versions(model, rows, frozen, stored, loaded_at)
        counts.add(news)
        if news.height:
            yield news.drop("is_new")


def unsaid(rows: pl.DataFrame, model: type[Table], about: list[str], store: Store) -> pl.DataFrame:
    """Without the rows that repeat what is stored: nearly all, where a source delivers everything."""
    if rows.select(about).hash_rows().n_unique() < rows.height:  # versions of one row are told by their order
        return rows
    dated = rows.filter(pl.col("said_at").is_not_null())  # may be of an instant before the stored one's
    others = rows.filter(pl.col("said_at").is_null())
    return pl.concat([store.unsaid(model, others, FIGURES[model]), dated])


def ledger_line(outcome: Outcome, new: int, revised: int, run_id: str) -> dict[str, object]:
    """One line of the ledger."""
    request, part = outcome.request, outcome.seen
    status = "loaded" if new or revised else "unchanged"
    if outcome.error:
        status = "refused" if isinstance(outcome.error, RefusedError) else "failed"
    return {
        "load_id": request.load_id,
        "run_id": run_id,
        "source": request.source,
        "table_name": outcome.table,
        "item": request.series,
        "interval": request.interval,
        "since_on": request.since,
        "until_on": request.until,
        "started_at": outcome.started_at,
        "status": status,
        "rows_fetched": part.delivered if part else 0,
        "rows_new": new,
        "rows_revised": revised,
        "rows_running": part.running if part else 0,
        "rows_quarantined": part.bad if part else 0,
        "pages": outcome.pages,
        "retries": outcome.retries,
        "seconds": outcome.seconds,
        "error": str(outcome.error) if outcome.error else outcome.note,
        "answer_sha256": outcome.answer,
    }


def load_landed(store: Store, zone: Path) -> int:
    """Load every landed file that the warehouse has not seen, each in one transaction; returns their number.

    This is also how a killed run heals, and how the warehouse is rebuilt when it was deleted.

    Raises:
        StoreError: if the warehouse does not hold what was loaded into it.
        LandingError: if a landed file is not what was written.
    """
    store.transact(lambda: refuse_mismatch(store, zone))  # marks and rows of the same instant
    known = set(store.read(ops.Landed)["path"])
    pending = [file for file in landing.landed(zone) if file.path not in known]
    for file in pending:
        load_file(file, store, zone, known)
    if pending:
        store.transact(lambda: store.append(ops.Loads, recovered(store)), lambda: [name(ops.Loads)])
    return len(pending)


def load_file(file: landing.Landed, store: Store, zone: Path, known: Collection[str]) -> None:
    """Load a landed file piece by piece, and its mark, in one transaction.

    The mark counts the rows that the warehouse lacked, so that marks add up: some are there where a compacted
    file replaces loaded ones, or where a row was refused more than once.
    """
    of_key = key(file.model)
    is_news = file.model is not ops.Quarantine and not set(landing.replaced(zone / file.path)) & set(known)

    def marked(count: int) -> pl.DataFrame:
        mark = (file.path, name(file.model), file.sha256, count)
        return pl.DataFrame([mark], polars_schema(ops.Landed), orient="row")

    def complete(piece: pl.DataFrame) -> int:
        rows = store.lacking(file.model, piece.unique(of_key, keep="first", maintain_order=True))
        store.append(file.model, rows)
        return rows.height

    def write() -> None:
        if store.lacking(ops.Landed, marked(0)).is_empty():
            return  # another loader of the same landing zone was faster
        found = landing.pieces(file, zone)
        count = store.load(file.model, found, zone / file.path) if is_news else sum(map(complete, found))
        boundary("loading")
        store.append(ops.Landed, marked(count))

    store.transact(write, lambda: owners(file.model, landing.distinct(file, zone, of_key[:2])))
    boundary("loaded")


def recovered(store: Store) -> pl.DataFrame:
    """A ledger line for each load whose rows were landed by a run that died before it landed its ledger."""
    listed = set(store.read(ops.Loads)["load_id"])
    lines = [
        {"load_id": load_id, "run_id": load_id.partition("-")[0], "source": source, "table_name": name(model)}
        | {"item": "*", "status": "recovered", "rows_fetched": rows, "rows_new": rows, **NOTHING}
        for model in TABLES
        if name(model).startswith("raw.")
        for load_id, source, rows in store.loads_of(model)
        if load_id not in listed
    ]
    return pl.DataFrame(lines, schema=polars_schema(ops.Loads))
