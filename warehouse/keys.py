"""Keys, checked by queries: a killed checkpoint lost files that had an index, so no stored table has one."""

import duckdb

from schemas import Table
from schemas.table import key, name
from warehouse.place import StoreError


def refuse_stored(con: duckdb.DuckDBPyConnection, model: type[Table], rows: str, *values: str) -> None:
    """Refuse rows of which a key is stored already.

    Args:
        con: The warehouse.
        model: The table that the rows are for.
        rows: What they are selected from, as SQL.
        values: Its parameters.

    Raises:
        StoreError: naming the first such key.
    """
    of_key = ", ".join(key(model))
    refuse(con, model, f"SELECT {of_key} FROM {name(model)} SEMI JOIN {rows} USING ({of_key})", *values)


def refuse_twice(con: duckdb.DuckDBPyConnection, model: type[Table], rows: str, *values: str) -> None:
    """Refuse rows that have a key twice; see `refuse_stored`."""
    of_key = ", ".join(key(model))
    refuse(con, model, f"SELECT {of_key} FROM {rows} GROUP BY {of_key} HAVING count(*) > 1", *values)


def refuse(con: duckdb.DuckDBPyConnection, model: type[Table], query: str, *values: str) -> None:
    """Refuse the first key that a query finds."""
    for found in con.execute(f"{query} LIMIT 1", values).fetchall():
        raise StoreError(f"{name(model)}: two rows for {dict(zip(key(model), found, strict=True))}")
