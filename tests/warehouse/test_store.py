"""Nothing is lost, nothing half-written, and a file that cannot serve says why in one line."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path

import duckdb
import polars as pl
import pytest

from schemas import BY_NAME, TABLES, Table, core, mart, ops, raw
from schemas.table import InvalidTableError, columns, grain, polars_schema
from tests.elsewhere import held_elsewhere
from warehouse.definitions import views
from warehouse.lake import Lake
from warehouse.store import Store, StoreError

Tables = dict[type[Table], pl.DataFrame]
Place = Path | Lake
NOON = datetime(2025, 10, 8, 12, tzinfo=UTC)
APPENDED = {
    *(
        f"raw.{word}"
        for word in ("bars", "actions", "macro", "constituents", "market_snapshot", "policy_events")
    ),
    "ops.loads",
    "ops.quarantine",
    "ops.landed",
}
OURS = "database_name = current_database()"
HOSTILE = [
    "'; DROP TABLE raw.bars; --",
    "../../x",
    "<script>alert(1)</script>",
    '"; DELETE FROM raw.bars; --',
    "$1",
    "a\x1fb\nc",
    "Ether 🦄",
]


def bars(*versions: tuple[str, int, datetime, float | None]) -> pl.DataFrame:
    """Bars of (symbol, day of October 2025, known_at, close)."""
    rows = [
        {
            "source": "files:x.csv",
            "symbol": symbol,
            "interval": "1d",
            "opened_at": datetime(2025, 10, day, tzinfo=UTC),
            "known_at": known_at,
            "close": close,
            "is_known_at_assumed": False,
            "load_id": "1",
        }
        for symbol, day, known_at, close in versions
    ]
    return pl.DataFrame(rows, schema=polars_schema(raw.Bars))


def test_a_new_file_has_every_append_only_table_and_no_other(store: Store) -> None:
    assert store.tables() == dict.fromkeys(APPENDED, 0)


def test_what_is_appended_stays_when_the_place_is_opened_again(place: Place) -> None:
    assert not place.exists()
    for day in (1, 2):
        with Store(place) as store:
            store.append(raw.Bars, bars(("SPY", day, NOON, 100.0 + day)))
    assert place.exists()
    with Store(place) as store:
        assert store.read(raw.Bars)["close"].to_list() == [101.0, 102.0]


def test_a_reader_writes_nothing(place: Place) -> None:
    with Store(place) as store:
        store.append(raw.Bars, bars(("SPY", 1, NOON, 100.0)))
    with Store(place, read_only=True) as store:
        assert store.read(raw.Bars)["close"].to_list() == [100.0]
        with pytest.raises(StoreError, match="nothing was written"):
            store.append(raw.Bars, bars(("SPY", 2, NOON, 101.0)))
    with Store(place, read_only=True) as store:
        assert store.tables()["raw.bars"] == 1


def test_a_closed_store_leaves_no_log_beside_it(tmp_path: Path) -> None:
    with Store(tmp_path / "warehouse.duckdb") as store:
        store.append(raw.Bars, bars(("SPY", 1, NOON, 100.0)))
    assert [path.name for path in tmp_path.iterdir()] == ["warehouse.duckdb"]


def test_an_appended_frame_may_have_its_columns_in_any_order(store: Store) -> None:
    frame = bars(("SPY", 1, NOON, 100.0))
    store.append(raw.Bars, frame.select(reversed(frame.columns)))
    assert store.read(raw.Bars).rows() == frame.rows()


def test_an_appended_row_that_breaks_the_contract_is_refused(store: Store) -> None:
    for close in (float("nan"), float("inf"), -1.0):
        with pytest.raises(InvalidTableError, match="close"):
            store.append(raw.Bars, bars(("SPY", 1, NOON, 100.0), ("SPY", 2, NOON, close)))
        assert store.tables()["raw.bars"] == 0


def test_a_version_that_is_stored_already_is_refused(store: Store) -> None:
    store.append(raw.Bars, bars(("SPY", 1, NOON, 100.0)))
    with pytest.raises((StoreError, InvalidTableError), match=r"raw\.bars"):
        store.append(raw.Bars, bars(("SPY", 1, NOON, 101.0)))


def test_values_come_back_as_they_went_in_whatever_they_say(store: Store) -> None:
    store.append(raw.Bars, bars(*((text, 1, NOON, 100.0) for text in HOSTILE)))
    assert store.read(raw.Bars)["symbol"].to_list() == HOSTILE
    assert store.newest(raw.Bars, NOON)["symbol"].sort().to_list() == sorted(HOSTILE)
    assert set(store.tables()) == APPENDED


def test_a_hostile_source_selects_its_own_rows(store: Store) -> None:
    store.append(raw.Bars, bars(("SPY", 1, NOON, 100.0)))
    for text in HOSTILE:
        mine = bars(("SPY", 1, NOON, 100.0)).with_columns(source=pl.lit(text))
        store.append(raw.Bars, mine)
        assert store.versions_of(raw.Bars, mine.select("source", "symbol"))["source"].to_list() == [text]
        assert store.lacking(raw.Bars, mine).is_empty()


def test_the_newest_version_known_by_an_instant_is_in_force(store: Store) -> None:
    later, last = NOON + timedelta(hours=1), NOON + timedelta(hours=2)
    store.append(
        raw.Bars,
        bars(
            ("SPY", 1, NOON, 100.0),
            ("SPY", 1, later, 101.0),
            ("SPY", 1, last, None),
            ("SPY", 2, later, 200.0),
            ("IWM", 1, NOON, 300.0),
        ),
    )

    def closes(at: datetime) -> dict[tuple[str, int], float | None]:
        rows = store.newest(raw.Bars, at).select("symbol", pl.col("opened_at").dt.day(), "close").rows()
        return {(symbol, day): close for symbol, day, close in rows}

    before = NOON - timedelta(microseconds=1)
    assert closes(before) == {}
    assert closes(NOON) == {("SPY", 1): 100.0, ("IWM", 1): 300.0}
    assert closes(later - timedelta(microseconds=1)) == closes(NOON)
    assert closes(later) == {("SPY", 1): 101.0, ("SPY", 2): 200.0, ("IWM", 1): 300.0}
    assert closes(last) == {("SPY", 1): None, ("SPY", 2): 200.0, ("IWM", 1): 300.0}


def test_an_instant_means_the_same_in_every_zone(store: Store) -> None:
    from zoneinfo import ZoneInfo

    store.append(raw.Bars, bars(("SPY", 1, NOON, 100.0)))
    assert store.newest(raw.Bars, NOON.astimezone(ZoneInfo("Asia/Tokyo"))).height == 1
    assert store.newest(raw.Bars, NOON.astimezone(ZoneInfo("Asia/Tokyo")) - timedelta(seconds=1)).height == 0


def test_revised_rows_come_with_every_version_known_by_then(store: Store) -> None:
    later, last = NOON + timedelta(hours=1), NOON + timedelta(hours=2)
    store.append(
        raw.Bars,
        bars(
            ("SPY", 1, NOON, 100.0), ("SPY", 1, later, 101.0), ("SPY", 1, last, 102.0), ("SPY", 2, NOON, 7.0)
        ),
    )
    assert store.revised(raw.Bars, NOON).height == 0
    assert sorted(store.revised(raw.Bars, later)["close"]) == [100.0, 101.0]
    assert sorted(store.revised(raw.Bars, last)["close"]) == [100.0, 101.0, 102.0]


def test_what_was_asked_before_is_no_answer_after_another_version(store: Store) -> None:
    store.append(raw.Bars, bars(("SPY", 1, NOON, 100.0), ("SPY", 2, NOON, 7.0)))
    later = NOON + timedelta(hours=1)
    assert sorted(store.newest(raw.Bars, later)["close"]) == [7.0, 100.0]

    def refused() -> None:
        store.append(raw.Bars, bars(("SPY", 1, later, 101.0)))
        assert sorted(store.newest(raw.Bars, later)["close"]) == [7.0, 101.0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.transact(refused)
    store.append(raw.Bars, bars(("SPY", 2, later, 8.0)))
    assert sorted(store.newest(raw.Bars, later)["close"]) == [8.0, 100.0]
    assert sorted(store.revised(raw.Bars, later)["close"]) == [7.0, 8.0]


def test_a_table_with_one_clock_is_read_up_to_the_instant(store: Store) -> None:
    row = {"source": "coingecko", "captured_at": NOON, "total_market_cap_usd": 1.0, "load_id": "1"}
    store.append(raw.MarketSnapshot, pl.DataFrame([row], schema=polars_schema(raw.MarketSnapshot)))
    assert store.newest(raw.MarketSnapshot, NOON).height == 1
    assert store.newest(raw.MarketSnapshot, NOON - timedelta(days=9)).is_empty()


def test_a_table_that_was_never_written_is_empty(store: Store) -> None:
    assert store.read(core.Returns).schema == pl.Schema(polars_schema(core.Returns))
    assert store.read(core.Returns).is_empty()


def test_frames_come_back_with_the_types_of_the_schema(store: Store) -> None:
    store.append(raw.Bars, bars(("SPY", 1, NOON, 100.0)))
    assert store.read(raw.Bars).schema == pl.Schema(polars_schema(raw.Bars))
    assert store.newest(raw.Bars, NOON).schema == pl.Schema(polars_schema(raw.Bars))


def test_a_build_replaces_whole_tables(store: Store, whole: Callable[..., Tables]) -> None:
    store.replace(whole(0.1, 0.2, 0.3))
    store.replace(whole(0.4))
    assert store.read(core.Returns)["log_return"].to_list() == [0.4]
    assert set(store.tables()) == set(BY_NAME)


def test_a_build_leaves_the_append_only_tables_alone(store: Store, whole: Callable[..., Tables]) -> None:
    store.append(raw.Bars, bars(("SPY", 1, NOON, 100.0)))
    store.replace(whole(0.1))
    assert store.read(raw.Bars)["close"].to_list() == [100.0]


def test_an_invalid_frame_takes_the_whole_build_back(store: Store, whole: Callable[..., Tables]) -> None:
    store.replace(whole(0.1))
    broken = pl.DataFrame(
        [("ETH", "utc_day", date(2025, 10, 1), float("nan"))],
        schema=polars_schema(mart.Normalized),
        orient="row",
    )
    with pytest.raises(InvalidTableError, match=r"mart\.normalized"):
        store.replace({**whole(0.2), mart.Normalized: broken})
    assert store.read(core.Returns)["log_return"].to_list() == [0.1]
    assert set(store.tables()) == set(BY_NAME)


def test_two_rows_with_one_key_take_the_whole_build_back(store: Store, whole: Callable[..., Tables]) -> None:
    store.replace(whole(0.1))
    row = ("ETH", "utc_day", date(2025, 10, 1))
    twice = pl.DataFrame([(*row, 1.0), (*row, 2.0)], schema=polars_schema(mart.Normalized), orient="row")
    with pytest.raises(StoreError, match=r"mart\.normalized: two rows for .*ETH.*utc_day"):
        store.replace({**whole(0.2), mart.Normalized: twice})
    assert store.read(core.Returns)["log_return"].to_list() == [0.1]
    assert store.read(mart.Normalized).is_empty()


def test_a_transaction_is_all_or_nothing(store: Store) -> None:
    class Interrupted(BaseException):
        pass

    def write() -> None:
        with store.transaction():
            store.append(raw.Bars, bars(("SPY", 1, NOON, 100.0)))
            raise Interrupted

    with pytest.raises(Interrupted):
        write()
    assert store.tables()["raw.bars"] == 0
    store.append(raw.Bars, bars(("SPY", 1, NOON, 100.0)))
    assert store.tables()["raw.bars"] == 1


def test_every_table_and_column_carries_its_comment(full: Store) -> None:
    tables = dict(
        full.con.execute(
            f"SELECT schema_name || '.' || table_name, comment FROM duckdb_tables() WHERE {OURS}"
        ).fetchall()
    )
    found = full.con.execute(
        f"SELECT schema_name || '.' || table_name, column_name, comment FROM duckdb_columns() WHERE {OURS}"
    ).fetchall()
    comments = {(label, column): comment for label, column, comment in found}
    assert tables == {label: grain(model) for label, model in BY_NAME.items()}
    for label, model in BY_NAME.items():
        for column in columns(model):
            assert comments[label, column.name] == column.comment


def test_no_table_has_an_index_or_a_key(full: Store) -> None:
    assert full.con.execute(f"FROM duckdb_indexes() WHERE {OURS}").fetchall() == []
    kinds = full.con.execute(
        f"SELECT DISTINCT constraint_type FROM duckdb_constraints() WHERE {OURS}"
    ).fetchall()
    assert set(kinds) <= {("NOT NULL",)}


def test_every_view_can_be_queried_and_says_what_it_is(full: Store) -> None:
    found = dict(
        full.con.execute(
            "SELECT schema_name || '.' || view_name, comment FROM duckdb_views() "
            f"WHERE NOT internal AND {OURS}"
        ).fetchall()
    )
    assert "mart.indicators_wide" in found
    assert set(found) == {view.name for view in views()}
    for view, comment in found.items():
        assert comment
        assert full.con.execute(f"SELECT count(*) FROM {view}").fetchall() == [(0,)]


def test_the_wide_view_has_one_column_an_indicator(store: Store, whole: Callable[..., Tables]) -> None:
    day = date(2025, 10, 1)
    rows = [("ETH", "utc_day", day, "rsi_14", 55.0), ("ETH", "utc_day", day, "sma_20", 2500.0)]
    indicators = pl.DataFrame(rows, schema=polars_schema(mart.Indicators), orient="row")
    store.replace({**whole(), mart.Indicators: indicators})
    assert store.con.execute(
        "SELECT asset, session, rsi_14, sma_20, macd FROM mart.indicators_wide"
    ).fetchall() == [("ETH", day, 55.0, 2500.0, None)]


def test_what_was_written_is_dropped_and_made_anew_in_one_step(
    store: Store, whole: Callable[..., Tables]
) -> None:
    store.append(raw.Bars, bars(("SPY", 1, NOON, 100.0)))
    store.replace(whole(0.1))

    def renew(close: float) -> None:
        store.clear()
        assert set(store.tables()) == APPENDED
        store.append(raw.Bars, bars(("SPY", 2, NOON, close)))
        store.replace(whole(0.2))

    with pytest.raises(InvalidTableError, match="close"):
        store.transact(partial(renew, -1.0))
    assert store.read(raw.Bars)["close"].to_list() == [100.0]
    assert store.read(core.Returns)["log_return"].to_list() == [0.1]
    store.transact(partial(renew, 5.0))
    assert store.read(raw.Bars)["close"].to_list() == [5.0]
    assert store.read(core.Returns)["log_return"].to_list() == [0.2]
    assert set(store.tables()) == set(BY_NAME)


def test_columns_of_another_version_are_a_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    with duckdb.connect(str(path)) as con:
        con.execute("CREATE SCHEMA raw")
        con.execute("CREATE TABLE raw.bars (source VARCHAR, price DOUBLE)")
    with pytest.raises(StoreError, match=r"raw\.bars has the columns of another version; run `make rebuild`"):
        Store(path)
    with duckdb.connect(str(path)) as con:  # the file was let go, and is as it was
        assert len(con.execute("DESCRIBE raw.bars").fetchall()) == 2


def test_a_file_that_another_process_writes_is_a_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    with Store(path) as store:
        store.append(raw.Bars, bars(("SPY", 1, NOON, 100.0)))
    with held_elsewhere(path), pytest.raises(StoreError, match="another process is writing to it") as caught:
        Store(path)
    assert "\n" not in str(caught.value)
    with Store(path) as store:
        assert store.tables()["raw.bars"] == 1


def test_a_file_that_is_no_database_is_a_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    path.write_bytes(b"not a database at all" * 500)
    with pytest.raises(StoreError, match="cannot open it; run `make rebuild`") as caught:
        Store(path)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == b"not a database at all" * 500


def test_a_folder_may_have_any_name(tmp_path: Path) -> None:
    path = tmp_path / "blocks' and locks" / "warehouse.duckdb"
    with Store(path) as store:
        store.append(raw.Bars, bars(("SPY", 1, NOON, 100.0)))
    path.write_bytes(b"not a database at all" * 500)
    with pytest.raises(StoreError, match="cannot open it; run `make rebuild`"):
        Store(path)


@pytest.mark.parametrize(
    "place", [4096 + 20, 8192 + 20, 12288 + 100], ids=["header", "other header", "block"]
)
def test_a_damaged_file_is_to_be_rebuilt_not_waited_for(tmp_path: Path, place: int) -> None:
    path = tmp_path / "warehouse.duckdb"
    with Store(path):
        pass
    content = bytearray(path.read_bytes())
    content[place] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(StoreError, match="cannot open it; run `make rebuild`"):
        Store(path)


def test_a_snapshot_holds_what_was_known_at_an_instant(store: Store, tmp_path: Path) -> None:
    store.append(raw.Bars, bars(("SPY", 1, NOON, 100.0), ("SPY", 1, NOON + timedelta(hours=1), 101.0)))
    landed = pl.DataFrame([("x", "raw.bars", "0", 2)], schema=polars_schema(ops.Landed), orient="row")
    store.append(ops.Landed, landed)
    store.snapshot(tmp_path / "past.duckdb", NOON)
    with Store(tmp_path / "past.duckdb") as past:
        assert past.read(raw.Bars)["close"].to_list() == [100.0]
        assert past.tables()["ops.landed"] == 1
        assert set(past.tables()) == APPENDED
    assert store.tables()["raw.bars"] == 2


def test_a_snapshot_keeps_the_comments(store: Store, tmp_path: Path) -> None:
    store.snapshot(tmp_path / "past.duckdb", NOON)
    with Store(tmp_path / "past.duckdb") as past:
        found = past.con.execute("SELECT schema_name || '.' || table_name, comment FROM duckdb_tables()")
        assert dict(found.fetchall()) == {label: grain(BY_NAME[label]) for label in APPENDED}


def test_tables_are_told_in_the_order_of_the_schemas(full: Store) -> None:
    assert list(full.tables()) == [label for label in BY_NAME if BY_NAME[label] in TABLES]
