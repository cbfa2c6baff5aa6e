"""Server, worker, deployments and their runs, end to end and without a network."""

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
import yaml
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import DeploymentUpdate, WorkPoolUpdate
from prefect.exceptions import PrefectHTTPStatusError
from prefect.states import Scheduled

from flows.lock import one_writer
from tests.flows.served import PATIENCE, ROOT, Served, below, by_its_clock, every_minute, state_of, words
from tests.flows.webhook import Webhook
from warehouse.reader import connect

pytestmark = pytest.mark.slow
SIX_MINUTES = 360.0
BAD: dict[str, list[dict[str, Any]]] = {
    "crypto-hourly": [
        {"only": ["shares"]},
        {"only": "crypto"},
        {"wait": "long"},
        {"wait": -1},
        {"data": 7},
        {"as_of": []},
        {"as_of": "soon"},
        {"as_of": "2025-10-08T21:00"},
        {"since": "yesterday"},
        {"until": "2025-13-45"},
        {"univers": "x"},
    ],
    "us-close": [{"univers": "x"}, {"wait": "long"}],
    "maintenance-weekly": [{"univers": "x"}, {"backup_to": 7}],
    "backfill": [
        {},
        {"since": "yesterday"},
        {"since": "2025-10-08", "chunk_days": 0},
        {"since": "8.10.2025"},
    ],
    "replay": [
        {},
        {"as_of": "soon"},
        {"as_of": "2025-10-08"},
        {"as_of": "2025-10-08T21:00Z", "univers": "x"},
    ],
}


