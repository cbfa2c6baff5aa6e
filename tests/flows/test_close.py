"""When today's session is final: holidays, early closes, daylight saving, and the late prices of the VIX."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from prefect.client.schemas.objects import State, StateType
from prefect.runtime import flow_run

from flows import close as closing
from flows import universe
from flows.close import final_on_day_of
from flows.fetching import NothingUsableError
from flows.lock import LockedError
from flows.universe import Universe

VIX = """
[[asset]]
id = "VIX"
name = "VIX"
kind = "volatility"
sources = [{ provider = "files", path = "rut.csv", symbol = "^VIX", interval = "1d" }]
"""
SLOW = """
[[asset]]
id = "IWM"
name = "IWM"
kind = "etf"
sources = [{ provider = "files", path = "spy.csv", symbol = "IWM", interval = "1d", settle_minutes = 90 }]
"""


@pytest.fixture
def load(tiny_universe: Callable[[Path], Path], tmp_path: Path) -> Callable[[str], Universe]:
    """The tiny universe with further blocks."""
    path = tiny_universe(tmp_path / "home")

    def make(more: str = "") -> Universe:
        path.write_text(path.read_text() + more)
        return universe.load(path)

    return make


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "final"),
    [
        ("2025-10-08T20:35", "2025-10-08T20:30"),  # summer: 16:00 in New York is 20:00
        ("2025-12-10T21:35", "2025-12-10T21:30"),  # winter: 21:00
        ("2025-10-31T20:35", "2025-10-31T20:30"),  # the last Friday of summer time
        ("2025-11-03T21:35", "2025-11-03T21:30"),  # the Monday after
        ("2025-03-07T21:35", "2025-03-07T21:30"),  # the last Friday of winter time
        ("2025-03-10T20:35", "2025-03-10T20:30"),
        ("2025-11-28T21:35", "2025-11-28T18:30"),  # the day after Thanksgiving closes at 13:00
        ("2025-07-03T20:35", "2025-07-03T17:30"),  # an early close in summer
        ("2025-10-09T01:00", "2025-10-08T20:30"),  # still the 8th in New York
        ("2025-10-08T04:30", "2025-10-08T20:30"),  # already the 8th there: to be waited for
    ],
)
def test_a_session_is_final_half_an_hour_after_its_close(
    now: str, final: str, load: Callable[[str], Universe]
) -> None:
    assert final_on_day_of(load(""), at(now)) == at(final)


@pytest.mark.parametrize(
    "now",
    [
        "2025-11-27T21:35",  # Thanksgiving
        "2025-12-25T21:35",
        "2026-01-01T21:35",  # across the year's end
        "2025-10-11T20:35",  # a Saturday
        "2025-01-09T21:35",  # the national day of mourning for a president
        "2025-10-13T03:59",  # Monday in UTC, Sunday in New York
    ],
)
def test_a_day_without_a_session_has_no_end(now: str, load: Callable[[str], Universe]) -> None:
    assert final_on_day_of(load(""), at(now)) is None


def test_the_vix_is_waited_for(load: Callable[[str], Universe]) -> None:
    watched = load(VIX)
    assert final_on_day_of(watched, at("2025-10-08T20:35")) == at("2025-10-08T20:45")
    assert final_on_day_of(watched, at("2025-11-28T18:35")) == at("2025-11-28T18:45")


def test_the_longest_settling_delay_is_waited_for(load: Callable[[str], Universe]) -> None:
    assert final_on_day_of(load(VIX + SLOW), at("2025-10-08T20:35")) == at("2025-10-08T21:30")


ASKED = ((Path("u.toml"), Path("d")), {"wait": 7.0, "warehouse": None})
Close = Callable[..., tuple[State[Any], list[object]]]


class Clock(datetime):
    """A clock that stands still."""

    moment: datetime

    @classmethod
    def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
        return cls.moment


@pytest.fixture
def close(load: Callable[[str], Universe], monkeypatch: pytest.MonkeyPatch) -> Close:
    """The flow at an instant, scheduled for another; gives its state, and what it slept and asked for."""
    monkeypatch.setattr(closing, "datetime", Clock)
    watched = load("")
    monkeypatch.setattr(closing.universes, "load", lambda _: watched)

    def run(scheduled: str, now: str, *errors: Exception) -> tuple[State[Any], list[object]]:
        did, failures = [], list(errors)

        def refresh(*given: object, **named: object) -> None:
            did.append((given, named))
            if failures:
                raise failures.pop(0)

        Clock.moment = at(now)
        monkeypatch.setattr(closing, "flow_run", SimpleNamespace(scheduled_start_time=at(scheduled)))
        monkeypatch.setattr(closing.time, "sleep", did.append)
        monkeypatch.setattr(closing, "refresh", refresh)
        return closing.close.fn(Path("u.toml"), Path("d"), 7.0), did

    return run


@pytest.mark.parametrize(
    ("scheduled", "now", "name", "did"),
    [
        ("2025-11-27T21:35", "2025-11-27T21:35", "NoSession", []),
        ("2025-10-08T20:20", "2025-10-08T20:20", "Completed", [600.0, ASKED]),
        ("2025-10-08T20:35", "2025-10-08T20:35", "Completed", [0.0, ASKED]),
        ("2025-10-10T20:35", "2025-10-11T15:00", "Completed", [0.0, ASKED]),  # Friday's, on Saturday
        ("2025-10-06T20:35", "2025-10-07T06:00", "Completed", [0.0, ASKED]),  # Monday's, on Tuesday at 2:00
        ("2025-11-27T21:35", "2025-11-28T15:00", "NoSession", []),  # Thanksgiving's, on the Friday after
    ],
)
def test_the_flow_waits_refreshes_and_says_how_it_ended(
    scheduled: str, now: str, name: str, did: list[object], close: Close
) -> None:
    state, found = close(scheduled, now)
    assert (state.type, state.name, found) == (StateType.COMPLETED, name, did)


DOWN, LOCKED = NothingUsableError("no source of the pair"), LockedError("another run")


def test_what_may_heal_is_tried_again(close: Close) -> None:
    state, did = close("2025-10-08T20:35", "2025-10-08T20:35", DOWN, LOCKED)
    assert (state.name, did) == ("Completed", [0.0, ASKED, 900.0, ASKED, 900.0, ASKED])


@pytest.mark.parametrize("errors", [[DOWN] * 4, [ValueError("a bug")]])
def test_what_does_not_heal_fails(errors: list[Exception], close: Close) -> None:
    with pytest.raises(type(errors[0])):
        close("2025-10-08T20:35", "2025-10-08T20:35", *errors)


def test_without_a_schedule_the_day_is_today() -> None:
    assert abs(datetime.now(UTC) - flow_run.scheduled_start_time) < timedelta(minutes=1)
