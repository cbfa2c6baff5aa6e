"""Several runs at once: one writes, the others say so or wait their turn."""

from datetime import timedelta
from pathlib import Path

import pytest

from tests.faults.compare import stored, troubles
from tests.faults.conftest import NOW, Undisturbed
from tests.faults.forks import Forks


def flags(folder: Path, wait: int) -> list[str]:
    base = ["--universe", str(folder / "universe.toml"), "--data", str(folder / "data")]
    return [*base, "--runner", "plain", "--wait", str(wait)]


@pytest.mark.slow
def test_who_does_not_wait_is_told_so(forks: Forks, folder: Path, undisturbed: Undisturbed) -> None:
    said = forks.many("command", 3, module="flows.refresh", arguments=flags(folder, 0))
    codes = sorted(one["code"] for one in said)
    assert codes == [0, 3, 3], [one["err"] for one in said]
    for one in said:
        if one["code"] == 3:
            assert one["err"].endswith("another run is writing to it; waited 0 s, wait longer with --wait\n")
            assert one["err"].count("\n") == 1
    assert troubles(folder / "data", stored(undisturbed["revised"] / "data")) == []


@pytest.mark.slow
def test_who_waits_gets_his_turn(forks: Forks, folder: Path, undisturbed: Undisturbed) -> None:
    said = forks.many("command", 2, module="flows.refresh", arguments=flags(folder, 300))
    assert [one["code"] for one in said] == [0, 0], [one["err"] for one in said]
    assert troubles(folder / "data", stored(undisturbed["revised"] / "data")) == []


def test_a_killed_run_leaves_no_lock(forks: Forks, folder: Path) -> None:
    forks.run(folder, NOW + timedelta(days=1), env={"CRASH_AT": "loaded"})
    healed = forks("command", module="flows.refresh", arguments=flags(folder, 0))
    assert healed["code"] == 0, healed["err"]
