"""When today's session is final: holidays, early closes, daylight saving, and the late prices of the VIX."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prefect.client.schemas.objects import StateType

from flows import close as closing
from flows import universe
from flows.close import final_today
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
    assert final_today(load(""), at(now)) == at(final)


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
    assert final_today(load(""), at(now)) is None


def test_the_vix_is_waited_for(load: Callable[[str], Universe]) -> None:
    watched = load(VIX)
    assert final_today(watched, at("2025-10-08T20:35")) == at("2025-10-08T20:45")
    assert final_today(watched, at("2025-11-28T18:35")) == at("2025-11-28T18:45")


def test_the_longest_settling_delay_is_waited_for(load: Callable[[str], Universe]) -> None:
    assert final_today(load(VIX + SLOW), at("2025-10-08T20:35")) == at("2025-10-08T21:30")


class Clock(datetime):
    """A clock that stands still."""

    moment: datetime

    @classmethod
    def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
        return cls.moment


@pytest.mark.parametrize(
    ("now", "waits", "name"),
    [
        ("2025-11-27T21:35", [], "NoSession"),
        ("2025-10-08T20:20", [600.0], "Completed"),
        ("2025-10-08T20:35", [0.0], "Completed"),
    ],
)
def test_the_flow_waits_refreshes_and_says_how_it_ended(
    now: str, waits: list[float], name: str, load: Callable[[str], Universe], monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    asked: list[object] = []
    watched = load("")
    Clock.moment = at(now)
    monkeypatch.setattr(closing, "datetime", Clock)
    monkeypatch.setattr(closing.time, "sleep", slept.append)
    monkeypatch.setattr(closing, "refresh", lambda *given, **named: asked.append((given, named)))
    monkeypatch.setattr(closing.universes, "load", lambda _: watched)
    state = closing.close.fn(Path("u.toml"), Path("d"), 7.0)
    assert (state.type, state.name, slept) == (StateType.COMPLETED, name, waits)
    assert asked == [((Path("u.toml"), Path("d")), {"wait": 7.0, "warehouse": None})] * len(waits)
