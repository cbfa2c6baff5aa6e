"""Keys, checked by queries: a killed checkpoint lost files that had an index, so no stored table has one."""

import duckdb

from schemas import Table
from schemas.table import key, name
from warehouse.place import StoreError


def refuse_repeated(con: duckdb.DuckDBPyConnection, model: type[Table], rows: str, *values: str) -> None:
    """Refuse rows of which a key is stored already, or that have one twice.

    Args:
        con: The warehouse.
        model: The table that the rows are for.
        rows: What they are selected from, as SQL.
        values: Its parameters.

    Raises:
        StoreError: naming the first such key.
    """
    refuse_stored(con, model, rows, *values)
    hashes = f"SELECT count(*) > count(DISTINCT hash({', '.join(key(model))})) FROM {rows}"
    if con.execute(hashes, values).fetchall()[0][0]:  # many times as fast as the keys themselves
        refuse_twice(con, model, rows, *values)


def refuse_stored(con: duckdb.DuckDBPyConnection, model: type[Table], rows: str, *values: str) -> None:
    """Refuse rows of which a key is stored already; see `refuse_repeated`."""
    of_key = ", ".join(key(model))
    refuse(con, model, f"SELECT {of_key} FROM {name(model)} SEMI JOIN {rows} USING ({of_key})", *values)


def refuse_twice(con: duckdb.DuckDBPyConnection, model: type[Table], rows: str, *values: str) -> None:
    """Refuse rows that have a key twice; see `refuse_repeated`."""
    of_key = ", ".join(key(model))
    refuse(con, model, f"SELECT {of_key} FROM {rows} GROUP BY {of_key} HAVING count(*) > 1", *values)


def refuse(con: duckdb.DuckDBPyConnection, model: type[Table], query: str, *values: str) -> None:
    """Refuse the first key that a query finds."""
    for found in con.execute(f"{query} LIMIT 1", values).fetchall():
        raise StoreError(f"{name(model)}: two rows for {dict(zip(key(model), found, strict=True))}")
