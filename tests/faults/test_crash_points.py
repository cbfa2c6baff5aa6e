"""Kill -9 at every step boundary: a reader sees the old copy or the new one, and one rerun heals."""

import shutil
import signal
from datetime import timedelta
from pathlib import Path

import pytest

from tests.faults.compare import acknowledged, lost, published, stored, troubles
from tests.faults.conftest import NOW, Undisturbed
from tests.faults.forks import Forks
from warehouse.boundary import RUN

CASES = [(start, step, False) for start in ("revised", "empty") for step in RUN]
PUBLISHING = ("copied", "exported", "database-replaced")
CASES += [("revised", step, True) for step in PUBLISHING]
QUICK = CASES[-1]  # the others take minutes


@pytest.mark.parametrize(
    ("start", "step", "is_copy_kept"),
    [pytest.param(*case, marks=[] if case == QUICK else pytest.mark.slow) for case in CASES],
)
def test_a_run_killed_at_a_step_is_healed_by_the_next(
    start: str, step: str, is_copy_kept: bool, forks: Forks, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    before = undisturbed[start].with_name(start)
    shutil.copytree(before, tmp_path / "home")
    home, data = tmp_path / "home", tmp_path / "home" / "data"
    wanted = stored(undisturbed[start] / "data")
    killed = forks.run(home, NOW + timedelta(days=1), env={"CRASH_AT": step}, is_copy_kept=is_copy_kept)
    assert killed["code"] == -signal.SIGKILL, killed["err"]
    assert published(data) in (published(before / "data"), wanted)
    said = acknowledged(data)
    healed = forks.run(home, NOW + timedelta(days=1, minutes=5), is_copy_kept=is_copy_kept)
    assert healed["code"] == 0, healed["err"]
    assert lost(data, said) == 0
    assert troubles(data, wanted) == []
