"""The tables of `schemas` as SQL: their columns, comments, views, and who may write what."""

from collections.abc import Iterable
from pathlib import Path

import polars as pl

from schemas import TABLES, Table
from schemas.table import columns, grain, key, name
from warehouse.place import literal

VIEWS = Path(__file__).parent / "views"
APPEND_ONLY = ("raw", "ops.loads", "ops.quarantine", "ops.landed")


def schema_of(model: type[Table]) -> str:
    """The database schema of a table."""
    return name(model).split(".")[0]


def about(model: type[Table]) -> str:
    """What a row is about, as SQL: its key without the second clock."""
    return ", ".join(column for column in key(model) if column != "known_at")


def mark(model: type[Table]) -> str:
    """A number for what a row is about, as SQL: many times as fast to compare as the key."""
    return f"hash({about(model)})"


def only_builder() -> tuple[str, ...]:
    """Whoever creates or replaces tables: there is one at a time."""
    return ("build",)


def owners(model: type[Table], frame: pl.DataFrame) -> set[str]:
    """What rows belong to, such as an asset of a source: each has one writer at a time."""
    return {f"{name(model)}/{'/'.join(map(str, of))}" for of in frame.select(key(model)[:2]).unique().rows()}


def append_only() -> Iterable[type[Table]]:
    """The tables whose rows are never replaced by a build."""
    return [model for model in TABLES if name(model).startswith(APPEND_ONLY)]


def ddl(model: type[Table]) -> str:
    """Column definitions; no key and no index, because a killed checkpoint lost files that had them."""
    return ", ".join(
        f'"{column.name}" {column.sql_type}{"" if column.is_nullable else " NOT NULL"}'
        for column in columns(model)
    )


def views() -> list[tuple[str, str, str]]:
    """Name, comment (its first line) and query of every view, in the order of their names."""
    found = []
    for path in sorted(VIEWS.glob("*/*.sql")):
        text = path.read_text()
        comment = text.split("\n", 1)[0].removeprefix("--").strip()
        found.append((f"{path.parent.name}.{path.stem}", comment, text.strip().rstrip(";")))
    return found


def comments(model: type[Table], database: str = "") -> list[str]:
    """The statements that say what a table and its columns mean; `database` is empty or ends with a dot."""
    table = f"{database}{name(model)}"
    return [
        f"COMMENT ON TABLE {table} IS {literal(grain(model))}",
        *(f'COMMENT ON COLUMN {table}."{c.name}" IS {literal(c.comment)}' for c in columns(model)),
    ]


def described(model: type[Table]) -> list[tuple[str, str]]:
    """Names and types of a table's columns as DuckDB describes them."""
    long = "TIMESTAMP WITH TIME ZONE"
    return [(column.name, column.sql_type.replace("TIMESTAMPTZ", long)) for column in columns(model)]
