"""The DuckDB file for readers: the one published before with what has changed since, or a new one."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import duckdb

from schemas import BY_NAME, TABLES
from warehouse.definitions import creation, view_comments, views
from warehouse.difference import SHARE, Difference, compare
from warehouse.files import digest, sha256
from warehouse.manifest import Content
from warehouse.place import StoreError, literal
from warehouse.store import Store

STORAGE_VERSION = "v1.4.0"  # the oldest DuckDB that BI tools still ship
DETACH = "DETACH DATABASE IF EXISTS copy_of; DETACH DATABASE IF EXISTS copy_to"
GROWTH = (
    1.25  # of the file since all of it was copied: what is replaced leaves room that only later days fill
)


class PublishError(RuntimeError):
    """The copy cannot be made, or is not whole; the one published before stays."""


@contextmanager
def one_state(store: Store, target: Path) -> Iterator[None]:
    """What the block reads is one state of the warehouse, whoever else writes; it may `copy_database`.

    Raises:
        PublishError: if the file that it fills cannot be made whole and closed.
    """
    is_filled = False
    try:
        with store.transaction():
            yield
            is_filled = True
        store.con.execute(DETACH)
    except (duckdb.Error, StoreError) as error:
        if is_filled:  # nothing but the copy is left to be written
            raise unwritable(target, error.__cause__ or error) from error
        raise
    finally:
        with suppress(duckdb.Error):
            store.con.execute(DETACH)


def unwritable(target: Path, error: BaseException) -> PublishError:
    """That the copy cannot be written, and why, in one line."""
    why = " ".join(str(error).split())
    return PublishError(f"{target}: cannot be written ({why}); the publication before stays")


def copy_database(
    store: Store, target: Path, digests: dict[str, str], last: Path, before: Content
) -> dict[str, Any]:
    """The warehouse's tables, comments and views as a file in a format that all readers know.

    The file is whole and closed after the `one_state` in which this is called.

    Args:
        store: The warehouse.
        target: The file to make.
        digests: Of each of its tables.
        last: The file published before.
        before: The manifest of that publication; empty if there is none to be trusted.

    Returns:
        What the manifest says of the file; `whole_bytes` is not known yet of a new one.

    Raises:
        PublishError: if the file cannot be written.
    """
    about: dict[str, Any] = {"storage_version": STORAGE_VERSION, "definitions_sha256": definitions()}
    old = {table: about["digest"] for table, about in before.get("tables", {}).items()}
    changed = [table for table, found in digests.items() if old.get(table) != found]
    beside = target.with_suffix(".before.tmp")  # a reader may have locked the one that it sees
    try:
        if is_kept(last, before, digests):
            shutil.copyfile(last, beside)
            changes = differences(store, beside, {table: old[table] for table in changed})
            if is_little(changes, digests):
                shutil.copyfile(beside, target)
                attach(store, target)
                change(store, changes)
                return {**about, "whole_bytes": before["database"]["whole_bytes"]}
        attach(store, target)
        copy_whole(store)
    except duckdb.Error as error:
        raise unwritable(target, error) from error
    return about


def is_kept(last: Path, before: Content, digests: dict[str, str]) -> bool:
    """Whether the file published before is unbroken, of these definitions, and not too large."""
    database = before.get("database", {})
    if set(before.get("tables", {})) != set(digests) or database.get("definitions_sha256") != definitions():
        return False
    is_tight = bool(database["bytes"] <= GROWTH * database["whole_bytes"])
    return is_tight and last.exists() and sha256(last) == database["sha256"]


def differences(store: Store, last: Path, changed: dict[str, str]) -> dict[str, Difference | None]:
    """Where tables of the file published before are not those of the warehouse; None for a whole table.

    Args:
        store: The warehouse.
        last: The file.
        changed: The tables with the digests that they have there.
    """
    store.con.execute(f"ATTACH {literal(last)} AS copy_of (READ_ONLY)")
    return {
        table: compare(store.con, BY_NAME[table], f"copy_of.{table}", table, digest)[1]
        for table, digest in changed.items()
    }


def is_little(changes: dict[str, Difference | None], digests: dict[str, str]) -> bool:
    """Whether few enough rows have changed for the others to stay where they are."""
    rows = {table: int(found.partition(":")[0]) for table, found in digests.items()}
    fresh = sum(found.rows if found else rows[table] for table, found in changes.items())
    return fresh <= SHARE * sum(rows.values())


def definitions() -> str:
    """Hash of what the tables and views are, comments included."""
    tables = [creation(one) for one in TABLES]
    return digest(json.dumps([STORAGE_VERSION, tables, [one.query for one in views()], view_comments("")]))


def attach(store: Store, target: Path) -> None:
    """Open the file, or make it, as `copy_to`."""
    store.con.execute(f"ATTACH {literal(target)} AS copy_to (STORAGE_VERSION '{STORAGE_VERSION}')")


def copy_whole(store: Store) -> None:
    """Copy all tables and views."""
    source = store.con.execute("SELECT current_database()").fetchall()[0][0]
    store.con.execute(f'COPY FROM DATABASE "{source}" TO copy_to')
    for statement in view_comments("copy_to."):
        store.con.execute(statement)


def change(store: Store, changes: dict[str, Difference | None]) -> None:
    """Copy what has changed of some tables over what the file has of them."""
    for table, found in changes.items():
        if found is None:
            for statement in creation(BY_NAME[table], "copy_to.", replaces=True):
                store.con.execute(statement)
            store.con.execute(f"INSERT INTO copy_to.{table} FROM {table}")
        else:
            found.delete(store.con, f"copy_to.{table}")
            rows = f"FROM {table} WHERE {found.within}"
            store.con.execute(f"INSERT INTO copy_to.{table} {rows}", [found.parts])
