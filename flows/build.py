"""The build: every transform in the order that its annotations imply, written in one transaction.

What has not changed is neither made nor written again; `flows.build_cache` says how that is known.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from graphlib import TopologicalSorter
from typing import Any, get_args, get_type_hints

import polars as pl

from flows import calendars
from flows.build_cache import BuildCache
from flows.dictionary import dictionary
from flows.universe import Universe
from schemas import TABLES, Table, core, mart, ops
from schemas.table import REVISED, name
from transforms.claims import claims
from transforms.registry import TRANSFORMS
from transforms.study import Study
from warehouse.store import Frames, Query, Store

END_OF_TIME = datetime(9999, 1, 1, tzinfo=UTC)
DERIVED = [model for model in TABLES if name(model).startswith(("core", "mart")) and model is not mart.Claims]
WARM_UP = timedelta(days=10)  # so that the first bar's session has one before it


@dataclass(frozen=True, slots=True)
class Step:
    """A transform and what its signature says: the tables it reads, and the one it makes."""

    run: Callable[..., pl.LazyFrame]
    made: type[Table]
    inputs: dict[str, tuple[Any, ...]]

    @property
    def is_timed(self) -> bool:
        """Whether it asks for the instant of the run."""
        return (datetime,) in self.inputs.values()

    @property
    def reads(self) -> list[type[Table]]:
        """The tables among its inputs."""
        return [args[1] for args in self.inputs.values() if len(args) > 1]


@cache
def step(transform: Callable[..., pl.LazyFrame]) -> Step:
    """Read a signature: `Annotated[LazyFrame, Table]` is a table, anything else a parameter by its type."""
    hints = get_type_hints(transform, include_extras=True)
    inputs = {label: get_args(hint) or (hint,) for label, hint in hints.items() if label != "return"}
    return Step(transform, get_args(hints["return"])[1], inputs)


def order() -> Iterator[Step]:
    """The steps, each after those that make what it reads."""
    makers = {step(transform).made: step(transform) for transform in TRANSFORMS}
    graph = {made: maker.reads for made, maker in makers.items()}
    return (makers[table] for table in TopologicalSorter(graph).static_order() if table in makers)


def build(store: Store, universe: Universe, now: datetime, as_of: datetime | None = None) -> dict[str, float]:
    """Compute and write what has changed of `core`, `mart` and the derived `ops` tables.

    Args:
        store: The warehouse.
        universe: What is watched.
        now: The instant of the run, for freshness.
        as_of: For a replay: only what was known by then. Otherwise everything that is stored counts as known,
            even if the clock went back meanwhile.

    Returns:
        Seconds per table, in the order in which they were made, and for writing them all.
    """
    known_by = as_of or END_OF_TIME
    study, names = universe.study_parameters, {asset.id: asset.name for asset in universe.asset}

    def read(model: type[Table], *, is_revised: bool) -> pl.DataFrame:
        return store.revised(model, known_by) if is_revised else store.newest(model, known_by)

    built = BuildCache(untouched(store), store.landed(), universe.fingerprint, store.digest)
    made, seconds = compute(read, given(store, universe), study, as_of or now, built)
    of_claims = built.inputs_of(DERIVED)

    def then(query: Query) -> Frames:
        made = claims(query, study, names)
        built.record(mart.Claims, of_claims, made)
        return {mart.Claims: made, ops.Built: built.table(now)}

    started = time.perf_counter()
    if built.is_hit(mart.Claims, of_claims):
        store.replace({**made, ops.Built: built.table(now)})
    else:
        store.replace(made, then)
    return {**seconds, "write": time.perf_counter() - started}


def untouched(store: Store) -> pl.DataFrame:
    """What the last build made and is still as it made it; a table that somebody changed is made again."""
    built = store.read(ops.Built)
    found = store.digests(built["table_name"])
    return built.filter(
        [found.get(table) == digest for table, digest in built["table_name", "digest"].rows()]
    )


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
        Every table that is not raw and not stored as it is already, and the seconds that each took.
    """
    built = built or BuildCache.empty()
    parameters: dict[Any, Any] = {Study: study, datetime: as_of}
    known, seconds = dict(tables), {}
    made = {model: frame for model, frame in tables.items() if built.record(model, "", frame)}

    def argument(kind: Any, *marks: Any) -> Any:
        if not marks:
            return parameters[kind]
        if REVISED in marks:
            return read(marks[0], is_revised=True).lazy()
        if marks[0] not in known:
            known[marks[0]] = read(marks[0], is_revised=False)
        return known[marks[0]].lazy()

    for one in order():
        inputs = built.inputs_of(one.reads, as_of if one.is_timed else None)
        if built.is_hit(one.made, inputs):
            continue
        started = time.perf_counter()
        frame = one.run(**{label: argument(*wanted) for label, wanted in one.inputs.items()}).collect()
        known[one.made] = frame
        if built.record(one.made, inputs, frame):
            made[one.made] = frame
        seconds[name(one.made)] = time.perf_counter() - started
    return made, seconds


def given(store: Store, universe: Universe) -> dict[type[Table], pl.DataFrame]:
    """The tables that come from the universe and the calendars instead of from other tables."""
    return {
        core.Listings: universe.listings(),
        core.Panels: universe.panels(),
        core.Series: universe.series(),
        core.Sessions: sessions(store, universe),
        mart.Dictionary: dictionary(),
    }


def sessions(store: Store, universe: Universe) -> pl.DataFrame:
    """`core.sessions` of every calendar in use, from before the first bar to a year after the last."""
    first, last = store.con.execute(
        "SELECT min(opened_at)::DATE, max(opened_at)::DATE FROM raw.bars"
    ).fetchall()[0]
    start: date = (first or calendars.FIRST_DAY) - WARM_UP
    watched = [one.calendar for one in universe.asset] + [one.calendar for one in universe.breadth]
    names = sorted({universe.study.calendar, *watched})
    return pl.concat(calendars.sessions(label, start.year, (last or start).year + 1) for label in names)
