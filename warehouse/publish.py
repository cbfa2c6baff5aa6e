"""Publishing: a verified, read-only copy that replaces the one before it in a single step.

Readers open `latest.duckdb` or the Parquet files that `latest.json` names; never the file that the pipeline
writes. The pointer is replaced last, so a reader sees one generation or the other, never half of one; the
generations that it lists stay where they are, for readers that hold an older pointer.
"""

import json
import shutil
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from schemas import BY_NAME
from warehouse.boundary import boundary
from warehouse.copying import PublishError, copy_database, one_state, unwritable
from warehouse.definitions import described
from warehouse.difference import digests
from warehouse.files import digest, replace_text, sha256, sync
from warehouse.folder import DATABASE
from warehouse.manifest import MANIFEST, Content, SealError, sealed, unsealed
from warehouse.place import literal
from warehouse.store import Store

POINTER = "latest.json"
GENERATIONS = 3
AT_ONCE = 2  # Parquet files that are written
MEMORY_LIMIT = "1GB"  # for reading the copy


@dataclass(frozen=True, slots=True)
class Publication:
    """What was published, and where; `digests` are those of the tables, blind to the order of their rows."""

    run_id: str
    folder: Path
    digests: dict[str, str]

    @property
    def tables(self) -> dict[str, int]:
        """Rows of each table."""
        return {table: int(digest.partition(":")[0]) for table, digest in self.digests.items()}

    @property
    def database(self) -> Path:
        """The DuckDB file for readers."""
        return self.folder / DATABASE


def publish(store: Store, folder: Path, run_id: str, extra: dict[str, Any]) -> Publication:
    """Copy the warehouse to `folder`, verify the copy, then let readers see it.

    Raises:
        PublishError: if the copy or a Parquet file cannot be written or is not whole, or a stray log lies
            beside it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    kept = generations(folder)
    sweep(folder, kept)
    work, files = folder / f".{run_id}.duckdb.tmp", folder / f".run={run_id}.tmp"
    before = published(folder, kept)
    with one_state(store, work):
        made = Publication(run_id, folder, store.digests())
        database = copy_database(store, work, made.digests, folder / DATABASE, before)
    sync(work)
    refuse_log_beside(work)
    with (
        duckdb.connect(str(work), read_only=True, config={"memory_limit": MEMORY_LIMIT}) as con,
        ThreadPoolExecutor(AT_ONCE) as pool,
    ):
        size = pool.submit(facts, work)
        verify(con, work, made.digests)
        boundary("copied")
        tables = export(con, files, made, before.get("tables", {}), pool)
    about = {"path": DATABASE, "whole_bytes": size.result()["bytes"], **database, **size.result()}
    manifest = {"run_id": run_id, "database": about, **extra, "tables": tables}
    replace_text(files / MANIFEST, sealed(manifest))
    files.replace(folder / f"run={run_id}")
    sync(folder)
    boundary("exported")
    refuse_log_beside(folder / DATABASE)
    work.replace(folder / DATABASE)
    sync(folder)
    boundary("database-replaced")
    kept = [run_id, *(old for old in kept if old != run_id)][:GENERATIONS]
    replace_text(folder / POINTER, sealed({**manifest, "generations": kept}))
    boundary("published")
    sweep(folder, kept)
    return made


def verify(con: duckdb.DuckDBPyConnection, path: Path, wanted: dict[str, str]) -> None:
    """Read the copy as a reader would, and compare its rows with those that the warehouse had."""
    for table, found in digests(con, wanted).items():
        if found != wanted[table]:
            (rows, _), (counted, _) = found.split(":"), wanted[table].split(":")
            those = f"{rows} rows" if rows != counted else "other rows"
            raise PublishError(f"{path}: {table} has {those} in the copy and {counted} in the warehouse")


def export(
    con: duckdb.DuckDBPyConnection, work: Path, made: Publication, before: Content, pool: Executor
) -> Content:
    """Every table of the copy as Parquet.

    Args:
        con: The copy.
        work: The folder to make for the files, whose name will be `run=<id>`.
        made: What is published.
        before: The tables of the publication before: a file whose rows are the same is linked, not written.
        pool: Where they are written.

    Returns:
        Of each table path, hash, bytes, rows, digest and the hash of its schema.

    Raises:
        PublishError: if a file cannot be written.
    """
    work.mkdir()

    def exported(table: str) -> Content:
        path = work / f"{table}.parquet"
        wanted = {"rows": made.tables[table], "digest": made.digests[table], "schema_sha256": schema(table)}
        if not is_linked(path, made.folder, before.get(table, {}), wanted):
            with con.cursor() as own:
                own.execute(f"COPY {table} TO {literal(path)} (FORMAT parquet, COMPRESSION zstd)")
            sync(path)
        return {"path": f"run={made.run_id}/{path.name}", **wanted, **facts(path)}

    try:
        return dict(zip(made.tables, pool.map(exported, made.tables), strict=True))
    except duckdb.Error as error:
        raise unwritable(work, error) from error


def is_linked(path: Path, folder: Path, before: Content, wanted: Content) -> bool:
    """Give the file of the publication before another name, if it holds what is wanted and is unbroken."""
    if any(before.get(label) != value for label, value in wanted.items()):
        return False
    try:
        path.hardlink_to(folder / before["path"])
    except OSError:  # gone, or a file system without links
        return False
    if sha256(path) == before["sha256"]:
        return True
    path.unlink()
    return False


def published(folder: Path, kept: list[str]) -> Content:
    """What the manifest of the newest publication says; nothing if it cannot be trusted."""
    try:
        return unsealed(folder / f"run={kept[0]}" / MANIFEST)
    except (IndexError, OSError, SealError):
        return {}


def facts(path: Path) -> dict[str, Any]:
    """Hash and size of a file."""
    return {"sha256": sha256(path), "bytes": path.stat().st_size}


def schema(table: str) -> str:
    """Hash of a table's column names and types, in their order."""
    return digest(json.dumps(described(BY_NAME[table])))


def refuse_log_beside(path: Path) -> None:
    """DuckDB replays a log that lies beside a file, even another file's: there must be none."""
    log = path.with_name(path.name + ".wal")
    if log.exists():
        raise PublishError(f"{log}: a write-ahead log lies beside a published file; remove it and run again")


def generations(folder: Path) -> list[str]:
    """The runs that the pointer keeps, newest first; none if there is no pointer that can be read.

    Not the folder's names in their order: a clock that went back must not remove what was just published.
    """
    try:
        return [str(run_id) for run_id in json.loads((folder / POINTER).read_text())["generations"]]
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, TypeError):  # broken; `make verify` names it, this run writes a new one
        return sorted((path.name.removeprefix("run=") for path in folder.glob("run=*")), reverse=True)


def sweep(folder: Path, kept: list[str]) -> None:
    """Remove what a killed run left unfinished, and the generations that are not kept."""
    orphans = [path for path in folder.glob("run=*") if path.name.removeprefix("run=") not in kept]
    for leftover in [*folder.glob(".*.tmp"), *folder.glob(".*.tmp.wal"), *orphans]:
        if leftover.is_dir():
            shutil.rmtree(leftover)
        else:
            leftover.unlink()
