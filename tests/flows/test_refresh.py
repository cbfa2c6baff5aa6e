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
    assert flow_run.state.is_completed()
    assert all(task.state.is_completed() for task in tasks)
    steps = Counter(task.name.rsplit("-", 1)[0] for task in tasks)
    assert steps == {"attempt": 5, "land": 1, "build": 1, "publish": 1}
    assert done.publication.database.exists()
    assert done.publication.tables["raw.bars"] == 4126 + 171 + 121 + 121
