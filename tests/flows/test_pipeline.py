"""The whole path on a universe that fits on a page, and what the recorded samples must give."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl
import pytest

from flows import ledger, pipeline, universe
from flows.fetching import NothingUsableError
from flows.job import Job
from flows.lock import LockedError, one_writer
from flows.maintain import rebuild
from flows.pipeline import Run, run
from flows.runners import Plain
from schemas import BY_NAME
from schemas.table import columns, grain, key
from tests.elsewhere import held_elsewhere
from warehouse.landing import LandingError
from warehouse.reader import connect
from warehouse.store import StoreError

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 1, 5, 6, tzinfo=UTC)
LATER = NOW + timedelta(days=1)
BREADTH = """
[[breadth]]
index = "RUT"
provider = "files"
path = "spy.csv"
members = "file"
recorded_at = "2025-11-20T22:00:00Z"
"""
Rows = list[tuple[object, ...]]


def go(folder: Path, now: datetime = NOW, **changes: object) -> Run:
    """One run of the universe in a folder into its data folder, which may be the copy of another's."""
    path = folder / "universe.toml"
    asked = Job(universe.load(path), folder / "data", now=now, universe_path=path, takes_over=True)
    return run(replace(asked, **changes), Plain())


def query(folder: Path, sql: str, *values: object, home: str = "data") -> Rows:
    """What a reader of the publication is told."""
    with closing(connect(folder / home)) as con:
        return con.execute(sql, values).fetchall()


def rows(folder: Path, *schemas: str, home: str = "data", leave_out: tuple[str, ...] = ()) -> dict[str, Rows]:
    """Every row of the published tables of some schemas."""
    with closing(connect(folder / home)) as con:
        return {
            label: con.execute(
                f"SELECT {', '.join(c.name for c in columns(model) if c.name not in leave_out)} "
                f"FROM {label} ORDER BY ALL"
            ).fetchall()
            for label, model in BY_NAME.items()
            if label.split(".")[0] in schemas
        }


def bits(*files: Path) -> dict[str, str]:
    """The hash of files and of all files below folders."""
    every = [path for file in files for path in ([file] if file.is_file() else sorted(file.rglob("*")))]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in every if path.is_file()}


def edit(path: Path, *changes: tuple[str, str]) -> None:
    """Replace text that is there exactly once."""
    text = path.read_text()
    for old, new in changes:
        assert text.count(old) == 1, f"{old}: {text.count(old)} times in {path.name}"
        text = text.replace(old, new)
    path.write_text(text)


def revise(path: Path, day: date, by: float) -> tuple[float, float]:
    """Change one close of a CSV; returns what it was and what it became."""
    frame = pl.read_csv(path, try_parse_dates=True)
    is_day = pl.col("date") == day
    (old,) = frame.filter(is_day)["close"]
    frame.with_columns(close=pl.when(is_day).then(pl.col("close") + by).otherwise("close")).write_csv(path)
    return old, old + by


# --- one run ---


def test_a_run_stores_every_final_bar_and_no_other(once: Path) -> None:
    counts = query(once, "SELECT symbol, interval, count(*), max(opened_at) FROM raw.bars GROUP BY ALL")
    last = {(symbol, interval): (count, opened.isoformat()) for symbol, interval, count, opened in counts}
    assert last == {
        ("ETHUSDT", "1h"): (4126, "2025-11-20T21:00:00+00:00"),  # 22:00 still ran at 22:30
        ("ETH-USD", "1d"): (171, "2025-11-19T00:00:00+00:00"),  # the 20th still ran at 22:00
        ("^RUT", "1d"): (121, "2025-11-20T14:30:00+00:00"),
        ("SPY", "1d"): (121, "2025-11-20T14:30:00+00:00"),
    }
    assert query(once, "SELECT count(*) FROM raw.macro") == [(25,)]
    assert query(once, "SELECT count(*) FROM ops.quarantine") == [(0,)]


