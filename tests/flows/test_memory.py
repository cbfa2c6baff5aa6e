"""What has not changed is not made again; what is left as it was is what a fresh build would make."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from flows import memory as memories
from flows import universe
from flows.job import Job
from flows.maintain import rebuild_test
from flows.memory import Memory
from flows.pipeline import Run, run
from flows.runners import Plain
from schemas import core, mart, ops
from schemas.table import polars_schema
from tests.flows.test_pipeline import edit, revise
from warehouse.store import Store

NOW = datetime(2026, 1, 5, 6, tzinfo=UTC)
NOTHING = pl.DataFrame(schema=polars_schema(ops.Built))
ALWAYS = {"core.closes", "ops.freshness", "write"}  # they ask for the instant of the run


def digest(frame: pl.DataFrame) -> str:
    return str(frame.rows())


def made(stored: pl.DataFrame, rows: list[int], raw: str = "a") -> tuple[Memory, bool, bool]:
    """A build of returns out of closes out of raw bars: the memory, and whether each of the two is news."""
    memory = Memory(stored, {"raw.bars": raw}, "u", digest)
    closes = memory.learn(core.Closes, memory.inputs_of([]), pl.DataFrame({"x": rows}))
    inputs = memory.inputs_of([core.Closes])
    if memory.recalls(core.Returns, inputs):
        return memory, closes, False
    return memory, closes, memory.learn(core.Returns, inputs, pl.DataFrame({"y": rows}))


def test_the_same_rows_are_no_news_and_other_rows_are() -> None:
    memory, *news = made(NOTHING, [1, 2])
    assert news == [True, True]
    stored = memory.table(NOW)
    memory, *news = made(stored, [1, 2])
    assert news == [False, False]
    assert memory.table(NOW + timedelta(1)).rows() == stored.rows()  # built_at included
    memory, *news = made(stored, [1, 3])
    assert news == [True, True]
    assert set(memory.table(NOW + timedelta(1))["built_at"]) == {NOW + timedelta(1)}


def test_other_code_or_another_universe_forgets_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    stored = made(NOTHING, [1])[0].table(NOW)
    other = Memory(stored, {}, "another universe", digest)
    assert not other.recalls(core.Closes, other.inputs_of([]))
    monkeypatch.setattr(memories, "code", lambda: "other code")
    assert made(stored, [1])[1:] == (True, True)


def test_a_table_is_made_again_when_what_it_reads_or_its_instant_is_another() -> None:
    memory = Memory(NOTHING, {"raw.bars": "a"}, "u", digest)
    read = [core.Sessions]
    memory.learn(core.Sessions, "", pl.DataFrame({"x": [1]}))
    before = memory.inputs_of(read)
    assert memory.inputs_of(read, NOW) != before
    memory.learn(core.Sessions, "", pl.DataFrame({"x": [2]}))
    assert memory.inputs_of(read) != before


def test_the_code_is_every_file_that_a_table_can_depend_on() -> None:
    found = memories.code()
    assert found == memories.code.__wrapped__()
    names = {path.name for folder in memories.CODE for path in (memories.HERE / folder).rglob("*.py")}
    assert {"closes.py", "core.py", "build.py", "store.py", "rolling_kernel.py"} <= names


@pytest.fixture
def home(tiny_universe: Callable[[Path], Path], tmp_path: Path) -> Path:
    tiny_universe(tmp_path / "home")
    return tmp_path / "home"


def job(home: Path, days: int = 0) -> Job:
    path = home / "universe.toml"
    return Job(universe.load(path), home / "data", now=NOW + timedelta(days), universe_path=path)


def go(home: Path, days: int = 0) -> Run:
    return run(job(home, days), Plain())


def built(home: Path) -> dict[str, datetime]:
    with Store(home / "data" / "warehouse.duckdb", read_only=True) as store:
        return dict(store.read(ops.Built).select("table_name", "built_at").iter_rows())


def test_a_run_that_finds_nothing_makes_and_draws_nothing_again(home: Path) -> None:
    first = go(home)
    page, before = first.page.stat().st_mtime_ns, built(home)
    second = go(home, 1)
    assert set(second.seconds) == ALWAYS
    assert second.page == first.page
    assert second.page.stat().st_mtime_ns == page
    assert built(home) == before  # every source of the tiny universe is recorded, freshness included
    assert before.keys() == first.seconds.keys() - {"write"} | {"mart.claims", "mart.dictionary"} | {
        f"core.{table}" for table in ("listings", "panels", "series", "sessions")
    }


@pytest.mark.slow
def test_one_changed_close_makes_only_what_depends_on_it(home: Path) -> None:
    go(home)
    revise(home / "rut.csv", date(2025, 9, 3), 0.25)
    second = go(home, 1)
    assert {"core.returns", "mart.correlations", "mart.conditional"} <= set(second.seconds)
    assert "mart.market_snapshot" not in second.seconds
    assert rebuild_test(job(home, 1)) == []
    assert built(home)["mart.correlations"] > built(home)["mart.market_snapshot"]


@pytest.mark.slow
def test_a_changed_universe_is_built_whole(home: Path) -> None:
    first = go(home)
    edit(home / "universe.toml", ("threshold = 0.5", "threshold = 0.4"))
    second = go(home, 1)
    assert set(second.seconds) == set(first.seconds)
    assert rebuild_test(job(home, 1)) == []


@pytest.mark.slow
def test_a_table_that_somebody_dropped_is_made_again(home: Path) -> None:
    go(home)
    with Store(home / "data" / "warehouse.duckdb") as store:
        store.con.execute("DROP TABLE mart.correlations CASCADE")
    go(home, 1)
    assert rebuild_test(job(home, 1)) == []
    with Store(home / "data" / "warehouse.duckdb", read_only=True) as store:
        assert store.read(mart.Correlations).height


@pytest.mark.slow
def test_a_table_that_somebody_changed_is_made_again(home: Path) -> None:
    go(home)
    with Store(home / "data" / "warehouse.duckdb") as store:
        store.con.execute("UPDATE mart.correlations SET r = 0 WHERE r IS NOT NULL")
    assert "mart.correlations" in go(home, 1).seconds
    assert rebuild_test(job(home, 1)) == []


def test_the_page_is_drawn_again_when_it_is_gone_or_shows_something_else(home: Path) -> None:
    page = go(home).page
    page.unlink()
    assert go(home, 1).page.exists()
    before = page.stat().st_mtime_ns
    revise(home / "rut.csv", date(2025, 9, 3), 0.25)
    go(home, 2)
    assert page.stat().st_mtime_ns > before
