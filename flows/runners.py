"""Who runs the steps: the same pipeline plainly in this process, or as tasks of a Prefect flow."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

from flows.sources import SourceError

A = TypeVar("A")
B = TypeVar("B")
Done = Callable[[A, B | SourceError], None]
THREADS = 4  # answers that are on their way at once, and so in memory


def ignore(item: Any, result: Any) -> None:
    """Nobody wants to know."""


class Runner(Protocol):
    """Runs one step, or one step over many items at once."""

    def call(self, step: Callable[..., B], *arguments: Any) -> B:
        """Run a step; what it raises goes through."""

    def map(
        self, step: Callable[..., B], items: Iterable[A], *shared: Any, done: Done[A, B] = ignore
    ) -> list[B | SourceError]:
        """Run a step for each item, in their order; a source that fails is its own result.

        Args:
            step: Called with an item and what all share.
            items: The items.
            shared: What all share.
            done: Told of each item and its result as soon as it is there, in any order, from any thread.
        """


class Plain:
    """No orchestration: threads for the fetches, plain calls for the rest."""

    def call(self, step: Callable[..., B], *arguments: Any) -> B:
        """Call it."""
        return step(*arguments)

    def map(
        self, step: Callable[..., B], items: Iterable[A], *shared: Any, done: Done[A, B] = ignore
    ) -> list[B | SourceError]:
        """Call it for each item on a few threads."""

        def attempt(item: A) -> B | SourceError:
            result: B | SourceError
            try:
                result = step(item, *shared)
            except SourceError as error:
                result = error
            done(item, result)
            return result

        with ThreadPoolExecutor(THREADS) as pool:
            return list(pool.map(attempt, items))


class Prefect:
    """Each step is a task of the running flow: seen and timed. None is retried here.

    What may heal is asked again by the request policy, which knows the answer, its `Retry-After` and the
    rate; a second layer above it would multiply the requests.
    """

    def call(self, step: Callable[..., B], *arguments: Any) -> B:
        """Run it as one task."""
        result: B = self._task(step)(*arguments)
        return result

    def map(
        self, step: Callable[..., B], items: Iterable[A], *shared: Any, done: Done[A, B] = ignore
    ) -> list[B | SourceError]:
        """Run it as one task an item."""
        from prefect import unmapped
        from prefect.futures import as_completed

        asked = list(items)
        futures = self._task(step).map(asked, *(unmapped(one) for one in shared))
        of_future = {id(future): item for future, item in zip(futures, asked, strict=True)}
        for future in as_completed(list(futures)):
            done(of_future[id(future)], result_of(future))
        return [result_of(future) for future in futures]

    @staticmethod
    def _task(step: Callable[..., Any]) -> Any:
        from prefect import task
        from prefect.cache_policies import NO_CACHE

        return task(cache_policy=NO_CACHE)(step)


def few_threads() -> Any:
    """Prefect's own threads, as few as the plain runner's; by default it starts one for every task."""
    from prefect.task_runners import ThreadPoolTaskRunner

    return ThreadPoolTaskRunner(max_workers=THREADS)


def result_of(future: Any) -> Any:
    """What a task gave, or the failure of its source; any other failure is raised."""
    found = future.result(raise_on_failure=False)
    if isinstance(found, BaseException) and not isinstance(found, SourceError):
        raise found
    return found
