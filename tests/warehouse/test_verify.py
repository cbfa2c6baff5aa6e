"""`verify` names every file of which one byte was flipped, every file that is gone, and every stray one."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from flows import maintain, universe
from flows.job import Job
from flows.pipeline import run
from flows.runners import Plain
from schemas import Table, core
from warehouse.manifest import MANIFEST, SealError, sealed, unsealed
from warehouse.publish import publish
from warehouse.store import Store
from warehouse.verify import broken

Tables = dict[type[Table], pl.DataFrame]
pytestmark = pytest.mark.slow  # two runs and a replay to break, and every byte of them


@pytest.fixture(scope="module")
def whole_data(tiny_universe: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder after two runs and a replay."""
    folder = tmp_path_factory.mktemp("verify")
    path = tiny_universe(folder)
    for _ in range(2):
        done = run(Job(universe.load(path), folder / "data", universe_path=path), Plain())
    run(Job(universe.load(path), folder / "data", as_of=done.job.now, universe_path=path), Plain())
    return folder / "data"


@pytest.fixture
def data(whole_data: Path, tmp_path: Path) -> Path:
    """A copy that a test may break."""
    return shutil.copytree(whole_data, tmp_path / "data")


def stored(data: Path) -> list[Path]:
    """Every file that verify answers for."""
    folders = [data / "landing", data / "published", *data.glob("as-of/*/published")]
    return [path for folder in folders for path in folder.rglob("*") if path.is_file()]


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1 << (at % 8)
    path.write_bytes(content)


def test_a_folder_as_it_was_written_is_whole(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert list(broken(data)) == []
    assert maintain.main(["verify", "--data", str(data)]) == 0
    assert "every file is as written" in capsys.readouterr().out


def test_one_flipped_byte_in_any_file_is_named(data: Path) -> None:
    rng = np.random.default_rng(5)
    paths = stored(data)
    assert len(paths) > 60
    for path in paths:
        before = path.read_bytes()
        for at in {0, len(before) - 1, int(rng.integers(len(before)))}:
            flip(path, at)
            named = [line for line in broken(data) if str(path) in line]
            assert named, f"byte {at} of {path}"
            path.write_bytes(before)
    assert list(broken(data)) == []


def test_every_byte_of_the_pointer_and_of_a_manifest_counts(data: Path) -> None:
    for path in (data / "published" / "latest.json", next((data / "published").glob("run=*")) / MANIFEST):
        before = path.read_bytes()
        for at in range(0, len(before), 7):
            flip(path, at)
            with pytest.raises(SealError, match=path.name):
                unsealed(path)
            path.write_bytes(before)


def test_a_file_that_is_gone_is_named(data: Path) -> None:
    for path in stored(data):
        before = path.read_bytes()
        path.unlink()
        assert [line for line in broken(data) if path.name in line], path
        path.write_bytes(before)


def test_a_generation_that_is_gone_is_named(data: Path) -> None:
    gone = next((data / "published").glob("run=*"))
    shutil.rmtree(gone)
    assert [line for line in broken(data) if str(gone) in line]


@pytest.mark.parametrize("name", ["latest.duckdb.wal", "run=0/core.closes.parquet", ".x.duckdb.tmp"])
def test_a_file_that_nobody_published_is_named(data: Path, name: str) -> None:
    stray = data / "published" / name
    stray.parent.mkdir(exist_ok=True)
    stray.write_bytes(b"stray")
    assert [line for line in broken(data) if str(stray) in line]


def test_the_command_names_what_is_broken_and_fails(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flip(data / "published" / "latest.duckdb", 5000)
    assert maintain.main(["verify", "--data", str(data)]) == 1
    assert "latest.duckdb: its bytes are not those that were published" in capsys.readouterr().out


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    assert ["there is no such folder" in line for line in broken(tmp_path / "nowhere")] == [True]


def test_the_next_publication_heals_a_broken_pointer(
    built_store: Store, whole: Callable[..., Tables], tmp_path: Path
) -> None:
    folder = tmp_path / "published"
    built_store.replace({core.Returns: whole(0.25)[core.Returns]})
    publish(built_store, folder, "1", {})
    flip(folder / "latest.json", 40)
    publish(built_store, folder, "2", {})
    assert unsealed(folder / "latest.json")["generations"] == ["2", "1"]
    assert list(broken(tmp_path)) == []


def test_a_manifest_tells_bytes_rows_hash_schema_and_run(
    built_store: Store, whole: Callable[..., Tables], tmp_path: Path
) -> None:
    built_store.replace({core.Returns: whole(0.25, 0.5)[core.Returns]})
    publish(built_store, tmp_path, "1", {"as_of": "now"})
    said = unsealed(tmp_path / "run=1" / MANIFEST)
    entry = said["tables"]["core.returns"]
    assert (said["run_id"], said["as_of"], entry["rows"]) == ("1", "now", 2)
    assert entry["bytes"] == (tmp_path / "run=1" / "core.returns.parquet").stat().st_size
    assert len(entry["schema_sha256"]) == 64
    assert entry["schema_sha256"] != said["tables"]["core.closes"]["schema_sha256"]
    assert sealed(said) == (tmp_path / "run=1" / MANIFEST).read_text()
