"""What has not changed is not made again; what is left as it was is what a fresh build would make."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from flows import build_cache, universe
from flows.build_cache import BuildCache, Compared
from flows.job import Job
from flows.maintain import rebuild_test
from flows.pipeline import Run, run
from flows.runners import Plain
from schemas import Table, core, mart, ops
from schemas import raw as raw_model
from schemas.table import polars_schema
from tests.flows.test_pipeline import edit, revise
from warehouse.store import Store

NOW = datetime(2026, 1, 5, 6, tzinfo=UTC)
NOTHING = pl.DataFrame(schema=polars_schema(ops.Built))
ALWAYS = {"read", "core.closes", "ops.freshness", "write"}  # they ask for the instant of the run


def digest(frame: pl.DataFrame) -> str:
    return str(frame.rows())


def compare(model: type[Table], frame: pl.DataFrame, stored: str) -> Compared:
    return digest(frame), None


def made(stored: pl.DataFrame, rows: list[int], raw: str = "a") -> tuple[BuildCache, bool, bool]:
    """A build of returns out of closes out of raw bars: the cache, and whether each of the two is news."""
    cache = BuildCache(stored, {"raw.bars": raw}, "u", compare)
    is_anew, x, y = cache.is_anew, pl.DataFrame({"x": rows}), pl.DataFrame({"y": rows})
    closes = cache.record(core.Closes, cache.inputs_of([raw_model.Bars]), cache.compare(core.Closes, x))
    inputs = cache.inputs_of([core.Closes])
    if cache.is_hit(core.Returns, inputs):
        return cache, closes, False
    returns = cache.record(core.Returns, inputs, cache.compare(core.Returns, y))
    if is_anew:
        made_of = [(core.Closes, [raw_model.Bars], None), (core.Returns, [core.Closes], None)]
        cache.settle({"core.closes": digest(x), "core.returns": digest(y)}, made_of)
    return cache, closes, returns


def test_the_same_rows_are_no_news_and_other_rows_are() -> None:
    cache, *news = made(NOTHING, [1, 2])
    assert news == [True, True]
    stored = cache.table(NOW)
    cache, *news = made(stored, [1, 2])
    assert news == [False, False]
    assert cache.table(NOW + timedelta(1)).rows() == stored.rows()  # built_at included
    cache, *news = made(stored, [1, 3])
    assert news == [True, True]
    assert set(cache.table(NOW + timedelta(1))["built_at"]) == {NOW + timedelta(1)}


def test_other_code_or_another_universe_forgets_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    stored = made(NOTHING, [1])[0].table(NOW)
    other = BuildCache(stored, {}, "another universe", compare)
    assert not other.is_hit(core.Closes, other.inputs_of([]))
    monkeypatch.setattr(build_cache, "code", lambda: "other code")
    assert made(stored, [1])[1:] == (True, True)


def test_a_table_is_made_again_when_what_it_reads_or_its_instant_is_another() -> None:
    cache = BuildCache(made(NOTHING, [1])[0].table(NOW), {"raw.bars": "a"}, "u", compare)
    read = [core.Sessions]
    cache.record(core.Sessions, "", cache.compare(core.Sessions, pl.DataFrame({"x": [1]})))
    before = cache.inputs_of(read)
    assert cache.inputs_of(read, NOW) != before
    cache.record(core.Sessions, "", cache.compare(core.Sessions, pl.DataFrame({"x": [2]})))
    assert cache.inputs_of(read) != before


def test_the_code_is_every_file_that_a_table_can_depend_on() -> None:
    found = build_cache.code()
    assert found == build_cache.code.__wrapped__()
    names = {path.name for folder in build_cache.CODE for path in (build_cache.HERE / folder).rglob("*.py")}
    assert {"closes.py", "core.py", "build.py", "store.py", "rolling_kernel.py"} <= names


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
    assert before.keys() == first.seconds.keys() - {"read", "write"} | {"mart.claims", "mart.dictionary"} | {
        f"core.{table}" for table in ("listings", "panels", "series", "sessions")
    }


@pytest.mark.slow
def test_one_changed_close_makes_only_what_depends_on_it(folder: Path) -> None:
    revise(folder / "rut.csv", date(2025, 9, 3), 0.25)
    second = go(folder, 1)
    assert {"core.returns", "mart.correlations", "mart.conditional"} <= set(second.seconds)
    assert "mart.market_snapshot" not in second.seconds
    assert rebuild_test(job(folder, 1)).differing == []
    assert built(folder)["mart.correlations"] > built(folder)["mart.market_snapshot"]


@pytest.mark.slow
def test_a_changed_universe_is_built_whole(home: Path) -> None:
    first = go(home)
    edit(home / "universe.toml", ("threshold = 0.5", "threshold = 0.4"))
    second = go(home, 1)
    assert set(second.seconds) == set(first.seconds)
    assert rebuild_test(job(home, 1)).differing == []


@pytest.mark.slow
def test_a_table_that_somebody_dropped_is_made_again(folder: Path) -> None:
    with Store(folder / "data" / "warehouse.duckdb") as store:
        store.con.execute("DROP TABLE mart.correlations CASCADE")
    go(folder, 1)
    assert rebuild_test(job(folder, 1)).differing == []
    with Store(folder / "data" / "warehouse.duckdb", read_only=True) as store:
        assert store.read(mart.Correlations).height


@pytest.mark.slow
def test_a_table_that_somebody_changed_is_made_again(folder: Path) -> None:
    with Store(folder / "data" / "warehouse.duckdb") as store:
        store.con.execute("UPDATE mart.correlations SET r = 0 WHERE r IS NOT NULL")
    assert "mart.correlations" in go(folder, 1).seconds
    assert rebuild_test(job(folder, 1)).differing == []


@pytest.mark.slow
def test_the_page_is_drawn_again_when_it_is_gone_or_shows_something_else(home: Path) -> None:
    page = go(home).page
    page.unlink()
    assert go(home, 1).page.exists()
    before = page.stat().st_mtime_ns
    revise(home / "rut.csv", date(2025, 9, 3), 0.25)
    go(home, 2)
    assert page.stat().st_mtime_ns > before
