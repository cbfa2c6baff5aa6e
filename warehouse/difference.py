"""Which parts of a table differ from another of its shape: what is the same need not be written again."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

import duckdb

from schemas import Table
from schemas.table import key, polars_schema
from warehouse.definitions import append_only

SHARE = 0.1  # of its rows in parts that differ, up to which a table is changed and not made anew
DIGEST = (
    "SELECT count(*) || ':' || coalesce(sum(hash(t)), 0) FROM {} t"  # sums, so that those of parts add up
)
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


def compare(
    con: duckdb.DuckDBPyConnection, model: type[Table], stored: str, wanted: str, digest: str
) -> tuple[str, Difference | None]:
    """The digest of what a table should hold, and where the stored one does not.

    Rows are compared by count and digest, a part at a time, so a part may be any one: the newest sessions, or
    one of long ago whose source revised it. None where too much differs, so that the table is made anew.

    Args:
        con: The warehouse.
        model: The table.
        stored: What is there, by name.
        wanted: What should be there, likewise, with the same columns in the same order.
        digest: That of what is there.
    """
    part = part_of(model)
    if part is None:
        return digests(con, [wanted])[wanted], None
    before, after = (PARTS.format(part=part, table=table) for table in (stored, wanted))
    found = con.execute(
        f"SELECT {part}, coalesce(a.n, 0), coalesce(a.h, 0), coalesce(b.n, 0), coalesce(b.h, 0) "
        f"FROM ({before}) a FULL JOIN ({after}) b USING ({part}) "
        "WHERE a.n IS DISTINCT FROM b.n OR a.h IS DISTINCT FROM b.h"
    ).fetchall()
    rows, total = map(int, digest.split(":"))
    rows += sum(new - old for _, old, _, new, _ in found)
    total += sum(new - old for _, _, old, _, new in found)
    fresh = sum(new for _, _, _, new, _ in found)
    parts = [row[0] for row in found]
    is_little = bool(parts) and None not in parts and fresh <= SHARE * rows  # a null is in no list
    return f"{rows}:{total}", Difference(part, parts, fresh) if is_little else None


def digests(con: duckdb.DuckDBPyConnection, tables: Iterable[str]) -> dict[str, str]:
    """A digest of the rows of each of some tables, blind to their order: equal tables have equal ones."""
    each = [f"SELECT '{table}', ({DIGEST.format(table)})" for table in tables]
    return dict(con.execute(" UNION ALL ".join(each)).fetchall()) if each else {}
