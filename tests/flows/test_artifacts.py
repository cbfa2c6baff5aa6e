"""What a run leaves in Prefect's interface names what failed and what was refused."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from flows import artifacts, universe
from flows.job import Job
from flows.pipeline import run
from flows.runners import Plain

BAD = "^RUT,2025-11-16,1.0,2.0,0.5,1.5,1\n"  # a Sunday
NOW = datetime(2026, 1, 6, 6, tzinfo=UTC)


def test_the_summary_names_failed_sources_and_refused_rows_first(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left: dict[str, list[dict[str, Any]]] = {}
    for kind in ("markdown", "link"):
        monkeypatch.setattr(f"prefect.artifacts.create_{kind}_artifact", lambda *_, **__: None)
    monkeypatch.setattr(
        "prefect.artifacts.create_table_artifact", lambda table, key: left.update({key: table})
    )
    (folder / "spy.csv").write_text("<html>")
    rut, path = folder / "rut.csv", folder / "universe.toml"
    rut.write_text(rut.read_text() + BAD)
    artifacts.leave(run(Job(universe.load(path), folder / "data", now=NOW, universe_path=path), Plain()))
    failed, refused, *others = left["run-summary"]
    assert (failed["source"], failed["item"], failed["status"]) == ("files:spy.csv", "SPY", "failed")
    assert "spy.csv" in failed["error"]
    assert (refused["source"], refused["item"], refused["quarantined"]) == ("files:rut.csv", "^RUT", 1)
    assert refused["fetched"] == 122
    assert [(one["item"], one["status"], one["quarantined"]) for one in others] == [
        (None, "unchanged", 0)
    ] * 3
