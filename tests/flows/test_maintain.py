"""The weekly upkeep: what it does to a folder that is whole, and what it says of one that is not."""

from datetime import date, timedelta
from pathlib import Path

import pytest

from flows import maintain as upkeep
from flows.maintain import maintain
from tests.flows.test_pipeline import NOW, go, query, revise
from warehouse.landing import LandingError
from warehouse.place import StoreError
from warehouse.store import Store


@pytest.fixture
def used(folder: Path) -> Path:
    """A folder of three runs of one month, long ago; it names its own universe."""
    for day in (1, 2):
        revise(folder / "rut.csv", date(2025, 10, 8), 0.25)
        go(folder, NOW + timedelta(days=day))
    return folder


def test_it_compacts_tries_a_rebuild_and_copies(used: Path, tmp_path: Path) -> None:
    data, tables = used / "data", "SELECT count(*), sum(close) FROM raw.bars"
    before, files = query(used, tables), len(list((data / "landing").rglob("*.parquet")))
    done = maintain.fn(data, str(tmp_path / "backup"))
    left = list((data / "landing").rglob("*.parquet"))
    assert done["compacted"] > 0
    assert len(left) < files
    assert done["backed_up"] == len(left) == len(list((tmp_path / "backup").rglob("*.parquet")))
    assert {path.name for path in data.iterdir()} == {
        *("landing", "published", "report", "warehouse.duckdb", "writer.lock")
    }
    go(used, NOW + timedelta(days=300))
    assert query(used, tables) == before
    assert maintain.fn(data, str(tmp_path / "backup")) == {"compacted": 0, "backed_up": 1}


def test_it_does_nothing_to_what_is_not_as_it_was_written(used: Path) -> None:
    landed = sorted((used / "data" / "landing").rglob("*.parquet"))
    landed[0].write_bytes(landed[0].read_bytes() + b"x")
    with pytest.raises(LandingError, match=landed[0].name):
        maintain.fn(used / "data")
    assert sorted((used / "data" / "landing").rglob("*.parquet")) == landed


def test_it_names_the_tables_that_a_rebuild_makes_otherwise(used: Path) -> None:
    with Store(used / "data" / "warehouse.duckdb") as store:
        store.con.execute("DELETE FROM mart.correlations")
    with pytest.raises(StoreError, match=r"a rebuild makes mart.correlations otherwise; run `make rebuild`"):
        maintain.fn(used / "data")
    assert upkeep.main(["rebuild", "--data", str(used / "data")]) == 0
    assert maintain.fn(used / "data")["backed_up"] == 0
