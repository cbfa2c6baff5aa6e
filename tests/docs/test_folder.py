"""The README names all that a data folder holds, and how long a replay stays."""

import re
from datetime import UTC, datetime
from pathlib import Path

from documents import ROOT

from flows import alerts, universe
from flows.job import Job
from warehouse.prune import KEPT

README = (ROOT / "README.md").read_text()


def test_all_that_a_data_folder_holds_is_named(once: Path) -> None:
    data = once / "data"
    replay = Job(universe.load(once / "universe.toml"), data, as_of=datetime(2025, 10, 8, 21, tzinfo=UTC))
    found = {path.name for path in data.iterdir()} | {alerts.MEMORY, replay.home.parent.name}
    section = README[README.index("## What you get") :].split("\n## ", 1)[0]
    assert found <= {name for path in re.findall(r"`([^` ]+)`", section) for name in path.split("/")}


def test_a_replay_is_kept_as_long_as_it_says() -> None:
    assert f"upkeep removes it after {KEPT.days} days" in README
