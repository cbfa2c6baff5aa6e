"""The transforms as steps: what each reads and makes, in which order they can run, and running them."""

from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from graphlib import TopologicalSorter
from typing import Any, TypeVar, get_args, get_type_hints

import polars as pl

from schemas import Table
from transforms.registry import TRANSFORMS

M = TypeVar("M")
AT_ONCE = 2  # steps; most of them use one processor, or several for a part of their time


@dataclass(frozen=True, slots=True)
class Step:
    """A transform and what its signature says: the tables it reads, and the one it makes."""

    run: Callable[..., pl.LazyFrame]
    made: type[Table]
    inputs: dict[str, tuple[Any, ...]]

    def instant(self, of_run: datetime) -> datetime | None:
        """The instant of the run, if it asks for it."""
        return of_run if (datetime,) in self.inputs.values() else None

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


def steps() -> dict[type[Table], Step]:
    """The step that makes each table."""
    return {step(transform).made: step(transform) for transform in TRANSFORMS}


def order(steps: Mapping[type[Table], Step]) -> TopologicalSorter[type[Table]]:
    """Each table after those that its step reads."""
    return TopologicalSorter({made: one.reads for made, one in steps.items()})


def perform(
    prepare: Callable[[Step], dict[str, Any] | None],
    make: Callable[[Step, dict[str, Any]], M],
    keep: Callable[[Step, M], None],
) -> None:
    """Run every step when what it reads is made, two at a time.

    Args:
        prepare: Gives a step its arguments; None where its table need not be made.
        make: Makes the table; called in other threads.
        keep: Is given a step and what was made. It and `prepare` are called in this thread.
    """
    makers = steps()
    graph = order(makers)
    graph.prepare()
    running: dict[Future[M], type[Table]] = {}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        try:
            while graph.is_active():
                while ready := graph.get_ready():  # what need not be made makes others ready at once
                    for table in ready:
                        arguments = prepare(makers[table]) if table in makers else None
                        if arguments is None:
                            graph.done(table)
                        else:
                            running[pool.submit(make, makers[table], arguments)] = table
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    table = running.pop(future)
                    keep(makers[table], future.result())
                    graph.done(table)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)  # only what runs already is waited for
            raise
