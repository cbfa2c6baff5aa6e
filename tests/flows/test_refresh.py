"""The same pipeline as a flow: what the orchestrator sees of it."""

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import TaskRun

from flows import lineage
from flows.command import quietly
from flows.pipeline import Run
from flows.refresh import refresh

pytestmark = pytest.mark.slow


def recorded(client: SyncPrefectClient, count: int) -> list[TaskRun]:
    """So many task runs, once the server has recorded how they ended, which it does when it has time."""
    deadline, found = time.monotonic() + 60, []
    while len(found) < count or not all(task.state and task.state.is_final() for task in found):
        assert time.monotonic() < deadline, found
        time.sleep(0.5)
        found = client.read_task_runs()
    return found


Events = dict[str, dict[str, Any]]


def materialized(client: SyncPrefectClient, run_id: str, count: int) -> Events:
    """The materializations of a run by table, once the server has stored so many of them."""
    asked = {"filter": {"event": {"name": ["prefect.asset.materialization.succeeded"]}}, "limit": 50}
    deadline, found = time.monotonic() + 60, {}
    while len(found) < count:
        assert time.monotonic() < deadline, sorted(found)
        time.sleep(0.5)
        answer = client.request("POST", "/events/filter", json=asked).json()
        found = {
            one["resource"]["prefect.resource.name"]: one
            for one in answer["events"]
            if one["payload"]["run_id"] == run_id
        }
    return found


def test_the_flow_publishes_and_shows_its_steps_and_what_it_wrote(
    tiny_universe: Callable[[Path], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prefect.client.orchestration import get_client
    from prefect.testing.utilities import prefect_test_harness

    leave, spent = lineage.leave, []

    def timed(run: Run) -> None:
        began = time.perf_counter()
        leave(run)
        spent.append(time.perf_counter() - began)

    monkeypatch.setattr(lineage, "leave", timed)
    given = {"universe": tiny_universe(tmp_path), "data": tmp_path / "data"}
    with prefect_test_harness(server_startup_timeout=120):
        done = refresh(**given)
        with get_client(sync_client=True) as client:
            (flow_run,) = client.read_flow_runs()
            artifacts = client.read_artifacts()
            wrote = materialized(client, done.job.run_id, len(lineage.written(done)))
            tasks = recorded(client, 9 + len(lineage.written(done)))
        second = refresh(**given)
        with get_client(sync_client=True) as client:
            wrote_again = materialized(client, second.job.run_id, 3)
    assert flow_run.state.is_completed()
    assert all(task.state.is_completed() for task in tasks)
    steps = Counter(task.name.rsplit("-", 1)[0] for task in tasks)
    of_tables = dict.fromkeys(lineage.written(done), 1)
    assert steps == {"attempt": 5, "land": 1, "build": 1, "publish": 1, "render": 1} | of_tables
    kinds = {artifact.key: artifact.type for artifact in artifacts}
    tables = dict.fromkeys(("run-summary", "claims", "freshness", "timings"), "table")
    assert kinds == {"headline": "markdown", "page": "markdown"} | tables
    assert done.troubles == []
    assert done.page is not None
    assert [artifact.data for artifact in artifacts if artifact.key == "page"] == [
        f"[the page]({done.page.absolute().as_uri()})"
    ]
    assert done.publication.database.exists()
    assert done.publication.tables["raw.bars"] == 4126 + 171 + 121 + 121
    assert set(wrote) == set(of_tables) >= {table for table, rows in done.publication.tables.items() if rows}
    assert set(wrote_again) == {"ops.loads", "ops.landed", "ops.built"}  # all else was as it is
    assert wrote["raw.bars"]["payload"] == {"rows": 4126 + 171 + 121 + 121, "run_id": done.job.run_id}
    assert (
        wrote["mart.correlations"]["resource"]["prefect.resource.id"] == "duckdb://comove/mart.correlations"
    )
    assert descent(wrote["mart.correlations"]) == {"core.returns"}
    assert descent(wrote["raw.bars"]) == set()
    assert {"core.closes", "mart.correlations"} <= descent(wrote["mart.claims"])
    assert max(spent) < 2, spent  # about 10 ms a table; a hundred times that would slow a run


def descent(event: dict[str, Any]) -> set[str]:
    """The tables that a materialized one was made of."""
    of_assets = [one for one in event["related"] if one["prefect.resource.role"] == "asset"]
    return {one["prefect.resource.id"].removeprefix("duckdb://comove/") for one in of_assets}


SERVER = """
import logging
from prefect.logging.configuration import setup_logging
setup_logging()
logging.getLogger("sqlalchemy.pool").error("stopped in the midst of it")
"""


def test_what_the_temporary_servers_libraries_log_is_not_shown() -> None:
    def said() -> str:
        return subprocess.run(
            [sys.executable, "-c", SERVER], capture_output=True, text=True, check=True
        ).stderr

    assert "stopped in the midst of it" in said()
    with quietly():
        assert said() == ""
    assert "stopped in the midst of it" in said()
