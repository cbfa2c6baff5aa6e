"""A lake under several hands: builds are whole, nothing is lost or stored twice, no key is shown."""

import subprocess
import sys
import zlib
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl
import pytest

from flows.ledger import load_landed
from schemas import Table, core, raw
from tests.servers import SECRET, Bucket, Postgres
from tests.warehouse.test_store import NOON, bars
from warehouse import lake as lakes
from warehouse.address import parse
from warehouse.lake import BUCKETS, Lake
from warehouse.landing import land
from warehouse.store import Store, StoreError

Tables = dict[type[Table], pl.DataFrame]
ROOT = Path(__file__).parents[2]
READER = """
import sys
from warehouse.address import parse
con = parse(sys.argv[1]).connect(read_only=True)
def build():
    return con.execute("SELECT count(*), min(log_return), max(log_return) FROM core.returns").fetchall()[0]
seen = {build()}
print("open", flush=True)
while max(seen)[0] < int(sys.argv[2]):
    seen.add(build())
assert all(count == low == high for count, low, high in seen), seen
print(len(seen))
"""
WRITER = """
import sys
from time import sleep
from tests.warehouse.test_store import NOON, bars
from schemas import raw
from warehouse.address import parse
from warehouse.store import Store, StoreError, owners
with Store(parse(sys.argv[1])) as store:
    print("open", flush=True)
    sys.stdin.readline()
    won = 0
    for day in range(1, 11):
        store.append(raw.Bars, bars((sys.argv[2], day, NOON, 1.0)))
        try:
            both = bars(("BOTH", day, NOON, 1.0))
            store.transact(lambda: (store.append(raw.Bars, both), sleep(0.2)), lambda: owners(raw.Bars, both))
            won += 1
        except StoreError as error:
            assert "two rows" in str(error), error
print(won)
"""
LOADER = """
import sys
from pathlib import Path
from flows.ledger import load_landed
from warehouse.address import parse
from warehouse.store import Store
with Store(parse(sys.argv[1])) as store:
    print("open", flush=True)
    sys.stdin.readline()
    load_landed(store, Path(sys.argv[2]))
"""
pytestmark = pytest.mark.usefixtures("extensions")
shared = pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])


