"""The build's cache: of every built table, what it was made of, and what came out.

A step whose inputs hold the same rows as last time, read by the same code for the same universe, would make
the same table: it is left as it is. A step that did run and made the same rows writes nothing, and what
depends on it need not run either.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import polars as pl

from schemas import BY_NAME, Table, ops
from schemas.table import name, polars_schema
from warehouse.difference import Difference
from warehouse.files import digest
from warehouse.store import Store

Compared = tuple[str, Difference | None]
Compare = Callable[[type[Table], pl.DataFrame, str], Compared]
NOTHING: Compared = ("", None)
HERE = Path(__file__).parents[1]
CODE = ("schemas", "transforms", "warehouse", "flows")
LIBRARIES = (  # their figures may change with them
    "polars",
    "numpy",
    "scipy",
    "duckdb",
    "exchange-calendars",
    "korean-lunar-calendar",
    "pyluach",
    "pandas",
    "tzdata",
)


@cache
def code() -> str:
    """Hash of all that turns stored rows into tables: our own files, and the versions of the libraries."""
    paths = sorted(path for folder in CODE for path in (HERE / folder).rglob("*.[ps][yq]*"))
    found = [
        (str(path.relative_to(HERE)), path.read_text()) for path in paths if path.suffix in (".py", ".sql")
    ]
    return fingerprint(found, [version(library) for library in LIBRARIES])


def basis(universe: str) -> str:
    """Hash of all that makes tables of rows, for the universe of this fingerprint."""
    return fingerprint(code(), universe)


def fingerprint(*parts: Any) -> str:
    """Hash of plain values."""
    return digest(json.dumps(parts, default=str))


def untouched(store: Store, only: Iterable[str] = BY_NAME) -> pl.DataFrame:
    """What the last build made and is still as it made it; a table that somebody changed is made again."""
    built = store.read(ops.Built).filter(pl.col("table_name").is_in([*only]))
    found = store.digests(built["table_name"])
    return built.filter(
        [found.get(table) == digest for table, digest in built["table_name", "digest"].rows()]
    )


class BuildCache:
    """What the last build made, and what this one finds; the tables themselves stay in the warehouse.

    Where it knows nothing that is stored, the digests are those of the written tables (`settle`): of frames
    they take ten times as long, and nothing can be left out anyway.

    Args:
        stored: `ops.built` as the last build left it.
        inputs: Of each stored table that no build makes, by name, a hash that changes when its rows do.
        universe: The universe's fingerprint.
        compare: Takes a table, a frame that was made for it and the digest of what is stored, "" if nothing
            is; gives the frame's digest, blind to the order of its rows, and where the two differ.
    """

    def __init__(
        self,
        stored: pl.DataFrame,
        inputs: Mapping[str, str],
        universe: str,
        compare: Compare,
    ) -> None:
        """Leave out all that other code or another universe made."""
        self._basis = basis(universe)
        self._before = {
            row["table_name"]: row for row in stored.filter(basis=self._basis).iter_rows(named=True)
        }
        self._compare = compare
        self.changes: dict[type[Table], Difference] = {}
        self.is_anew = not self._before
        self._inputs = dict(inputs)
        self._now: dict[str, tuple[str, str]] = {}  # of what it was made, and the digest of its rows

    @classmethod
    def empty(cls) -> "BuildCache":
        """One without entries, so that everything is made."""
        return cls(pl.DataFrame(schema=polars_schema(ops.Built)), {}, "", lambda *_: NOTHING)

    def inputs_of(self, reads: Iterable[type[Table]], other: object = None) -> str:
        """Hash of the rows that a table is made of, and of what else it is made of."""
        made = {label: found for label, (_, found) in self._now.items()}
        return fingerprint(
            [(name(one), made.get(name(one), self._inputs.get(name(one)))) for one in reads], other
        )

    def is_hit(self, model: type[Table], inputs: str) -> bool:
        """Whether the stored table was made of the same; then it counts as made."""
        before = self._before.get(name(model))
        if before is None or before["inputs"] != inputs:
            return False
        self._now[name(model)] = (inputs, before["digest"])
        return True

    def compare(self, model: type[Table], frame: pl.DataFrame) -> Compared:
        """A frame that was made against what is stored, from any thread; nothing is asked if all is new."""
        if self.is_anew:
            return NOTHING
        before = self._before.get(name(model))
        return self._compare(model, frame, before["digest"] if before else "")

    def record(self, model: type[Table], inputs: str, found: Compared) -> bool:
        """Note what was made, and of what; whether it differs from what is stored."""
        digest, change = found
        self._now[name(model)] = (inputs, digest)
        before = self._before.get(name(model))
        if change and before:
            self.changes[model] = change
        return before is None or before["digest"] != digest

    def settle(
        self, digests: Mapping[str, str], made_of: Iterable[tuple[type[Table], Iterable[type[Table]], object]]
    ) -> None:
        """Note what the tables hold, now that they are written, and of which others each was made."""
        self._now = {label: (inputs, digests[label]) for label, (inputs, _) in self._now.items()}
        for model, reads, other in made_of:
            self._now[name(model)] = self.inputs_of(reads, other), digests[name(model)]
        self.is_anew = False

    def table(self, now: datetime) -> pl.DataFrame:
        """`ops.built` after this build."""
        rows = []
        for label, (inputs, found) in self._now.items():
            before = self._before.get(label)
            built_at = before["built_at"] if before and before["digest"] == found else now
            rows.append((label, self._basis, inputs, found, built_at))
        return pl.DataFrame(rows, schema=polars_schema(ops.Built), orient="row")
