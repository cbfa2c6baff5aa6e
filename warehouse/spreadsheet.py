"""CSV that is safe to open in a spreadsheet.

A text that starts with = + - @ (or a tab or line break before them) is a formula to a spreadsheet, also
in a quoted cell; such texts get an apostrophe before them (OWASP, "CSV Injection"). Numbers stay numbers.
"""

import csv
from pathlib import Path
from typing import Any

import duckdb

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
BATCH = 10_000


def write_csv(con: duckdb.DuckDBPyConnection, query: str, path: Path) -> int:
    """Write the answer to a query, with a heading and a byte-order mark for Excel; returns its rows."""
    cursor = con.execute(query)
    written = 0
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.writer(file)
        writer.writerow([safe(column[0]) for column in cursor.description or []])
        while rows := cursor.fetchmany(BATCH):
            writer.writerows([safe(cell) for cell in row] for row in rows)
            written += len(rows)
    return written


def safe(cell: Any) -> Any:
    """The cell, with an apostrophe before a text that a spreadsheet would take for a formula."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA_STARTS) else cell
