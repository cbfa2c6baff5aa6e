"""The notebook shows the page's panels for any pair, window and convention, and reaches nothing else."""

import json
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest

from report import explorer
from report.drawn import Drawn
from report.panels import panels
from warehouse.reader import connect

ROOT = Path(__file__).parents[2]
STUDY = {"threshold": 0.5, "calendar": "XNYS"}
Definitions = dict[str, Any]


@pytest.fixture
def data(once: Path) -> Path:
    """The data folder of a run on the tiny universe."""
    return once / "data"


@pytest.fixture
def con(data: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with closing(connect(data)) as opened:
        yield opened


@pytest.fixture
def notebook(data: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[str, Definitions]]:
    """Runs the notebook; what is given stands in for what a reader picked. Its text, and its definitions."""
    monkeypatch.setenv("COMOVE_DATA", str(data))

    def go(**picked: Any) -> tuple[str, Definitions]:
        from report.notebook import app

        outputs, found = app.run(defs=picked)
        return "".join(one.text for one in outputs if hasattr(one, "text")), dict(found)

    return go


def pair(con: Any, benchmark: str = "RUT", convention: str = "session_close") -> explorer.Pair:
    return explorer.pair_of(con, "ETH", benchmark, 20, convention, STUDY)


def test_every_pair_window_and_convention_can_be_picked(con: Any) -> None:
    found = set(explorer.choices(con).rows())
    wanted = {
        ("ETH", benchmark, window, convention)
        for benchmark in ("RUT", "SPY")
        for window in (20, 30)
        for convention in ("session_close", "utc_day")
    }
    assert found == wanted


def test_the_notebook_shows_the_panels_of_the_page(notebook: Any, con: Any) -> None:
    text, found = notebook()
    assert found["pair"].value == ("ETH", "RUT")
    wanted = list(
        panels(
            con,
            explorer.pair_of(con, "ETH", "RUT", int(found["window"].value), "session_close", STUDY),
            Drawn(),
        )
    )
    assert [panel.title for panel, _ in found["panels"]] == [panel.title for panel in wanted]
    assert (
        sum(len(charts) for _, charts in found["panels"]) == sum(len(panel.figures) for panel in wanted) > 5
    )
    for panel in wanted:
        assert panel.title.replace("'", "&#x27;") in text


def test_another_pick_is_another_question(notebook: Any) -> None:
    picked = {"window": SimpleNamespace(value="20"), "convention": SimpleNamespace(value="utc_day")}
    _, found = notebook(asset="ETH", benchmark="SPY", **picked)
    link = next(panel for panel, _ in found["panels"] if panel.panel_id == "link")
    for piece in ("benchmark = 'SPY'", "convention = 'utc_day'", "window_sessions = 20"):
        assert piece in link.sql
    assert link.title == "The link by UTC days"


def test_a_chart_brings_its_rows_and_colours(con: Any) -> None:
    charts = {panel.panel_id: charts for panel, charts in explorer.shown(con, pair(con))}
    kind, text = charts["link"][0]._mime_()
    assert kind == "application/vnd.vegalite.v6+json"
    spec = json.loads(text)
    assert "var(" not in text
    assert "v6" in spec["$schema"]
    stored = con.execute(
        "SELECT session, r FROM mart.correlations WHERE asset = 'ETH' AND benchmark = 'RUT' "
        "AND convention = 'session_close' AND window_sessions = 20 AND r IS NOT NULL ORDER BY session"
    ).fetchall()
    assert [row["session"] for row in spec["datasets"]["rows"]] == [str(session) for session, _ in stored]
    last = spec["datasets"]["rows"][-1]["r"]
    assert last == pytest.approx(stored[-1][1], rel=1e-3)


def test_text_in_the_data_is_no_part_of_a_specification(con: Any) -> None:
    hostile = "var(--ink) </script>"
    panel, _ = next(explorer.shown(con, pair(con)))
    figure = panel.figures[0]
    rows = figure.data["rows"].with_columns(label=explorer.pl.lit(hostile))
    spec = explorer.complete(explorer.Figure("", "", figure.spec, {"rows": rows}))
    assert {row["label"] for row in spec["datasets"]["rows"]} == {hostile}


def test_the_notebook_cannot_reach_files(notebook: Any) -> None:
    _, found = notebook()
    for query in ("FROM read_text('/etc/hostname')", "COPY (SELECT 1) TO 'x.csv'", "SET threads = 1"):
        with pytest.raises(duckdb.Error):
            found["con"].execute(query)


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
    return port


def listening(port: int) -> set[str]:
    """Addresses, in hex, on which something listens at a port."""
    lines = [
        line.split()
        for name in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{name}").read_text().splitlines()
    ]
    return {
        line[1].split(":")[0] for line in lines if line[3] == "0A" and int(line[1].split(":")[1], 16) == port
    }


@pytest.mark.slow
def test_make_explore_serves_it_on_loopback_alone(home: Path, tmp_path: Path) -> None:
    recipe = subprocess.run(
        ["make", "-n", "--no-print-directory", "-o", ".venv/.explore", "explore", f"DATA={home}"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    port = free_port()
    command = recipe.replace(".venv/bin/marimo", f"{sys.prefix}/bin/marimo").replace("2718", str(port))
    assert "MARIMO_SKIP_UPDATE_CHECK=1" in command
    log = tmp_path / "log"
    with log.open("w") as out:
        served = subprocess.Popen(
            ["bash", "-c", f"exec env BROWSER=true {command.strip()}"], cwd=ROOT, stdout=out, stderr=out
        )
    try:
        for _ in range(120):
            if listening(port):
                break
            time.sleep(0.5)
        assert listening(port) == {"0100007F"}, log.read_text()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/") as answer:
            assert b"comove" in answer.read()
    finally:
        served.terminate()
        served.wait(30)
