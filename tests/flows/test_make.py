"""The make targets as people type them, on the environment that runs the tests."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from flows import maintain, universe
from flows.last import last
from tests.faults.compare import published, stored
from tests.flows.served import Served, below, words
from tests.servers import missing

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


MAKE = [
    "make",
    "-o",
    ".venv/.core",
    f"BIN={BIN}",
]  # without a look whether the packages are those of the lock


def make(*words: str) -> subprocess.CompletedProcess[str]:
    """A target."""
    return subprocess.run([*MAKE, *words], cwd=ROOT, capture_output=True, text=True, check=False)


def within(seconds: float, has_come: Callable[[], bool]) -> bool:
    """Whether something holds in time."""
    deadline = time.monotonic() + seconds
    while not (held := has_come()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return held


@pytest.mark.parametrize("target", ["rebuild", "replay"])
def test_only_a_universe_that_is_given_is_handed_on(target: str) -> None:
    assert "--universe" not in make("-n", target).stdout
    assert "--universe other.toml" in make("-n", target, "UNIVERSE=other.toml").stdout
    assert "--universe universe.toml" in make("-n", "live").stdout


@pytest.mark.slow
def test_a_replay_takes_the_universe_of_the_folder(sample_data: Path, tmp_path: Path) -> None:
    data = shutil.copytree(sample_data, tmp_path / "data")
    done = make("replay", "AS_OF=2025-10-08T21:00Z", f"DATA={data}")
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if "session_close" in line and "60 sess" in line]
    assert "2025-10-08" in line
    assert "0.450847" in line


@pytest.mark.slow
def test_a_backup_brings_everything_back(folder: Path, tmp_path: Path) -> None:
    data, place = folder / "data", tmp_path / "backup"
    wanted, path = stored(data), folder / "universe.toml"
    for task in ("backup", "restore"):
        assert maintain.main([task, "--data", str(data), "--place", str(place)]) == 0
        if task == "backup":
            shutil.rmtree(data)
    done = make("rebuild", f"UNIVERSE={path}", f"DATA={data}")
    assert done.returncode == 0, done.stderr
    assert last(data).universe == path
    assert last(data).fingerprint == universe.load(path).fingerprint
    raw = {table: digest for table, digest in wanted.items() if table.startswith("raw.")}
    assert stored(data).items() >= raw.items()
    assert published(data) == stored(data)


@pytest.mark.slow
def test_what_make_serve_started_ends_with_it(tmp_path: Path) -> None:
    if sys.platform != "linux":
        missing("only Linux tells a process that its parent died")
    env = {**os.environ, **Served(tmp_path, tmp_path).env}
    with (tmp_path / "log").open("w") as log:
        served = subprocess.Popen([*MAKE, "serve"], cwd=ROOT, env=env, stdout=log, stderr=log)
    assert within(120, lambda: any("prefect server start" in words(pid) for pid in below(served.pid)))
    started = below(served.pid)
    served.kill()
    served.wait()
    assert within(60, lambda: not any(Path(f"/proc/{pid}").exists() for pid in started)), started
