"""The same steps plainly or as Prefect tasks: in order, a failed source as its own result, asked once."""

from typing import Any

import pytest

from flows import backfill, refresh
from flows.runners import THREADS, Plain, Prefect
from flows.sources import SourceError


def step(item: int, shared: str) -> str:
    if item == 2:
        raise BusyError("busy")
    if item == 4:
        raise ZeroDivisionError
    return f"{item}{shared}"


class BusyError(SourceError):
    is_transient = True


class Future:
    """A task that has run, as Prefect's futures tell of it."""

    def __init__(self, item: int, shared: str) -> None:
        try:
            self.found: Any = step(item, shared)
        except Exception as error:
            self.found = error

    def result(self, *, raise_on_failure: bool) -> Any:
        assert not raise_on_failure
        return self.found


class Task:
    """A task without options: that it is retried cannot be asked of it."""

    def map(self, items: list[int], shared: Any) -> list[Future]:
        return [Future(item, shared.value) for item in items]


@pytest.fixture(params=[Plain, Prefect])
def runner(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(Prefect, "_task", lambda *_: Task())
    monkeypatch.setattr("prefect.futures.as_completed", reversed)
    return request.param()


def test_results_keep_their_order_and_each_is_told_of(runner: Any) -> None:
    told = {}
    found = runner.map(step, [1, 2, 3], "x", done=told.__setitem__)
    assert [str(one) for one in found] == ["1x", "busy", "3x"]
    assert isinstance(found[1], BusyError)
    assert told == dict(zip([1, 2, 3], found, strict=True))


def test_other_failures_are_raised(runner: Any) -> None:
    with pytest.raises(ZeroDivisionError):
        runner.map(step, [1, 4], "x")


def test_prefect_asks_nothing_again_and_runs_few_at_once() -> None:
    assert Prefect._task(step).retries == 0
    for flow in (refresh.refresh, backfill.backfill):
        assert flow.task_runner._max_workers == THREADS