def test_every_attempt_has_a_line_in_the_ledger(once: Path) -> None:
    lines = query(
        once,
        "SELECT source, item, status, rows_fetched, rows_new, rows_running, rows_quarantined, error "
        "FROM ops.loads ORDER BY load_id",
    )
    assert lines == [
        ("files:eth_1h.parquet", "ETHUSDT", "loaded", 4127, 4126, 1, 0, None),
        ("files:eth_1d.parquet", "ETH-USD", "loaded", 172, 171, 1, 0, None),
        ("files:rut.csv", "^RUT", "loaded", 121, 121, 0, 0, None),
        ("files:spy.csv", "SPY", "loaded", 121, 121, 0, 0, None),
        ("files:macro.csv", "WALCL", "loaded", 25, 25, 0, 0, None),
    ]


def test_the_price_of_a_session_is_that_of_the_hour_that_ended_at_its_close(once: Path) -> None:
    hourly = pl.read_parquet(once / "eth_1h.parquet")
    for day, hour in (
        (date(2025, 7, 3), 17),  # an early close
        (date(2025, 10, 8), 20),
        (date(2025, 10, 31), 20),  # the last Friday of summer time
        (date(2025, 11, 3), 21),
    ):
        close_at = datetime(day.year, day.month, day.day, hour, tzinfo=UTC)
        (expected,) = hourly.filter(pl.col("opened_at") == close_at - timedelta(hours=1))["close"]
        assert query(
            once,
            "SELECT close, price_at, staleness_minutes FROM core.closes "
            "WHERE asset = 'ETH' AND convention = 'session_close' AND session = $1",
            day,
        ) == [(expected, close_at, 0)]


def test_every_published_row_leads_back_to_a_load(once: Path) -> None:
    assert query(once, "SELECT DISTINCT load_id FROM core.closes ANTI JOIN ops.loads USING (load_id)") == []


def test_the_manifest_names_the_universe_and_the_instant(once: Path) -> None:
    said = json.loads((once / "data" / "published" / "latest.json").read_text())
    assert said["run_id"].startswith("20260105T060000")
    assert said["as_of"].startswith("2026-01-05T06:00:00")
    assert said["universe"]["path"] == str(once / "universe.toml")
    assert said["universe"]["fingerprint"] == universe.load(once / "universe.toml").fingerprint


# --- the same again, and revisions ---


def test_a_second_run_changes_not_one_row(folder: Path) -> None:
    before = rows(folder, "raw", "core", "mart")
    landed = bits(folder / "data" / "landing")
    done = go(folder, LATER)
    assert rows(folder, "raw", "core", "mart") == before
    assert {table: done.after[table] for table in before} == {table: done.before[table] for table in before}
    assert query(folder, "SELECT status, count(*) FROM ops.loads GROUP BY ALL ORDER BY ALL") == [
        ("loaded", 5),
        ("unchanged", 5),
    ]
    new = set(bits(folder / "data" / "landing")) - set(landed)
    assert [Path(path).parts[-3] for path in new] == ["ops.loads"]


def test_a_changed_bar_adds_a_version_and_shows_as_a_revision(folder: Path) -> None:
    before = rows(folder, "raw", "core")
    old, new = revise(folder / "rut.csv", date(2025, 10, 8), 0.25)
    done = go(folder, LATER)
    after = rows(folder, "raw", "core")
    assert len(set(after["raw.bars"]) - set(before["raw.bars"])) == 1
    assert set(before["raw.bars"]) <= set(after["raw.bars"])
    opened_at = datetime(2025, 10, 8, 13, 30, tzinfo=UTC)
    assert query(
        folder,
        "SELECT table_name, source, item, about_at, column_name, known_at, old_value, new_value "
        "FROM ops.revisions",
    ) == [("raw.bars", "files:rut.csv", "^RUT 1d", opened_at, "close", done.job.now, old, new)]
    assert query(
        folder, "SELECT DISTINCT close FROM core.closes WHERE asset = 'RUT' AND session = '2025-10-08'"
    ) == [(new,)]
    changed = {row[:3] for row in set(after["core.closes"]) ^ set(before["core.closes"])}
    assert changed == {("RUT", c, date(2025, 10, 8)) for c in ("session_close", "utc_day")}
    assert query(
        folder,
        "SELECT item, status, rows_new, rows_revised FROM ops.loads WHERE status = 'loaded' "
        "AND rows_revised > 0",
    ) == [("^RUT", "loaded", 0, 1)]


