"""What a run leaves as it was, because nothing it was made of changed, is not left wrong."""

import shutil
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from tests.faults.compare import published, stored, troubles
from tests.faults.conftest import NOW, Undisturbed
from tests.faults.forks import Forks
from tests.faults.test_bit_flips import flip
from warehouse.verify import broken

pytestmark = pytest.mark.slow


def test_a_broken_file_of_the_publication_before_is_written_anew(
    forks: Forks, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    home = shutil.copytree(undisturbed["revised"], tmp_path / "home")
    data, wanted = home / "data", stored(home / "data")
    newest = max((data / "published").glob("run=*"))
    struck = newest / "mart.correlations.parquet"
    flip(struck, struck.stat().st_size // 2)
    assert forks.run(home, NOW + timedelta(days=2))["code"] == 0
    assert published(data) == wanted
    lines = list(broken(data))
    assert len(lines) == 1
    assert str(struck) in lines[0]
    linked = max((data / "published").glob("run=*"))
    assert linked != newest
    assert (linked / "raw.macro.parquet").samefile(newest / "raw.macro.parquet")
    assert not (linked / struck.name).samefile(struck)


def test_an_older_warehouse_in_its_place_is_brought_up_to_date(
    forks: Forks, folder: Path, undisturbed: Undisturbed
) -> None:
    data = folder / "data"
    shutil.copy(data / "warehouse.duckdb", folder / "old.duckdb")
    assert forks.run(folder, NOW + timedelta(days=1))["code"] == 0
    (folder / "old.duckdb").replace(data / "warehouse.duckdb")
    assert forks.run(folder, NOW + timedelta(days=1, minutes=5))["code"] == 0
    assert troubles(data, stored(undisturbed["revised"] / "data")) == []


@pytest.mark.parametrize("table", ["mart.correlations", "core.closes"])
@pytest.mark.parametrize("change", ["DROP TABLE {}", "DELETE FROM {}", "INSERT INTO {0} FROM {0} LIMIT 1"])
def test_a_table_that_was_changed_in_a_killed_run_or_by_hand_is_made_again(
    table: str, change: str, forks: Forks, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    home = shutil.copytree(undisturbed["revised"], tmp_path / "home")
    data, wanted = home / "data", stored(home / "data")
    with duckdb.connect(str(data / "warehouse.duckdb")) as con:
        con.execute(change.format(table) + (" CASCADE" if change.startswith("DROP") else ""))
    healed = forks.run(home, NOW + timedelta(days=2))
    assert healed["code"] == 0, healed["err"]
    assert troubles(data, wanted) == []
