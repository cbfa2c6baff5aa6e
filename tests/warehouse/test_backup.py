"""Backup and restore: every landed file, each proved by its hash."""

import hashlib
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from flows import maintain
from schemas import raw
from tests.servers import Bucket
from tests.warehouse.test_compact import WEEK, bars, loaded, multiset, run_id, zone
from warehouse import backup as backups
from warehouse.backup import backup, restore
from warehouse.compact import compact
from warehouse.landing import LandingError, land

__all__ = ["zone"]  # a fixture
NOW = datetime(2026, 3, 15, 6, tzinfo=UTC)


def test_a_backup_holds_every_file_and_a_second_one_copies_nothing(zone: Path, tmp_path: Path) -> None:
    assert backup(zone, str(tmp_path / "backup")) == 7
    assert multiset(tmp_path / "backup") == multiset(zone)
    assert backup(zone, str(tmp_path / "backup")) == 0


def test_a_backup_takes_what_is_new(zone: Path, tmp_path: Path) -> None:
    backup(zone, str(tmp_path / "backup"))
    run = run_id("2026-03-15")
    land(bars(70, 2, run), raw.Bars, "files", run, zone)
    assert backup(zone, str(tmp_path / "backup")) == 1


def test_a_restore_gives_the_landing_zone_back(zone: Path, tmp_path: Path) -> None:
    before, digest = multiset(zone), loaded(tmp_path / "w.duckdb", zone)
    backup(zone, str(tmp_path / "backup"))
    shutil.rmtree(zone)
    assert restore(str(tmp_path / "backup"), zone) == 7
    assert multiset(zone) == before
    assert loaded(tmp_path / "new.duckdb", zone) == digest
    assert restore(str(tmp_path / "backup"), zone) == 0


def test_a_restore_after_a_compaction_doubles_no_row(zone: Path, tmp_path: Path) -> None:
    before = multiset(zone)
    backup(zone, str(tmp_path / "backup"))
    compact(zone, NOW)
    backup(zone, str(tmp_path / "backup"))
    shutil.rmtree(zone)
    restore(str(tmp_path / "backup"), zone)
    assert multiset(zone) == before
    compact(zone, NOW + WEEK)
    assert multiset(zone) == before


def test_a_uri_is_a_place_too(zone: Path, tmp_path: Path) -> None:
    assert backup(zone, f"file://{tmp_path}/there") == 7
    assert multiset(tmp_path / "there") == multiset(zone)


