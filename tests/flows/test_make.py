"""The make targets as people type them, on the environment that runs the tests."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from flows import universe
from flows.last import last
from tests.faults.compare import published, stored

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


def make(*words: str) -> subprocess.CompletedProcess[str]:
    """A target, without a look at whether the packages are those of the lock."""
    asked = ["make", "-o", ".venv/.core", f"BIN={BIN}", *words]
    return subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False)


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


def test_a_backup_brings_everything_back(folder: Path, tmp_path: Path) -> None:
    data, place = folder / "data", tmp_path / "backup"
    wanted, path = stored(data), folder / "universe.toml"
    upkeep = [sys.executable, "-m", "flows.maintain"]
    for task in ("backup", "restore"):
        subprocess.run([*upkeep, task, "--data", data, "--place", place], cwd=ROOT, check=True)
        if task == "backup":
            shutil.rmtree(data)
    done = make("rebuild", f"UNIVERSE={path}", f"DATA={data}")
    assert done.returncode == 0, done.stderr
    assert last(data).universe == path
    assert last(data).fingerprint == universe.load(path).fingerprint
    raw = {table: digest for table, digest in wanted.items() if table.startswith("raw.")}
    assert stored(data).items() >= raw.items()
    assert published(data) == stored(data)
