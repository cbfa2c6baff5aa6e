"""Fetching and landing on the workers of a Dask cluster; the one who writes the warehouse is this process.

Workers need the same code and the same environment, and must see the universe's files and the data folder
under the same paths.
"""

import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from typing import Any, TypeVar

from flows.runners import Done, Prefect, Runner, ignore, result_of
from flows.sources import SourceError

A = TypeVar("A")
B = TypeVar("B")
VARIABLE = "COMOVE_DASK"
PATIENCE = 20  # seconds for the cluster to answer
THREADS = 2  # of each worker of a cluster of our own


class ClusterError(ValueError):
    """The cluster cannot be used; the text is one line with the next step."""


class Dask(Prefect):
    """As `Prefect`, but a step over many items runs on a cluster: fetches, and landing."""

    def __init__(self, workers: Any, addresses: Iterable[str]) -> None:
        """Take a task runner that was started, and the addresses of its workers."""
        self.workers, self.addresses = workers, sorted(addresses)

    def map(
        self, step: Callable[..., B], items: Iterable[A], *shared: Any, done: Done[A, B] = ignore
    ) -> list[B | SourceError]:
        """Run it as one task an item, those of one lane on one worker."""
        import dask
        from prefect.utilities.callables import get_call_parameters

        task, asked, futures = self._task(step), list(items), []
        for item in asked:
            with dask.annotate(**self.placed(getattr(item, "lane", None))):
                futures.append(self.workers.submit(task, get_call_parameters(step, (item, *shared), {})))
        results: list[B | SourceError] = []
        for item, future in zip(asked, futures, strict=True):
            results.append(result_of(future))
            done(item, results[-1])
        return results

    def placed(self, lane: str | None) -> dict[str, Any]:
        """What tells Dask where a task of a lane runs: always on the same worker, while that one lives."""
        if lane is None:
            return {}
        worker = self.addresses[zlib.crc32(lane.encode()) % len(self.addresses)]
        return {"workers": [worker], "allow_other_workers": True}


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
        "dashboard_address": None,
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
        yield Dask(runner, workers)
