"""One way of reading a publication, in an environment of its own: `python reader_matrix.py WAY FILE PARQUET`.

Prints JSON: the number of pairs linked today by the view, and what became of statements that go too far.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

COUNT = "SELECT count(*) FROM mart.link_today"
TOO_FAR = (
    "SELECT * FROM read_text('/etc/passwd')",
    "COPY mart.assets TO '/tmp/comove-stolen.csv'",
    "ATTACH '/tmp/comove-other.duckdb'",
    "INSTALL httpfs",
    "SET enable_external_access = true",
)
SETTINGS = {  # as docs/bi.md says
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "lock_configuration": "true",
}
Told = tuple[int, dict[str, bool]]


def refused(run: Callable[[str], Any]) -> dict[str, bool]:
    def is_refused(sql: str) -> bool:
        try:
            run(sql)
        except Exception:
            return True
        return False

    return {sql: is_refused(sql) for sql in TOO_FAR}


def duckdb(file: str, _: str) -> Told:
    import duckdb

    con = duckdb.connect(file, read_only=True, config=SETTINGS)
    return con.execute(COUNT).fetchall()[0][0], refused(lambda sql: con.execute(sql).fetchall())


def sqlalchemy(file: str, _: str) -> Told:
    import pandas as pd
    import sqlalchemy as sa

    engine = sa.create_engine(f"duckdb:///{file}", connect_args={"read_only": True, "config": SETTINGS})
    assert "link_today" in sa.inspect(engine).get_view_names(schema="mart")
    assert "assets" in sa.inspect(engine).get_table_names(schema="mart")

    def run(sql: str) -> Any:
        with engine.connect() as con:
            return con.execute(sa.text(sql)).fetchall()

    assert pd.read_sql(COUNT, engine).iloc[0, 0] == run(COUNT)[0][0]
    return run(COUNT)[0][0], refused(run)


def ibis(file: str, _: str) -> Told:
    import ibis

    con = ibis.duckdb.connect(file, read_only=True, enable_external_access=False)
    count = con.table("link_today", database="mart").count().execute()
    return int(count), refused(lambda sql: con.raw_sql(sql).fetchall())


def adbc(file: str, _: str) -> Told:
    import _duckdb
    from adbc_driver_manager import dbapi

    options = {"path": file, "access_mode": "READ_ONLY", **SETTINGS}
    con = dbapi.connect(driver=_duckdb.__file__, entrypoint="duckdb_adbc_init", db_kwargs=options)

    def run(sql: str) -> Any:
        with con.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall()

    return run(COUNT)[0][0], refused(run)


def cli(file: str, _: str) -> Told:
    shell = Path(sys.executable).with_name("duckdb")
    settings = "".join(f"SET {name} = {value};" for name, value in SETTINGS.items())

    def run(sql: str) -> Any:
        command = [shell, "-readonly", "-bail", "-noheader", "-list", file, f"{settings} {sql};"]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    return int(run(COUNT)), refused(run)


def pandas(_: str, parquet: str) -> Told:
    import pandas as pd

    return len(pd.read_parquet(parquet)), {}


def pyarrow(_: str, parquet: str) -> Told:
    import pyarrow.parquet as pq

    return pq.read_table(parquet).num_rows, {}


def polars(_: str, parquet: str) -> Told:
    import polars as pl

    return pl.scan_parquet(parquet).collect().height, {}


if __name__ == "__main__":
    way, *paths = sys.argv[1:]
    sys.stdout.write(json.dumps(globals()[way](*paths)))
