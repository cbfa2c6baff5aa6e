"""The one place that opens the warehouse, and the one place where a frame becomes a table.

A warehouse is a DuckDB file (`warehouse.place`) or a DuckLake (`warehouse.lake`); its tables are the same.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import duckdb
import polars as pl
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential_jitter

from schemas import BY_NAME, TABLES, Table
from schemas.table import columns, grain, key, name, polars_schema, validate
from warehouse.place import File, Place, StoreError, literal

A = TypeVar("A")
Frames = Mapping[type[Table], pl.DataFrame]
Query = Callable[[str], pl.DataFrame]
VIEWS = Path(__file__).parent / "views"
APPEND_ONLY = ("raw", "ops.loads", "ops.quarantine", "ops.landed")
DatabaseError = duckdb.Error  # for those who may not import DuckDB
MEMORY_LIMIT = "4GB"
DIGEST = "SELECT count(*) || ':' || coalesce(sum(hash(t)), 0) FROM {} t"
ATTEMPTS = 12  # of a transaction that another writer is in the way of


class Store:
    """The tables of `schemas` in a place; closed when the block ends."""

    def __init__(self, path: Path | Place, *, read_only: bool = False, anew: bool = False) -> None:
        """Open or create it; `read_only` creates nothing, `anew` leaves it to the caller to call `clear`.

        Raises:
            StoreError: if another process holds it, or it is not a warehouse of this version.
        """
        self.path = File(path) if isinstance(path, Path) else path
        self.con = self.path.connect(read_only=read_only)
        self._is_within = False
        self.con.execute("SET TimeZone = 'UTC'")
        self.con.execute("SET memory_limit = ?", [MEMORY_LIMIT])
        self.con.execute("SET preserve_insertion_order = true")
        if not read_only and not anew:
            self._create_append_only()

    def __enter__(self) -> Self:
        """The store itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file, so that DuckDB folds its log into it."""
        self.con.close()

    def transact(self, write: Callable[[], A], alone: Callable[[], Iterable[str]] = tuple) -> A:
        """Run a function in one transaction; the whole of it again, after a random wait, on a conflict.

        Args:
            write: What it does; within another transaction it becomes a part of that one.
            alone: Gives the names of what nobody else may write meanwhile.

        Raises:
            StoreError: if it failed; nothing of it was written.
        """
        if self._is_within:
            return write()
        retrying = Retrying(
            retry=retry_if_exception(lambda error: self.path.is_conflict(error.__cause__)),
            stop=stop_after_attempt(ATTEMPTS),
            wait=wait_exponential_jitter(multiplier=0.02, max=2.0, jitter=0.2),
            reraise=True,
        )

        def once() -> A:
            with self.path.alone(self.con, alone()), self.transaction():
                return write()

        return retrying(once)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of it or nothing of it."""
        self.con.execute("BEGIN")
        self._is_within = True
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
        finally:
            self._is_within = False

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
        self.transact(lambda: self._append(model, checked), lambda: owners(model, checked))

    def _append(self, model: type[Table], checked: pl.DataFrame) -> None:
        self.con.register("incoming", checked)
        of_key = ", ".join(key(model))
        self._refuse(model, f"SELECT {of_key} FROM {name(model)} SEMI JOIN incoming USING ({of_key}) LIMIT 1")
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

        def write() -> None:
            for model, frame in frames.items():
                self._replace(model, frame)
            self._create_views()
            for model, frame in then(self._frame).items() if then else ():
                self._replace(model, frame)

        self.transact(write, only_builder)

    def _replace(self, model: type[Table], frame: pl.DataFrame) -> None:
        self.con.execute(f"CREATE OR REPLACE TABLE {name(model)} ({ddl(model)})")
        self._insert(model, validate(frame, model))
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

    def versions_of(self, model: type[Table], wanted: pl.DataFrame) -> pl.DataFrame:
        """Every stored version that has the values of a row of `wanted`, in the columns that this has."""
        return self._beside(
            wanted, f"FROM {name(model)} SEMI JOIN incoming USING ({', '.join(wanted.columns)})"
        )

    def lacking(self, model: type[Table], rows: pl.DataFrame) -> pl.DataFrame:
        """Those of some rows whose key is not stored, in their order."""
        return self._beside(rows, f"FROM incoming ANTI JOIN {name(model)} USING ({', '.join(key(model))})")

    def recent(self, model: type[Table], as_of: datetime, age: timedelta) -> pl.DataFrame:
        """The rows in force at an instant that are not much older than the newest of their series."""
        *series, clock = (column for column in key(model) if column != "known_at")
        ends = f"SELECT {', '.join(series)}, max({clock}) AS newest FROM {name(model)} GROUP BY ALL"
        near = f"SELECT r.* FROM {name(model)} r JOIN ({ends}) USING ({', '.join(series)})"
        query = (
            f"{near} WHERE {clock} >= newest - getvariable('age') AND known_at <= getvariable('as_of') "
            f"QUALIFY row_number() OVER (PARTITION BY {about(model)} ORDER BY known_at DESC) = 1"
        )
        return self._frame(query, as_of=as_of, age=age)

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
        if name(model) not in self._present():
            return pl.DataFrame(schema=polars_schema(model))
        return self._frame(f"FROM {name(model)}")

    def tables(self) -> dict[str, int]:
        """Row counts of the tables that exist, by qualified name, in the order of `schemas`."""
        present = self._present()
        names = [table for table in BY_NAME if table in present]
        counts = " UNION ALL ".join(f"SELECT '{table}', count(*) FROM {table}" for table in names)
        return dict(self.con.execute(counts).fetchall()) if names else {}

    def _present(self) -> set[str]:
        found = self.con.execute(
            "SELECT schema_name || '.' || table_name FROM duckdb_tables() "
            "WHERE database_name = current_database()"
        )
        return {row[0] for row in found.fetchall()}

    def digests(self, only: Iterable[str] = BY_NAME) -> dict[str, str]:
        """A digest of the rows of every table, blind to their order: equal tables have equal digests."""
        wanted = self._present() & set(only)
        return {
            table: str(self.con.execute(DIGEST.format(table)).fetchall()[0][0])
            for table in BY_NAME
            if table in wanted
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

    def _beside(self, rows: pl.DataFrame, query: str) -> pl.DataFrame:
        """The answer to a query that may name some rows `incoming`."""
        self.con.register("incoming", rows)
        try:
            return self._frame(query)
        finally:
            self.con.unregister("incoming")

    def _insert(self, model: type[Table], frame: pl.DataFrame) -> None:
        self.con.register("incoming", frame)
        if frame.select(key(model)).hash_rows().n_unique() < frame.height:  # many times as fast as the keys
            of_key = ", ".join(key(model))
            self._refuse(
                model, f"SELECT {of_key} FROM incoming GROUP BY {of_key} HAVING count(*) > 1 LIMIT 1"
            )
        self.con.execute(f"INSERT INTO {name(model)} BY NAME SELECT * FROM incoming")
        self.con.unregister("incoming")

    def _refuse(self, model: type[Table], query: str) -> None:
        """Refuse the first key that a query finds."""
        for found in self.con.execute(query).fetchall():
            raise StoreError(f"{name(model)}: two rows for {dict(zip(key(model), found, strict=True))}")

    def _comment(self, model: type[Table], database: str = "") -> None:
        self.con.execute(f"COMMENT ON TABLE {database}{name(model)} IS {literal(grain(model))}")
        for column in columns(model):
            self.con.execute(
                f'COMMENT ON COLUMN {database}{name(model)}."{column.name}" IS {literal(column.comment)}'
            )

    def clear(self) -> None:
        """Drop every table and make the append-only ones again, empty, of this version."""
        for table in self.tables():
            self.con.execute(f"DROP TABLE {table}")
        self._create_missing()

    def tidy(self, before: datetime) -> None:
        """Let go of what was kept for looking back to before an instant."""
        self.path.tidy(self.con, before)

    def _create_append_only(self) -> None:
        present = self._present()
        for model in append_only():
            if name(model) in present:
                self._check_columns(model)
        schemas = "SELECT schema_name FROM duckdb_schemas() WHERE database_name = current_database()"
        present |= {row[0] for row in self.con.execute(schemas).fetchall()}
        if not {*map(schema_of, TABLES), *map(name, append_only())} <= present:
            self.transact(self._create_missing, only_builder)

    def _create_missing(self) -> None:
        present = self._present()
        for schema in sorted(set(map(schema_of, TABLES))):
            self.con.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        for model in append_only():
            if name(model) not in present:
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
