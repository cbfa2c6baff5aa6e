"""Kill -9 at random instants of a run: nothing that was acknowledged is lost, and one rerun heals.

`COMOVE_KILLS` says how many at least; they go on until every step of a run was hit. A run that ended before
its kill came is no kill, and another one takes its place. With `COMOVE_KILLS_TO=<file>` the figures are
written there as JSON.
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

from tests.faults.compare import Digests, acknowledged, lost, pointed, published, stored, troubles, twice
from tests.faults.conftest import NOW, Undisturbed
from tests.faults.forks import Forks
from warehouse.publish import generations

KILLS = int(os.environ.get("COMOVE_KILLS", "20"))
SEED = 20260105
TRIES = 20  # runs for a kill
LANDING, LOG, PUBLISHING = "data/landing/*/*/.*.tmp", "data/warehouse.duckdb.wal", "data/published/.*.tmp*"
# What a kill is to hit: from what file on, and within what share of a run's time; None is from the start.
AIMS = {
    "anything": (None, 1.0),
    "land": (LANDING, 0.02),
    "load or build": (LOG, 0.5),
    "publish": (PUBLISHING, 0.2),
}
FAULTS = ("half published", "acknowledged rows lost", "versions twice", "not healed by one rerun")


def phase(home: Path) -> str:
    """How far a killed run had come, by what it left."""
    folder = home / "data" / "published"
    runs = {path.name.removeprefix("run=") for path in folder.glob("run=*")}
    if any(home.glob(PUBLISHING)) or runs != {*generations(folder)}:
        return "publish"
    if any(home.glob(LANDING)):
        return "land"
    return "load or build" if any(home.glob(LOG)) else "fetch or between"


def seen(data: Path) -> tuple[Digests | None, Digests | None]:
    """What readers of the database and of the Parquet files see."""
    return published(data), pointed(data)


def examined(
    forks: Forks, home: Path, old: tuple[Digests | None, ...], new: tuple[Digests | None, ...]
) -> Counter[str]:
    """After a kill: how far it had come, and what went wrong, before one rerun and after it."""
    data, found = home / "data", Counter({"killed": 1, phase(home): 1})
    found["half published"] = any(
        one not in ends for one, ends in zip(seen(data), zip(old, new, strict=True), strict=True)
    )
    said = acknowledged(data)
    found["acknowledged"] = sum(frame.height for frame in said.values())
    healed = forks.run(home, NOW + timedelta(days=1, minutes=5))
    whole = new[0] or {}
    found["not healed by one rerun"] = (
        healed["code"] != 0 or troubles(data, whole) != [] or pointed(data) != new[1]
    )
    found["acknowledged rows lost"] = lost(data, said)
    found["versions twice"] = sum(twice(data).values())
    return found


def wanted(total: Counter[str]) -> list[str]:
    """What the next kill may aim at; nothing when there were enough and every step was hit."""
    missed = [aim for aim in AIMS if aim != "anything" and not total[aim]]
    return [*AIMS] if total["killed"] < KILLS else missed


@pytest.mark.slow
def test_random_kills(forks: Forks, undisturbed: Undisturbed, tmp_path: Path) -> None:
    chance, total = random.Random(SEED), Counter[str]()
    starts = {name: done.with_name(name) for name, done in undisturbed.items()}
    old = {name: seen(start / "data") for name, start in starts.items()}
    new = {name: seen(done / "data") for name, done in undisturbed.items()}
    assert new["revised"][0] == stored(undisturbed["revised"] / "data")
    home = tmp_path / "home"
    shutil.copytree(starts["revised"], home)
    whole = forks.run(home, NOW + timedelta(days=1))["seconds"]
    while (aims := wanted(total)) and total["runs"] < KILLS * TRIES:
        sign, share = AIMS[aims[total["killed"] % len(aims)]]
        name = "empty" if total["killed"] // len(AIMS) % 2 else "revised"
        shutil.rmtree(home)
        shutil.copytree(starts[name], home)
        after = chance.uniform(0, share * whole)
        run = forks.run(home, NOW + timedelta(days=1), kill_after=after, kill_from=sign)
        total["runs"] += 1
        if run["code"] == -signal.SIGKILL:
            total += examined(forks, home, old[name], new[name])
        else:
            whole = min(whole, run["seconds"])  # the first one may have been slow, and most kills too late
        figures = {"seed": SEED, "seconds of a run": round(whole, 2), **total}
        if path := os.environ.get("COMOVE_KILLS_TO"):
            Path(path).write_text(json.dumps(figures, indent=1))
    assert wanted(total) == [], figures
    assert [fault for fault in FAULTS if total[fault]] == [], figures
