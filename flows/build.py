"""The build: every transform in the order that its annotations imply, written in one transaction.

What has not changed is neither made nor written again; `flows.build_cache` says how that is known.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

import polars as pl

from flows import calendars
from flows.build_cache import BuildCache, Compared, untouched
from flows.dictionary import dictionary
from flows.steps import Step, perform, steps
from flows.universe import Universe
from schemas import TABLES, Table, core, mart, ops
from schemas.table import REVISED, name
from transforms.claims import claims
from transforms.study import Study
from warehouse.queries import END_OF_TIME
from warehouse.store import Frames, Query, Store

DERIVED = [model for model in TABLES if name(model).startswith(("core", "mart")) and model is not mart.Claims]
WARM_UP = timedelta(days=10)  # so that the first bar's session has one before it


def build(store: Store, universe: Universe, now: datetime, as_of: datetime | None = None) -> dict[str, float]:
    """Compute and write what has changed of `core`, `mart` and the derived `ops` tables.

    Args:
        store: The warehouse.
        universe: What is watched.
        now: The instant of the run, for freshness.
        as_of: For a replay: only what was known by then. Otherwise everything that is stored counts as known,
            even if the clock went back meanwhile.

    Returns:
        Seconds per table, for reading and for writing them all; some tables are made at the same time.
    """
    known_by = as_of or END_OF_TIME
    study, names = universe.study_parameters, {asset.id: asset.name for asset in universe.asset}

    def read(model: type[Table], *, is_revised: bool) -> pl.DataFrame:
        return store.revised(model, known_by) if is_revised else store.newest(model, known_by)

    built = BuildCache(untouched(store), store.landed(), universe.fingerprint, store.compare)
    made, seconds = compute(read, given(store, universe, built), study, as_of or now, built)

    def then(query: Query) -> Frames:
        if built.is_anew:
            made_of = [(one.made, one.reads, one.instant(as_of or now)) for one in steps().values()]
            built.settle(store.digests(map(name, made)), made_of)
        of_claims, found = built.inputs_of(DERIVED), claims(query, study, names)
        built.record(mart.Claims, of_claims, built.compare(mart.Claims, found))
        return {mart.Claims: found, ops.Built: built.table(now)}

    started = time.perf_counter()
    if built.is_hit(mart.Claims, built.inputs_of(DERIVED)):
        store.replace({**made, ops.Built: built.table(now)}, changes=built.changes)
    else:
        store.replace(made, then, built.changes)
    return {**seconds, "write": time.perf_counter() - started}


def compute(
    read: Callable[..., pl.DataFrame],
    tables: dict[type[Table], pl.DataFrame],
    study: Study,
    as_of: datetime,
    built: BuildCache | None = None,
) -> tuple[dict[type[Table], pl.DataFrame], dict[str, float]]:
    """Run every transform whose inputs have changed.

    Args:
        read: Gives the stored rows of a table; with `is_revised`, every version of the revised ones.
        tables: Tables that no transform makes.
        study: Passed to the transforms that ask for it.
        as_of: Passed to the transforms that ask for an instant.
        built: What the stored tables were made of; without it, everything has changed.

    Returns:
        Every table that is not raw and not stored as it is already; and the seconds that each took, some at
        the same time, and those of reading for them.
    """
    making = Making(read, study, as_of, built or BuildCache.empty(), dict(tables))
    for model, frame in tables.items():
        if making.built.record(model, "", making.built.compare(model, frame)):
            making.made[model] = frame
    perform(making.prepare, making.make, making.keep)
    return making.made, making.seconds


@dataclass(frozen=True, slots=True)
class Made:
    """What a step made, how it differs from what is stored, and the seconds that it took."""

    frame: pl.DataFrame
    found: Compared
    seconds: float


@dataclass(slots=True)
class Making:
    """A build under way: what gives the steps their arguments, and takes what they make."""

    read: Callable[..., pl.DataFrame]
    study: Study
    as_of: datetime
    built: BuildCache
    known: dict[type[Table], pl.DataFrame]
    made: dict[type[Table], pl.DataFrame] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=lambda: {"read": 0.0})
    inputs: dict[type[Table], str] = field(default_factory=dict)

    def prepare(self, one: Step) -> dict[str, Any] | None:
        """The arguments of a step; None if its table is stored as it would be made."""
        self.inputs[one.made] = self.built.inputs_of(one.reads, one.instant(self.as_of))
        if self.built.is_hit(one.made, self.inputs[one.made]):
            return None
        began = time.perf_counter()
        arguments = {label: self.argument(*wanted) for label, wanted in one.inputs.items()}
        self.seconds["read"] += time.perf_counter() - began
        return arguments

    def argument(self, kind: Any, *marks: Any) -> Any:
        """What an input of a step is: a table, each read once, or a parameter."""
        if not marks:
            return {Study: self.study, datetime: self.as_of}[kind]
        if REVISED in marks:
            return self.read(marks[0], is_revised=True).lazy()
        if marks[0] not in self.known:
            self.known[marks[0]] = self.read(marks[0], is_revised=False)
        return self.known[marks[0]].lazy()

    def make(self, one: Step, arguments: dict[str, Any]) -> Made:
        """Run a step."""
        began = time.perf_counter()
        frame = one.run(**arguments).collect()
        return Made(frame, self.built.compare(one.made, frame), time.perf_counter() - began)

    def keep(self, one: Step, made: Made) -> None:
        """Take what a step made."""
        self.known[one.made], self.seconds[name(one.made)] = made.frame, made.seconds
        if self.built.record(one.made, self.inputs[one.made], made.found):
            self.made[one.made] = made.frame


def given(
    store: Store, universe: Universe, built: BuildCache | None = None
) -> dict[type[Table], pl.DataFrame]:
    """The tables that come from the universe and the calendars instead of from other tables.

    The dictionary is of the code alone: what this code has stored is as it would be made.
    """
    tables = {
        core.Listings: universe.listings(),
        core.Panels: universe.panels(),
        core.Series: universe.series(),
        core.Sessions: sessions(store, universe),
    }
    is_stored = built is not None and built.is_hit(mart.Dictionary, "")
    return tables if is_stored else {**tables, mart.Dictionary: dictionary()}


def sessions(store: Store, universe: Universe) -> pl.DataFrame:
    """`core.sessions` of every calendar in use, from before the first bar to a year after the last."""
    first, last = store.con.execute(
        "SELECT min(opened_at)::DATE, max(opened_at)::DATE FROM raw.bars"
    ).fetchall()[0]
    start: date = (first or calendars.FIRST_DAY) - WARM_UP
    watched = [one.calendar for one in universe.asset] + [one.calendar for one in universe.breadth]
    names = sorted({universe.study.calendar, *watched})
    return pl.concat(calendars.sessions(label, start.year, (last or start).year + 1) for label in names)
