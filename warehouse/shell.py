"""A read-only SQL shell on the newest publication: `make sql`, or `python -m warehouse.shell -c "FROM ..."`.

Statements end with a semicolon. Files, other databases, extensions and settings are out of reach.
"""

import argparse
import os
import sys
from collections.abc import Iterable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import duckdb

from warehouse.reader import connect
from warehouse.spreadsheet import write_csv

WELCOME = """\
comove {run}: read-only. Statements end with ; -- leave with .quit or Ctrl-D.
.tables lists what there is, .describe NAME its columns with their meaning. Try: FROM mart.link_today;
"""
TABLES = """
SELECT schema_name || '.' || name AS name, kind, left(comment, 80) AS what FROM (
  SELECT schema_name, table_name AS name, 'table' AS kind, comment FROM duckdb_tables()
  UNION ALL SELECT schema_name, view_name, 'view', comment FROM duckdb_views() WHERE NOT internal
) WHERE schema_name IN ('raw', 'core', 'mart', 'ops') ORDER BY 1
"""
DESCRIBE = """
SELECT column_name, data_type, comment FROM duckdb_columns()
WHERE schema_name || '.' || table_name = $1 ORDER BY column_index
"""


def answer(con: duckdb.DuckDBPyConnection, text: str) -> bool:
    """Run statements or a dot command and print what each gives; an error as DuckDB says it, and False."""
    word, _, rest = text.strip().partition(" ")
    try:
        if word == ".tables":
            show(con.sql(TABLES))
        elif word == ".describe":
            show(con.sql(DESCRIBE, params=[rest.strip()]))
        else:
            for statement in con.extract_statements(text):
                show(con.sql(statement))
    except duckdb.Error as error:
        sys.stderr.write(f"{str(error).strip()}\n")
        return False
    return True


def show(found: duckdb.DuckDBPyRelation | None) -> None:
    """Print a relation as a table; a statement without a result says nothing."""
    if found is not None:
        found.show(max_rows=60, max_width=None if sys.stdout.isatty() else 160)


def statements(lines: Iterable[str]) -> Iterable[str]:
    """Whole statements out of lines: each up to its last semicolon, a dot command on a line of its own."""
    pending: list[str] = []
    for line in lines:
        if not pending and line.startswith("."):
            yield line
        elif line.strip() or pending:
            pending.append(line)
            if line.rstrip().endswith(";"):
                yield "\n".join(pending)
                pending = []
    if pending:
        yield "\n".join(pending)


def typed() -> Iterable[str]:
    """Lines of a person at a terminal, with history, until the end."""
    with suppress(ImportError):
        import readline  # noqa: F401 - importing it gives `input` its history; not on every platform
    with suppress(EOFError, KeyboardInterrupt):
        while (line := input("comove> ")) not in {".quit", ".exit"}:
            yield line


def main(arguments: list[str] | None = None) -> int:
    """Answer what is given with `-c`, typed, or piped in; 1 if nothing is published or a query failed."""
    flags: Any = parser().parse_args(arguments)
    try:
        con = connect(flags.data)
    except FileNotFoundError as error:
        sys.stderr.write(f"comove: {error}\n")
        return 1
    is_good = True
    with closing(con):
        if flags.csv:
            write_csv(con, flags.command or "", flags.csv)
        elif flags.command:
            is_good = answer(con, flags.command)
        elif sys.stdin.isatty():
            sys.stdout.write(WELCOME.format(run=flags.data))
            for text in statements(typed()):
                answer(con, text)
        else:
            for text in statements(line.rstrip("\n") for line in sys.stdin):
                is_good = answer(con, text) and is_good
    return 0 if is_good else 1


def parser() -> argparse.ArgumentParser:
    """The flags."""
    made = argparse.ArgumentParser("python -m warehouse.shell", description="SQL on what was published.")
    made.add_argument("--data", type=Path, default=Path(os.environ.get("COMOVE_DATA", "data")))
    made.add_argument("-c", "--command", help="one query, answered and done")
    made.add_argument("--csv", type=Path, help="write the answer to -c as CSV that is safe in a spreadsheet")
    return made


if __name__ == "__main__":
    sys.exit(main())