def started(script: str, *arguments: str, **more: object) -> subprocess.Popen[str]:
    """A Python process that has the project at hand and a lake open."""
    process = subprocess.Popen(
        [sys.executable, "-c", script, *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True, **more
    )
    assert process.stdout
    assert process.stdout.readline() == "open\n"
    return process


@pytest.mark.slow
def test_readers_see_whole_builds_while_another_process_writes(
    lake_of: Callable[[str], Lake], whole: Callable[..., Tables]
) -> None:
    lake = lake_of("sqlite")
    with Store(lake) as store:
        store.replace(whole(1))
        with started(READER, str(lake), "5") as reader:
            for rows in range(2, 6):
                store.replace(whole(*[rows] * rows))
            said, _ = reader.communicate(timeout=60)
    assert reader.returncode == 0
    assert int(said) >= 2, "the reader saw one build only, so nothing was tried"


@pytest.mark.slow
def test_two_processes_append_at_once_and_nothing_is_lost_or_stored_twice(
    server: Postgres, tmp_path: Path
) -> None:
    words = f"ducklake:postgres:{server.url(server.database())}?data_path={tmp_path / 'files'}"
    with Store(parse(words)):
        pass
    writers = [started(WRITER, words, asset, stdin=subprocess.PIPE) for asset in ("ETH", "BTC")]
    for writer in writers:
        assert writer.stdin
        writer.stdin.write("go\n")
        writer.stdin.flush()
    won = [int(writer.communicate(timeout=120)[0]) for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0]
    assert sum(won) == 10
    with Store(parse(words)) as store:
        found = store.read(raw.Bars).group_by("symbol").agg(pl.col("opened_at").dt.day().sort()).rows()
    assert dict(found) == {name: [*range(1, 11)] for name in ("ETH", "BTC", "BOTH")}


@pytest.mark.slow
def test_two_processes_may_load_one_landing_zone_at_once(server: Postgres, tmp_path: Path) -> None:
    words = f"ducklake:postgres:{server.url(server.database())}?data_path={tmp_path / 'files'}"
    zone = tmp_path / "landing"
    for number in range(12):
        rows = bars((f"S{number % 3}", 1 + number, NOON, 1.0)).with_columns(load_id=pl.lit(str(number)))
        land([rows], raw.Bars, "files", f"2026010{number % 9}T{number:06}Z", zone)
    with Store(parse(words)):
        pass
    loaders = [started(LOADER, words, str(zone), stdin=subprocess.PIPE) for _ in range(2)]
    for loader in loaders:
        assert loader.stdin
        loader.stdin.write("go\n")
        loader.stdin.flush()
    for loader in loaders:
        loader.communicate(timeout=120)
    assert [loader.returncode for loader in loaders] == [0, 0]
    with Store(parse(words)) as store:
        assert load_landed(store, zone) == 0
        counts = store.tables()
        assert sorted(store.read(raw.Bars)["load_id"], key=int) == [str(n) for n in range(12)]
    assert (counts["raw.bars"], counts["ops.landed"], counts["ops.loads"]) == (12, 12, 12)


@pytest.mark.slow
@shared
def test_a_transaction_that_another_was_faster_than_is_run_again_as_a_whole(
    kind: str, lake_of: Callable[[str], Lake], whole: Callable[..., Tables]
) -> None:
    lake, tries = lake_of(kind), []
    with Store(lake) as store:
        store.replace(whole(0.1))

        def write() -> None:
            tries.append(store.read(core.Returns)["log_return"].to_list())
            store.append(raw.Bars, bars(("SPY", len(tries), NOON, 1.0)))
            store.replace(whole(0.3))
            if len(tries) == 1:
                with closing(lake.connect(read_only=False)) as other:
                    other.execute("CREATE OR REPLACE TABLE core.returns AS FROM core.returns WHERE false")

        store.transact(write)
        assert tries == [[0.1], []]
        assert store.read(core.Returns)["log_return"].to_list() == [0.3]
        assert store.read(raw.Bars)["opened_at"].dt.day().to_list() == [2]


def test_a_fault_that_is_no_conflict_is_not_tried_again(lake_of: Callable[[str], Lake]) -> None:
    tries = []
    with Store(lake_of("sqlite")) as store:

        def write() -> None:
            tries.append(1)
            store.con.execute("INSERT INTO raw.bars (source) VALUES (NULL)")

        with pytest.raises(StoreError, match="nothing was written"):
            store.transact(write)
    assert len(tries) == 1


@shared
def test_what_one_holds_another_waits_for_and_then_says_so(
    kind: str, lake_of: Callable[[str], Lake], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lakes, "PATIENCE", 1.0)
    lake = lake_of(kind)
    with closing(lake.connect(read_only=False)) as one, closing(lake.connect(read_only=False)) as two:
        with (
            lake.alone(one, ["ETH", "BTC"]),
            pytest.raises(StoreError, match="another process has been writing to it for 1 s"),
            lake.alone(two, ["SPY", "BTC"]),
        ):
            pass
        with lake.alone(two, ["SPY", "BTC"]):
            pass


@pytest.mark.slow
def test_writers_of_different_assets_do_not_wait_for_each_other(
    lake_of: Callable[[str], Lake], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lakes, "PATIENCE", 1.0)
    lake = lake_of("postgres")
    names = ["ETH", next(n for n in map(str, range(99)) if zlib.crc32(n.encode()) % BUCKETS)]
    assert len({zlib.crc32(name.encode()) % BUCKETS for name in names}) == 2
    with (
        closing(lake.connect(read_only=False)) as one,
        closing(lake.connect(read_only=False)) as two,
        lake.alone(one, names[:1]),
        lake.alone(two, names[1:]),
    ):
        pass


def test_the_build_before_can_be_asked_for_until_it_is_tidied_away(
    lake_of: Callable[[str], Lake], whole: Callable[..., Tables]
) -> None:
    lake = lake_of("sqlite")
    with Store(lake) as store:
        store.replace(whole(0.1))
        first = store.con.execute("SELECT max(snapshot_id) FROM ducklake_snapshots('lake')").fetchall()[0][0]
        store.replace(whole(0.2))
        before = f"SELECT log_return FROM core.returns AT (VERSION => {first})"
        assert store.con.execute(before).fetchall() == [(0.1,)]
        files = set(Path(lake.data_path).rglob("*.parquet"))
        store.tidy(datetime.now(UTC) + timedelta(seconds=1))
        with pytest.raises(duckdb.Error):
            store.con.execute(before)
        assert store.read(core.Returns)["log_return"].to_list() == [0.2]
        assert len(set(Path(lake.data_path).rglob("*.parquet"))) < len(files)


def test_no_error_shows_the_key_of_a_bucket(object_store: Bucket, tmp_path: Path) -> None:
    keys = {**object_store.environment, "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
    words = f"ducklake:sqlite:{tmp_path / 'l.sqlite'}?data_path=s3://nowhere/x"
    lake = parse(words, {**keys, "AWS_SECRET_ACCESS_KEY": "very-secret"}.get)
    assert "very-secret" not in repr(lake)
    with Store(lake) as store:
        store.con.execute("SET http_retries = 0")
        with pytest.raises(StoreError) as caught:
            store.append(raw.Bars, bars(("SPY", 1, NOON, 1.0)))
    assert "very-secret" not in str(caught.value)
    assert "nothing was written" in str(caught.value)


@pytest.mark.slow
def test_the_password_of_a_catalog_is_shown_nowhere(server: Postgres, tmp_path: Path) -> None:
    keywords = server.database()
    lake = parse(f"ducklake:postgres:{server.url(keywords)}?data_path={tmp_path / 'files'}")
    with Store(lake) as store:
        told = store.con.execute("FROM duckdb_databases()").fetchall()
        told += store.con.execute("FROM duckdb_secrets()").fetchall()
        told += store.con.execute("FROM ducklake_options('lake')").fetchall()
    assert SECRET not in f"{lake} {lake!r} {told}"
    wrong = parse(f"ducklake:postgres:{keywords} password=wrong-one?data_path={tmp_path / 'files'}")
    for attempt in (wrong.exists, lambda: Store(wrong)):
        with pytest.raises(StoreError, match="password authentication failed") as caught:
            attempt()
        assert "wrong-one" not in str(caught.value)
        assert "\n" not in str(caught.value)
