"""Which parts of a table differ from another of its shape: what is the same need not be written again."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import duckdb

from schemas import Table
from schemas.table import key, polars_schema
from warehouse.definitions import append_only

SHARE = 0.1  # of its rows in parts that differ, up to which a table is changed and not made anew
PARTS = "SELECT {part}, count(*) AS n, sum(hash(t)) AS h FROM {table} t GROUP BY {part}"


@dataclass(frozen=True, slots=True)
class Difference:
    """The parts of a table that another has otherwise.

    Attributes:
        column: The column whose values part the table, such as its session.
        parts: The values.
        rows: How many rows the other has for them.
    """

    column: str
    parts: list[Any]
    rows: int

    def delete(self, con: duckdb.DuckDBPyConnection, table: str) -> None:
        """Take these parts out of a table."""
        con.execute(f"DELETE FROM {table} WHERE {self.within}", [self.parts])

    @property
    def within(self) -> str:
        """The condition on a row to be in one of them, with the parts as its parameter."""
        return f"{self.column} IN (SELECT unnest($1))"


@cache
def part_of(model: type[Table]) -> str | None:
    """The column whose values part a table: what a new day or a load adds is in few of them."""
    if "session" in key(model):
        return "session"
    is_loaded = "load_id" in polars_schema(model) and model in append_only()
    return "load_id" if is_loaded else None


def difference(
    con: duckdb.DuckDBPyConnection, model: type[Table], stored: str, wanted: str
) -> Difference | None:
    """Where a stored table is not as it should be; None where too much of it is not, so that it is made anew.

    Rows are compared by count and digest, a part at a time, so a part may be any one: the newest sessions, or
    one of long ago whose source revised it.

    Args:
        con: The warehouse.
        model: The table.
        stored: What is there, by name.
        wanted: What should be there, likewise, with the same columns in the same order.
    """
    part = part_of(model)
    if part is None:
        return None
    before, after = (PARTS.format(part=part, table=table) for table in (stored, wanted))
    found = con.execute(
        f"SELECT {part}, coalesce(b.n, 0) FROM ({before}) a FULL JOIN ({after}) b USING ({part}) "
        "WHERE a.n IS DISTINCT FROM b.n OR a.h IS DISTINCT FROM b.h"
    ).fetchall()
    parts, rows = [part for part, _ in found], sum(count for _, count in found)
    (total,) = con.execute(f"SELECT count(*) FROM {wanted}").fetchall()[0]
    return Difference(part, parts, rows) if rows <= SHARE * total else None