@pytest.mark.slow
def test_a_bar_that_is_taken_back_is_a_third_version(folder: Path) -> None:
    before = rows(folder, "core", "mart", leave_out=("load_id",))
    revise(folder / "rut.csv", date(2025, 10, 8), 0.25)
    go(folder, LATER)
    assert rows(folder, "core", "mart", leave_out=("load_id",)) != before
    revise(folder / "rut.csv", date(2025, 10, 8), -0.25)
    go(folder, LATER + timedelta(days=1))
    assert rows(folder, "core", "mart", leave_out=("load_id",)) == before
    assert query(folder, "SELECT count(*) FROM ops.revisions") == [(2,)]


@pytest.mark.slow
def test_a_frozen_day_is_withdrawn_when_the_next_one_comes(home: Path) -> None:
    path = home / "eth_1d.parquet"
    whole = pl.read_parquet(path)
    frozen_day = date(2025, 10, 8)
    wrong = pl.when(pl.col("date") == frozen_day).then(pl.col("close") * 1.1).otherwise("close")
    frozen = whole.with_columns(close=wrong).with_columns(high=pl.max_horizontal("high", "close"))
    frozen.filter(pl.col("date") <= frozen_day).write_parquet(path)
    go(home)
    session = "asset = 'ETH' AND convention = 'utc_day' AND session = '2025-10-08'"
    assert len(query(home, f"FROM core.closes WHERE {session}")) == 1
    frozen.write_parquet(path)
    go(home, LATER)
    assert query(home, f"FROM core.closes WHERE {session}") == []
    assert query(home, "SELECT check_name, item FROM ops.quarantine") == [("close_is_next_open", "ETH-USD")]
    assert query(home, "SELECT count(*) FROM raw.bars WHERE close IS NULL") == [(1,)]
    whole.write_parquet(path)
    go(home, LATER + timedelta(days=2))
    (right,) = whole.filter(pl.col("date") == frozen_day)["close"]
    assert query(home, f"SELECT close FROM core.closes WHERE {session}") == [(right,)]


@pytest.mark.slow
def test_a_part_and_then_the_whole_give_what_the_whole_gives(once: Path, home: Path) -> None:
    go(home, until=date(2025, 9, 30))
    assert query(home, "SELECT max(session) FROM core.returns") == [(date(2025, 9, 30),)]
    go(home, LATER)
    for schema in ("raw", "core", "mart"):
        assert rows(home, schema, leave_out=("load_id",)) == rows(once, schema, leave_out=("load_id",))


@pytest.mark.slow
def test_a_span_is_fetched_with_both_of_its_ends(home: Path) -> None:
    go(home, since=date(2025, 8, 4), until=date(2025, 9, 30))
    assert query(
        home, "SELECT min(opened_at)::DATE, max(opened_at)::DATE FROM raw.bars WHERE symbol = '^RUT'"
    ) == [(date(2025, 8, 4), date(2025, 9, 30))]
    assert query(home, "SELECT min(opened_at), max(opened_at) FROM raw.bars WHERE interval = '1h'") == [
        (datetime(2025, 8, 4, tzinfo=UTC), datetime(2025, 9, 30, 23, tzinfo=UTC))
    ]


# --- the warehouse can be thrown away ---


@pytest.mark.slow
def test_a_rebuild_gives_identical_tables(folder: Path) -> None:
    revise(folder / "rut.csv", date(2025, 10, 8), 0.25)
    go(folder, LATER)
    every = ("raw", "core", "mart", "ops")
    of_the_run = ("built_at", "inputs")  # the instant of the build is among what freshness is made of
    before = rows(folder, *every, leave_out=of_the_run)
    path = folder / "universe.toml"
    now = LATER + timedelta(days=1)
    done = rebuild(Job(universe.load(path), folder / "data", now=now, universe_path=path))
    after = rows(folder, *every, leave_out=of_the_run)
    assert after == before
    assert done.tables == {table: len(found) for table, found in before.items()}
    assert (done.page, done.troubles) == (folder / "data" / "report" / "index.html", [])
    left = {path.name for path in (folder / "data").iterdir()}
    assert left - {"writer.lock"} == {"landing", "published", "report", "warehouse.duckdb"}


def test_a_deleted_warehouse_comes_back_with_the_next_run(folder: Path) -> None:
    before = rows(folder, "raw", "core", "mart")
    (folder / "data" / "warehouse.duckdb").unlink()
    go(folder, LATER)
    assert rows(folder, "raw", "core", "mart") == before
    assert query(folder, "SELECT count(*) FROM ops.loads") == [(10,)]


