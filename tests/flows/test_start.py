"""A wrong path is told on one line before anything that takes long is imported, and nothing is made of it."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from flows.start import refuse_unwritable, refuse_wrong_paths

ROOT = Path(__file__).parents[2]
SLOW = {"prefect", "polars", "duckdb", "pandera", "pydantic", "numpy", "pyarrow", "rich", "altair"}
AS_OF = "2025-10-08T21:00Z"
NO_FOLDER = (
    "none: there is no such folder; name another, or run `make demo DATA=none` (the samples) or "
    "`make live DATA=none` to make it"
)


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        ("flows.refresh --universe none.toml --data new", 2, "none.toml: cannot be read (No such file"),
        ("flows.refresh --universe a.csv --data new", 2, "a.csv: is not TOML: "),
        ("flows.refresh --universe good.toml --data a.csv/new", 1, "is no folder to write to"),
        ("flows.backfill --since 2026-01-01 --universe none.toml --data new", 2, "none.toml: cannot be read"),
        (f"flows.replay {AS_OF} --data=none", 1, NO_FOLDER),
        (f"flows.replay {AS_OF} --data . --universe none.toml", 2, "none.toml: cannot be read"),
        *((f"flows.maintain {task} --data none", 1, NO_FOLDER) for task in ("rebuild", "verify", "compact")),
        ("warehouse.shell --data none", 1, NO_FOLDER),
        ("report.page --data none", 1, NO_FOLDER),
    ],
)
def test_a_wrong_path_is_told_at_once(command: str, code: int, words: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("symbol,date,close\n")
    (tmp_path / "good.toml").write_text("")
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", *command.split()],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    told = [line for line in done.stderr.splitlines() if not line.startswith("import time:")]
    assert done.returncode == code, done.stderr[-2000:]
    assert (len(told), told[0][:8]) == (1, "comove: ")
    assert words in told[0]
    imported = re.findall(r"^import time:.*\| +(\w+)", done.stderr, re.MULTILINE)
    assert "argparse" in imported
    assert not SLOW & set(imported)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "good.toml"]


@pytest.mark.parametrize(
    "arguments",
    [["--help", "--universe", "none.toml"], ["--data"], ["--universe", "good.toml", "--data", "new/folder"]],
)
def test_what_is_not_a_wrong_path_is_left_to_the_command(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.toml").write_text("")
    refuse_wrong_paths(arguments, is_new=True)
    assert capsys.readouterr().err == ""
    assert [path.name for path in tmp_path.iterdir()] == ["good.toml"]


def test_a_folder_that_may_not_be_written_to_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    may: Callable[..., bool] = lambda path, mode: path != tmp_path  # noqa: E731 - root may write anywhere
    monkeypatch.setattr(os, "access", may)
    with pytest.raises(OSError, match=r"new: is no folder to write to \(Permission denied\); name another"):
        refuse_unwritable(tmp_path / "new")
