"""Readers see one whole generation or the one before; what is published is what the warehouse holds."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import duckdb
import polars as pl
import pytest

from schemas import BY_NAME, Table, core
from schemas.table import columns, grain
from warehouse import publish as publishing
from warehouse.copying import PublishError
from warehouse.publish import GENERATIONS, publish
from warehouse.store import Store

Tables = dict[type[Table], pl.DataFrame]
READ_TWICE = """
import duckdb, sys
with duckdb.connect(sys.argv[1], read_only=True) as con:
    for _ in range(2):
        print(con.execute("SELECT sum(log_return) FROM core.returns").fetchall()[0][0], flush=True)
        sys.stdin.readline()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data" / "published"


@pytest.fixture
def write(built_store: Store, whole: Callable[..., Tables], folder: Path) -> Callable[..., None]:
    """Build these returns and publish them under a run id."""

    def publish_returns(run_id: str, *log_returns: float) -> None:
        built_store.replace({core.Returns: whole(*log_returns)[core.Returns]})
        publish(built_store, folder, run_id, {"as_of": "2025-10-08T12:00:00+00:00"})

    return publish_returns


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def content(folder: Path) -> dict[str, str]:
    """Every published file that is not of a Parquet generation, by its hash."""
    return {path.name: sha256(path) for path in folder.iterdir() if path.is_file()}


def pointer(folder: Path) -> dict[str, object]:
    return json.loads((folder / "latest.json").read_text())


def query(folder: Path, sql: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(folder / "latest.duckdb"), read_only=True) as con:
        return con.execute(sql).fetchall()


def assert_whole(folder: Path) -> None:
    """The pointer names files that exist and are what it says."""
    said = pointer(folder)
    assert sha256(folder / said["database"]["path"]) == said["database"]["sha256"]
    for file in said["tables"].values():
        assert sha256(folder / file["path"]) == file["sha256"]
        assert pl.read_parquet(folder / file["path"]).height == file["rows"]


def test_a_publication_is_a_database_a_pointer_and_parquet(write: Callable[..., None], folder: Path) -> None:
    write("1", 0.25, 0.5)
    assert sorted(path.name for path in folder.iterdir()) == ["latest.duckdb", "latest.json", "run=1"]
    assert query(folder, "SELECT log_return FROM core.returns ORDER BY session") == [(0.25,), (0.5,)]
    assert pl.read_parquet(folder / "run=1" / "core.returns.parquet")["log_return"].to_list() == [0.25, 0.5]


def test_the_pointer_names_every_table_with_its_hash_and_rows(
    write: Callable[..., None], folder: Path
) -> None:
    write("1", 0.25, 0.5)
    said = pointer(folder)
    assert said["run_id"] == "1"
    assert said["as_of"] == "2025-10-08T12:00:00+00:00"
    assert set(said["tables"]) == set(BY_NAME)
    assert said["tables"]["core.returns"]["rows"] == 2
    assert_whole(folder)


def test_the_copy_has_every_table_with_its_comments(write: Callable[..., None], folder: Path) -> None:
    write("1", 0.25)
    tables = dict(query(folder, "SELECT schema_name || '.' || table_name, comment FROM duckdb_tables()"))
    assert tables == {label: grain(model) for label, model in BY_NAME.items()}
    found = query(
        folder, "SELECT schema_name || '.' || table_name, column_name, comment FROM duckdb_columns()"
    )
    comments = {(label, column): comment for label, column, comment in found}
    for label, model in BY_NAME.items():
        assert {c.name: c.comment for c in columns(model)} == {
            c.name: comments[label, c.name] for c in columns(model)
        }


def test_the_copy_has_the_views(write: Callable[..., None], folder: Path) -> None:
    write("1", 0.25)
    found = query(folder, "SELECT view_name, comment FROM duckdb_views() WHERE NOT internal")
    assert "indicators_wide" in dict(found)
    assert all(dict(found).values())
    assert query(folder, "SELECT count(*) FROM mart.indicators_wide") == [(0,)]


def test_the_copy_is_read_only_and_in_a_format_of_older_readers(
    write: Callable[..., None], folder: Path
) -> None:
    write("1", 0.25)
    with duckdb.connect(str(folder / "latest.duckdb"), read_only=True) as con:
        with pytest.raises(duckdb.Error, match="read-only"):
            con.execute("DELETE FROM core.returns")
        tags = con.execute("SELECT tags FROM duckdb_databases() WHERE database_name = 'latest'").fetchall()
    assert tags[0][0]["storage_version"].startswith("v1.4.0")


def test_a_later_publication_takes_the_place_of_the_one_before(
    write: Callable[..., None], folder: Path
) -> None:
    write("1", 0.25)
    write("2", 0.5)
    assert query(folder, "SELECT log_return FROM core.returns") == [(0.5,)]
    assert pointer(folder)["run_id"] == "2"
    assert_whole(folder)


def test_the_last_generations_of_parquet_stay_and_older_ones_go(
    write: Callable[..., None], folder: Path
) -> None:
    for run_id in ("1", "2", "3", "4", "5"):
        write(run_id, 0.25)
    assert sorted(path.name for path in folder.glob("run=*")) == ["run=3", "run=4", "run=5"]
    assert GENERATIONS == 3
    assert_whole(folder)


def test_a_clock_that_went_back_does_not_remove_what_was_just_published(
    write: Callable[..., None], folder: Path
) -> None:
    for run_id in ("20250102", "20250103", "20250104", "20250101"):
        write(run_id, 0.25)
    assert pointer(folder)["run_id"] == "20250101"
    assert_whole(folder)


