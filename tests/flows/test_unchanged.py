"""A recorded file that has not changed is not read again; whatever could say something new is."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from flows import fetching, universe
from flows.job import Job
from flows.pipeline import Run, run
from flows.runners import Plain
from flows.unchanged import NOTE
from schemas import ops
from tests.flows.test_pipeline import edit, revise
from warehouse.store import Store

NOW = datetime(2026, 1, 5, 6, tzinfo=UTC)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that were read, in their order."""
    found: list[str] = []
    fetch = fetching.fetch

    def noted(request: fetching.Request) -> fetching.Answer:
        found.append(request.path.name)
        return fetch(request)

    monkeypatch.setattr(fetching, "fetch", noted)
    return found


def go(home: Path, days: int = 0, **changes: object) -> Run:
    path = home / "universe.toml"
    now = NOW + timedelta(days)
    return run(Job(universe.load(path), home / "data", now=now, universe_path=path, **changes), Plain())


def forget_the_recording(home: Path) -> None:
    text = (home / "universe.toml").read_text()
    (home / "universe.toml").write_text(
        "\n".join(line for line in text.splitlines() if not line.startswith("recorded_at"))
    )


def test_the_second_run_reads_no_file_and_says_so_in_the_ledger(folder: Path, read: list[str]) -> None:
    second = go(folder, 1)
    assert read == []
    assert [outcome.note for outcome in second.outcomes] == [NOTE] * 5
    with Store(folder / "data" / "warehouse.duckdb", read_only=True) as store:
        lines = store.read(ops.Loads).filter(run_id=second.job.run_id)
    assert set(lines["status"]) == {"unchanged"}
    assert lines["rows_fetched"].sum() == 0
    assert lines["answer_sha256"].null_count() == 0


def test_only_the_file_that_changed_is_read_and_every_source_of_its_asset(
    folder: Path, read: list[str]
) -> None:
    revise(folder / "rut.csv", date(2025, 9, 3), 0.25)
    second = go(folder, 1)
    assert read == ["rut.csv"]
    asked = [one.request.load_id for one in second.outcomes]
    assert asked == sorted(asked)  # so that they are told in one order, whatever was read again
    read.clear()
    hours = pl.read_parquet(folder / "eth_1h.parquet")
    hours.head(-1).write_parquet(folder / "eth_1h.parquet")
    go(folder, 2)
    assert sorted(read) == ["eth_1d.parquet", "eth_1h.parquet"]  # the two are compared with each other


@pytest.mark.slow
def test_a_file_that_went_back_to_what_it_said_before_is_read(folder: Path, read: list[str]) -> None:
    old = (folder / "rut.csv").read_bytes()
    revise(folder / "rut.csv", date(2025, 9, 3), 0.25)
    go(folder, 1)
    read.clear()
    (folder / "rut.csv").write_bytes(old)
    third = go(folder, 2)
    assert read == ["rut.csv"]
    assert any(third.before[table] != third.after[table] for table in ("raw.bars", "core.closes"))


@pytest.mark.slow
def test_a_clock_that_went_back_does_not_make_an_old_answer_the_last_one(folder: Path) -> None:
    old = (folder / "rut.csv").read_bytes()
    revise(folder / "rut.csv", date(2025, 9, 3), 0.25)
    back = go(folder, -40)
    (folder / "rut.csv").write_bytes(old)
    again = go(folder, 1)
    assert back.job.run_id > f"{NOW:%Y%m%d}"  # behind the run of the fixture
    assert again.before["core.closes"] == back.after["core.closes"] != again.after["core.closes"]


@pytest.mark.slow
def test_another_range_or_another_reading_is_asked_for(folder: Path, read: list[str]) -> None:
    go(folder, 1, since=date(2025, 9, 1))
    assert sorted(read) == ["eth_1d.parquet", "eth_1h.parquet", "macro.csv", "rut.csv", "spy.csv"]
    read.clear()
    edit(folder / "universe.toml", ("release_lag_days = 1", "release_lag_days = 2"))
    go(folder, 2)
    assert "macro.csv" in read


@pytest.mark.slow
def test_bars_that_were_still_running_are_read_again_when_the_clock_is_the_runs(
    home: Path, read: list[str]
) -> None:
    """The file says nothing of when it was recorded: what is final in it depends on when it is read."""
    forget_the_recording(home)
    newest = pl.read_csv(home / "rut.csv", try_parse_dates=True)["date"].max()
    noon = datetime(newest.year, newest.month, newest.day, 17, tzinfo=UTC) - NOW
    first = go(home, noon / timedelta(days=1))
    running = {o.request.path.name for o in first.outcomes if o.part.running or o.part.bad}
    assert "rut.csv" in running
    read.clear()
    go(home, 1)
    assert running <= set(read)
    read.clear()
    go(home, 2)
    assert read == []


@pytest.mark.slow
def test_rows_that_are_bad_at_any_time_are_not_read_again(folder: Path, read: list[str]) -> None:
    forget_the_recording(folder)
    revise(folder / "rut.csv", date(2025, 9, 3), -1e6)
    first = go(folder, 1)
    assert {one.request.path.name for one in first.outcomes if one.seen and one.seen.bad} == {"rut.csv"}
    read.clear()
    go(folder, 2)
    assert read == []
