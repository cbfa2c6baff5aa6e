"""Whether the warehouse file still is what the pipeline wrote to it.

DuckDB replays whatever log lies beside a file: a part of it where it is torn, another file's where one was
put there. Neither is an error to it. Rows and the mark of the landed file that brought them are written in
one transaction, so what a torn log lost is loaded again; everything else shows here.
"""

from pathlib import Path

import polars as pl

from schemas import ops
from schemas.table import name
from warehouse.definitions import append_only
from warehouse.landing import known_paths
from warehouse.place import StoreError
from warehouse.store import Store

UNMARKED = ("ops.loads", "ops.landed")  # the first also tells of runs that died, the second is the marks


def refuse_mismatch(store: Store, zone: Path) -> None:
    """Compare the rows of every loaded table, and the files that brought them, with what was landed.

    Raises:
        StoreError: if they differ: the file was damaged, or another's log was replayed into it.
    """
    marks = store.read(ops.Landed)
    twice = marks.filter(pl.col("path").is_duplicated())["path"].to_list()
    strange = sorted(set(marks["path"]) - known_paths(zone))
    if twice or strange:
        what = f"{twice[0]} twice" if twice else f"{strange[0]}, which is not in {zone}"
        raise StoreError(
            f"{store.path}: has loaded {what}; if a landed file is gone, restore it from a backup, "
            "and run `make rebuild`"
        )
    brought = dict(marks.group_by("table_name").agg(pl.col("rows").sum()).iter_rows())
    counts = store.tables()
    for table in (name(model) for model in append_only()):
        if table not in UNMARKED and counts[table] != brought.get(table, 0):
            raise StoreError(
                f"{store.path}: holds {counts[table]} rows of {table}, its landed files brought "
                f"{brought.get(table, 0)}; run `make rebuild` to make it anew from the landing zone"
            )
