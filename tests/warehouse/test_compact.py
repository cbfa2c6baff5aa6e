"""Compaction: not a row lost or doubled, whatever happens between two steps."""

import shutil
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flows.ledger import load_landed
from schemas import ops, raw
from schemas.table import polars_schema
from warehouse import boundary as boundaries
from warehouse import compact as compaction
from warehouse import landing
from warehouse.compact import compact
from warehouse.files import sha256
from warehouse.landing import LandingError, land, landed, read
from warehouse.store import Store, StoreError

NOW = datetime(2026, 3, 15, 6, tzinfo=UTC)
WEEK = timedelta(days=7)


def bars(first: int, count: int, run: str) -> pl.DataFrame:
    """Bars of some days, known from the run on."""
    known_at = datetime.strptime(run[:15] + "+0000", "%Y%m%dT%H%M%S%z")
    opened = [datetime(2025, 1, 1, tzinfo=UTC) + timedelta(days=first + n) for n in range(count)]
    rows = [
        {"source": "files:x.csv", "symbol": "X", "interval": "1d", "opened_at": at, "known_at": known_at}
        | {"open": 1.0, "high": 99.0, "low": 0.5, "close": 1.5 + n, "adj_close": 1.5, "volume": 7.0}
        | {"is_known_at_assumed": False, "load_id": f"{run}-0001"}
        for n, at in enumerate(opened)
    ]
    return pl.DataFrame(rows, schema=polars_schema(raw.Bars))


def run_id(day: str) -> str:
    return f"{day.replace('-', '')}T060000000000Z"


@pytest.fixture
def zone(tmp_path: Path) -> Path:
    """Four runs in January, two in February and one of yesterday."""
    days = ["2026-01-05", "2026-01-06", "2026-01-07", "2026-01-30", "2026-02-02", "2026-02-03", "2026-03-14"]
    for number, day in enumerate(days):
        run = run_id(day)
        land(bars(number * 3, 3, run), raw.Bars, "files", run, tmp_path / "landing")
    return tmp_path / "landing"


def multiset(zone: Path) -> Counter[tuple[object, ...]]:
    """Every row of the zone with how often it is there."""
    return Counter(row for file in landed(zone) for row in read(file, zone).iter_rows())


def labels(zone: Path) -> list[str]:
    return [Path(file.path).name.partition("-")[0] for file in landed(zone)]


def loaded(warehouse: Path, zone: Path) -> str:
    """The digest of the bars of a warehouse after it has loaded the zone."""
    with Store(warehouse) as store:
        load_landed(store, zone)
        return store.digests()["raw.bars"]


def test_one_file_a_month_and_the_same_rows(zone: Path) -> None:
    before, names = multiset(zone), {file.path for file in landed(zone)}
    made = compact(zone, NOW)
    assert labels(zone) == ["month=202601", "month=202602", run_id("2026-03-14")]  # the oldest runs first
    assert multiset(zone) == before
    assert {old for path in made for old in landing.replaced(zone / path)} | {
        file.path for file in landed(zone) if file.path not in made
    } == names
    assert len(list(zone.rglob("*.parquet"))) == 3


def test_a_compacted_file_proves_itself(zone: Path) -> None:
    (first, *_) = compact(zone, NOW)
    assert sha256(zone / first) == Path(first).stem.rpartition("-")[2]
    assert all(len(Path(old).stem.rpartition("-")[2]) == 64 for old in landing.replaced(zone / first))


def test_the_newest_run_is_known_whatever_was_compacted(tmp_path: Path) -> None:
    assert landing.newest_run(tmp_path) == ""
    for run in (f"{run_id('2026-01-05')}-0007", run_id("2026-01-04")):  # a backfill's piece
        loads = pl.DataFrame(schema=polars_schema(ops.Loads)).clear(1).with_columns(run_id=pl.lit(run))
        land(loads, ops.Loads, "comove", run, tmp_path)
    assert landing.newest_run(tmp_path) == run_id("2026-01-05")
    assert compact(tmp_path, NOW)
    assert landing.newest_run(tmp_path) == run_id("2026-01-05")
    (flipped,) = tmp_path.rglob("*.parquet")
    flipped.write_bytes(b"PAR1")
    for ask in (lambda: landing.newest_run(tmp_path), lambda: landing.replaced(flipped)):
        with pytest.raises(
            LandingError,
            match=r"^\S*month=202601-\S*: cannot be read \(.+\); restore the file from a backup$",
        ):
            ask()


