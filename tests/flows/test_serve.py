"""Server, worker, deployments and a triggered run, end to end and without a network."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from prefect.client.orchestration import SyncPrefectClient

from flows import serve
from warehouse.reader import connect

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("port", ["http", "0", "65536", "-1", "80 80", "4.2"])
def test_what_is_no_port_is_one_line(
    port: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COMOVE_PORT", port)
    assert serve.main() == 2
    assert capsys.readouterr().err == f'comove: COMOVE_PORT: "{port}" is no port; give a number below 65536\n'


def test_a_server_that_is_there_already_is_not_taken_for_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve.httpx, "get", lambda *_, **__: object())
    with pytest.raises(serve.ServeError, match="something answers there already"):
        serve.refuse_taken("http://127.0.0.1:1/api")


def test_the_deployments_name_flows_that_are_there_and_the_right_collision_strategy() -> None:
    for one in yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]:
        path, name = one["entrypoint"].split(":")
        assert f"\ndef {name}(" in (ROOT / path).read_text()
        wanted = "CANCEL_NEW" if "scheduled" in one["tags"] else "ENQUEUE"
        assert one["concurrency_limit"] == {"limit": 1, "collision_strategy": wanted}
        assert bool(one["schedules"]) == ("scheduled" in one["tags"])


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """`make serve` on a free port; gives the API's address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    told = {"COMOVE_PORT": str(port), "PREFECT_HOME": str(tmp_path / "prefect"), **serve.settings(port)}
    with (
        (tmp_path / "serve.log").open("w") as log,
        subprocess.Popen(
            [sys.executable, "-m", "flows.serve"],
            cwd=ROOT,
            env={**os.environ, **told},
            stdout=log,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        deadline = time.monotonic() + 240
        while "comove is served at" not in (tmp_path / "serve.log").read_text():
            assert process.poll() is None, (tmp_path / "serve.log").read_text()
            assert time.monotonic() < deadline, (tmp_path / "serve.log").read_text()
            time.sleep(0.2)
        yield told["PREFECT_API_URL"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


def settled(client: SyncPrefectClient) -> int:
    """The number of runs once the scheduler has made those of the schedules."""
    count, last = -1, 0
    while count != last or not count:
        count = last
        time.sleep(6)  # it looks every five seconds
        last = len(client.read_flow_runs())
    return count


@pytest.mark.slow
def test_a_triggered_run_publishes_and_bad_parameters_make_no_run(
    served: str, tiny_universe: Callable[[Path], Path], tmp_path: Path
) -> None:
    from prefect.client.orchestration import get_client
    from prefect.exceptions import PrefectHTTPStatusError
    from prefect.settings import PREFECT_API_URL, temporary_settings

    path, data = tiny_universe(tmp_path / "home"), tmp_path / "data"
    given = {"universe": str(path), "data": str(data)}
    with temporary_settings({PREFECT_API_URL: served}), get_client(sync_client=True) as client:
        names = {one.name: one for one in client.read_deployments()}
        wanted = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
        assert set(names) == {one["name"] for one in wanted}
        crypto = names["crypto-hourly"]
        before = settled(client)
        for bad in ({"only": ["shares"]}, {"only": "crypto"}, {"wait": "long"}, {"data": 7}, {"as_of": []}):
            with pytest.raises(PrefectHTTPStatusError):
                client.create_flow_run_from_deployment(crypto.id, parameters={**given, **bad})
        assert len(client.read_flow_runs()) == before
        made = client.create_flow_run_from_deployment(crypto.id, parameters=given)
        deadline = time.monotonic() + 240
        state = made.state
        while not (state and state.is_final()):
            assert time.monotonic() < deadline, (tmp_path / "serve.log").read_text()
            time.sleep(0.5)
            state = client.read_flow_run(made.id).state
        assert state.is_completed(), (tmp_path / "serve.log").read_text()
    con = connect(data)
    assert con.execute("SELECT DISTINCT symbol FROM raw.bars ORDER BY ALL").fetchall() == [
        ("ETH-USD",),
        ("ETHUSDT",),
    ]
    con.close()
