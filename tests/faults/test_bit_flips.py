"""Every flipped bit in what was landed or published is named by verify; a rebuild refuses it."""

import random
from datetime import timedelta
from pathlib import Path

import pytest

from tests.faults.compare import published, troubles
from tests.faults.conftest import NOW
from tests.faults.forks import Forks
from warehouse.verify import broken

SAMPLE = 40


def flip(path: Path, at: int, bit: int = 0) -> None:
    """Flip one bit in place."""
    with path.open("r+b") as file:
        file.seek(at)
        (value,) = file.read(1)
        file.seek(at)
        file.write(bytes([value ^ 1 << bit]))


@pytest.mark.slow
@pytest.mark.parametrize("place", ["landing", "published"])
def test_a_flipped_bit_is_named(place: str, folder: Path) -> None:
    chance, data = random.Random(place), folder / "data"
    assert list(broken(data)) == []
    files = sorted(path for path in (data / place).rglob("*") if path.is_file())
    for number in range(max(SAMPLE, len(files))):
        path = files[number % len(files)]
        at, bit = chance.randrange(path.stat().st_size), chance.randrange(8)
        flip(path, at, bit)
        lines = list(broken(data))
        assert any(str(path) in line for line in lines), f"{path} byte {at} bit {bit}: {lines}"
        flip(path, at, bit)
    assert list(broken(data)) == []


@pytest.mark.slow
def test_a_rebuild_refuses_a_landed_file_that_is_not_what_was_written(forks: Forks, folder: Path) -> None:
    data = folder / "data"
    before = published(data)
    path = max((data / "landing").rglob("*.parquet"), key=lambda file: file.stat().st_size)
    flip(path, path.stat().st_size // 2)
    refused = forks("rebuild", folder=folder, now=NOW + timedelta(days=1))
    assert refused["code"] == 70
    assert path.name in refused["err"]
    assert "restore the file from a backup" in refused["err"]
    assert published(data) == before
    flip(path, path.stat().st_size // 2)
    assert forks("rebuild", folder=folder, now=NOW + timedelta(days=1))["code"] == 0
    assert before is not None
    assert troubles(data, before) == []
