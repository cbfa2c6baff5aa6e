"""A disk that is full or may not be written: one line, nothing stored is touched, and the next run heals."""

from pathlib import Path

import pytest

from tests.faults.compare import published, stored, troubles
from tests.faults.conftest import Undisturbed
from tests.faults.forks import Answer, Forks

pytestmark = pytest.mark.slow


def refresh(forks: Forks, folder: Path, **suffered: object) -> Answer:
    """The command on a folder."""
    flags = ["--universe", str(folder / "universe.toml"), "--data", str(folder / "data"), "--runner", "plain"]
    return forks("command", module="flows.refresh", arguments=flags, **suffered)


def assert_one_line(said: Answer) -> None:
    assert said["code"] == 1, said
    assert said["err"].startswith("comove: "), said["err"]
    assert said["err"].count("\n") == 1, said["err"]


@pytest.mark.parametrize("limit", [1_000, 10_000, 300_000, 1_000_000])
def test_a_full_disk(limit: int, forks: Forks, folder: Path, undisturbed: Undisturbed) -> None:
    before = published(folder / "data")
    assert_one_line(refresh(forks, folder, file_limit=limit))
    assert published(folder / "data") == before
    healed = refresh(forks, folder)
    assert healed["code"] == 0, healed["err"]
    assert troubles(folder / "data", stored(undisturbed["revised"] / "data")) == []


@pytest.mark.parametrize("is_copy_kept", [False, True])
def test_a_disk_that_fills_while_the_copy_is_written(
    is_copy_kept: bool, forks: Forks, folder: Path, undisturbed: Undisturbed
) -> None:
    before, copy = published(folder / "data"), folder / "data" / "published" / "latest.duckdb"
    limit = copy.stat().st_size + 100_000
    said = refresh(forks, folder, file_limit=limit, is_copy_kept=is_copy_kept)
    assert_one_line(said)
    assert "duckdb.tmp: cannot be written" in said["err"]
    assert "the publication before stays" in said["err"]
    assert published(folder / "data") == before
    assert refresh(forks, folder, is_copy_kept=is_copy_kept)["code"] == 0
    assert troubles(folder / "data", stored(undisturbed["revised"] / "data")) == []


@pytest.mark.parametrize(
    "name",
    ["data", "data/landing", "data/published"],
)
def test_a_folder_that_may_not_be_written(
    name: str, forks: Forks, folder: Path, undisturbed: Undisturbed
) -> None:
    before = published(folder / "data")
    closed = [folder / name, *(path for path in (folder / name).rglob("*") if path.is_dir())]
    for path in closed:
        path.chmod(0o555)
    try:
        assert_one_line(refresh(forks, folder, is_unprivileged=True))
    finally:
        for path in closed:
            path.chmod(0o755)
    assert published(folder / "data") == before
    assert refresh(forks, folder)["code"] == 0
    assert troubles(folder / "data", stored(undisturbed["revised"] / "data")) == []
