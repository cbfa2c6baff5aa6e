"""What `make serve` refuses, and what it deploys."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from flows import serve, server
from flows.command import ServeError

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("port", ["http", "0", "65536", "-1", "80 80", "4.2"])
def test_what_is_no_port_is_one_line(
    port: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COMOVE_PORT", port)
    assert serve.main() == 2
    assert capsys.readouterr().err == f'comove: COMOVE_PORT: "{port}" is no port; give a number below 65536\n'


@pytest.mark.parametrize("words", [["deploy"], ["deploi"], ["deploy", "all"]])
def test_a_server_to_deploy_to_must_be_named(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    assert serve.main(words) == 2
    assert "`deploy` needs PREFECT_API_URL" in capsys.readouterr().err


def test_a_server_that_is_there_already_is_not_taken_for_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve.httpx, "get", lambda *_, **__: object())
    with pytest.raises(ServeError, match="something answers there already"):
        serve.refuse_taken("http://127.0.0.1:1/api")


def test_the_deployments_name_flows_that_are_there_and_the_right_collision_strategy() -> None:
    for one in yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]:
        path, name = one["entrypoint"].split(":")
        assert f"\ndef {name}(" in (ROOT / path).read_text()
        wanted = "CANCEL_NEW" if "scheduled" in one["tags"] else "ENQUEUE"
        assert one["concurrency_limit"] == {"limit": 1, "collision_strategy": wanted}
        assert bool(one["schedules"]) == ("scheduled" in one["tags"])


def test_a_run_is_heard_of_several_times_before_it_counts_as_dead() -> None:
    asked = "from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY as f; print(f.value())"
    bare = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    told = subprocess.run([sys.executable, "-c", asked], cwd=ROOT, env=bare, capture_output=True, check=True)
    assert server.SILENCE.seconds > 3 * int(told.stdout)
