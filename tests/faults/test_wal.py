"""A log that is torn, another's or unfinished, and a warehouse that is gone: nothing is lost silently."""

import os
import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from tests.faults.compare import stored, troubles
from tests.faults.conftest import NOW, Undisturbed
from tests.faults.forks import Forks

DAY, LATER = NOW + timedelta(days=1), NOW + timedelta(days=1, minutes=5)
ABORTS = ["before_header", "before_truncate", "after_free_list_write", "before_wal_finish"]
pytestmark = pytest.mark.slow


@pytest.fixture
def home(killed: Path, tmp_path: Path) -> Path:
    """A copy of the folder whose run died with its loads in the log."""
    shutil.copytree(killed, tmp_path / "home")
    return tmp_path / "home"


@pytest.fixture
def wanted(undisturbed: Undisturbed) -> dict[str, str]:
    """What every healed folder holds."""
    return stored(undisturbed["revised"] / "data")


def refused(forks: Forks, home: Path) -> None:
    """The command says, on one line, to rebuild; and the rebuild is possible."""
    arguments = ["--universe", str(home / "universe.toml"), "--data", str(home / "data"), "--runner", "plain"]
    said = forks("command", module="flows.refresh", arguments=arguments)
    assert said["code"] == 1, said
    assert said["err"].startswith("comove: ")
    assert said["err"].count("\n") == 1
    assert "make rebuild" in said["err"]
    done = forks("rebuild", folder=home, now=LATER + timedelta(minutes=5))
    assert done["code"] == 0, done["err"]
    done = forks.run(home, LATER + timedelta(minutes=10))
    assert done["code"] == 0, done["err"]


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.999])
def test_a_torn_log_is_loaded_again(share: float, forks: Forks, home: Path, wanted: dict[str, str]) -> None:
    log = home / "data" / "warehouse.duckdb.wal"
    os.truncate(log, int(log.stat().st_size * share))
    healed = forks.run(home, LATER)
    assert healed["code"] == 0, healed["err"]
    assert troubles(home / "data", wanted) == []


def test_a_deleted_log_is_loaded_again(forks: Forks, home: Path, wanted: dict[str, str]) -> None:
    (home / "data" / "warehouse.duckdb.wal").unlink()
    assert forks.run(home, LATER)["code"] == 0
    assert troubles(home / "data", wanted) == []


def test_a_flipped_bit_in_the_log_asks_for_a_rebuild(
    forks: Forks, home: Path, wanted: dict[str, str]
) -> None:
    log = home / "data" / "warehouse.duckdb.wal"
    content = bytearray(log.read_bytes())
    content[len(content) // 2] ^= 4
    log.write_bytes(content)
    refused(forks, home)
    assert troubles(home / "data", wanted) == []


def test_a_log_of_another_folder_asks_for_a_rebuild(
    forks: Forks, empty: Path, home: Path, wanted: dict[str, str], tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(empty, other)
    forks.run(other, NOW + timedelta(days=3), env={"CRASH_AT": "landed"})
    forks.run(other, NOW + timedelta(days=3, hours=1), env={"CRASH_AT": "built"})
    name = "warehouse.duckdb.wal"
    shutil.copy(other / "data" / name, home / "data" / name)
    refused(forks, home)
    assert troubles(home / "data", wanted) == []


def test_a_log_that_was_replayed_before_asks_for_a_rebuild(
    forks: Forks, killed: Path, home: Path, wanted: dict[str, str]
) -> None:
    name = "warehouse.duckdb.wal"
    assert forks.run(home, LATER)["code"] == 0
    shutil.copy(killed / "data" / name, home / "data" / name)
    refused(forks, home)
    assert troubles(home / "data", wanted) == []


@pytest.mark.parametrize(
    "names",
    [["warehouse.duckdb"], ["warehouse.duckdb", "warehouse.duckdb.wal"]],
)
def test_a_deleted_warehouse_costs_nothing(
    names: list[str], forks: Forks, home: Path, wanted: dict[str, str]
) -> None:
    for name in names:
        (home / "data" / name).unlink()
    assert forks.run(home, LATER)["code"] == 0
    assert troubles(home / "data", wanted) == []


@pytest.mark.parametrize("point", ABORTS)
def test_a_checkpoint_that_is_aborted_loses_nothing(
    point: str, forks: Forks, folder: Path, wanted: dict[str, str]
) -> None:
    forks.run(folder, DAY, sql=f"SET debug_checkpoint_abort = '{point}'")
    assert (
        folder / "data" / "warehouse.duckdb.wal"
    ).stat().st_size > 1000  # it struck: a whole run leaves none
    healed = forks.run(folder, LATER)
    assert healed["code"] == 0, healed["err"]
    assert troubles(folder / "data", wanted) == []
