"""A read-only SQL shell on the newest publication: `make sql`, or `python -m warehouse.shell -c "FROM ..."`.

Statements end with a semicolon. Files, other databases, extensions and settings are out of reach.
"""

import sys

if __name__ == "__main__":  # before the imports that take seconds
    from warehouse.folder import refuse_unpublished

    refuse_unpublished(sys.argv[1:])

import argparse
import os
from collections.abc import Iterable
from contextlib import closing, suppress
from pathlib import Path
from shutil import get_terminal_size
from typing import Any, NoReturn

import duckdb

from warehouse.folder import complain, default
from warehouse.reader import connect
from warehouse.spreadsheet import write_csv
from warehouse.unknown import unknown

WELCOME = "comove {data}: read-only SQL on what was published\n"
HELP = """\
Statements end with ; and there is
  .tables         what tables and views there are
  .describe NAME  the columns of one, with their meaning
  .help           this
  .quit           leave; so does Ctrl-D
mart.assets has the names of the assets, mart.dictionary the meaning of every column.
For instance: SELECT asset, benchmark, r, lo95, hi95, verdict FROM mart.link_today ORDER BY r DESC LIMIT 5;
"""
DOTS = (".tables", ".describe", ".help", ".quit")
HELPS, LEAVES = ("help", ".help"), ("quit", "exit", ".quit", ".exit")
COUNTED, WIDEST = 9_000, 1_000_000  # beyond 9,999 rows DuckDB says only that there are more
TABLES = """
SELECT schema_name || '.' || name AS name, kind, rtrim(split_part(comment, '. ', 1), '.') AS what FROM (
  SELECT schema_name, table_name AS name, 'table' AS kind, comment FROM duckdb_tables()
  UNION ALL SELECT schema_name, view_name, 'view', comment FROM duckdb_views() WHERE NOT internal
) WHERE schema_name IN ('raw', 'core', 'mart', 'ops') ORDER BY 1
"""
DESCRIBE = """
SELECT column_name, data_type, comment FROM duckdb_columns()
WHERE schema_name || '.' || table_name = $1 ORDER BY column_index
"""


class UnknownError(LookupError):
    """There is no such command or table."""


def answer(con: duckdb.DuckDBPyConnection, text: str) -> bool:
    """Run statements or a dot command and print what each gives; an error as DuckDB says it, and False."""
    word, _, rest = text.strip(" ;").partition(" ")
    try:
        if word.lower() in HELPS:
            sys.stdout.write(HELP)
        elif word == ".tables":
            show(con.sql(TABLES))
        elif word == ".describe":
            describe(con, rest.strip())
        elif word.startswith("."):
            refuse(word)
        else:
            for statement in con.extract_statements(text):
                show(con.sql(statement))
    except (duckdb.Error, UnknownError) as error:
        sys.stderr.write(f"{str(error).strip()}\n")
        return False
    return True


def refuse(word: str) -> NoReturn:
    """No dot command is called so."""
    raise UnknownError(f"{unknown('command', word, DOTS)}; .help says what they do")


def describe(con: duckdb.DuckDBPyConnection, name: str) -> None:
    """Print the columns of a table or view."""
    known = [row[0] for row in con.sql(TABLES).fetchall()]
    if not name:
        raise UnknownError("name a table, as in .describe mart.link_today; .tables lists them")
    if len(same := [one for one in known if one.partition(".")[2] == name]) == 1:
        (name,) = same
    if name not in known:
        raise UnknownError(f"{unknown('table', name, known)}; .tables lists them")
    show(con.sql(DESCRIBE, params=[name]))


def show(found: duckdb.DuckDBPyRelation | None) -> None:
    """Print a relation, as wide as the terminal or else whole; a statement without a result says nothing."""
    if found is not None and sys.stdout.isatty():
        found.show(max_rows=60, max_width=get_terminal_size().columns)
    elif found is not None:
        found.show(max_rows=COUNTED, max_width=WIDEST, max_col_width=WIDEST)


def statements(lines: Iterable[str]) -> Iterable[str]:
    """Whole statements out of lines, up to one that leaves: each statement to its last semicolon.

    A dot command, and the bare word `help`, are a line of their own.
    """
    pending: list[str] = []
    for line in lines:
        word = line.strip(" ;").lower()
        if word in LEAVES:
            return
        if not pending and (line.startswith(".") or word in HELPS):
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
        while True:
            yield input("comove> ")


def main(arguments: list[str] | None = None) -> int:
    """Answer what is given with `-c`, typed, or piped in; 1 if nothing is published or a query failed."""
    flags: Any = parser().parse_args(arguments)
    try:
        con = connect(flags.data)
    except FileNotFoundError as error:
        return complain(str(error), 1)
    except duckdb.Error as error:
        first = str(error).split("\n", 1)[0]
        return complain(f"what was published cannot be opened ({first}); run again to publish anew", 1)
    is_good = True
    with closing(con):
        if flags.csv:
            write_csv(con, flags.command or "", flags.csv)
        elif flags.command:
            is_good = answer(con, flags.command)
        elif sys.stdin.isatty():
            sys.stdout.write(WELCOME.format(data=flags.data) + HELP)
            for text in statements(typed()):
                answer(con, text)
        else:
            for text in statements(line.rstrip("\n") for line in sys.stdin):
                is_good = answer(con, text) and is_good
    return 0 if is_good else 1


def parser() -> argparse.ArgumentParser:
    """The flags."""
    made = argparse.ArgumentParser("python -m warehouse.shell", description="SQL on what was published.")
    made.add_argument(
        "--data", type=Path, default=default(), help="the data folder (default: COMOVE_DATA, or else data)"
    )
    made.add_argument("-c", "--command", help="one query, answered and done")
    made.add_argument("--csv", type=Path, help="write the answer to -c as CSV that is safe in a spreadsheet")
    return made


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BrokenPipeError:  # whoever reads has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
