"""How to read what was published: a connection that can look at everything and touch nothing.

In a notebook: `from warehouse.reader import connect; con = connect("data")`, then `con.sql("...").pl()`.
"""

from pathlib import Path

import duckdb

from warehouse.folder import published
from warehouse.manifest import unsealed
from warehouse.place import literal
from warehouse.publish import POINTER

HARDENING = (
    "SET enable_external_access = false",
    "SET autoinstall_known_extensions = false",
    "SET autoload_known_extensions = false",
    "SET python_enable_replacements = false",
    "SET memory_limit = '2GB'",
    "SET threads = 2",
    "SET lock_configuration = true",
)


def connect(data: Path | str = "data") -> duckdb.DuckDBPyConnection:
    """A read-only connection to the newest publication of a data folder; files and settings are out of reach.

    The file is attached to an instance of its own. Opened by its path, DuckDB would hand out the copy of
    an earlier run for as long as another connection of this process holds it.

    Raises:
        FileNotFoundError: if nothing was published there yet.
    """
    path = published(Path(data))
    con = duckdb.connect(":memory:")
    con.execute("SET TimeZone = 'UTC'")
    con.execute(f"ATTACH {literal(path)} AS latest (READ_ONLY)")
    con.execute("USE latest")
    for setting in HARDENING:
        con.execute(setting)
    return con


def parquet(data: Path | str = "data") -> dict[str, Path]:
    """The Parquet file of every table of the newest publication, by qualified name.

    Raises:
        FileNotFoundError: if nothing was published there yet.
        SealError: if the pointer is not the file that was published.
    """
    folder = Path(data) / "published"
    return {name: folder / entry["path"] for name, entry in unsealed(folder / POINTER)["tables"].items()}
