"""What is landed comes back byte for byte, or its file is named; a full disk leaves nothing behind."""

import errno
import hashlib
import subprocess
import sys
import tempfile
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from schemas import core, raw
from schemas.table import polars_schema
from warehouse import landing
from warehouse.landing import Landed, LandingError, land, landed, read

ROOT = Path(__file__).parents[2]
INSTANTS = st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
FIGURES = st.none() | st.floats(allow_nan=False, width=64)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
MACRO = st.fixed_dictionaries(
    {
        "source": TEXT,
        "series_id": TEXT,
        "observed_on": st.dates(date(1900, 1, 1), date(2200, 1, 1)),
        "known_at": INSTANTS,
        "value": FIGURES,
        "available_at": INSTANTS,
        "is_known_at_assumed": st.booleans(),
        "load_id": TEXT,
    }
)
FILL_THE_DISK = """
import os, resource, sys
from pathlib import Path
import polars as pl
from schemas import raw
from schemas.table import polars_schema
from warehouse.landing import LandingError, land

zone = Path(sys.argv[1])
names = [os.urandom(32).hex() for _ in range(20000)]
shape = polars_schema(raw.Macro)
frame = pl.DataFrame({c: names if shape[c] == pl.String else [None] * 20000 for c in shape})
resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))
try:
    land(frame, raw.Macro, "fred", "run-2", zone)
except LandingError as error:
    sys.exit(f"refused: {error}")
"""


def macro(value: float = 1.0) -> pl.DataFrame:
    at = datetime(2025, 10, 8, 20, tzinfo=UTC)
    row = ("fred", "WALCL", date(2025, 10, 8), at, value, at, True, "1")
    return pl.DataFrame([row], schema=polars_schema(raw.Macro), orient="row")


def files(zone: Path) -> list[str]:
    return sorted(str(path.relative_to(zone)) for path in zone.rglob("*") if path.is_file())


@settings(deadline=None, max_examples=40)
@given(rows=st.lists(MACRO, max_size=8))
def test_every_frame_comes_back_as_it_was_landed(rows: list[dict[str, object]]) -> None:
    frame = pl.DataFrame(rows, schema=polars_schema(raw.Macro))
    with tempfile.TemporaryDirectory() as folder:
        zone = Path(folder)
        land(frame, raw.Macro, "fred", "run", zone)
        (file,) = landed(zone)
        assert file.model is raw.Macro
        assert_frame_equal(read(file, zone), frame, check_exact=True)


