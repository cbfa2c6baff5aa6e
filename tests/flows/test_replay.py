"""The command that shows what was known then, and what was revised since."""

import shutil
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from flows import pipeline, refresh, replay

ROOT = Path(__file__).parents[2]


def call(folder: Path, as_of: str, *flags: str) -> int:
    """The command on the universe and the data of a folder."""
    return replay.main(
        [as_of, "--universe", str(folder / "universe.toml"), "--data", str(folder / "data"), *flags]
    )


def again(folder: Path) -> None:
    """One more run, now."""
    given = ["--runner", "plain", "--universe", str(folder / "universe.toml"), "--data", str(folder / "data")]
    assert refresh.main(given) == 0


def test_the_headline_of_a_day_and_no_revision(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(folder, "2025-10-08T21:00Z") == 0
    said = capsys.readouterr()
    assert "As known at 2025-10-08 21:00 UTC" in said.out
    assert "2025-10-08" in said.out
    assert "2025-10-09" not in said.out
    assert "nothing was revised since" in said.out
    past = folder / "data" / "as-of" / "2025-10-08T210000Z"
    page = past / "report" / "index.html"
    assert said.out.splitlines()[-3:] == [
        f"query:   make sql DATA={past}",
        f"files:   {past / 'published'}",
        f"page:    {page}",
    ]
    assert page.is_file()
    assert said.err == ""


def test_a_page_that_cannot_be_made_is_told(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(home: Path) -> Path:
        raise ValueError(f"no room in {home}")

    monkeypatch.setattr(pipeline, "render", refuse)
    assert call(folder, "2025-10-08T21:00Z") == 0
    said = capsys.readouterr().out
    assert "trouble: the page could not be rendered (ValueError: no room in " in said
    assert "page:  " not in said


@pytest.mark.slow
def test_the_headline_of_the_samples(
    sample_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = shutil.copytree(sample_data, tmp_path / "data")
    given = ["--universe", str(ROOT / "samples" / "universe.toml"), "--data", str(data)]
    assert replay.main(["2025-10-08T21:00Z", *given]) == 0
    lines = capsys.readouterr().out.splitlines()
    (line,) = (line for line in lines if "session_close" in line and "60 sessions" in line)
    assert "2025-10-08" in line
    assert "0.450847" in line


@pytest.mark.slow
def test_what_was_revised_since_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frame = pl.read_csv(folder / "rut.csv", try_parse_dates=True)
    changed = pl.when(pl.col("date") == date(2025, 10, 8)).then(pl.col("close") + 0.25).otherwise("close")
    frame.with_columns(close=changed).write_csv(folder / "rut.csv")
    again(folder)
    capsys.readouterr()
    assert call(folder, "2025-10-08T21:00Z") == 0
    said = capsys.readouterr().out
    assert "Since then revised" in said
    assert "files:rut.csv" in said
    assert "close" in said


def test_an_instant_before_all_is_one_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(folder, "2001-01-01T00:00Z") == 1
    said = capsys.readouterr().err
    assert said.startswith("comove: ")
    assert "no correlation of ETH and RUT was known at 2001-01-01 00:00 UTC" in said
    assert "--universe" in said
    assert said.count("\n") == 1


@pytest.mark.slow
def test_without_a_universe_it_takes_the_one_that_the_folder_was_made_with(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert replay.main(["2025-10-08T21:00Z", "--data", str(folder / "data")]) == 0
    assert "2025-10-08" in capsys.readouterr().out
    assert replay.main(["2025-10-08T21:00Z", "--data", str(folder / "none")]) == 1
    assert "name it with --universe" in capsys.readouterr().err


def test_it_loads_what_was_landed_and_fetches_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "fetched", None)
    (folder / "data" / "warehouse.duckdb").unlink()
    assert call(folder, "2025-10-08T21:00Z") == 0


@pytest.mark.slow
def test_an_offset_is_understood(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(folder, "2025-10-08T17:00-04:00") == 0
    assert "As known at 2025-10-08 21:00 UTC" in capsys.readouterr().out


@pytest.mark.parametrize("as_of", ["2025-10-08", "yesterday", "2025-13-01T00:00Z", "'; DROP TABLE raw.bars"])
def test_what_is_no_instant_is_refused(as_of: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        call(folder, as_of)
    said = capsys.readouterr().err
    assert left.value.code == 2
    assert said.startswith("comove: ")
    assert said.count("\n") == 1


def test_a_bad_universe_is_one_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "universe.toml").write_text("not toml")
    assert call(folder, "2025-10-08T21:00Z") == 2
    assert capsys.readouterr().err.count("\n") == 1
