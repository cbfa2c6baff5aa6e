"""How to read what was published: a connection that can look at everything and touch nothing."""

from pathlib import Path

import duckdb

from warehouse.publish import DATABASE

HARDENING = (
    "SET TimeZone = 'UTC'",
    "SET enable_external_access = false",
    "SET autoinstall_known_extensions = false",
    "SET autoload_known_extensions = false",
    "SET python_enable_replacements = false",
    "SET memory_limit = '2GB'",
    "SET lock_configuration = true",
)


def connect(data: Path | str = "data") -> duckdb.DuckDBPyConnection:
    """A read-only connection to the newest publication of a data folder; files and settings are out of reach.

    Raises:
        FileNotFoundError: if nothing was published there yet.
    """
    path = Path(data) / "published" / DATABASE
    if not path.exists():
        raise FileNotFoundError(f"{path}: nothing is published there; run `make demo` or `make live` first")
    con = duckdb.connect(str(path), read_only=True)
    for setting in HARDENING:
        con.execute(setting)
    return con
