"""Stored sessions stand in for the library's, for as long as it would make the same."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from flows import build_cache, calendars
from flows.build_cache import basis
from schemas import core, ops
from schemas.table import polars_schema
from warehouse.store import Store

CALENDARS = ("24/7", "XNYS")
UNIVERSE = "its fingerprint"
from_library = calendars.made.__wrapped__


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """What the library is asked for; nothing is remembered yet."""
    asked: list[tuple[object, ...]] = []

    def told(*arguments: object) -> pl.DataFrame:
        asked.append(arguments)
        return from_library(*arguments)

    monkeypatch.setattr(calendars, "made", told)
    monkeypatch.setattr(calendars, "_made_before", {})
    return asked


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A warehouse with two calendars of three years, as a build leaves them."""
    with Store(tmp_path / "warehouse.duckdb") as opened:
        opened.replace({core.Sessions: pl.concat(from_library(label, 2023, 2025) for label in CALENDARS)})
        digest = opened.digests(["core.sessions"])["core.sessions"]
        row = ("core.sessions", basis(UNIVERSE), "", digest, datetime(2026, 1, 5, tzinfo=UTC))
        opened.replace({ops.Built: pl.DataFrame([row], schema=polars_schema(ops.Built), orient="row")})
        yield opened


@pytest.mark.parametrize("label", CALENDARS)
@pytest.mark.parametrize("years", [(2023, 2025), (2024, 2024), (2024, 2025)])
def test_stored_sessions_are_those_that_the_library_would_make(
    store: Store, asked: list[tuple[object, ...]], label: str, years: tuple[int, int]
) -> None:
    calendars.remember(store, UNIVERSE)
    assert_frame_equal(calendars.sessions(label, *years), from_library(label, *years))
    assert asked == []


@pytest.mark.parametrize("question", [("XNYS", 2022, 2025), ("XNYS", 2024, 2026), ("XLON", 2024, 2024)])
def test_other_years_and_other_calendars_are_asked_for(
    store: Store, asked: list[tuple[object, ...]], question: tuple[str, int, int]
) -> None:
    calendars.remember(store, UNIVERSE)
    assert_frame_equal(calendars.sessions(*question), from_library(*question))
    assert asked == [question]


def test_sessions_that_somebody_changed_are_not_believed(
    store: Store, asked: list[tuple[object, ...]]
) -> None:
    store.con.execute("DELETE FROM core.sessions WHERE session = '2024-07-05'")
    calendars.remember(store, UNIVERSE)
    assert_frame_equal(calendars.sessions("XNYS", 2024, 2024), from_library("XNYS", 2024, 2024))


def test_sessions_of_another_library_or_universe_are_not_believed(
    store: Store, asked: list[tuple[object, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    calendars.remember(store, "another")
    monkeypatch.setattr(build_cache, "code", lambda: "another version")
    calendars.remember(store, UNIVERSE)
    calendars.sessions("XNYS", 2024, 2024)
    assert asked == [("XNYS", 2024, 2024)]
