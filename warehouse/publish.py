"""Publishing: a verified, read-only copy that replaces the one before it in a single step.

Readers open `latest.duckdb` or the Parquet files that `latest.json` names; never the file that the pipeline
writes. The pointer is replaced last, so a reader sees one generation or the other, never half of one.
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from warehouse.boundary import boundary
from warehouse.landing import sha256, sync
from warehouse.store import Store

STORAGE_VERSION = "v1.4.0"  # the oldest DuckDB that BI tools still ship
POINTER = "latest.json"
DATABASE = "latest.duckdb"
GENERATIONS = 3


class PublishError(RuntimeError):
    """The copy does not equal the warehouse; the one published before stays."""


@dataclass(frozen=True, slots=True)
class Publication:
    """What was published, and where."""

    run_id: str
    folder: Path
    tables: dict[str, int]

    @property
    def database(self) -> Path:
        """The DuckDB file for readers."""
        return self.folder / DATABASE


def publish(store: Store, folder: Path, run_id: str, extra: dict[str, Any]) -> Publication:
    """Copy the warehouse to `folder`, verify the copy, then let readers see it.

    Raises:
        PublishError: if the copy differs from the warehouse or a stray log lies beside it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    sweep(folder)
    counts = store.tables()
    work = folder / f".{run_id}.duckdb.tmp"
    copy_database(store, work)
    verify(work, counts)
    boundary("copied")
    exported = export(store, folder, run_id, counts)
    boundary("exported")
    refuse_log_beside(folder / DATABASE)
    work.replace(folder / DATABASE)
    sync(folder)
    boundary("database-replaced")
    pointer = {
        "run_id": run_id,
        "database": {"path": DATABASE, "sha256": sha256(folder / DATABASE)},
        "tables": exported,
        **extra,
    }
    replace_text(folder / POINTER, json.dumps(pointer, indent=1))
    boundary("published")
    prune(folder)
    return Publication(run_id, folder, counts)


def copy_database(store: Store, target: Path) -> None:
    """The warehouse's tables, comments and views as a new file in a format that all readers know."""
    source = store.con.execute("SELECT current_database()").fetchall()[0][0]
    store.con.execute(f"ATTACH {quoted(target)} AS copy_to (STORAGE_VERSION '{STORAGE_VERSION}')")
    try:
        store.con.execute(f'COPY FROM DATABASE "{source}" TO copy_to')
    except duckdb.Error as error:
        first = str(error).split("\n", 1)[0]
        raise PublishError(f"{target}: cannot be written ({first}); the publication before stays") from error
    finally:
        store.con.execute("DETACH copy_to")
    sync(target)


def verify(path: Path, counts: dict[str, int]) -> None:
    """Open the copy as a reader would and compare its row counts with the warehouse's."""
    refuse_log_beside(path)
    with duckdb.connect(str(path), read_only=True) as con:
        for table, count in counts.items():
            found = con.execute(f"SELECT count(*) FROM {table}").fetchall()[0][0]
            if found != count:
                raise PublishError(
                    f"{path}: {table} has {found} rows in the copy and {count} in the warehouse"
                )


def export(store: Store, folder: Path, run_id: str, counts: dict[str, int]) -> dict[str, dict[str, Any]]:
    """Every table as Parquet under `run=<id>/`, each file durable before the folder gets its name."""
    work, target = folder / f".run={run_id}.tmp", folder / f"run={run_id}"
    work.mkdir()
    manifest = {}
    for table, count in counts.items():
        path = work / f"{table}.parquet"
        store.con.execute(f"COPY {table} TO {quoted(path)} (FORMAT parquet, COMPRESSION zstd)")
        sync(path)
        manifest[table] = {"path": f"{target.name}/{path.name}", "sha256": sha256(path), "rows": count}
    sync(work)
    work.replace(target)
    sync(folder)
    return manifest


def refuse_log_beside(path: Path) -> None:
    """DuckDB replays a log that lies beside a file, even another file's: there must be none."""
    log = path.with_name(path.name + ".wal")
    if log.exists():
        raise PublishError(f"{log}: a write-ahead log lies beside a published file; remove it and run again")


def replace_text(path: Path, text: str) -> None:
    """Replace a small file in one durable step."""
    work = path.with_name(f".{path.name}.tmp")
    work.write_text(text)
    sync(work)
    work.replace(path)
    sync(path.parent)


def prune(folder: Path) -> None:
    """Keep the newest generations of Parquet, remove the others."""
    by_age = sorted(folder.glob("run=*"), key=lambda path: path.stat().st_mtime_ns)  # a clock may go back
    for old in by_age[:-GENERATIONS]:
        shutil.rmtree(old)


def sweep(folder: Path) -> None:
    """Remove what a killed run left unfinished."""
    for leftover in folder.glob(".*.tmp"):
        if leftover.is_dir():
            shutil.rmtree(leftover)
        else:
            leftover.unlink()


def quoted(path: Path) -> str:
    """A path as a SQL literal, for statements that take no parameter."""
    return "'" + str(path).replace("'", "''") + "'"
