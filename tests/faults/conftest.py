"""Folders in which a fault strikes, and what must be equal afterwards."""

import shutil
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
def empty(tiny_universe: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny universe without data; to be copied."""
    folder = tmp_path_factory.mktemp("faults") / "empty"
    tiny_universe(folder)
    return folder


@pytest.fixture(scope="session")
def revised(forks: Forks, empty: Path) -> Path:
    """After one run, and then one close of a source changed and a week was added; to be copied."""
    folder = empty.with_name("revised")
    shutil.copytree(empty, folder)
    assert forks.run(folder, NOW, until=date(2025, 11, 13))["code"] == 0
    frame = pl.read_csv(folder / "rut.csv", try_parse_dates=True)
    changed = pl.when(pl.col("date") == date(2025, 10, 8)).then(pl.col("close") + 0.25).otherwise("close")
    frame.with_columns(close=changed).write_csv(folder / "rut.csv")
    return folder


@pytest.fixture(scope="session")
def undisturbed(forks: Forks, empty: Path, revised: Path) -> dict[str, Path]:
    """Both after a run that nothing disturbed; look, do not touch."""
    done = {}
    for start in (empty, revised):
        folder = start.with_name(f"{start.name}-undisturbed")
        shutil.copytree(start, folder)
        assert forks.run(folder, NOW + timedelta(days=1))["code"] == 0
        done[start.name] = folder
    return done


@pytest.fixture
def folder(revised: Path, tmp_path: Path) -> Path:
    """A copy of `revised`."""
    shutil.copytree(revised, tmp_path / "home")
    return tmp_path / "home"
