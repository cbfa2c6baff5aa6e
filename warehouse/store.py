"""The one place that opens the warehouse file, and the one place where a frame becomes a table."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import duckdb
import polars as pl

from schemas import BY_NAME, TABLES, Table
from schemas.table import columns, grain, key, name, polars_schema, validate

Frames = Mapping[type[Table], pl.DataFrame]
Query = Callable[[str], pl.DataFrame]
VIEWS = Path(__file__).parent / "views"
APPEND_ONLY = ("raw", "ops.loads", "ops.quarantine", "ops.landed")
DatabaseError = duckdb.Error  # for those who may not import DuckDB
MEMORY_LIMIT = "4GB"
DIGEST = "SELECT count(*) || ':' || coalesce(sum(hash(t)), 0) FROM {} t"


class StoreError(RuntimeError):
    """The warehouse file cannot serve; the message says what to run next."""


class Store:
    """A DuckDB file with the tables of `schemas`; one writer, closed when the block ends."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """Open or create the file; `read_only` creates nothing.

        Raises:
            StoreError: if another process holds it, or it is not a warehouse of this version.
        """
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self.con = duckdb.connect(str(path), read_only=read_only)
        except duckdb.Error as error:
            raise StoreError(open_failed(path, error)) from error
        self.con.execute("SET TimeZone = 'UTC'")
        self.con.execute("SET memory_limit = ?", [MEMORY_LIMIT])
        self.con.execute("SET preserve_insertion_order = true")
        if not read_only:
            self._create_append_only()

    def __enter__(self) -> Self:
        """The store itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file, so that DuckDB folds its log into it."""
        self.con.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of it or nothing of it."""
        self.con.execute("BEGIN")
        try:
            yield
            self.con.execute("COMMIT")
        except duckdb.Error as error:
            self._roll_back()
            first = str(error).split("\n", 1)[0]
            raise StoreError(
                f"{self.path}: nothing was written ({first}); make room or mend it, then run again"
            ) from error
        except BaseException:
            self._roll_back()
            raise

    def _roll_back(self) -> None:
        with suppress(duckdb.Error):  # a failed COMMIT has rolled back by itself
            self.con.execute("ROLLBACK")

    def append(self, model: type[Table], frame: pl.DataFrame) -> None:
        """Add rows to an append-only table, validated; a key that is there already is refused.

        Raises:
            InvalidTableError: if the frame breaks its contract.
            StoreError: if a key of it is stored already, or twice in it.
        """
        checked = validate(frame.select(list(polars_schema(model))), model)
        self.con.register("incoming", checked)
        of_key = ", ".join(key(model))
        self._refuse_twice(
            model, f"(FROM incoming UNION ALL BY NAME FROM {name(model)} SEMI JOIN incoming USING ({of_key}))"
        )
        self.con.unregister("incoming")
        self._insert(model, checked)

    def replace(self, frames: Frames, then: Callable[[Query], Frames] | None = None) -> None:
        """Write whole tables and all views in one transaction; data, dtypes and keys are checked.

        Args:
            frames: The tables.
            then: Gives further tables, out of queries on the ones just written.

        Raises:
            InvalidTableError: if a frame breaks its contract; the file keeps what it had.
        """
        with self.transaction():
            for model, frame in frames.items():
                self._replace(model, frame)
            self._create_views()
            for model, frame in then(self._frame).items() if then else ():
                self._replace(model, frame)

    def _replace(self, model: type[Table], frame: pl.DataFrame) -> None:
        self.con.execute(f"CREATE OR REPLACE TABLE {name(model)} ({ddl(model)})")
        self._insert(model, validate(frame, model))
        self._refuse_twice(model, name(model))
        self._comment(model)

    def newest(self, model: type[Table], as_of: datetime) -> pl.DataFrame:
        """The rows in force at an instant: of each key, the version known last by then."""
        if "known_at" not in key(model):
            rows = self.read(model)
            return rows.filter(pl.col("captured_at") <= as_of) if "captured_at" in rows.columns else rows
        last = f"QUALIFY row_number() OVER (PARTITION BY {about(model)} ORDER BY known_at DESC) = 1"
        single = f"FROM known ANTI JOIN many USING ({about(model)})"
        return self._known(model, as_of, f"{single} UNION ALL ({several(model)} {last})")

    def revised(self, model: type[Table], as_of: datetime) -> pl.DataFrame:
        """Every version, known by an instant, of the rows that have more than one."""
        return self._known(model, as_of, several(model))

    def _known(self, model: type[Table], as_of: datetime, query: str) -> pl.DataFrame:
        """Rows out of `known` (all versions by then) and `many` (the keys that have several)."""
        known = f"known AS (FROM {name(model)} WHERE known_at <= getvariable('as_of'))"
        many = f"many AS (SELECT {about(model)} FROM known GROUP BY ALL HAVING count(*) > 1)"
        return self._frame(f"WITH {known}, {many} {query}", as_of=as_of)

    def versions_of(self, model: type[Table], sources: list[str]) -> pl.DataFrame:
        """Every stored version of the rows of some sources."""
        return self._frame(
            f"FROM {name(model)} WHERE list_contains(getvariable('sources'), source)", sources=sources
        )

    def loads_of(self, model: type[Table]) -> list[tuple[str, str, int]]:
        """Load id, source and number of rows of every load that brought rows to a raw table."""
        query = f"SELECT load_id, min(source), count(*) FROM {name(model)} GROUP BY load_id"
        return self.con.execute(query).fetchall()

    def snapshot(self, target: Path, as_of: datetime) -> None:
        """Write the append-only tables as they were known at an instant to another warehouse file."""
        self.con.execute(f"ATTACH {literal(str(target))} AS past")
        try:
            for model in append_only():
                clock = next((column for column in ("known_at", "captured_at") if column in key(model)), None)
                known = f"{clock} <= $1" if clock else "$1 IS NOT NULL"
                self.con.execute(f"CREATE SCHEMA IF NOT EXISTS past.{schema_of(model)}")
                self.con.execute(f"CREATE TABLE past.{name(model)} ({ddl(model)})")
                self._comment(model, "past.")
                self.con.execute(f"INSERT INTO past.{name(model)} FROM {name(model)} WHERE {known}", [as_of])
        finally:
            self.con.execute("DETACH past")

    def read(self, model: type[Table]) -> pl.DataFrame:
        """A whole table; empty if it was never written."""
        if name(model) not in self.tables():
            return pl.DataFrame(schema=polars_schema(model))
        return self._frame(f"FROM {name(model)}")

    def tables(self) -> dict[str, int]:
        """Row counts of the tables that exist, by qualified name, in the order of `schemas`."""
        present = {
            row[0]
            for row in self.con.execute(
                "SELECT schema_name || '.' || table_name FROM duckdb_tables() "
                "WHERE database_name = current_database()"
            ).fetchall()
        }
        names = [table for table in BY_NAME if table in present]
        counts = " UNION ALL ".join(f"SELECT '{table}', count(*) FROM {table}" for table in names)
        return dict(self.con.execute(counts).fetchall()) if names else {}

    def digests(self) -> dict[str, str]:
        """A digest of the rows of every table, blind to their order: equal tables have equal digests."""
        return {
            table: str(self.con.execute(DIGEST.format(table)).fetchall()[0][0]) for table in self.tables()
        }

    def digest(self, frame: pl.DataFrame) -> str:
        """The digest that a table with these rows has."""
        self.con.register("incoming", frame)
        try:
            return str(self.con.execute(DIGEST.format("incoming")).fetchall()[0][0])
        finally:
            self.con.unregister("incoming")

    def landed(self) -> dict[str, str]:
        """Of each table that files are landed for, a hash of the files that its rows came from."""
        marks = "SELECT table_name, md5(string_agg(path, chr(10) ORDER BY path)) FROM ops.landed GROUP BY ALL"
        return {name(model): "" for model in append_only()} | dict(self.con.execute(marks).fetchall())

    def _frame(self, query: str, **values: Any) -> pl.DataFrame:
        """The answer to a query; values travel as variables, which keeps the fast transfer to Polars."""
        for variable, value in values.items():
            self.con.execute(f"SET VARIABLE {variable} = $1", [value])
        return self.con.sql(query).pl()

    def _insert(self, model: type[Table], frame: pl.DataFrame) -> None:
        self.con.register("incoming", frame)
        self.con.execute(f"INSERT INTO {name(model)} BY NAME SELECT * FROM incoming")
        self.con.unregister("incoming")

    def _refuse_twice(self, model: type[Table], rows: str) -> None:
        of_key = ", ".join(key(model))
        query = f"SELECT {of_key} FROM {rows} GROUP BY {of_key} HAVING count(*) > 1 LIMIT 1"
        for found in self.con.execute(query).fetchall():
            raise StoreError(f"{name(model)}: two rows for {dict(zip(key(model), found, strict=True))}")

    def _comment(self, model: type[Table], database: str = "") -> None:
        self.con.execute(f"COMMENT ON TABLE {database}{name(model)} IS {literal(grain(model))}")
        for column in columns(model):
            self.con.execute(
                f'COMMENT ON COLUMN {database}{name(model)}."{column.name}" IS {literal(column.comment)}'
            )

    def _create_append_only(self) -> None:
        schemas = sorted({schema_of(model) for model in TABLES})
        present = self.tables()
        for schema in schemas:
            self.con.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        for model in append_only():
            if name(model) in present:
                self._check_columns(model)
            else:
                self.con.execute(f"CREATE TABLE {name(model)} ({ddl(model)})")
                self._comment(model)

    def _check_columns(self, model: type[Table]) -> None:
        found = [(row[0], row[1]) for row in self.con.execute(f"DESCRIBE {name(model)}").fetchall()]
        wanted = [
            (c.name, c.sql_type.replace("TIMESTAMPTZ", "TIMESTAMP WITH TIME ZONE")) for c in columns(model)
        ]
        if found != wanted:
            self.con.close()
            raise StoreError(
                f"{self.path}: {name(model)} has the columns of another version; run `make rebuild` to make "
                "the warehouse anew from the landing zone"
            )

    def _create_views(self) -> None:
        for view, comment, query in views():
            self.con.execute(f"CREATE OR REPLACE VIEW {view} AS {query}")
            self.con.execute(f"COMMENT ON VIEW {view} IS {literal(comment)}")


def schema_of(model: type[Table]) -> str:
    """The database schema of a table."""
    return name(model).split(".")[0]


def about(model: type[Table]) -> str:
    """What a row is about, as SQL: its key without the second clock."""
    return ", ".join(column for column in key(model) if column != "known_at")


def several(model: type[Table]) -> str:
    """The versions of the rows that have more than one."""
    return f"FROM known SEMI JOIN many USING ({about(model)})"


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


def literal(text: str) -> str:
    """A SQL string literal, for statements that take no parameters; the text is our own."""
    return "'" + text.replace("'", "''") + "'"


def open_failed(path: Path, error: duckdb.Error) -> str:
    """Why the file could not be opened, and what to do."""
    first = str(error).split("\n", 1)[0]
    if "Could not set lock" in first:
        return f"{path}: another process is writing to it; wait for that run to end ({first})"
    return (
        f"{path}: DuckDB cannot open it; run `make rebuild` to make it anew from the landing zone ({first})"
    )
