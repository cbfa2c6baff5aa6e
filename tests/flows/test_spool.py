"""Answers that wait on disk: nothing is lost, nothing is compared apart that belongs together."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import combinations
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows import spool
from flows.fetching import attempt, fetched
from flows.job import Job
from flows.ledger import Outcome, land, load_landed
from flows.runners import Plain
from flows.sources import Request, SourceError
from flows.spool import Part
from flows.universe import load
from schemas import ops, raw
from warehouse.landing import LandingError
from warehouse.store import Store

NOW = datetime(2026, 3, 20, 22, tzinfo=UTC)
DAYS = ["2026-03-02", "2026-03-03", "2026-03-04", "2026-03-05", "2026-03-06"]


def ask(folder: Path, name: str, symbols: str, *, base: float = 100.0, item: str | None = None) -> Request:
    """A request for a file of bars that is written here; all files carry one source's name."""
    lines = [f"{s},{day},{base + n}" for s in symbols for n, day in enumerate(DAYS)]
    (folder / name).write_text("symbol,date,close\n" + "\n".join(lines) + "\n")
    shared = {"interval": "1d", "calendar": "XNYS", "kind": "stock", "is_recorded": True, "load_id": name}
    return Request(raw.Bars, "files", "files:x.csv", item, NOW, path=folder / name, **shared)


def landed(folder: Path, outcomes: list[Outcome], now: datetime = NOW) -> pl.DataFrame:
    """All versions after landing the outcomes of one more run."""
    with Store(folder / "warehouse.duckdb") as store:
        land(outcomes, store, folder / "landing", f"{now:%H%M}", now)
        load_landed(store, folder / "landing")
        return store.read(raw.Bars).sort("symbol", "opened_at", "known_at")


about = st.frozensets(st.sampled_from("ABCDEFGH").map(lambda symbol: ("x", "1d", symbol)), max_size=3)
parts = st.lists(
    st.builds(Part, st.uuids().map(str), st.integers(0, 30_000), st.just(0), st.just(0), st.just(0), about),
    max_size=8,
)


@given(parts)
def test_parts_about_the_same_lie_in_one_group_and_none_is_lost(some: list[Part]) -> None:
    groups = list(spool.groups(some))
    placed = {part.path: number for number, group in enumerate(groups) for part in group}
    assert sorted(placed) == sorted(part.path for part in some if part.about)
    assert sum(map(len, groups)) == len(placed)
    for one, other in combinations([part for part in some if part.about], 2):
        if one.about & other.about:
            assert placed[one.path] == placed[other.path]


def test_small_groups_land_what_one_group_lands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = {}
    for size in (1, 10**6):
        monkeypatch.setattr(spool, "GROUP", size)
        folder = tmp_path / str(size)
        folder.mkdir()
        first = [ask(folder, "a", "ABC"), ask(folder, "b", "B", base=500, item="B"), ask(folder, "c", "DE")]
        landed(folder, [attempt(one, folder / "landing") for one in first])
        later = [ask(folder, "d", "ABD", base=200), ask(folder, "e", "CE")]
        rows = landed(folder, [attempt(one, folder / "landing") for one in later], NOW + timedelta(hours=1))
        made[size] = rows
        assert len(list((folder / "landing" / "raw.bars" / "files").iterdir())) == 2  # one a run
        assert not (folder / "landing" / spool.FOLDER).exists()
    assert made[1].equals(made[10**6])
    assert made[1].height == 5 * 5 + 3 * 5
    assert 500.0 not in made[1]["close"]  # of two requests that bring a bar the first counts


def test_refused_answers_wait_too_and_hold_no_rows_in_memory(tmp_path: Path) -> None:
    asked = ask(tmp_path, "a", "ABCDEFGHIJ", base=-1000)
    with pytest.raises(SourceError, match="50 of 50 rows are bad") as caught:
        attempt(asked, tmp_path / "landing")
    assert caught.value.batch is None
    landed(tmp_path, [Outcome(asked, NOW, error=caught.value)])
    with Store(tmp_path / "warehouse.duckdb") as store:
        kept = store.read(ops.Quarantine)
        assert kept.height == 50
        again = attempt_refused(replace(asked, load_id="b"), tmp_path)
        land([again], store, tmp_path / "landing", "2300", NOW)
        load_landed(store, tmp_path / "landing")
        assert store.read(ops.Quarantine).height == 50


def attempt_refused(asked: Request, folder: Path) -> Outcome:
    with pytest.raises(SourceError) as caught:
        attempt(asked, folder / "landing")
    return Outcome(asked, NOW, error=caught.value)


def test_parts_of_a_killed_run_are_removed_and_never_landed(tiny_universe: object, tmp_path: Path) -> None:
    universe = load(tiny_universe(tmp_path))  # type: ignore[operator]
    job = Job(universe, tmp_path / "data", now=datetime(2026, 1, 5, 6, tzinfo=UTC))
    leftover = job.zone / spool.FOLDER / "old-0001-rows.tmp"
    leftover.parent.mkdir(parents=True)
    leftover.write_bytes(b"half a part")
    with spool.kept(job.zone):
        assert fetched(job, Plain())
        assert not leftover.exists()
        assert list((job.zone / spool.FOLDER).iterdir())
    assert not (job.zone / spool.FOLDER).exists()


def test_full_disk_is_one_clear_error(tmp_path: Path) -> None:
    zone = tmp_path / "landing"
    zone.mkdir()
    (zone / spool.FOLDER).write_text("in the way")
    with pytest.raises(LandingError, match=r"cannot keep 5 rows of raw\.bars .*; make room and run again"):
        attempt(ask(tmp_path, "a", "A"), zone)