def test_a_reader_keeps_the_file_that_it_opened(write: Callable[..., None], folder: Path) -> None:
    write("1", 0.25)
    with subprocess.Popen(
        [sys.executable, "-c", READ_TWICE, str(folder / "latest.duckdb")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as reader:
        assert reader.stdout is not None
        assert reader.stdin is not None
        assert reader.stdout.readline() == "0.25\n"
        write("2", 0.5)
        reader.stdin.write("\n")
        reader.stdin.flush()
        assert reader.stdout.readline() == "0.25\n"
        reader.communicate("\n")
    assert reader.returncode == 0
    assert query(folder, "SELECT log_return FROM core.returns") == [(0.5,)]


def test_a_copy_with_a_row_too_few_is_never_seen(
    write: Callable[..., None], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("1", 0.25)
    before = content(folder)
    copy = publishing.copy_database

    def lossy(store: Store, target: Path, *arguments: object) -> dict[str, object]:
        made = copy(store, target, *arguments)
        store.con.execute("DELETE FROM copy_to.core.returns")
        return made

    monkeypatch.setattr(publishing, "copy_database", lossy)
    with pytest.raises(PublishError, match=r"core\.returns has 0 rows in the copy and 1 in the warehouse"):
        write("2", 0.5)
    assert {name: content(folder)[name] for name in before} == before


def test_what_another_writer_does_meanwhile_is_not_published(
    write: Callable[..., None], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = publishing.copy_database

    def disturbed(store: Store, *arguments: object) -> dict[str, object]:
        with store.con.cursor() as other:
            other.execute("UPDATE core.returns SET log_return = 0.5")
        return copy(store, *arguments)

    monkeypatch.setattr(publishing, "copy_database", disturbed)
    write("1", 0.25)
    told = pointer(folder)["tables"]["core.returns"]
    with Store(folder / "latest.duckdb", read_only=True) as published:
        assert published.digests(["core.returns"]) == {"core.returns": told["digest"]}
    exported = duckdb.read_parquet(str(folder / told["path"])).project("log_return").fetchall()
    assert exported == query(folder, "SELECT log_return FROM core.returns") == [(0.25,)]


@pytest.mark.parametrize("step", ["copy_database", "verify", "export", "replace_text"])
def test_a_publication_that_breaks_off_leaves_the_pointer_and_its_files(
    write: Callable[..., None], folder: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    write("1", 0.25)
    before = (folder / "latest.json").read_bytes()

    def refuse(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(publishing, step, refuse)
        with pytest.raises(OSError, match="No space"):
            write("2", 0.5)
    assert (folder / "latest.json").read_bytes() == before
    for file in pointer(folder)["tables"].values():
        assert sha256(folder / file["path"]) == file["sha256"]
    if step != "replace_text":
        assert query(folder, "SELECT log_return FROM core.returns") == [(0.25,)]
    write("3", 0.75)
    assert_whole(folder)
    assert query(folder, "SELECT log_return FROM core.returns") == [(0.75,)]


def test_what_a_killed_run_left_is_swept(write: Callable[..., None], folder: Path) -> None:
    (folder / ".run=0.tmp").mkdir(parents=True)
    (folder / ".run=0.tmp" / "core.returns.parquet").write_bytes(b"half")
    (folder / ".0.duckdb.tmp").write_bytes(b"half")
    (folder / ".latest.json.tmp").write_bytes(b"{")
    write("1", 0.25)
    assert sorted(path.name for path in folder.iterdir()) == ["latest.duckdb", "latest.json", "run=1"]


def test_a_log_beside_the_published_file_stops_the_publication(
    write: Callable[..., None], folder: Path
) -> None:
    write("1", 0.25)
    before = content(folder)
    log = folder / "latest.duckdb.wal"
    log.write_bytes(b"of another file")
    with pytest.raises(PublishError, match=r"latest\.duckdb\.wal.*remove it and run again"):
        write("2", 0.5)
    log.unlink()
    assert {name: content(folder)[name] for name in before} == before


def test_publishing_leaves_no_log_and_no_temporary_file(write: Callable[..., None], folder: Path) -> None:
    write("1", 0.25)
    write("2", 0.5)
    names = [path.name for path in folder.iterdir()]
    assert not [name for name in names if name.endswith((".wal", ".tmp"))]


def test_a_folder_with_a_quote_in_its_name_is_a_folder(built_store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "it's; DROP TABLE x" / "published"
    publish(built_store, folder, "1", {})
    assert_whole(folder)


def test_the_warehouse_can_be_written_after_it_was_published(
    write: Callable[..., None], built_store: Store, whole: Callable[..., Tables], folder: Path
) -> None:
    write("1", 0.25)
    built_store.replace({core.Returns: whole(0.5)[core.Returns]})
    assert query(folder, "SELECT log_return FROM core.returns") == [(0.25,)]


def files(folder: Path, run_id: str, table: str) -> tuple[int, str]:
    """Inode and hash of a table's Parquet file."""
    path = folder / f"run={run_id}" / f"{table}.parquet"
    return path.stat().st_ino, sha256(path)


def test_a_table_with_the_same_rows_is_the_same_file(write: Callable[..., None], folder: Path) -> None:
    write("1", 0.1)
    write("2", 0.2)
    assert files(folder, "1", "core.sessions") == files(folder, "2", "core.sessions")
    assert files(folder, "1", "core.returns")[0] != files(folder, "2", "core.returns")[0]
    assert_whole(folder)


def test_a_broken_file_is_not_published_again(write: Callable[..., None], folder: Path) -> None:
    write("1", 0.1)
    path = folder / "run=1" / "core.sessions.parquet"
    good = path.read_bytes()
    path.write_bytes(good[:40] + bytes([good[40] ^ 1]) + good[41:])
    write("2", 0.1)
    assert files(folder, "2", "core.sessions")[1] == hashlib.sha256(good).hexdigest()
    assert_whole(folder)
