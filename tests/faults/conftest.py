"""Folders in which a fault strikes, and what must be equal afterwards."""

import shutil
import signal
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from tests.faults.forks import Forks

NOW = datetime(2026, 1, 5, 6, tzinfo=UTC)


@pytest.fixture(scope="session")
def forks() -> Iterator[Forks]:
    """The process that forks for every run."""
    with Forks() as started:
        yield started


@pytest.fixture(scope="session")
def starts(
    forks: Forks, tiny_universe: Callable[[Path], Path], made_once: Callable[[str, Callable[..., None]], Path]
) -> Path:
    """The folders that tests start from, shared by all workers; to be copied."""

    def make(home: Path) -> None:
        empty, revised = home / "empty", home / "revised"
        tiny_universe(empty)
        shutil.copytree(empty, revised)
        assert forks.run(revised, NOW, until=date(2025, 11, 13))["code"] == 0
        revise(revised / "rut.csv")
        for start in (empty, revised):
            done = shutil.copytree(start, home / f"{start.name}-undisturbed")
            assert forks.run(done, NOW + timedelta(days=1))["code"] == 0
        shutil.copytree(revised, home / "killed")
        killed = forks.run(home / "killed", NOW + timedelta(days=1), env={"CRASH_AT": "built"})
        assert killed["code"] == -signal.SIGKILL, killed["err"]

    return made_once("faults", make)


def revise(path: Path) -> None:
    """Change one close of a source."""
    frame = pl.read_csv(path, try_parse_dates=True)
    changed = pl.when(pl.col("date") == date(2025, 10, 8)).then(pl.col("close") + 0.25).otherwise("close")
    frame.with_columns(close=changed).write_csv(path)


@pytest.fixture(scope="session")
def empty(starts: Path) -> Path:
    """The tiny universe without data; to be copied."""
    return starts / "empty"


@pytest.fixture(scope="session")
def revised(starts: Path) -> Path:
    """After one run, and then one close of a source changed and a week was added; to be copied."""
    return starts / "revised"


@pytest.fixture(scope="session")
def undisturbed(starts: Path) -> dict[str, Path]:
    """Both after a run that nothing disturbed; look, do not touch."""
    return {name: starts / f"{name}-undisturbed" for name in ("empty", "revised")}


@pytest.fixture(scope="session")
def killed(starts: Path) -> Path:
    """After a second run that died before it published, with its loads in the log; to be copied."""
    assert (starts / "killed" / "data" / "warehouse.duckdb.wal").stat().st_size > 1000
    return starts / "killed"


@pytest.fixture
def folder(revised: Path, tmp_path: Path) -> Path:
    """A copy of `revised`."""
    shutil.copytree(revised, tmp_path / "home")
    return tmp_path / "home"