@pytest.mark.slow
def test_a_bucket_is_a_place_too(
    zone: Path, object_store: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in object_store.environment.items():
        monkeypatch.setenv(name, value)
    address = object_store.environment["AWS_ENDPOINT_URL"].removeprefix("http://")
    place = f"{object_store.prefix()}?scheme=http&endpoint_override={address}"
    before = multiset(zone)
    assert (backup(zone, place), backup(zone, place)) == (7, 0)
    shutil.rmtree(zone)
    assert restore(place, zone) == 7
    assert multiset(zone) == before
    with pytest.raises(LandingError, match="holds no backup"):
        restore(place.replace("?", "-other?"), zone)


def test_a_damaged_file_is_not_copied(zone: Path, tmp_path: Path) -> None:
    path = min(zone.rglob("*.parquet"))
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(LandingError, match="nothing was copied"):
        backup(zone, str(tmp_path / "backup"))
    assert not (tmp_path / "backup").exists()


@pytest.mark.parametrize("is_compacted", [False, True])
def test_a_damaged_file_is_brought_back(zone: Path, tmp_path: Path, is_compacted: bool) -> None:
    if is_compacted:
        compact(zone, NOW)
    backup(zone, str(tmp_path / "backup"))
    before, files = multiset(zone), sorted(zone.rglob("*.parquet"))
    for path in files:
        path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert restore(str(tmp_path / "backup"), zone) == len(files)
    assert multiset(zone) == before
    assert restore(str(tmp_path / "backup"), zone) == 0


def test_a_damaged_backup_is_refused(zone: Path, tmp_path: Path) -> None:
    backup(zone, str(tmp_path / "backup"))
    path = min((tmp_path / "backup").rglob("*.parquet"))
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    shutil.rmtree(zone)
    with pytest.raises(LandingError, match=rf"{path.name}: not those that were landed.* other 6 files are"):
        restore(str(tmp_path / "backup"), zone)
    assert len([path for path in zone.rglob("*") if path.is_file()]) == 6  # and all the rest is restored
    assert not list(zone.rglob(path.name))


@pytest.mark.parametrize("label", ["raw.bars/../../evil", "../evil", "raw.bars/files/.evil", "evil"])
def test_a_backup_cannot_write_what_is_no_landed_file(
    label: str, zone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, home = tmp_path / "a" / "b" / "backup", tmp_path / "home" / "data" / "landing"
    sha256 = hashlib.sha256(b"x").hexdigest()
    evil = f"{label}-{sha256}.parquet"
    (place / "raw.bars" / "files").mkdir(parents=True)
    (place / evil).write_bytes(b"x")
    monkeypatch.setattr(backups, "listed", lambda *_: {evil})  # as a bucket may list it
    with pytest.raises(LandingError, match=re.escape(evil)):
        restore(str(place), home)
    assert list((tmp_path / "home").rglob("*.parquet")) == []


def test_what_a_compacted_file_holds_is_not_brought_back(zone: Path, tmp_path: Path) -> None:
    backup(zone, str(tmp_path / "backup"))
    compact(zone, NOW)
    files = sorted(zone.rglob("*.parquet"))
    assert restore(str(tmp_path / "backup"), zone) == 0
    assert sorted(zone.rglob("*.parquet")) == files


@pytest.mark.parametrize("place", ["s3://KEY:TOPSECRET@bucket/x", "nothing://TOPSECRET@bucket/x"])
def test_a_key_in_an_address_is_refused_and_not_repeated(
    place: str, zone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for task in ("backup", "restore"):
        assert maintain.main([task, "--data", str(zone.parent), "--place", place]) == 1
    said = capsys.readouterr().err
    assert "a key in an address is seen by all" in said
    assert "SECRET@" not in said
    pattern = maintain.maintain.parameters.properties["backup_to"]["anyOf"][0]["pattern"]
    assert not re.search(pattern, place)
    assert all(re.search(pattern, good) for good in ("s3://bucket/x", "../backup", "/a/b@c", "gs://b/x@y"))


def test_a_copy_is_durable_before_it_has_its_name(
    zone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    monkeypatch.setattr(backups, "sync", lambda path: synced.append(path.suffix))
    assert backup(zone, str(tmp_path / "backup")) == 7
    assert synced == [backups.PART, ""] * 7  # the file, and when it has its name the folder


def test_a_copy_that_was_cut_short_is_made_again(zone: Path, tmp_path: Path) -> None:
    half = tmp_path / "backup" / "raw.bars" / "files" / f"x.parquet{backups.PART}"
    half.parent.mkdir(parents=True)
    half.write_bytes(b"half")
    assert backup(zone, str(tmp_path / "backup")) == 7
    shutil.rmtree(zone)
    assert restore(str(tmp_path / "backup"), zone) == 7


@pytest.mark.parametrize("place", ["nothing://here", "://"])
def test_a_place_that_is_none_is_refused(place: str, zone: Path) -> None:
    with pytest.raises(LandingError, match="cannot be"):
        backup(zone, place)


def test_a_place_that_is_a_file_is_refused(zone: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(LandingError, match="the landing zone is untouched"):
        backup(zone, str(tmp_path / "file"))


def test_an_empty_backup_is_refused(zone: Path, tmp_path: Path) -> None:
    with pytest.raises(LandingError, match="holds no backup"):
        restore(str(tmp_path / "nowhere"), zone)


def test_the_commands(zone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, place = ["--data", str(zone.parent)], ["--place", str(tmp_path / "backup")]
    assert maintain.main(["backup", *data, *place]) == 0
    shutil.rmtree(zone)
    assert maintain.main(["restore", *data, *place]) == 0
    assert capsys.readouterr().out == "files copied: 7\nfiles restored: 7\n"
    assert maintain.main(["restore", *data, "--place", str(tmp_path / "none")]) == 1
    assert capsys.readouterr().err.startswith("comove: ")
    with pytest.raises(SystemExit) as left:
        maintain.main(["backup", *data])
    assert left.value.code == 2
