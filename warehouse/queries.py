"""What is stored, read by its two clocks: what is in force, what was revised, what a run brought."""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa

from schemas import BY_NAME, Table
from schemas.table import key, name, polars_schema
from warehouse.definitions import about, append_only, mark
from warehouse.difference import Difference, compare, digests
from warehouse.place import Place

BATCH = 122_880  # rows of a row group of DuckDB: whole ones are written by all processors, and not merged
END_OF_TIME = datetime(9999, 1, 1, tzinfo=UTC)


class Queries:
    """Questions on a connection to a warehouse."""

    path: Place
    con: duckdb.DuckDBPyConnection
    _marked: dict[type[Table], tuple[datetime, int]]  # the instant and rows of which `_many` has the marks

    def newest(self, model: type[Table], as_of: datetime) -> pl.DataFrame:
        """The rows in force at an instant: of each key, the version known last by then."""
        if "known_at" not in key(model):
            rows = self.read(model)
            return rows.filter(pl.col("captured_at") <= as_of) if "captured_at" in rows.columns else rows
        last = f"QUALIFY row_number() OVER (PARTITION BY {about(model)} ORDER BY known_at DESC) = 1"
        return self._known(model, as_of, last, is_all=True)

    def revised(self, model: type[Table], as_of: datetime) -> pl.DataFrame:
        """Every version, known by an instant, of the rows that have more than one."""
        several = f"QUALIFY count(*) OVER (PARTITION BY {about(model)}) > 1"
        return self._known(model, as_of, several, is_all=False)

    def _known(self, model: type[Table], as_of: datetime, several: str, *, is_all: bool) -> pl.DataFrame:
        """Of what has several versions by an instant those that `several` takes; and with them all the rest.

        Rows are only ever added, so where there are as many before and after it, they are the same.
        """
        known = f"FROM {name(model)} WHERE known_at <= getvariable('as_of')"
        while True:
            marks, rows = self._many(model, as_of)
            query = f"{known} AND {mark(model)} IN (FROM {marks}) {several}"  # marks may be alike by chance
            if is_all:
                is_one = f"AND {mark(model)} NOT IN (FROM {marks})" if self._rows(marks) else ""
                query = f"{known} {is_one} UNION ALL ({query})"
            found = self._frame(query, as_of=as_of)
            if self._rows(name(model)) == rows:
                return found

    def _many(self, model: type[Table], as_of: datetime) -> tuple[str, int]:
        """A table with the marks of what has several versions by an instant, and the rows looked at.

        It takes longer than most questions, and is kept for the next one.
        """
        marks = f"many_{name(model).replace('.', '_')}"  # a table of this connection alone
        rows = self._rows(name(model))
        if self._marked.get(model) != (as_of, rows):
            known = f"FROM {name(model)} WHERE known_at <= getvariable('as_of')"
            self.con.execute("SET VARIABLE as_of = $1", [as_of])
            self.con.execute(
                f"CREATE OR REPLACE TEMP TABLE {marks} AS "
                f"SELECT {mark(model)} AS mark {known} GROUP BY mark HAVING count(*) > 1"
            )
            self._marked[model] = (as_of, rows)
        return marks, rows

    def _rows(self, table: str) -> int:
        return int(self.con.execute(f"SELECT count(*) FROM {table}").fetchall()[0][0])

    def versions_of(self, model: type[Table], wanted: pl.DataFrame) -> pl.DataFrame:
        """Every stored version that has the values of a row of `wanted`, in the columns that this has."""
        return self._beside(
            wanted, f"FROM {name(model)} SEMI JOIN incoming USING ({', '.join(wanted.columns)})"
        )

    def unsaid(self, model: type[Table], rows: pl.DataFrame, figures: Iterable[str]) -> pl.DataFrame:
        """Those of some rows that do not say, figure for figure, what the only stored version of theirs says.

        Args:
            model: The raw table.
            rows: Of its shape, each about something else.
            figures: The columns that are compared.
        """
        marks, _ = self._many(model, END_OF_TIME)
        same = [f"s.{c} = i.{c}" for c in key(model) if c != "known_at"]
        same += [f"s.{c} IS NOT DISTINCT FROM i.{c}" for c in figures]
        single = f"(FROM {name(model)} WHERE {mark(model)} NOT IN (FROM {marks}))"
        return self._beside(rows, f"FROM incoming i ANTI JOIN {single} s ON {' AND '.join(same)}")

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

    def ends(
        self, model: type[Table], as_of: datetime, first: date, last: date, age: timedelta
    ) -> pl.DataFrame:
        """Of the rows of two days and between, in force at an instant, those near either end of their series.

        Args:
            model: The raw table.
            as_of: The instant.
            first: The first day, UTC.
            last: The last day, inclusive.
            age: How near.
        """
        *series, clock = (column for column in key(model) if column != "known_at")
        mine = (
            f"SELECT * FROM {name(model)} WHERE {clock} >= getvariable('first') "
            f"AND {clock} < getvariable('last') AND known_at <= getvariable('as_of')"
        )
        ends = f"SELECT {', '.join(series)}, min({clock}) AS a, max({clock}) AS b FROM mine GROUP BY ALL"
        query = (
            f"WITH mine AS ({mine}), span AS ({ends}) "
            f"SELECT mine.* FROM mine JOIN span USING ({', '.join(series)}) "
            f"WHERE {clock} <= a + getvariable('age') OR {clock} >= b - getvariable('age') "
            f"QUALIFY row_number() OVER (PARTITION BY {about(model)} ORDER BY known_at DESC) = 1"
        )
        begin = datetime.combine(first, time(), UTC)
        end = datetime.combine(last, time(), UTC) + timedelta(days=1)
        return self._frame(query, as_of=as_of, age=age, first=begin, last=end)

    def loads_of(self, model: type[Table]) -> list[tuple[str, str, int]]:
        """Load id, source and number of rows of every load that brought rows to a raw table."""
        query = f"SELECT load_id, min(source), count(*) FROM {name(model)} GROUP BY load_id"
        return self.con.execute(query).fetchall()

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
        return digests(self.con, [table for table in BY_NAME if table in wanted])

    def digest(self, frame: pl.DataFrame) -> str:
        """The digest that a table with these rows has; from any thread."""
        with self.con.cursor() as own, beside(own, frame):
            return digests(own, ["incoming"])["incoming"]

    def compare(self, model: type[Table], frame: pl.DataFrame, digest: str) -> tuple[str, Difference | None]:
        """The digest of a frame, and where the stored table, which has this one, differs; from any thread.

        Without a digest nothing is stored; where others write too, all of a table is written; and a frame of
        another shape is refused then.
        """
        if not digest or not self.path.is_own or frame.schema != polars_schema(model):
            return self.digest(frame), None
        with self.con.cursor() as own, beside(own, frame):
            return compare(own, model, name(model), "incoming", digest)

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
        with self.beside(rows):
            return self._frame(query)

    def beside(self, rows: pl.DataFrame) -> AbstractContextManager[None]:
        """Queries may name some rows `incoming` while the block lasts."""
        return beside(self.con, rows)


@contextmanager
def beside(con: duckdb.DuckDBPyConnection, rows: pl.DataFrame) -> Iterator[None]:
    """Queries on a connection may name some rows `incoming` while the block lasts."""
    table = rows.rechunk().to_arrow(compat_level=pl.CompatLevel.newest())  # texts are not copied again
    con.register("incoming", pa.Table.from_batches(table.to_batches(BATCH), table.schema))
    try:
        yield
    finally:
        con.unregister("incoming")