def test_a_file_that_replaces_what_no_file_is_called_is_worded_alike(tmp_path: Path) -> None:
    path = land(pl.DataFrame({"a": [1]}), ops.Loads, "comove", "1", tmp_path, replaces=["../x.parquet"])
    assert path
    with pytest.raises(
        LandingError, match=r"cannot be read \(it .*'../x.parquet'.*\); restore the file from a"
    ):
        landing.replaced(path)


def test_a_second_compaction_does_nothing(zone: Path) -> None:
    compact(zone, NOW)
    files = sorted(zone.rglob("*.parquet"))
    assert compact(zone, NOW) == []
    assert sorted(zone.rglob("*.parquet")) == files


def test_runs_of_the_last_week_stay(zone: Path) -> None:
    compact(zone, datetime(2026, 1, 12, tzinfo=UTC))
    assert labels(zone)[0] == run_id("2026-01-05")  # it alone is older than a week
    assert len(labels(zone)) == 7


def test_what_comes_late_for_a_month_is_taken_in(zone: Path) -> None:
    compact(zone, NOW)
    late = run_id("2026-01-31")
    land(bars(50, 2, late), raw.Bars, "files", late, zone)
    before = multiset(zone)
    compact(zone, NOW + WEEK)
    compact(zone, NOW + 2 * WEEK)
    assert multiset(zone) == before
    assert sorted(labels(zone)) == [run_id("2026-03-14"), "month=202601", "month=202602"]


def test_a_warehouse_that_is_there_loads_no_row_twice(zone: Path, tmp_path: Path) -> None:
    before = loaded(tmp_path / "old.duckdb", zone)
    compact(zone, NOW)
    assert loaded(tmp_path / "old.duckdb", zone) == before
    assert loaded(tmp_path / "new.duckdb", zone) == before


