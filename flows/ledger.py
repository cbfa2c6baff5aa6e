"""What a run brought: new versions, refused rows and one ledger line per attempt, landed and then loaded."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from types import MappingProxyType

import polars as pl

from flows.batch import Batch, quarantine
from flows.intake import RefusedError
from flows.sources import Request, SourceError
from flows.versions import new_versions
from schemas import TABLES, Table, ops
from schemas.table import key, name, polars_schema
from warehouse import landing
from warehouse.boundary import boundary
from warehouse.integrity import refuse_mismatch
from warehouse.store import Store, owners

NOTHING = {"rows_revised": 0, "rows_running": 0, "rows_quarantined": 0, "pages": 0, "retries": 0}
OWN = "comove"  # the provider of what the pipeline itself says


@dataclass(frozen=True, slots=True)
class Outcome:
    """One attempt: what was asked, what came, what went wrong; `also` is what came along for other tables."""

    request: Request
    started_at: datetime
    batch: Batch | None = None
    error: SourceError | None = None
    seconds: float = 0.0
    pages: int = 0
    retries: int = 0
    note: str | None = None
    also: tuple["Outcome", ...] = ()

    @property
    def table(self) -> str:
        """Name of the table that it was meant for."""
        return name(self.request.model)

    @property
    def seen(self) -> Batch | None:
        """The batch, also where it was refused as a whole."""
        return self.error.batch if isinstance(self.error, RefusedError) else self.batch


def land(outcomes: list[Outcome], store: Store, zone: Path, run_id: str, loaded_at: datetime) -> list[Path]:
    """Land what the outcomes say that the warehouse does not know yet: one file per provider and table.

    The ledger comes last, so that it never tells of rows that were not landed.
    """
    landing.sweep(zone)
    files, counts = [], []
    for model in dict.fromkeys(outcome.request.model for outcome in outcomes):
        news = versions(
            [o for o in outcomes if o.batch and o.request.model is model], model, store, loaded_at
        )
        counts.append(
            news.group_by("load_id").agg(new=pl.col("is_new").sum(), revised=(~pl.col("is_new")).sum())
        )
        for (provider,), rows in news.group_by(
            pl.col("source").str.split(":").list.first().alias("provider")
        ):
            files.append(landing.land(rows.drop("is_new"), model, str(provider), run_id, zone))
    by_load = {load_id: (new, revised) for load_id, new, revised in pl.concat(counts).iter_rows()}
    known = store.read(ops.Quarantine)["quarantine_id"]
    return files + land_attempts(outcomes, zone, run_id, by_load, known)


def land_attempts(
    outcomes: list[Outcome],
    zone: Path,
    run_id: str,
    counts: Mapping[str, tuple[int, int]] = MappingProxyType({}),
    known: Collection[str] = (),
) -> list[Path]:
    """Land the refused rows that are not in quarantine yet, and one ledger line per attempt.

    Args:
        outcomes: The attempts.
        zone: The landing zone.
        run_id: The run.
        counts: New and revised rows by load id.
        known: Quarantine ids that are stored.
    """
    files = []
    frames = [quarantine(outcome.seen, outcome.request) for outcome in outcomes if outcome.seen]
    refused = pl.concat([pl.DataFrame(schema=polars_schema(ops.Quarantine)), *frames]).unique("quarantine_id")
    refused = refused.filter(~pl.col("quarantine_id").is_in(list(known))).sort("load_id", "quarantine_id")
    if refused.height:
        files.append(landing.land(refused, ops.Quarantine, OWN, run_id, zone))
    lines = [
        ledger_line(outcome, *counts.get(outcome.request.load_id, (0, 0)), run_id) for outcome in outcomes
    ]
    ledger = pl.DataFrame(lines, schema=polars_schema(ops.Loads), orient="row")
    return [*files, landing.land(ledger, ops.Loads, OWN, run_id, zone)]


def versions(outcomes: list[Outcome], model: type[Table], store: Store, loaded_at: datetime) -> pl.DataFrame:
    """The new versions for one raw table, of all sources at once."""
    empty = pl.DataFrame(schema=polars_schema(model))
    batches = [outcome.batch for outcome in outcomes if outcome.batch]
    if not batches:
        return empty.with_columns(is_new=pl.lit(value=True))
    rows = pl.concat([batch.rows for batch in batches])
    frozen = pl.concat([empty, *(b.frozen.select(empty.columns) for b in batches if b.frozen.height)])
    stored = store.versions_of(model, sorted({outcome.request.source for outcome in outcomes}))
    return new_versions(model, rows, frozen, stored, loaded_at)


def ledger_line(outcome: Outcome, new: int, revised: int, run_id: str) -> dict[str, object]:
    """One line of the ledger."""
    request, batch = outcome.request, outcome.seen
    status = "loaded" if new or revised else "unchanged"
    if outcome.error:
        status = "refused" if isinstance(outcome.error, RefusedError) else "failed"
    return {
        "load_id": request.load_id,
        "run_id": run_id,
        "source": request.source,
        "table_name": outcome.table,
        "item": request.label,
        "interval": request.interval,
        "since_on": request.since,
        "until_on": request.until,
        "started_at": outcome.started_at,
        "status": status,
        "rows_fetched": batch.delivered.height if batch else 0,
        "rows_new": new,
        "rows_revised": revised,
        "rows_running": batch.running if batch else 0,
        "rows_quarantined": batch.bad if batch else 0,
        "pages": outcome.pages,
        "retries": outcome.retries,
        "seconds": outcome.seconds,
        "error": str(outcome.error) if outcome.error else outcome.note,
    }


def load_landed(store: Store, zone: Path) -> int:
    """Load every landed file that the warehouse has not seen, each in one transaction; returns their number.

    This is also how a killed run heals, and how the warehouse is rebuilt when it was deleted.

    Raises:
        StoreError: if the warehouse does not hold what was loaded into it.
        LandingError: if a landed file is not what was written.
    """
    refuse_mismatch(store, zone)
    known = set(store.read(ops.Landed)["path"])
    pending = [file for file in landing.landed(zone) if file.path not in known]
    for file in pending:
        rows = not_stored(landing.read(file, zone), file, zone, known, store)
        mark = pl.DataFrame(
            [(file.path, name(file.model), file.sha256, rows.height)], polars_schema(ops.Landed), orient="row"
        )
        store.transact(partial(load, store, file.model, rows, mark), partial(owners, file.model, rows))
        boundary("loaded")
    if pending:
        store.append(ops.Loads, recovered(store))
    return len(pending)


def load(store: Store, model: type[Table], rows: pl.DataFrame, mark: pl.DataFrame) -> None:
    """Rows and the mark of the file that brought them, which belong into one transaction."""
    store.append(model, rows)
    boundary("loading")
    store.append(ops.Landed, mark)


def not_stored(
    rows: pl.DataFrame, file: landing.Landed, zone: Path, known: Collection[str], store: Store
) -> pl.DataFrame:
    """The rows of a landed file that the warehouse lacks; its mark counts these, so that marks add up.

    Some are there where a compacted file replaces loaded ones, or where a row was refused more than once.
    """
    of_key = key(file.model)
    if file.model is ops.Quarantine:
        rows = rows.unique(of_key, keep="first", maintain_order=True)
    elif not set(landing.replaced(zone / file.path)) & set(known):
        return rows
    return rows.join(store.read(file.model), on=of_key, how="anti", nulls_equal=True)


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
