"""Kill -9 at every step of a rebuild, a backup and a restore: one rerun, or the next run, heals."""

import shutil
import signal
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from tests.faults.compare import acknowledged, lost, published, stored, troubles
from tests.faults.conftest import NOW, Undisturbed
from tests.faults.forks import Forks
from warehouse.landing import landed, read

OWN = ["rebuilt", "rebuild-log-removed", "rebuild-replaced"]
SHARED = ["loading", "loaded", "copied", "exported", "database-replaced", "published"]  # with a run
CASES = [(step, heal) for step in OWN + SHARED for heal in ("rebuild", "run")]
pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("step", "heal"), CASES)
def test_a_rebuild_killed_at_a_step_is_healed_by_the_next(
    step: str, heal: str, forks: Forks, killed: Path, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    home, data = tmp_path / "home", tmp_path / "home" / "data"
    shutil.copytree(killed, home)
    old, wanted, said = published(data), stored(undisturbed["revised"] / "data"), acknowledged(data)
    later = NOW + timedelta(days=1, minutes=5)
    struck = forks("rebuild", folder=home, now=later, env={"CRASH_AT": step})
    assert struck["code"] == -signal.SIGKILL, struck["err"]
    assert published(data) in (old, wanted)
    healed = forks(heal, folder=home, now=later + timedelta(minutes=5))
    assert healed["code"] == 0, healed["err"]
    assert lost(data, said) == 0
    assert troubles(data, wanted) == []
    assert forks("rebuild", folder=home, now=later + timedelta(minutes=10))["code"] == 0
    assert troubles(data, wanted) == []


STEPS = ["landed-file", "landing-written", "compacted", "compacted-deleted", "compacted-loaded"]


def rows(data: Path) -> Counter[tuple[object, ...]]:
    """Every row of the landing zone with how often it is there."""
    zone = data / "landing"
    return Counter(row for file in landed(zone) for row in read(file, zone).iter_rows())


def rebuilt(forks: Forks, home: Path, copy: Path) -> list[str]:
    """What a rebuild makes of a copy of a folder otherwise than the folder's first run did."""
    wanted, now = stored(home / "data"), NOW + timedelta(days=1, minutes=5)
    shutil.copytree(home, copy)
    done = forks("rebuild", folder=copy, now=now)
    assert done["code"] == 0, done["err"]
    return troubles(copy / "data", wanted)


@pytest.mark.parametrize("step", STEPS)
def test_a_compaction_killed_at_every_visit_of_a_step_loses_nothing(
    step: str, forks: Forks, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    home, zone = tmp_path / "home", tmp_path / "home" / "data" / "landing"
    shutil.copytree(undisturbed["revised"], home)
    wanted, seen, later = rows(home / "data"), [], NOW + timedelta(days=20)
    while (
        len(seen) < 2 or seen[-1] != seen[-2]
    ):  # a step that every compaction comes to first goes no further
        killed = forks("compact", folder=home, now=later, env={"CRASH_AT": step})
        if killed["code"] == 0 and seen:
            break
        assert killed["code"] == -signal.SIGKILL, killed["err"]
        assert rows(home / "data") == wanted
        seen.append(sorted(zone.rglob("*.parquet")))
        if len(seen) == 1:
            assert rebuilt(forks, home, tmp_path / "after one kill") == []
    assert forks("compact", folder=home, now=later)["code"] == 0
    assert rows(home / "data") == wanted
    assert len([*zone.rglob("*.parquet")]) == len([*zone.glob("*/*")])  # one a table and provider
    assert rebuilt(forks, home, tmp_path / "in the end") == []


def files(folder: Path) -> dict[str, bytes]:
    """The landed files of a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.parquet")}


@pytest.mark.parametrize("step", ["backup-copied", "backup-named", "restore-copied", "restore-named"])
def test_a_backup_or_restore_killed_at_a_step_is_ended_by_the_next(
    step: str, forks: Forks, folder: Path
) -> None:
    zone, place = folder / "data" / "landing", folder / "backup"
    wanted = files(zone)
    for task in ("backup", "restore"):
        asked = [task, "--data", str(folder / "data"), "--place", str(place)]
        if step.startswith(task):
            killed = forks("command", module="flows.maintain", arguments=asked, env={"CRASH_AT": step})
            assert killed["code"] == -signal.SIGKILL, killed["err"]
            assert files(zone if task == "restore" else place).items() <= wanted.items()
        done = forks("command", module="flows.maintain", arguments=asked)
        assert done["code"] == 0, done["err"]
        assert files(place) == files(zone) == wanted
        for path in [*zone.rglob("*.parquet")][1:] if task == "backup" else ():
            path.unlink()
    healed = forks.run(folder, NOW + timedelta(days=1))
    assert healed["code"] == 0, healed["err"]
    assert list(zone.rglob(".*")) == []
