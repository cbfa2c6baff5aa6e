"""Folders in which a fault strikes, and what must be equal afterwards."""

import shutil
import signal
from collections.abc import Callable, Iterator, Mapping
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


def revise(path: Path) -> None:
    """Change one close of a source."""
    frame = pl.read_csv(path, try_parse_dates=True)
    changed = pl.when(pl.col("date") == date(2025, 10, 8)).then(pl.col("close") + 0.25).otherwise("close")
    frame.with_columns(close=changed).write_csv(path)


Once = Callable[[str, Callable[[Path], object]], Path]


@pytest.fixture(scope="session")
def empty(tiny_universe: Callable[[Path], Path], made_once: Once) -> Path:
    """The tiny universe without data; to be copied, as what follows."""
    return made_once("empty", tiny_universe)


@pytest.fixture(scope="session")
def revised(forks: Forks, empty: Path, made_once: Once) -> Path:
    """After one run, and then one close of a source changed and a week was added."""

    def make(home: Path) -> None:
        shutil.copytree(empty, home)
        assert forks.run(home, NOW, until=date(2025, 11, 13))["code"] == 0
        revise(home / "rut.csv")

    return made_once("revised", make)


class Undisturbed(Mapping[str, Path]):
    """Folders by where they started from, each made when it is first asked for."""

    def __init__(self, forks: Forks, starts: dict[str, Path], made_once: Once) -> None:
        self.forks, self.starts, self.made_once = forks, starts, made_once

    def __getitem__(self, start: str) -> Path:
        def make(home: Path) -> None:
            shutil.copytree(self.starts[start], home)
            assert self.forks.run(home, NOW + timedelta(days=1))["code"] == 0

        return self.made_once(f"{start}-undisturbed", make)

    def __iter__(self) -> Iterator[str]:
        return iter(self.starts)

    def __len__(self) -> int:
        return len(self.starts)


@pytest.fixture(scope="session")
def undisturbed(forks: Forks, empty: Path, revised: Path, made_once: Once) -> Undisturbed:
    """Either of them after a run that nothing disturbed; look, do not touch."""
    return Undisturbed(forks, {"empty": empty, "revised": revised}, made_once)


@pytest.fixture(scope="session")
def killed(forks: Forks, revised: Path, made_once: Once) -> Path:
    """After a second run that died before it published, with its loads in the log."""

    def make(home: Path) -> None:
        shutil.copytree(revised, home)
        struck = forks.run(home, NOW + timedelta(days=1), env={"CRASH_AT": "built"})
        assert struck["code"] == -signal.SIGKILL, struck["err"]
        assert (home / "data" / "warehouse.duckdb.wal").stat().st_size > 1000

    return made_once("killed", make)


@pytest.fixture
def folder(revised: Path, tmp_path: Path) -> Path:
    """A copy of `revised`."""
    shutil.copytree(revised, tmp_path / "home")
    return tmp_path / "home"