def test_a_folder_named_like_a_column_changes_no_row(zone: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "source=other" / "symbol=Y"
    shutil.copytree(zone, elsewhere)
    assert loaded(tmp_path / "there.duckdb", elsewhere) == loaded(tmp_path / "here.duckdb", zone)


def test_a_warehouse_that_had_loaded_a_part_gets_the_rest(zone: Path, tmp_path: Path) -> None:
    hidden = {path: path.read_bytes() for path in sorted(zone.rglob("202601*.parquet"))[1:]}
    for path in hidden:
        path.unlink()
    loaded(tmp_path / "part.duckdb", zone)
    for path, content in hidden.items():
        path.write_bytes(content)
    compact(zone, NOW)
    assert loaded(tmp_path / "part.duckdb", zone) == loaded(tmp_path / "new.duckdb", zone)


def test_a_chain_of_compactions_is_loaded_once(zone: Path, tmp_path: Path) -> None:
    old = tmp_path / "old.duckdb"
    loaded(old, zone)
    compact(zone, NOW)
    between = tmp_path / "between.duckdb"
    loaded(between, zone)
    for number, day in enumerate(["2026-01-31", "2026-02-04", "2026-02-05"]):
        land(bars(60 + number * 2, 2, run_id(day)), raw.Bars, "files", run_id(day), zone)
        compact(zone, NOW + number * WEEK)
    assert loaded(old, zone) == loaded(between, zone) == loaded(tmp_path / "new.duckdb", zone)


def test_a_row_refused_twice_is_in_quarantine_once(tmp_path: Path) -> None:
    zone = tmp_path / "landing"
    columns = polars_schema(ops.Quarantine)
    texts = {name: "x" if kind == pl.String else None for name, kind in columns.items()}
    row = pl.DataFrame([{**texts, "table_name": "raw.bars"}], schema=columns)
    for day in ("2026-01-05", "2026-01-06"):
        land(row, ops.Quarantine, "comove", run_id(day), zone)
    with Store(tmp_path / "before.duckdb") as store:
        load_landed(store, zone)
        assert store.tables()["ops.quarantine"] == 1
    compact(zone, NOW)
    for name in ("before.duckdb", "after.duckdb"):
        with Store(tmp_path / name) as store:
            load_landed(store, zone)
            load_landed(store, zone)
            assert store.tables()["ops.quarantine"] == 1


class Died(BaseException):
    """As by kill -9, but the test goes on."""


@pytest.mark.parametrize("step", ["landing-written", "landed-file", "compacted", "compacted-deleted"])
@pytest.mark.parametrize("visit", [1, *(pytest.param(later, marks=pytest.mark.slow) for later in (2, 3))])
def test_death_between_any_two_steps_changes_nothing(
    step: str, visit: int, zone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, old = multiset(zone), tmp_path / "old.duckdb"
    digest = loaded(old, zone)
    seen = Counter[str]()

    def die(at: str) -> None:
        boundaries.boundary(at)
        seen[at] += 1
        if at == step and seen[at] == visit:
            raise Died

    with monkeypatch.context() as dying:
        dying.setattr(compaction, "boundary", die)
        dying.setattr(landing, "boundary", die)
        if step == "compacted-deleted" or visit < 3:  # two months are compacted, six files deleted
            with pytest.raises(Died):
                compact(zone, NOW)
        else:
            compact(zone, NOW)
    assert multiset(zone) == before
    assert loaded(old, zone) == loaded(tmp_path / "new.duckdb", zone) == digest
    compact(zone, NOW)
    assert multiset(zone) == before
    assert len(labels(zone)) == 3
    assert loaded(old, zone) == loaded(tmp_path / "later.duckdb", zone) == digest


def test_a_damaged_file_stops_the_compaction_and_nothing_is_deleted(zone: Path) -> None:
    path = min(zone.rglob("*.parquet"))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    files = sorted(zone.rglob("*.parquet"))
    with pytest.raises(LandingError, match=path.name):
        compact(zone, NOW)
    assert sorted(zone.rglob("*.parquet")) == files


@pytest.mark.parametrize("old", ["../../precious.parquet", "/etc/passwd", "raw.bars/../../x.parquet", "x"])
def test_a_compacted_file_cannot_name_what_lies_elsewhere(old: str, zone: Path) -> None:
    precious = zone.parent / "precious.parquet"
    precious.write_bytes(b"mine")
    land(bars(90, 1, run_id("2026-01-05")), raw.Bars, "files", "month=202601", zone, [old])
    with pytest.raises(LandingError, match="no landed file is called"):
        compact(zone, NOW)
    assert precious.read_bytes() == b"mine"


def test_what_reads_back_otherwise_is_refused_and_takes_nothing_with_it(
    zone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, files = multiset(zone), sorted(zone.rglob("*.parquet"))
    with monkeypatch.context() as failing:
        failing.setattr(compaction, "land", lambda frame, *given: land(frame[:-1], *given))
        with pytest.raises(LandingError, match="reads back otherwise"):
            compact(zone, NOW)
    assert multiset(zone) == before
    assert sorted(path for path in zone.rglob("*") if path.is_file()) == files
    compact(zone, NOW + WEEK)
    assert multiset(zone) == before


@pytest.mark.parametrize("is_in_part", [False, True])
def test_nothing_is_deleted_for_a_compacted_file_that_lacks_rows(is_in_part: bool, zone: Path) -> None:
    old = [file for file in landed(zone) if run_id("2026-01-05")[:6] in Path(file.path).name]
    rows = pl.concat([read(file, zone) for file in old])
    bad = land(rows[1:], raw.Bars, "files", "month=202601", zone, [file.path for file in old])
    assert bad
    if is_in_part:
        (zone / old[-1].path).unlink()  # as by a kill while it deleted
    with pytest.raises(LandingError, match="lacks 1 rows of the files that it replaces"):
        compact(zone, NOW)
    bad.unlink()
    assert sum(multiset(zone).values()) == 18 if is_in_part else 21


def test_a_warehouse_with_strange_rows_is_refused(zone: Path, tmp_path: Path) -> None:
    loaded(tmp_path / "w.duckdb", zone)
    with Store(tmp_path / "w.duckdb") as store:
        store.append(raw.Bars, bars(99, 1, run_id("2026-01-05")))
        with pytest.raises(StoreError, match=r"22 rows of .* files brought 21; run `make rebuild"):
            load_landed(store, zone)


def test_a_file_without_our_metadata_replaces_nothing(tmp_path: Path) -> None:
    pq.write_table(pa.table({"day": [date(2026, 1, 1)]}), tmp_path / "x.parquet")
    assert landing.replaced(tmp_path / "x.parquet") == []
