"""The published file is the same whether all of it was copied or only what changed."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from schemas import BY_NAME, core
from schemas.table import columns, grain
from warehouse import copying
from warehouse.difference import Difference
from warehouse.publish import DATABASE, publish
from warehouse.store import Store

ROWS = 31  # the returns are of the days of a month


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "published"


@pytest.fixture
def publication(built_store: Store, whole: Callable[..., dict], folder: Path) -> Callable[..., list[str]]:
    """Publish some returns; the tables that were copied, those in part with their rows; all in a new file."""

    def made(run_id: str, *log_returns: float) -> list[str]:
        copied: list[str] = []
        change = copying.change

        def told(store: Store, changes: dict[str, Difference | None]) -> None:
            copied.extend(f"{table}: {found.rows}" if found else table for table, found in changes.items())
            change(store, changes)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(copying, "change", told)
            built_store.replace({core.Returns: whole(*log_returns)[core.Returns]})
            publish(built_store, folder, run_id, {})
        return copied or ["all"]

    return made


@pytest.fixture
def changed(monkeypatch: pytest.MonkeyPatch) -> None:
    """However much has changed, it is copied alone."""
    monkeypatch.setattr(copying, "SHARE", 1.0)


def equal(store: Store, folder: Path) -> None:
    """What readers see is what the warehouse holds: rows, comments and views."""
    wanted = store.digests()
    with Store(folder / DATABASE, read_only=True) as copy:
        assert copy.digests() == wanted
        for label in wanted:
            about = copy.con.execute(
                "SELECT comment FROM duckdb_tables() WHERE schema_name || '.' || table_name = $1", [label]
            ).fetchall()
            assert about == [(grain(BY_NAME[label]),)]
            found = copy.con.execute(
                "SELECT column_name, is_nullable, comment FROM duckdb_columns() "
                "WHERE schema_name || '.' || table_name = $1 ORDER BY column_index",
                [label],
            ).fetchall()
            assert found == [(one.name, one.is_nullable, one.comment) for one in columns(BY_NAME[label])]
        views = "SELECT count(*) FROM duckdb_views() WHERE NOT internal"
        assert copy.con.execute(views).fetchall() == store.con.execute(views).fetchall() != [(0,)]


def test_what_did_not_change_is_not_copied_again(
    publication: Callable[..., list[str]], built_store: Store, folder: Path, changed: None
) -> None:
    assert publication("1", 0.25) == ["all"]
    assert publication("2", 0.5, 0.25) == ["core.returns"]
    equal(built_store, folder)


def test_of_a_table_that_changed_a_little_no_more_is_copied(
    publication: Callable[..., list[str]],
    built_store: Store,
    folder: Path,
    changed: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(copying, "GROWTH", 9.0)  # a few rows are less than a block
    publication("1", *[0.25] * ROWS)
    assert publication("2", *[0.25] * 10, 0.5, *[0.25] * 20) == ["core.returns: 1"]
    equal(built_store, folder)
    assert publication("3", *[0.25] * 10, 0.5, *[0.25] * 18) == ["core.returns: 0"]
    equal(built_store, folder)
    assert publication("4", *[0.5] * ROWS) == ["core.returns"]
    equal(built_store, folder)


def test_much_that_changed_makes_a_new_file(
    publication: Callable[..., list[str]], built_store: Store, folder: Path
) -> None:
    publication("1", 0.25)
    assert publication("2", *[0.5] * ROWS) == ["all"]
    equal(built_store, folder)


def broken(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("spoil", [broken, Path.unlink])
def test_a_file_that_is_not_what_was_published_is_no_beginning(
    publication: Callable[..., list[str]],
    built_store: Store,
    folder: Path,
    changed: None,
    spoil: Callable[[Path], None],
) -> None:
    publication("1", 0.25)
    spoil(folder / DATABASE)
    assert publication("2", 0.5) == ["all"]
    equal(built_store, folder)


def test_other_definitions_make_a_new_file(
    publication: Callable[..., list[str]], folder: Path, changed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    publication("1", 0.25)
    monkeypatch.setattr(copying, "definitions", lambda: "other")
    assert publication("2", 0.5) == ["all"]


def test_the_file_does_not_grow(
    publication: Callable[..., list[str]], built_store: Store, folder: Path, changed: None
) -> None:
    publication("0", *[0.25] * ROWS)
    first = (folder / DATABASE).stat().st_size
    for turn in range(1, 9):
        publication(str(turn), *[turn / 100] * ROWS)
        assert (folder / DATABASE).stat().st_size <= copying.GROWTH * first + 2 * 2**18  # a block or two
    equal(built_store, folder)


def test_a_copy_that_cannot_be_written_is_named(
    publication: Callable[..., list[str]],
    built_store: Store,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    publication("1", 0.25)
    refused = pytest.raises(copying.PublishError, match=r"cannot be written .* the publication before stays")
    gone = folder / "gone" / DATABASE
    with refused, copying.one_state(built_store, gone):
        copying.copy_database(built_store, gone, built_store.digests(), folder / DATABASE, {})
    with monkeypatch.context() as patch:
        patch.setattr(copying, "copy_whole", no_space)
        with refused:
            publication("2", *[0.5] * ROWS)
    assert publication("3", *[0.5] * ROWS) == ["all"]
    equal(built_store, folder)


def test_a_reader_that_has_locked_the_file_is_in_nobodys_way(
    publication: Callable[..., list[str]], built_store: Store, folder: Path, changed: None
) -> None:
    publication("1", 0.25)
    holder = f"import duckdb; held = duckdb.connect({str(folder / DATABASE)!r}); print('held'); input()"
    with subprocess.Popen(
        [sys.executable, "-u", "-c", holder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(duckdb.IOException, match="lock"):
            duckdb.connect(str(folder / DATABASE), read_only=True)
        assert publication("2", 0.5) == ["core.returns"]
        other.communicate("\n")
    equal(built_store, folder)


def no_space(store: Store) -> None:
    raise duckdb.IOException("No space")