def test_a_damaged_landed_file_stops_a_rebuild_and_leaves_the_warehouse(folder: Path) -> None:
    (landed,) = (folder / "data" / "landing" / "raw.macro").rglob("*.parquet")
    content = bytearray(landed.read_bytes())
    content[len(content) // 2] ^= 1
    landed.write_bytes(content)
    before = bits(folder / "data" / "warehouse.duckdb", folder / "data" / "published")
    path = folder / "universe.toml"
    with pytest.raises(LandingError, match=landed.name):
        rebuild(Job(universe.load(path), folder / "data", now=LATER, universe_path=path))
    assert bits(folder / "data" / "warehouse.duckdb", folder / "data" / "published") == before


def test_a_rebuild_does_not_take_the_warehouse_from_a_run_that_writes_it(folder: Path) -> None:
    before = bits(folder / "data" / "warehouse.duckdb", folder / "data" / "published")
    path = folder / "universe.toml"
    job = Job(universe.load(path), folder / "data", now=LATER, universe_path=path)
    with one_writer(folder / "data", 0), pytest.raises(LockedError, match="another run is writing to it"):
        rebuild(job)
    assert bits(folder / "data" / "warehouse.duckdb", folder / "data" / "published") == before


def test_a_run_beside_another_run_is_refused(folder: Path) -> None:
    before = bits(folder / "data")
    with one_writer(folder / "data", 0), pytest.raises(LockedError, match="another run is writing to it"):
        go(folder, LATER)
    assert bits(folder / "data") == before


def test_a_run_while_somebody_else_has_the_warehouse_open_is_refused(folder: Path) -> None:
    before = bits(folder / "data" / "published")
    with (
        held_elsewhere(folder / "data" / "warehouse.duckdb"),
        pytest.raises(StoreError, match="another process is writing to it"),
    ):
        go(folder, LATER)
    assert bits(folder / "data" / "published") == before


@pytest.mark.slow
def test_a_run_that_died_before_loading_is_loaded_by_the_next(
    once: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as killed:
        killed.setattr(pipeline, "finish", die)
        with pytest.raises(KeyboardInterrupt):
            go(home)
    (home / "data" / "warehouse.duckdb").unlink()
    go(home, LATER)
    for schema in ("core", "mart"):
        assert rows(home, schema, leave_out=("load_id",)) == rows(once, schema, leave_out=("load_id",))
    assert query(home, "SELECT status, count(*) FROM ops.loads GROUP BY ALL ORDER BY ALL") == [
        ("loaded", 5),
        ("unchanged", 5),
    ]


def test_a_run_that_died_between_rows_and_ledger_leaves_no_row_without_its_load(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as killed:
        killed.setattr(ledger, "land_attempts", die)
        with pytest.raises(KeyboardInterrupt):
            go(home)
    go(home, LATER)
    orphans = "SELECT DISTINCT load_id FROM raw.bars ANTI JOIN ops.loads USING (load_id)"
    assert query(home, orphans) == []


# --- replays ---


@pytest.mark.slow
def test_a_replay_gives_what_was_published_then_and_leaves_the_main_copy(folder: Path) -> None:
    then = rows(folder, "raw", "core", "mart")
    revise(folder / "rut.csv", date(2025, 10, 8), 0.25)
    go(folder, LATER)
    assert rows(folder, "core")["core.closes"] != then["core.closes"]
    main = bits(folder / "data" / "published")
    replay = go(folder, LATER + timedelta(days=1), as_of=NOW + timedelta(minutes=30))
    home = "data/as-of/2026-01-05T063000Z"
    assert replay.publication.folder == folder / home / "published"
    assert rows(folder, "raw", "core", "mart", home=home) == then
    assert query(folder, "SELECT count(*) FROM ops.revisions", home=home) == [(0,)]
    assert bits(folder / "data" / "published") == main
    assert replay.outcomes == []


@pytest.mark.slow
def test_a_replay_of_now_gives_what_is_published_now(folder: Path) -> None:
    revise(folder / "rut.csv", date(2025, 10, 8), 0.25)
    go(folder, LATER)
    for days in (1, 2):  # a replay again takes the place of the one before
        go(folder, LATER + timedelta(days), as_of=LATER + timedelta(minutes=1))
        home = "data/as-of/2026-01-06T060100Z"
        assert rows(folder, "raw", "core", "mart", home=home) == rows(folder, "raw", "core", "mart")


@pytest.mark.slow
def test_a_replay_carries_its_comments_too(folder: Path) -> None:
    go(folder, LATER, as_of=NOW)
    found = query(
        folder,
        "SELECT schema_name || '.' || table_name, comment FROM duckdb_tables()",
        home="data/as-of/2026-01-05T060000Z",
    )
    assert dict(found) == {label: grain(model) for label, model in BY_NAME.items()}


def test_a_replay_of_a_time_before_any_price_is_empty_and_no_error(folder: Path) -> None:
    go(folder, LATER, as_of=datetime(2020, 1, 1, tzinfo=UTC))
    home = "data/as-of/2020-01-01T000000Z"
    assert query(folder, "SELECT count(*) FROM core.closes", home=home) == [(0,)]
    assert query(folder, "SELECT count(*) FROM raw.bars", home=home) == [(0,)]


@pytest.mark.slow
def test_a_replay_in_an_empty_folder_fetches_first(home: Path) -> None:
    done = go(home, as_of=datetime(2025, 10, 8, 23, tzinfo=UTC))
    assert len(done.outcomes) == 5
    replayed = "data/as-of/2025-10-08T230000Z"
    assert query(home, "SELECT max(session) FROM core.returns", home=replayed) == [(date(2025, 10, 8),)]
    assert not (home / "data" / "published").exists()


# --- sources that fail ---


def test_one_failing_source_is_named_and_the_rest_is_published(folder: Path) -> None:
    edit(folder / "universe.toml", ('symbol = "SPY"', 'symbol = "SPX"'))
    done = go(folder, LATER)
    errors = [str(outcome.error) for outcome in done.outcomes if outcome.error]
    assert len(errors) == 1
    assert "spy.csv: has no rows for SPX" in errors[0]
    assert query(
        folder, "SELECT item, status, rows_fetched, error FROM ops.loads WHERE status = 'failed'"
    ) == [("SPX", "failed", 0, errors[0])]
    assert query(folder, "SELECT max(session) FROM core.returns WHERE asset = 'RUT'") == [
        (date(2025, 11, 20),)
    ]


@pytest.mark.slow
def test_half_of_the_pair_is_enough_to_publish_the_rest(home: Path) -> None:
    edit(home / "universe.toml", ('symbol = "^RUT"', 'symbol = "^RUTX"'))
    done = go(home)
    assert [outcome.request.item for outcome in done.outcomes if outcome.error] == ["^RUTX"]
    assert query(home, "SELECT DISTINCT asset FROM core.returns ORDER BY asset") == [("ETH",), ("SPY",)]
    assert query(home, "SELECT count(*) FROM mart.correlations WHERE benchmark = 'RUT'") == [(0,)]


PAIR = [
    ('symbol = "ETHUSDT"', 'symbol = "NONE1"'),
    ('symbol = "ETH-USD"', 'symbol = "NONE2"'),
    ('symbol = "^RUT"', 'symbol = "NONE3"'),
]


def test_without_the_pair_nothing_is_touched(folder: Path) -> None:
    edit(folder / "universe.toml", *PAIR)
    before = bits(folder / "data" / "warehouse.duckdb", folder / "data" / "published")
    with pytest.raises(
        NothingUsableError, match=r"no source of ETH and RUT gave anything.*NONE1.*NONE2.*NONE3"
    ):
        go(folder, LATER)
    assert bits(folder / "data" / "warehouse.duckdb", folder / "data" / "published") == before


def test_the_attempts_without_the_pair_are_in_the_ledger_of_the_next_run(folder: Path) -> None:
    edit(folder / "universe.toml", *PAIR)
    with pytest.raises(NothingUsableError):
        go(folder, LATER)
    edit(folder / "universe.toml", *[(new, old) for old, new in PAIR])
    go(folder, LATER + timedelta(days=1))
    failed = query(folder, "SELECT item FROM ops.loads WHERE status = 'failed' ORDER BY item")
    assert failed == [("NONE1",), ("NONE2",), ("NONE3",)]
    assert query(folder, "SELECT count(*) FROM ops.loads") == [(15,)]


def test_another_symbol_of_the_pairs_file_does_not_stand_in_for_the_pair(folder: Path) -> None:
    both = pl.concat([pl.read_csv(folder / name) for name in ("rut.csv", "spy.csv")], how="diagonal")
    both.write_csv(folder / "rut.csv")
    edit(folder / "universe.toml", *PAIR, ('path = "spy.csv"', 'path = "rut.csv"'))
    before = bits(folder / "data" / "warehouse.duckdb", folder / "data" / "published")
    with pytest.raises(NothingUsableError):
        go(folder, LATER)
    assert bits(folder / "data" / "warehouse.duckdb", folder / "data" / "published") == before


@pytest.mark.slow
def test_a_source_whose_rows_are_all_bad_is_refused_and_its_rows_are_kept(home: Path) -> None:
    pl.read_csv(home / "spy.csv").with_columns(volume=pl.lit(-1.0)).write_csv(home / "spy.csv")
    done = go(home)
    (error,) = [str(outcome.error) for outcome in done.outcomes if outcome.error]
    assert (
        "files:spy.csv SPY: 121 of 121 rows are bad (most fail greater_than_or_equal_to(0), such as" in error
    )
    assert query(home, "SELECT status, rows_quarantined FROM ops.loads WHERE item = 'SPY'") == [
        ("refused", 121)
    ]
    assert query(home, "SELECT count(*), count(DISTINCT row_json) FROM ops.quarantine") == [(121, 121)]
    assert query(home, "SELECT count(*) FROM raw.bars WHERE symbol = 'SPY'") == [(0,)]
    assert query(home, "SELECT max(session) FROM core.returns WHERE asset = 'RUT'") == [(date(2025, 11, 20),)]
    go(home, LATER)
    assert query(home, "SELECT count(*) FROM ops.quarantine") == [(121,)]


@pytest.mark.slow
def test_a_file_with_a_column_of_lists_is_the_failure_of_its_source_alone(home: Path) -> None:
    frame = pl.read_csv(home / "spy.csv", try_parse_dates=True)
    frame.with_columns(close=pl.concat_list("close")).write_parquet(home / "spy.parquet")
    edit(home / "universe.toml", ('path = "spy.csv"', 'path = "spy.parquet"'))
    done = go(home)
    assert [outcome.request.item for outcome in done.outcomes if outcome.error] == ["SPY"]


@pytest.mark.slow
def test_a_file_may_serve_an_asset_and_a_panel(home: Path) -> None:
    path = home / "universe.toml"
    path.write_text(path.read_text() + BREADTH)
    go(home)
    of_key = ", ".join(key(BY_NAME["raw.bars"]))
    assert query(home, f"SELECT {of_key} FROM raw.bars GROUP BY ALL HAVING count(*) > 1") == []
    assert query(home, "SELECT count(*) FROM raw.bars WHERE symbol = 'SPY'") == [(121,)]
    before = rows(home, "raw")
    go(home, LATER)
    assert rows(home, "raw") == before


# --- the samples ---

LINK = """
SELECT round(r, 6) FROM mart.correlations
WHERE asset = 'ETH' AND benchmark = 'RUT' AND convention = $1 AND session = $2 ORDER BY window_sessions
"""


@pytest.fixture(scope="module")
def sample(sample_data: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with closing(connect(sample_data)) as con:
        yield con


@pytest.mark.parametrize(
    ("convention", "session", "expected"),
    [
        ("session_close", date(2025, 10, 8), [0.209706, 0.450847, 0.401870]),
        ("session_close", date(2026, 8, 21), [0.112499, 0.328290, 0.342172]),
        ("utc_day", date(2025, 10, 8), [0.215937, 0.503125, 0.439109]),
    ],
)
def test_the_samples_give_the_reference_figures(
    sample: duckdb.DuckDBPyConnection, convention: str, session: date, expected: list[float]
) -> None:
    found = [r for (r,) in sample.execute(LINK, [convention, session]).fetchall()]
    assert found == pytest.approx(expected, abs=1.01e-6)


@pytest.mark.parametrize(("convention", "per_cent"), [("session_close", 58), ("utc_day", 29)])
def test_the_convention_decides_how_often_the_link_is_above_a_half(
    sample: duckdb.DuckDBPyConnection, convention: str, per_cent: int
) -> None:
    ((share,),) = sample.execute(
        "SELECT 100 * avg((r > 0.5)::INT) FROM mart.correlations WHERE asset = 'ETH' AND benchmark = 'RUT' "
        "AND convention = $1 AND window_sessions = 60 AND year(session) = 2026 AND r IS NOT NULL",
        [convention],
    ).fetchall()
    assert share == pytest.approx(per_cent, abs=1)


def test_five_bars_of_the_samples_are_bad(sample: duckdb.DuckDBPyConnection) -> None:
    found = sample.execute(
        "SELECT item, row_json, check_name FROM ops.quarantine WHERE table_name = 'raw.bars'"
    ).fetchall()
    assert {(item, json.loads(row)["date"], check) for item, row, check in found} == {
        ("^VIX", "2026-05-25", "is_a_session"),
        ("^VIX", "2026-06-19", "is_a_session"),
        ("^VIX", "2026-07-03", "is_a_session"),
        ("HYG", "2026-08-21", "high_is_highest"),
        ("ETH-USD", "2021-11-25", "close_is_next_open"),
    }
    assert len(found) == 5


def test_bars_that_still_ran_when_the_samples_were_recorded_are_not_there(
    sample: duckdb.DuckDBPyConnection,
) -> None:
    found = sample.execute(
        "SELECT symbol, max(opened_at) FROM raw.bars WHERE source LIKE 'files:crypto%' GROUP BY ALL"
    ).fetchall()
    assert dict(found) == {
        "ETHUSDT": datetime(2026, 8, 22, 4, tzinfo=UTC),
        "BTCUSDT": datetime(2026, 8, 22, 4, tzinfo=UTC),
        "ETH-USD": datetime(2026, 8, 20, tzinfo=UTC),
        "BTC-USD": datetime(2026, 8, 20, tzinfo=UTC),
    }
    running = "SELECT sum(rows_running) FROM ops.loads WHERE source LIKE 'files:crypto%'"
    assert sample.execute(running).fetchall() == [(4,)]


def test_new_york_closes_on_a_full_hour_of_four(sample: duckdb.DuckDBPyConnection) -> None:
    found = sample.execute(
        "SELECT hour(close_at), is_early_close, count(*) FROM core.sessions WHERE calendar = 'XNYS' "
        "AND minute(close_at) = 0 AND second(close_at) = 0 GROUP BY ALL"
    ).fetchall()
    hours = {(hour, is_early) for hour, is_early, _ in found}
    assert hours == {(17, True), (18, True), (20, False), (21, False)}
    total = sample.execute("SELECT count(*) FROM core.sessions WHERE calendar = 'XNYS'").fetchall()
    assert total == [(sum(count for *_, count in found),)]


@pytest.mark.parametrize(("asset", "symbol"), [("ETH", "ETHUSDT"), ("BTC", "BTCUSDT")])
def test_a_same_instant_price_is_the_close_of_the_hour_before_the_close(
    sample: duckdb.DuckDBPyConnection, asset: str, symbol: str
) -> None:
    closes = sample.sql(
        "SELECT session, close_at, close, staleness_minutes FROM core.closes JOIN core.sessions s "
        f"USING (session) WHERE s.calendar = 'XNYS' AND asset = '{asset}' AND convention = 'session_close'"
    ).pl()
    hourly = pl.read_parquet(ROOT / "samples" / "crypto_1h.parquet").filter(symbol=symbol)
    joined = closes.join(
        hourly.select(close_at=pl.col("opened_at") + pl.duration(hours=1), direct="close"),
        on="close_at",
        how="left",
    )
    fresh = joined.filter(pl.col("staleness_minutes") == 0)
    assert fresh.height > 1900
    assert fresh.filter(pl.col("close") != pl.col("direct")).is_empty()
    assert fresh["direct"].null_count() == 0
    assert (
        joined.filter(pl.col("staleness_minutes") > 0)["direct"].null_count() == joined.height - fresh.height
    )


def test_the_last_session_of_the_samples_has_its_price(sample: duckdb.DuckDBPyConnection) -> None:
    assert sample.execute("SELECT max(session) FROM core.returns").fetchall() == [(date(2026, 8, 21),)]