@pytest.fixture(scope="module")
def served(
    tiny_universe: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """`make serve` on a free port; one for all tests of this file."""
    folder = tmp_path_factory.mktemp("served")
    made = Served(folder, tiny_universe(folder / "home"))
    made.start()
    yield made
    assert made.stop() == 0


@pytest.fixture
def client(served: Served) -> Iterator[SyncPrefectClient]:
    with served.client() as client:
        yield client


def symbols(data: str) -> list[str]:
    """Whose bars are published in a folder."""
    with closing(connect(Path(data))) as con:
        return [row[0] for row in con.execute("SELECT DISTINCT symbol FROM raw.bars ORDER BY ALL").fetchall()]


def deployment(client: SyncPrefectClient, name: str) -> Any:
    return next(one for one in client.read_deployments() if one.name == name)


def test_everything_is_deployed_and_bad_parameters_make_no_run(client: SyncPrefectClient) -> None:
    names = {one.name: one for one in client.read_deployments()}
    assert set(names) == {
        one["name"] for one in yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    }
    for one in names.values():
        wanted = "CANCEL_NEW" if "scheduled" in one.tags else "ENQUEUE"
        assert one.concurrency_options.collision_strategy == wanted
        assert one.global_concurrency_limit.limit == 1
    before = {run.id for run in client.read_flow_runs()}
    for name, cases in BAD.items():
        for bad in cases:
            with pytest.raises(PrefectHTTPStatusError, match=r"Client error '4(09|22)"):
                client.create_flow_run_from_deployment(names[name].id, parameters=bad)
    assert {run.id for run in client.read_flow_runs()} <= before


def test_no_page_of_another_origin_may_talk_to_the_server(served: Served) -> None:
    def preflight(origin: str) -> httpx.Response:
        asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
        return httpx.options(f"{served.url}/deployments/filter", headers={"Origin": origin, **asked})

    own = served.url.removesuffix("/api")
    assert preflight(own).headers["access-control-allow-origin"] == own
    assert "access-control-allow-origin" not in preflight("https://evil.example").headers


def test_a_triggered_run_publishes(served: Served, client: SyncPrefectClient) -> None:
    given = served.given("triggered")
    made = client.create_flow_run_from_deployment(deployment(client, "crypto-hourly").id, parameters=given)
    assert served.ended(client, made.id).is_completed(), served.log
    assert symbols(given["data"]) == ["ETH-USD", "ETHUSDT"]


def test_a_run_that_nobody_asked_for_publishes(served: Served, client: SyncPrefectClient) -> None:
    one = deployment(client, "crypto-hourly")
    given = {**one.parameters, **served.given("by-clock")}
    client.update_deployment(one.id, every_minute(given))
    try:
        served.wait((Path(given["data"]) / "published" / "latest.json").exists)
        first = min(client.read_flow_runs(), key=lambda run: (not by_its_clock(run), run.expected_start_time))
        assert by_its_clock(first)
        assert served.ended(client, first.id).is_completed(), served.log
    finally:
        client.update_deployment(one.id, DeploymentUpdate(schedules=[]))
    assert symbols(given["data"]) == ["ETH-USD", "ETHUSDT"]


@pytest.mark.parametrize(
    ("day", "name", "published"), [("2025-10-10", "Completed", True), ("2025-10-11", "NoSession", False)]
)
def test_the_run_after_the_close_is_that_of_the_day_for_which_it_was_planned(
    day: str, name: str, published: bool, served: Served, client: SyncPrefectClient
) -> None:
    due = Scheduled(scheduled_time=datetime.fromisoformat(f"{day}T20:35+00:00"))  # long ago
    given = served.given(f"close-{day}")
    close = deployment(client, "us-close").id
    made = client.create_flow_run_from_deployment(close, parameters=given, state=due)
    assert served.ended(client, made.id).name == name, served.log
    assert (Path(given["data"]) / "published" / "latest.json").exists() == published


def twice(served: Served, client: SyncPrefectClient, name: str, given: dict[str, Any]) -> list[UUID]:
    """Two runs of a deployment, due at once, the second once the first is under way."""
    one, made = deployment(client, name).id, []
    for _ in range(2):
        run = client.create_flow_run_from_deployment(one, parameters=given, state=Scheduled())
        made.append(run.id)
        served.wait(lambda: state_of(client, made[0]).is_running(), every=0.5)
    return made


def test_a_scheduled_run_that_finds_one_under_way_is_dropped(
    served: Served, client: SyncPrefectClient
) -> None:
    given = {**served.given("dropped"), "wait": 600}
    with one_writer(Path(given["data"]), 0):
        first, second = twice(served, client, "crypto-hourly", given)
        assert served.ended(client, second).is_cancelled(), served.log
        assert state_of(client, first).is_running()
    assert served.ended(client, first).is_completed(), served.log


def test_a_second_backfill_waits_for_the_first(served: Served, client: SyncPrefectClient, once: Path) -> None:
    given = {**served.given("queued"), "since": "2025-10-01", "wait": 600}
    shutil.copytree(once / "data", given["data"])
    with one_writer(Path(given["data"]), 0):
        first, second = twice(served, client, "backfill", given)
        served.wait(lambda: state_of(client, second).name == "AwaitingConcurrencySlot", every=0.5)
        assert state_of(client, first).is_running()
    assert served.ended(client, first).is_completed(), served.log
    assert served.ended(client, second).is_completed(), served.log
    runs = [client.read_flow_run(one) for one in (first, second)]
    assert runs[0].end_time <= runs[1].start_time


def test_failed_and_late_runs_are_told_to_a_webhook(
    served: Served, client: SyncPrefectClient, monkeypatch: pytest.MonkeyPatch, webhook: Webhook
) -> None:
    from flows import server

    told = {"subject": "{{subject}}", "body": "{{body}}"}
    block = CustomWebhookNotificationBlock(name="test", url=webhook.url, json_data=told)
    block.save("test", overwrite=True, _sync=True)  # a browser test before this one may leave a loop running
    monkeypatch.setenv("COMOVE_NOTIFY", "custom-webhook/test")
    server.set_alarms()
    one = deployment(client, "macro-daily")
    nowhere = {**served.given("failed"), "universe": "/nowhere.toml"}
    failed = client.create_flow_run_from_deployment(one.id, parameters=nowhere)
    assert served.ended(client, failed.id).is_failed(), served.log
    client.update_work_pool(server.POOL, WorkPoolUpdate(is_paused=True))
    try:
        due = Scheduled(scheduled_time=datetime.now(UTC) - timedelta(minutes=5))
        late = client.create_flow_run_from_deployment(one.id, parameters=served.given("late"), state=due)
        served.wait(lambda: len(webhook.posted) > 1)
        client.delete_flow_run(late.id)
    finally:
        client.update_work_pool(server.POOL, WorkPoolUpdate(is_paused=False))
    assert webhook.posted == [
        {"subject": "comove: a run failed", "body": f"refresh: {failed.name} is Failed"},
        {"subject": "comove: a run is late", "body": f"refresh: {late.name} is Late"},
    ]


def test_after_worker_and_flow_were_killed_the_next_run_publishes_within_six_minutes(served: Served) -> None:
    given = served.given("killed")
    with served.client() as client:
        crypto = deployment(client, "crypto-hourly").id
        dead = client.create_flow_run_from_deployment(crypto, parameters=given).id
        served.wait(lambda: list((Path(given["data"]) / "landing").rglob("*.parquet")), every=0.01)
        worker = next(pid for pid in below(served.process.pid) if "worker start" in words(pid))
        assert not state_of(client, dead).is_final()  # asked before: the command ends the server too
        for pid in [worker, *below(worker)]:
            os.kill(pid, signal.SIGKILL)
    assert not (Path(given["data"]) / "published" / "latest.json").exists()
    assert served.process.wait(120) == 1
    began = time.monotonic()
    served.start()
    with served.client() as client:
        again = client.create_flow_run_from_deployment(crypto, parameters=given)
        assert served.ended(client, again.id).is_completed(), served.log
        seconds = time.monotonic() - began
        assert state_of(client, dead).is_crashed()
    print(f"published {seconds:.0f} s after the restart")  # noqa: T201
    assert seconds < SIX_MINUTES
    assert symbols(given["data"]) == ["ETH-USD", "ETHUSDT"]


def test_what_kills_the_command_ends_server_and_worker_too(served: Served) -> None:
    started = [pid for pid in below(served.process.pid) if "prefect.engine" not in words(pid)]  # not a run's
    assert any("worker start" in words(pid) for pid in started)
    os.kill(served.process.pid, signal.SIGKILL)
    served.process.wait()
    deadline = time.monotonic() + PATIENCE
    while any(Path(f"/proc/{pid}").exists() for pid in started):
        assert time.monotonic() < deadline, [words(pid) for pid in started if Path(f"/proc/{pid}").exists()]
        time.sleep(0.2)
    served.start()