def test_the_name_tells_table_provider_run_and_hash(tmp_path: Path) -> None:
    path = land(macro(), raw.Macro, "fred", "20251008T200000Z", tmp_path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert path == tmp_path / "raw.macro" / "fred" / f"20251008T200000Z-{digest}.parquet"
    assert files(tmp_path) == [f"raw.macro/fred/20251008T200000Z-{digest}.parquet"]
    assert list(landed(tmp_path)) == [Landed(files(tmp_path)[0], raw.Macro, digest)]


def test_files_come_in_the_order_of_the_runs_whatever_their_table(tmp_path: Path) -> None:
    for run_id, model, provider in (
        ("20250103", raw.Macro, "fred"),
        ("20250101", raw.Macro, "files"),
        ("20250102", core.Returns, "comove"),
    ):
        land(pl.DataFrame(schema=polars_schema(model)), model, provider, run_id, tmp_path)
    assert [Path(file.path).name[:8] for file in landed(tmp_path)] == ["20250101", "20250102", "20250103"]


def test_landing_the_same_rows_twice_in_one_run_is_one_file(tmp_path: Path) -> None:
    assert land(macro(), raw.Macro, "fred", "1", tmp_path) == land(macro(), raw.Macro, "fred", "1", tmp_path)
    assert len(files(tmp_path)) == 1


def test_a_landed_file_is_never_overwritten_by_other_rows(tmp_path: Path) -> None:
    first = land(macro(1.0), raw.Macro, "fred", "1", tmp_path)
    before = first.read_bytes()
    land(macro(2.0), raw.Macro, "fred", "1", tmp_path)
    assert first.read_bytes() == before
    assert len(files(tmp_path)) == 2


@pytest.mark.parametrize("place", [0, 40, -1], ids=["first", "in the middle", "last"])
def test_a_flipped_byte_is_found_and_its_file_named(tmp_path: Path, place: int) -> None:
    path = land(macro(), raw.Macro, "fred", "1", tmp_path)
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    (file,) = landed(tmp_path)
    with pytest.raises(LandingError) as caught:
        read(file, tmp_path)
    assert str(path) in str(caught.value)
    assert hashlib.sha256(content).hexdigest()[:12] in str(caught.value)


def test_a_cut_file_is_found_and_named(tmp_path: Path) -> None:
    path = land(macro(), raw.Macro, "fred", "1", tmp_path)
    path.write_bytes(path.read_bytes()[:-100])
    (file,) = landed(tmp_path)
    with pytest.raises(LandingError, match=path.name):
        read(file, tmp_path)


def test_a_folder_that_is_no_table_is_named(tmp_path: Path) -> None:
    stray = tmp_path / "raw.barz" / "files" / "1-abc.parquet"
    stray.parent.mkdir(parents=True)
    stray.touch()
    with pytest.raises(LandingError, match=r"no table is called raw\.barz"):
        list(landed(tmp_path))


def test_a_file_without_a_hash_in_its_name_is_not_believed(tmp_path: Path) -> None:
    path = land(macro(), raw.Macro, "fred", "1", tmp_path)
    stray = path.replace(path.with_name("mine.parquet"))
    (file,) = landed(tmp_path)
    with pytest.raises(LandingError, match=str(stray)):
        read(file, tmp_path)


def test_leftovers_of_a_killed_run_are_no_files_and_are_swept(tmp_path: Path) -> None:
    path = land(macro(), raw.Macro, "fred", "1", tmp_path)
    leftover = path.with_name(".2.tmp")
    leftover.write_bytes(b"half a file")
    assert len(list(landed(tmp_path))) == 1
    landing.sweep(tmp_path)
    assert not leftover.exists()
    assert path.exists()


def test_an_empty_zone_has_no_files(tmp_path: Path) -> None:
    assert list(landed(tmp_path / "nothing")) == []
    landing.sweep(tmp_path / "nothing")


def test_no_space_is_one_clear_error_and_nothing_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = land(macro(), raw.Macro, "fred", "1", tmp_path)
    before = kept.read_bytes()

    def half_a_file(frames: object, path: Path, marks: object) -> None:
        path.write_bytes(b"PAR1 half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(landing, "write", half_a_file)
    with pytest.raises(LandingError, match=r"cannot land rows of raw\.macro .*No space left on device"):
        land(macro(2.0), raw.Macro, "fred", "2", tmp_path)
    assert files(tmp_path) == [str(kept.relative_to(tmp_path))]
    assert kept.read_bytes() == before


def test_no_space_for_a_folder_is_the_same_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, **options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(LandingError, match="No space left on device"):
        land(macro(), raw.Macro, "fred", "1", tmp_path)


def test_a_sync_that_fails_is_no_landing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(landing, "sync", refuse)
    with pytest.raises(LandingError, match="Input/output error"):
        land(macro(), raw.Macro, "fred", "1", tmp_path)
    assert files(tmp_path) == []


def test_a_file_that_may_not_grow_leaves_nothing_behind(tmp_path: Path) -> None:
    kept = land(macro(), raw.Macro, "fred", "run-1", tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", FILL_THE_DISK, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "refused: " in done.stderr
    assert "cannot land rows of raw.macro" in done.stderr
    assert "Traceback" not in done.stderr
    assert files(tmp_path) == [str(kept.relative_to(tmp_path))]
