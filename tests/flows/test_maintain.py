"""The weekly upkeep: what it does to a folder that is whole, and what it says of one that is not."""

import logging
import os
import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from flows import maintain as upkeep
from flows import pipeline, universe
from flows.job import Job
from flows.maintain import maintain
from flows.rebuild import Tried, rebuild_test
from tests.flows.test_pipeline import NOW, go, query, revise
from warehouse import verify
from warehouse.landing import LandingError
from warehouse.place import StoreError
from warehouse.store import Store


@pytest.fixture(scope="module")
def thrice(once: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of three runs of one month, long ago; to be copied."""
    folder = shutil.copytree(once, tmp_path_factory.mktemp("thrice") / "ran")
    for day in (1, 2):
        revise(folder / "rut.csv", date(2025, 10, 8), 0.25)
        go(folder, NOW + timedelta(days=day))
    return folder


@pytest.fixture
def used(thrice: Path, tmp_path: Path) -> Path:
    """A copy of that folder that a test may change."""
    return shutil.copytree(thrice, tmp_path / "used")


@pytest.mark.slow
def test_it_copies_compacts_and_tries_a_rebuild(used: Path, tmp_path: Path) -> None:
    data, tables = used / "data", "SELECT count(*), sum(close) FROM raw.bars"
    before, files = query(used, tables), list((data / "landing").rglob("*.parquet"))
    done = maintain.fn(data, str(tmp_path / "backup"))
    left = list((data / "landing").rglob("*.parquet"))
    assert done["compacted"] > 0
    assert len(left) < len(files)
    assert done["backed_up"] == len(files) == len(list((tmp_path / "backup").rglob("*.parquet")))
    assert {path.name for path in data.iterdir()} == {
        *("landing", "published", "report", "warehouse.duckdb", "writer.lock")
    }
    go(used, NOW + timedelta(days=300))
    assert query(used, tables) == before
    again = maintain.fn(data, str(tmp_path / "backup"))
    assert again == {"backed_up": done["compacted"] + 1, "replays_removed": 0, "compacted": 0}


def replay(folder: Path) -> Path:
    """A replay, published; gives its folder."""
    return go(folder, as_of=datetime(2025, 10, 8, 21, tzinfo=UTC)).job.home


@pytest.mark.slow
def test_what_killed_runs_left_is_swept_and_stops_nothing(used: Path, tmp_path: Path) -> None:
    data, whole = used / "data", replay(used)
    broken = data / "as-of" / "2025-10-09T210000Z"
    shutil.copytree(whole, broken)
    (broken / "published" / "latest.duckdb").write_bytes(b"new, and the pointer is still the old one")
    (data / "as-of" / "2025-10-10T210000Z" / "published" / "run=1").mkdir(parents=True)
    for home in (data, whole):
        (home / "published" / ".run=2.tmp").mkdir()
        (home / "published" / ".2.duckdb.tmp").touch()
        (home / "published" / "run=3").mkdir()
    done = maintain.fn(data, str(tmp_path / "backup"))
    assert done["replays_removed"] == 2
    assert done["compacted"] > 0
    assert list(data.glob("as-of/*")) == [whole]
    assert list(verify.broken(data)) == []


@pytest.mark.slow
def test_replays_are_kept_for_a_month(used: Path) -> None:
    home = replay(used)
    made = (home / "published").stat().st_mtime
    os.utime(home / "published", (made, made - timedelta(days=29).total_seconds()))
    assert maintain.fn(used / "data")["replays_removed"] == 0
    os.utime(home / "published", (made, made - timedelta(days=31).total_seconds()))
    assert maintain.fn(used / "data")["replays_removed"] == 1
    assert not home.exists()


@pytest.mark.slow
def test_a_damaged_publication_is_named_when_the_rest_is_done(used: Path, tmp_path: Path) -> None:
    data = used / "data"
    published = data / "published" / "latest.duckdb"
    published.write_bytes(published.read_bytes() + b"x")
    with pytest.raises(StoreError, match=r"latest.duckdb: has .* bytes, the manifest says"):
        maintain.fn(data, str(tmp_path / "backup"))
    assert list((tmp_path / "backup").rglob("*.parquet"))
    assert list((data / "landing").rglob("month=*"))
    go(used, NOW + timedelta(days=300))
    maintain.fn(data)


def job_of(folder: Path) -> Job:
    path = folder / "universe.toml"
    return Job(universe.load(path), folder / "data", universe_path=path)


@pytest.mark.slow
def test_the_rebuild_is_tried_at_the_instant_of_the_publication(folder: Path) -> None:
    go(folder, datetime(2025, 10, 8, 18, tzinfo=UTC))  # while the session is going on
    assert query(folder, "SELECT max(session) FROM core.sessions WHERE calendar = 'XNYS'") != []
    assert rebuild_test(job_of(folder)) == Tried([])


def test_no_rebuild_is_compared_with_what_another_universe_made(folder: Path) -> None:
    path = folder / "universe.toml"
    go(folder, NOW + timedelta(days=1))
    path.write_text(path.read_text().replace("threshold = 0.5", "threshold = 0.4"))
    tried = rebuild_test(job_of(folder))
    assert tried.differing == []
    assert "by other code or for another universe" in str(tried.skipped)


def test_no_rebuild_is_compared_while_rows_wait_for_a_build(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    go(folder, NOW + timedelta(days=1))
    revise(folder / "rut.csv", date(2025, 10, 8), 0.25)
    monkeypatch.setattr(pipeline, "build", None)
    with pytest.raises(TypeError):
        go(folder, NOW + timedelta(days=2))
    assert "rows were loaded that are not published yet" in str(rebuild_test(job_of(folder)).skipped)
    with caplog.at_level(logging.INFO, "prefect"):  # another test's command may have silenced it
        maintain.fn(folder / "data")
    assert "no rebuild was tried" in caplog.text


def test_it_does_nothing_to_what_is_not_as_it_was_written(folder: Path) -> None:
    landed = sorted((folder / "data" / "landing").rglob("*.parquet"))
    landed[0].write_bytes(landed[0].read_bytes() + b"x")
    with pytest.raises(LandingError, match=landed[0].name):
        maintain.fn(folder / "data")
    assert sorted((folder / "data" / "landing").rglob("*.parquet")) == landed


@pytest.mark.slow
def test_it_names_the_tables_that_a_rebuild_makes_otherwise(used: Path) -> None:
    with Store(used / "data" / "warehouse.duckdb") as store:
        store.con.execute("DELETE FROM mart.correlations")
    with pytest.raises(StoreError, match=r"a rebuild makes mart.correlations otherwise; run `make rebuild`"):
        maintain.fn(used / "data")
    assert upkeep.main(["rebuild", "--data", str(used / "data")]) == 0
    assert maintain.fn(used / "data")["backed_up"] == 0
