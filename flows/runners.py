"""Who runs the steps: the same pipeline plainly in this process, or as tasks of a Prefect flow."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

from flows.sources import SourceError

A = TypeVar("A")
B = TypeVar("B")
THREADS = 4


class Runner(Protocol):
    """Runs one step, or one step over many items at once."""

    def call(self, step: Callable[..., B], *arguments: Any) -> B:
        """Run a step; what it raises goes through."""

    def map(self, step: Callable[[A], B], items: Iterable[A]) -> list[B | SourceError]:
        """Run a step for each item, in their order; a source that fails is its own result."""


class Plain:
    """No orchestration: threads for the fetches, plain calls for the rest."""

    def call(self, step: Callable[..., B], *arguments: Any) -> B:
        """Call it."""
        return step(*arguments)

    def map(self, step: Callable[[A], B], items: Iterable[A]) -> list[B | SourceError]:
        """Call it for each item on a few threads."""

        def attempt(item: A) -> B | SourceError:
            try:
                return step(item)
            except SourceError as error:
                return error

        with ThreadPoolExecutor(THREADS) as pool:
            return list(pool.map(attempt, items))


class Prefect:
    """Each step is a task of the running flow: seen, timed and, for fetches that may heal, retried."""

    def call(self, step: Callable[..., B], *arguments: Any) -> B:
        """Run it as one task."""
        result: B = self._task(step)(*arguments)
        return result

    def map(self, step: Callable[[A], B], items: Iterable[A]) -> list[B | SourceError]:
        """Run it as one task an item."""
        retried = self._task(step).with_options(
            retries=2, retry_delay_seconds=[5, 30], retry_condition_fn=may_heal
        )
        futures = retried.map(list(items))
        outcomes: list[B | SourceError] = [future.result(raise_on_failure=False) for future in futures]
        for outcome in outcomes:
            if isinstance(outcome, BaseException) and not isinstance(outcome, SourceError):
                raise outcome
        return outcomes

    @staticmethod
    def _task(step: Callable[..., Any]) -> Any:
        from prefect import task
        from prefect.cache_policies import NO_CACHE

        return task(cache_policy=NO_CACHE)(step)


def may_heal(task: Any, run: Any, state: Any) -> bool:  # noqa: ARG001 - Prefect's signature
    """Only a failure that its source calls transient is worth another try."""
    outcome = state.result(raise_on_failure=False)
    return isinstance(outcome, SourceError) and outcome.is_transient
