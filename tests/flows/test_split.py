"""Server and worker apart: what becomes of a run whose worker died while the server stays."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import pytest
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import FlowRun

from flows import server
from flows.lock import one_writer
from tests.flows.served import Split, below, state_of
from tests.flows.webhook import Webhook

pytestmark = pytest.mark.slow
SIX_MINUTES = 360.0
PAUSE = 20.0  # seconds between two runs that are asked for


@pytest.fixture
def split(tiny_universe: Callable[[Path], Path], tmp_path: Path) -> Iterator[Split]:
    """Server and worker on a free port."""
    made = Split(tmp_path, tiny_universe(tmp_path / "home"))
    made.start()
    yield made
    made.stop()


def was_heard(client: SyncPrefectClient, run: UUID) -> bool:
    """Whether the server knows of a heartbeat of a run."""
    about = {"resource": {"id": [f"prefect.flow-run.{run}"]}, "event": {"name": [server.HEARTBEAT]}}
    return bool(client.request("POST", "/events/filter", json={"filter": about}).json()["events"])


def watched(client: SyncPrefectClient, webhook: Webhook, monkeypatch: pytest.MonkeyPatch) -> None:
    """The alarms go to a local webhook."""
    told = {"subject": "{{subject}}", "body": "{{body}}"}
    CustomWebhookNotificationBlock(name="test", url=webhook.url, json_data=told).save("test", _sync=True)
    monkeypatch.setenv("COMOVE_NOTIFY", "custom-webhook/test")
    server.set_alarms()


def killed(split: Split, client: SyncPrefectClient, deployment: UUID, data: str) -> FlowRun:
    """A run that waits for the folder, and whose worker and process are killed when it was heard of."""
    given = {**split.given(data), "wait": 600}
    with one_writer(Path(given["data"]), 0):
        dead = client.create_flow_run_from_deployment(deployment, parameters=given)
        split.wait(lambda: was_heard(client, dead.id), every=1)
        for pid in [split.worker.pid, *below(split.worker.pid)]:
            os.kill(pid, signal.SIGKILL)
        split.worker.wait()
    return dead


def test_a_run_that_died_is_told_and_the_next_one_publishes_within_six_minutes(
    split: Split, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    with split.client() as client:
        watched(client, webhook, monkeypatch)
        crypto = next(one.id for one in client.read_deployments() if one.name == "crypto-hourly")
        dead = killed(split, client, crypto, "killed")
        assert state_of(client, dead.id).is_running()
        began, given = time.monotonic(), split.given("killed")
        split.start_worker()
        while not split.ended(
            client, client.create_flow_run_from_deployment(crypto, parameters=given).id
        ).is_completed():
            assert time.monotonic() - began < SIX_MINUTES, split.log
            time.sleep(PAUSE)
        print(f"published {time.monotonic() - began:.0f} s after the worker was back")  # noqa: T201
        assert time.monotonic() - began < SIX_MINUTES
        assert (Path(given["data"]) / "published" / "latest.json").exists()
        split.wait(lambda: webhook.posted)
        assert state_of(client, dead.id).is_crashed()
    told = {"subject": "comove: a run failed", "body": f"refresh: {dead.name} is Crashed"}
    late = "comove: a run is late"  # on a busy machine
    assert [one for one in webhook.posted if one["subject"] != late] == [told]
