"""Kill -9 at random instants of a run: nothing that was acknowledged is lost, and one rerun heals.

`COMOVE_KILLS` says how many; with `COMOVE_KILLS_TO=<file>` the figures are written there as JSON.
"""

import json
import os
import random
import shutil
import signal
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from tests.faults.compare import Digests, acknowledged, lost, published, stored, troubles, twice
from tests.faults.conftest import NOW
from tests.faults.forks import Forks

KILLS = int(os.environ.get("COMOVE_KILLS", "20"))
SEED = 20260105


def phase(data: Path) -> str:
    """How far a killed run had come, by what it left."""
    if list((data / "published").glob(".*.tmp*")):
        return "publish"
    if list((data / "landing").glob("*/*/.*.tmp")):
        return "land"
    if (data / "warehouse.duckdb.wal").exists():
        return "load or build"
    return "fetch or between"


def strike(forks: Forks, home: Path, after: float, old: Digests | None, new: Digests) -> Counter[str]:
    """One kill and one rerun; counts what went wrong."""
    data = home / "data"
    killed = forks.run(home, NOW + timedelta(days=1), kill_after=after)
    found = Counter({"killed": killed["code"] == -signal.SIGKILL, phase(data): 1})
    found["half published"] = published(data) not in (old, new)
    said = acknowledged(data)
    found["acknowledged"] = sum(frame.height for frame in said.values())
    healed = forks.run(home, NOW + timedelta(days=1, minutes=5))
    found["not healed by one rerun"] = healed["code"] != 0 or troubles(data, new) != []
    found["acknowledged rows lost"] = lost(data, said)
    found["versions twice"] = sum(twice(data).values())
    return found


@pytest.mark.slow
def test_random_kills(forks: Forks, undisturbed: dict[str, Path], tmp_path: Path) -> None:
    chance, total = random.Random(SEED), Counter[str]()
    starts = {name: done.with_name(name) for name, done in undisturbed.items()}
    old = {name: published(start / "data") for name, start in starts.items()}
    new = {name: stored(done / "data") for name, done in undisturbed.items()}
    home = tmp_path / "home"
    shutil.copytree(starts["revised"], home)
    whole = forks.run(home, NOW + timedelta(days=1))["seconds"]
    for number in range(KILLS):
        name = "empty" if number % 2 else "revised"
        shutil.rmtree(home)
        shutil.copytree(starts[name], home)
        total += strike(forks, home, chance.uniform(0, whole), old[name], new[name])
        figures = {"runs": number + 1, "seed": SEED, "seconds of a run": round(whole, 2), **total}
        if path := os.environ.get("COMOVE_KILLS_TO"):
            Path(path).write_text(json.dumps(figures, indent=1))
    for fault in ("half published", "acknowledged rows lost", "versions twice", "not healed by one rerun"):
        assert total[fault] == 0, figures
    assert total["killed"] > KILLS / 2, figures
