"""What two data folders must have in common, whatever happened to one of them on the way."""

from contextlib import closing
from pathlib import Path

import duckdb
import polars as pl

from schemas import BY_NAME
from schemas.table import columns, key
from warehouse.files import sha256
from warehouse.landing import landed, read
from warehouse.manifest import unsealed
from warehouse.publish import POINTER
from warehouse.reader import connect
from warehouse.verify import broken

Digests = dict[str, str]
TIMES = {"load_id", "known_at"}  # differ with the instant of the run that brought a row


def digests(con: duckdb.DuckDBPyConnection) -> Digests:
    """A digest of every table of raw, core and mart, blind to the order of the rows and to who loaded them.

    `known_at` counts where it is assumed, which is where it does not depend on the run.
    """
    found = {}
    for table, model in BY_NAME.items():
        if table.startswith("ops."):
            continue
        names = [column.name for column in columns(model) if column.name not in TIMES]
        if "is_known_at_assumed" in names:
            names.append("CASE WHEN is_known_at_assumed THEN known_at END")
        query = f"SELECT count(*) || ':' || coalesce(sum(hash({', '.join(names)})), 0) FROM {table}"
        found[table] = con.execute(query).fetchall()[0][0]
    return found


def published(data: Path) -> Digests | None:
    """Digests of what a reader sees; None where nothing is published yet."""
    if not (data / "published" / "latest.duckdb").exists():
        return None
    with closing(connect(data)) as con:
        return digests(con)


def pointed(data: Path) -> Digests | None:
    """Digests of the Parquet files that the pointer names, each proved by its hash; None without one."""
    folder = data / "published"
    if not (folder / POINTER).exists():
        return None
    with duckdb.connect() as con:
        for table, entry in unsealed(folder / POINTER)["tables"].items():
            path = folder / entry["path"]
            assert sha256(path) == entry["sha256"], path
            con.execute(f"CREATE SCHEMA IF NOT EXISTS {table.partition('.')[0]}")
            con.execute(f"CREATE VIEW {table} AS FROM '{path}'")
        return digests(con)


def stored(data: Path) -> Digests:
    """Digests of the warehouse file, which other workers may read at the same time."""
    with duckdb.connect(str(data / "warehouse.duckdb"), read_only=True) as con:
        return digests(con)


def twice(data: Path) -> dict[str, int]:
    """Keys that a table of the publication holds more than once: table and how many; empty if all is well."""
    found = {}
    with closing(connect(data)) as con:
        for table, model in BY_NAME.items():
            of_key = ", ".join(key(model))
            query = f"SELECT count(*) FROM (SELECT {of_key} FROM {table} GROUP BY ALL HAVING count(*) > 1)"
            found[table] = con.execute(query).fetchall()[0][0]
    return {table: count for table, count in found.items() if count}


def acknowledged(data: Path) -> dict[str, pl.DataFrame]:
    """Every row of the landing zone, by raw table: what the pipeline has said that it has."""
    zone, found = data / "landing", {}
    for file in landed(zone) if zone.exists() else ():
        table = BY_NAME[Path(file.path).parts[0]]
        if Path(file.path).parts[0].startswith("raw."):
            found.setdefault(Path(file.path).parts[0], []).append(read(file, zone).select(key(table)))
    return {table: pl.concat(frames) for table, frames in found.items()}


def lost(data: Path, rows: dict[str, pl.DataFrame]) -> int:
    """How many of these rows a reader of the publication cannot see."""
    missing = 0
    with closing(connect(data)) as con:
        for table, frame in rows.items():
            there = con.sql(f"SELECT {', '.join(frame.columns)} FROM {table}").pl()
            missing += frame.join(there, on=frame.columns, how="anti", nulls_equal=True).height
    return missing


def troubles(data: Path, wanted: Digests) -> list[str]:
    """Everything by which a healed folder differs from an undisturbed one; empty if it is healed."""
    found = [
        f"{table}: in the warehouse" for table, digest in stored(data).items() if digest != wanted[table]
    ]
    seen = published(data) or {}
    found += [f"{table}: published" for table in wanted if seen.get(table) != wanted[table]]
    return [*found, *(f"{table}: {count} keys twice" for table, count in twice(data).items()), *broken(data)]
