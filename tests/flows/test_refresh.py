"""The same pipeline as a flow: what the orchestrator sees of it."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from flows.refresh import refresh

pytestmark = pytest.mark.slow


def test_the_flow_publishes_and_shows_its_steps(
    tiny_universe: Callable[[Path], Path], tmp_path: Path
) -> None:
    from prefect.client.orchestration import get_client
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=120):
        done = refresh(universe=tiny_universe(tmp_path), data=tmp_path / "data")
        with get_client(sync_client=True) as client:
            (flow_run,) = client.read_flow_runs()
            tasks = client.read_task_runs()
            artifacts = client.read_artifacts()
    assert flow_run.state.is_completed()
    assert all(task.state.is_completed() for task in tasks)
    steps = Counter(task.name.rsplit("-", 1)[0] for task in tasks)
    assert steps == {"attempt": 5, "land": 1, "build": 1, "publish": 1, "render": 1}
    kinds = {artifact.key: artifact.type for artifact in artifacts}
    tables = dict.fromkeys(("claims", "freshness", "timings"), "table")
    assert kinds == {"headline": "markdown", "page": "markdown"} | tables
    assert done.troubles == []
    assert done.page is not None
    assert [artifact.data for artifact in artifacts if artifact.key == "page"] == [
        f"[the page]({done.page.absolute().as_uri()})"
    ]
    assert done.publication.database.exists()
    assert done.publication.tables["raw.bars"] == 4126 + 171 + 121 + 121
