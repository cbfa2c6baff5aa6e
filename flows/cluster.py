"""Fetching, checking and writing what passed on the workers of a Dask cluster; this process ends the landing.

Workers need the same code and the same environment, and must see the universe's files and the data folder
under the same paths.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from typing import Any, TypeVar

from flows.runners import Done, Plain, Prefect, Runner, ignore, result_of
from flows.sources import SourceError

A = TypeVar("A")
B = TypeVar("B")
VARIABLE = "COMOVE_DASK"
PATIENCE = 20  # seconds for the cluster to answer
THREADS = 2  # of each worker of a cluster of our own


class ClusterError(ValueError):
    """The cluster cannot be used; the text is one line with the next step."""


class Dask(Prefect):
    """As `Prefect`, but a step over many items runs on a cluster."""

    def __init__(self, workers: Any) -> None:
        """Take a task runner that was started."""
        self.workers = workers

    def map(
        self, step: Callable[..., B], items: Iterable[A], *shared: Any, done: Done[A, B] = ignore
    ) -> list[B | SourceError]:
        """Run it as one task an item; items of one lane are one task, and so share a process."""
        asked = list(items)
        task = self._task(in_turn).with_options(name=getattr(step, "__name__", None))
        futures = [
            (
                places,
                self.workers.submit(
                    task, {"step": step, "items": [asked[n] for n in places], "shared": shared}
                ),
            )
            for places in lanes(asked)
        ]
        found: dict[int, B | SourceError] = {}
        for places, future in futures:
            for n, result in zip(places, result_of(future), strict=True):
                found[n] = result
                done(asked[n], result)
        return [found[n] for n in range(len(asked))]


def lanes(items: Sequence[Any]) -> list[list[int]]:
    """The places of the items that belong together; an item that names no lane is alone."""
    found: dict[object, list[int]] = {}
    for n, item in enumerate(items):
        lane = getattr(item, "lane", None)
        found.setdefault(n if lane is None else lane, []).append(n)
    return list(found.values())


def in_turn(step: Callable[..., B], items: list[A], shared: tuple[Any, ...]) -> list[B | SourceError]:
    """Run a step for each item of a lane on the threads of one process, whose limits they share."""
    return Plain().map(step, items, *shared)


def refuse_without_dask() -> None:
    """Dask is an extra.

    Raises:
        ClusterError: if it is not installed.
    """
    if find_spec("prefect_dask") is None:
        raise ClusterError(
            "--runner dask needs prefect-dask, which is not installed; install the extra: "
            "`pip install -e .[dask]`, or with hashes `make test`"
        )


@contextmanager
def cluster(address: str | None) -> Iterator[Runner]:
    """A runner on the cluster at an address, else on one of processes of this machine, for the block.

    Raises:
        ClusterError: if Dask is not installed, or nobody answers at the address.
    """
    refuse_without_dask()
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL, temporary_settings
    from prefect_dask import DaskTaskRunner

    own = {
        "n_workers": os.cpu_count(),
        "threads_per_worker": THREADS,
        "processes": True,
        "dashboard_address": "127.0.0.1:0",
    }
    named = address or os.environ.get(VARIABLE)
    where: dict[str, Any] = {"address": named} if named else {"cluster_kwargs": own}
    runner = DaskTaskRunner(**where, client_kwargs={"timeout": PATIENCE})
    with ExitStack() as stack:
        api = stack.enter_context(get_client(sync_client=True))  # the workers report to the same server
        stack.enter_context(temporary_settings({PREFECT_API_URL: str(api.api_url)}))
        stack.enter_context(runner)
        try:
            workers = runner.client.scheduler_info(n_workers=-1)["workers"]
        except (OSError, TimeoutError) as error:
            raise ClusterError(
                f"{named}: no Dask scheduler answers there; check --dask or {VARIABLE}"
            ) from error
        if not workers:
            raise ClusterError(
                f"{named}: the Dask cluster has no worker; start one with `dask worker {named}`"
            )
        yield Dask(runner)
