"""The page in a browser: silent, offline, quick, readable by everyone, in both schemes and on a phone."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.report.conftest import Visit

SECONDS = 2.0


@pytest.mark.parametrize(
    ("width", "scheme"),
    [
        (1280, "light"),
        (390, "dark"),
        pytest.param(1280, "dark", marks=pytest.mark.slow),
        pytest.param(390, "light", marks=pytest.mark.slow),
    ],
)
def test_it_is_silent_and_offline_and_fits(
    visit: Callable[..., "Visit"], sample_page: Path, width: int, scheme: str
) -> None:
    seen = visit(sample_page, width, scheme)
    seen.draw_all()
    assert seen.said == []
    assert seen.asked == [sample_page.as_uri()]
    assert seen.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    assert seen.page.locator(".chart svg").count() == seen.page.locator(".chart").count() > 12


def test_hostile_text_opens_no_dialog_and_asks_for_nothing(
    visit: Callable[..., "Visit"], hostile_page: Path
) -> None:
    seen = visit(hostile_page)
    seen.draw_all()
    for summary in seen.page.locator("summary").all():
        summary.evaluate("summary => summary.parentElement.open = true")
    seen.page.locator(".chart").first.hover()
    seen.page.locator("#all-pairs .chart").hover()
    assert seen.dialogs == []
    assert seen.said == []
    assert seen.asked == [hostile_page.as_uri()]
    assert seen.page.locator("img").count() == 0


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
def test_axe_finds_nothing_serious(visit: Callable[..., "Visit"], sample_page: Path, scheme: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    seen = visit(sample_page, scheme=scheme)
    seen.draw_all()
    for summary in seen.page.locator("summary").all():
        summary.evaluate("summary => summary.parentElement.open = true")
    found = Axe().run(seen.page).response["violations"]
    assert [(one["id"], one["nodes"][0]["html"][:120]) for one in found] == []


def test_the_first_chart_stands_within_two_seconds(visit: Callable[..., "Visit"], sample_page: Path) -> None:
    def seconds() -> float:
        seen = visit(sample_page)
        return float(seen.page.evaluate("performance.now()")) / 1000

    assert any(seconds() < SECONDS for _ in range(3))


def test_the_schemes_differ_and_print_is_light_and_whole(
    visit: Callable[..., "Visit"], sample_page: Path
) -> None:
    paper = "getComputedStyle(document.body).backgroundColor"
    light, dark = visit(sample_page), visit(sample_page, scheme="dark")
    assert light.page.evaluate(paper) != dark.page.evaluate(paper)
    dark.page.emulate_media(media="print")
    assert dark.page.evaluate(paper) == light.page.evaluate(paper)
    assert not dark.page.locator("nav").is_visible()


def test_the_keyboard_reaches_everything(visit: Callable[..., "Visit"], sample_page: Path) -> None:
    page = visit(sample_page).page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.parentElement.open") is True


def test_the_pointer_is_told_the_session_and_its_figures(
    visit: Callable[..., "Visit"], sample_page: Path
) -> None:
    page = visit(sample_page).page
    chart = page.locator("#link .chart.drawn")
    chart.wait_for()
    chart.hover()
    told = page.locator("#tip")
    assert told.is_visible()
    assert told.locator("dt").all_inner_texts() == ["session", "r60", "lower end", "upper end"]
