"""The one place that opens the warehouse, and the one place where a frame becomes a table.

A warehouse is a DuckDB file (`warehouse.place`) or a DuckLake (`warehouse.lake`); its tables are the same.
"""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from glob import escape
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

import duckdb
import polars as pl
import pyarrow.parquet as pq

from schemas import TABLES, Table
from schemas.table import key, name, polars_schema, validate
from warehouse.definitions import (
    append_only,
    creation,
    described,
    only_builder,
    owners,
    schema_of,
    views,
)
from warehouse.difference import Difference
from warehouse.keys import refuse_stored, refuse_twice
from warehouse.place import File, Place, StoreError, literal
from warehouse.queries import Queries
from warehouse.transactions import Transactions

Frames = Mapping[type[Table], pl.DataFrame]
Query = Callable[[str], pl.DataFrame]
DatabaseError = duckdb.Error  # for those who may not import DuckDB
MEMORY_LIMIT = "4GB"


class Store(Queries, Transactions):
    """The tables of `schemas` in a place; closed when the block ends."""

    def __init__(self, path: Path | Place, *, read_only: bool = False, anew: bool = False) -> None:
        """Open or create it; `read_only` creates nothing, `anew` leaves it to the caller to call `clear`.

        Raises:
            StoreError: if another process holds it, or it is not a warehouse of this version.
        """
        self.path = File(path) if isinstance(path, Path) else path
        self.con = self.path.connect(read_only=read_only)
        self._marked = {}
        self.con.execute("SET TimeZone = 'UTC'")
        self.con.execute("SET memory_limit = ?", [MEMORY_LIMIT])
        self.con.execute("SET preserve_insertion_order = true")
        self.con.execute("SET produce_arrow_string_view = true")  # Polars' own form: texts are not copied
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

    def append(self, model: type[Table], frame: pl.DataFrame) -> None:
        """Add rows to an append-only table, validated; a key that is there already is refused.

        Raises:
            InvalidTableError: if the frame breaks its contract.
            StoreError: if a key of it is stored already, or twice in it.
        """
        checked = validate(frame.select(list(polars_schema(model))), model)
        self.transact(lambda: self._append(model, checked), lambda: owners(model, checked))

    def _append(self, model: type[Table], checked: pl.DataFrame) -> None:
        with self.beside(checked):
            refuse_stored(self.con, model, "incoming")
        self._insert(model, checked)

    def load(self, model: type[Table], pieces: Iterable[pl.DataFrame], path: Path) -> int:
        """Add the rows of a Parquet file to an append-only table, validated; returns their number.

        DuckDB reads the file itself, and compares its keys with the stored ones once, not once a piece. It
        takes the memory of a piece, and 8 bytes a row for the keys.

        Args:
            model: The table.
            pieces: The same rows, to be validated.
            path: The file.

        Raises:
            InvalidTableError: if a piece breaks its contract.
            StoreError: if a key of it is stored already, or twice in it.
        """
        columns = ", ".join(f'"{c}"' for c in pq.read_schema(path).names if c in polars_schema(model))

        # a folder may be named column=value, or like a pattern
        file, named = "read_parquet($1, hive_partitioning = false)", escape(str(path))

        def checked() -> pl.Series:
            of_key = [validate(piece, model).select(key(model)).hash_rows() for piece in pieces]
            return pl.concat(of_key) if of_key else pl.Series(dtype=pl.UInt64)

        def write() -> int:
            with ThreadPoolExecutor(1) as beside:
                hashes = beside.submit(checked)
                try:
                    refuse_stored(self.con, model, file, named)
                    rows = f"INSERT INTO {name(model)} BY NAME SELECT {columns} FROM {file}"
                    count = int(self.con.execute(rows, [named]).fetchall()[0][0])
                finally:
                    keys = hashes.result()  # a broken row is a better reason than what DuckDB makes of it
            if len(keys) != count:
                raise StoreError(f"{path}: {count} rows were read of it, and {len(keys)} validated")
            if keys.n_unique() < count:
                refuse_twice(self.con, model, file, named)
            return count

        return self.transact(write)

    def replace(
        self,
        frames: Frames,
        then: Callable[[Query], Frames] | None = None,
        changes: Mapping[type[Table], Difference] = MappingProxyType({}),
    ) -> None:
        """Write whole tables and all views in one transaction; data, dtypes and keys are checked.

        Args:
            frames: The tables.
            then: Gives further tables, out of queries on the ones just written.
            changes: Where alone some of them differ from what is stored, as `compare` found it and this code
                made it: no more of them is written, and their rows end up in another order.

        Raises:
            InvalidTableError: if a frame breaks its contract; the file keeps what it had.
        """

        def write() -> None:
            for model, frame in frames.items():
                self._replace(model, frame, changes.get(model))
            self._create_missing(TABLES)  # a view may read what is only made below
            self._create_views()
            for model, frame in then(self._frame).items() if then else ():
                self._replace(model, frame)

        self.transact(write, only_builder)

    def _replace(self, model: type[Table], frame: pl.DataFrame, found: Difference | None = None) -> None:
        if found is None:
            self._create(model, replaces=True)
        else:
            found.delete(self.con, name(model))
            frame = frame.filter(pl.col(found.column).is_in(found.parts))
        self._insert(model, validate(frame, model))

    def snapshot(self, target: Path, as_of: datetime) -> None:
        """Write the append-only tables as they were known at an instant to another warehouse file."""
        self.con.execute(f"ATTACH {literal(str(target))} AS past")
        try:
            for model in append_only():
                clock = next((column for column in ("known_at", "captured_at") if column in key(model)), None)
                known = f"{clock} <= $1" if clock else "$1 IS NOT NULL"
                self.con.execute(f"CREATE SCHEMA IF NOT EXISTS past.{schema_of(model)}")
                self._create(model, "past.")
                self.con.execute(f"INSERT INTO past.{name(model)} FROM {name(model)} WHERE {known}", [as_of])
        finally:
            self.con.execute("DETACH past")

    def _insert(self, model: type[Table], frame: pl.DataFrame) -> None:
        if frame.select(key(model)).hash_rows().n_unique() < frame.height:  # many times as fast as the keys
            with self.beside(frame):
                refuse_twice(self.con, model, "incoming")
        with self.beside(frame):
            self.con.execute(f"INSERT INTO {name(model)} BY NAME SELECT * FROM incoming")

    def _create(self, model: type[Table], database: str = "", *, replaces: bool = False) -> None:
        for statement in creation(model, database, replaces=replaces):
            self.con.execute(statement)

    def clear(self) -> None:
        """Drop every table and make the append-only ones again, empty, of this version."""
        self._marked = {}
        for table in self.tables():
            self.con.execute(f"DROP TABLE {table}")
        self._create_missing()

    def _roll_back(self) -> None:
        self._marked = {}  # its tables may have been made in the transaction
        super()._roll_back()

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

    def _create_missing(self, models: Iterable[type[Table]] | None = None) -> None:
        """Tables without a row, by default the append-only ones, where there are none yet."""
        present = self._present()
        for schema in sorted(set(map(schema_of, TABLES))):
            self.con.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        for model in append_only() if models is None else models:
            if name(model) not in present:
                self._create(model)

    def _check_columns(self, model: type[Table]) -> None:
        found = [(row[0], row[1]) for row in self.con.execute(f"DESCRIBE {name(model)}").fetchall()]
        if found != described(model):
            self.con.close()
            raise StoreError(
                f"{self.path}: {name(model)} has the columns of another version; run `make rebuild` to make "
                "the warehouse anew from the landing zone"
            )

    def _create_views(self) -> None:
        for view in views():
            self.con.execute(f"CREATE OR REPLACE VIEW {view.name} AS {view.query}")
            self.con.execute(f"COMMENT ON VIEW {view.name} IS {literal(view.comment)}")
