"""The tables of `schemas` as SQL: their columns, comments, views, and who may write what."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from itertools import takewhile
from pathlib import Path

import duckdb
import polars as pl

from schemas import BY_NAME, TABLES, Table
from schemas.table import columns, grain, key, name
from warehouse.place import literal

VIEWS = Path(__file__).parent / "views"
LONG = "TIMESTAMP WITH TIME ZONE"
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


@dataclass(frozen=True, slots=True)
class View:
    """A view, as its file says it.

    Attributes:
        name: Its qualified name: the folder and the stem of the file.
        comment: What a row is: the first line.
        told: The meaning of columns that no table has: the lines below it, `column: meaning [unit]`.
        query: The whole text.
    """

    name: str
    comment: str
    told: tuple[tuple[str, str], ...]
    query: str

    @property
    def file(self) -> str:
        """Where it stands in the project."""
        return f"warehouse/views/{self.name.replace('.', '/')}.sql"

    @property
    def meanings(self) -> dict[str, str]:
        """What columns mean: as the file says, or else the first table in the query with one so called."""
        views_by_name = {one.name: one for one in views()}
        known = dict(self.told)
        for source in re.findall(r"\b(?:raw|core|mart|ops)\.\w+", self.query):
            if source in BY_NAME:
                known = {c.name: c.comment for c in columns(BY_NAME[source])} | known
            elif source in views_by_name:
                known = views_by_name[source].meanings | known
        return known


@cache
def views() -> tuple[View, ...]:
    """Every view, in the order of their names."""
    return tuple(map(view, sorted(VIEWS.glob("*/*.sql"))))


def view(path: Path) -> View:
    """The view that a file makes."""
    text = path.read_text()
    first, *rest = (line[2:].strip() for line in takewhile(lambda line: line[:2] == "--", text.splitlines()))
    told = tuple((column, meaning) for column, _, meaning in (line.partition(": ") for line in rest))
    return View(f"{path.parent.name}.{path.stem}", first, told, text.strip().rstrip(";"))


@cache
def view_columns() -> dict[str, list[tuple[str, str]]]:
    """Name and type of every column of every view, as DuckDB finds them on empty tables."""
    with duckdb.connect() as con:
        for schema in sorted(set(map(schema_of, TABLES))):
            con.execute(f"CREATE SCHEMA {schema}")
        for model in TABLES:
            con.execute(f"CREATE TABLE {name(model)} ({ddl(model)})")
        for view in views():
            con.execute(f"CREATE VIEW {view.name} AS {view.query}")
        found = {view.name: con.execute(f"DESCRIBE {view.name}").fetchall() for view in views()}
    return {
        view: [(column, kind.replace(LONG, "TIMESTAMPTZ")) for column, kind, *_ in rows]
        for view, rows in found.items()
    }


def view_comments(database: str) -> list[str]:
    """The statements that say what the columns of the views mean; a lake would not take them."""
    return [
        f'COMMENT ON COLUMN {database}{view.name}."{column}" IS {literal(view.meanings.get(column, ""))}'
        for view in views()
        for column, _ in view_columns()[view.name]
    ]


def comments(model: type[Table], database: str = "") -> list[str]:
    """The statements that say what a table and its columns mean; `database` is empty or ends with a dot."""
    table = f"{database}{name(model)}"
    return [
        f"COMMENT ON TABLE {table} IS {literal(grain(model))}",
        *(f'COMMENT ON COLUMN {table}."{c.name}" IS {literal(c.comment)}' for c in columns(model)),
    ]


def creation(model: type[Table], database: str = "", *, replaces: bool = False) -> list[str]:
    """The statements that make a table, empty and explained; `database` is empty or ends with a dot."""
    verb = "CREATE OR REPLACE TABLE" if replaces else "CREATE TABLE"
    return [f"{verb} {database}{name(model)} ({ddl(model)})", *comments(model, database)]


def described(model: type[Table]) -> list[tuple[str, str]]:
    """Names and types of a table's columns as DuckDB describes them."""
    return [(column.name, column.sql_type.replace("TIMESTAMPTZ", LONG)) for column in columns(model)]
