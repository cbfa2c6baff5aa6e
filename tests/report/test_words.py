"""What the page says of shares and of sources, word for word."""

from datetime import date
from typing import Any

import polars as pl
import pytest

from report import words
from report.figures import claim_figures, interval, share
from report.layout import layout, log_ticks

NAMES = {"RUT": "the Russell 2000", "SPY": "SPDR S&P 500"}


def source(asset: str, **changes: Any) -> dict[str, Any]:
    usual = {"last_session": "2026-01-02", "is_stale": False, "last_load": "loaded"}
    return {"asset": asset, **usual, **changes}


EMPTY = {"last_session": None, "is_stale": True, "last_load": "failed"}


@pytest.mark.parametrize(
    ("part", "whole", "said"),
    [
        (0, 900, "none"),
        (1, 9000, "under 0.1%"),
        (4, 900, "0.4%"),
        (450, 900, "50.0%"),
        (8999, 9000, "over 99.9%"),
        (900, 900, "all"),
    ],
)
def test_a_share_has_one_form(part: int, whole: int, said: str) -> None:
    assert share(part, whole) == said


def test_how_sure_the_data_are_is_one_sentence_about_shares_of_one_form() -> None:
    assert words.sure({"weak": 300, "undetermined": 700}, 0.5) == (
        "The whole interval lay above 0.5 on none of the sessions, below it on 30.0%, and on both sides "
        "of it, undetermined, on 70.0%. "
    )
    assert words.sure({}, 0.5) == ""


def test_sources_that_are_not_as_they_should_be_are_told_by_the_names_of_their_assets() -> None:
    rows = [
        source("SPY", **EMPTY),
        source("RUT", is_stale=True),
        source("RUT", is_stale=True, last_load="failed"),
        source("ETH", last_load="failed"),
        source("ETH"),
    ]
    assert words.freshness(rows, {**NAMES, "ETH": "Ethereum"}) == (
        "Of 5 sources, 1 has brought nothing yet: SPDR S&P 500; 2 are stale: the Russell 2000; "
        "1 failed at the last load: Ethereum"
    )
    assert words.freshness([source("ETH"), source("RUT")], NAMES) == "Every source is fresh"


def test_without_a_headline_it_says_whose_prices_are_missing() -> None:
    both = {"ETH": "Ethereum", "RUT": "the Russell 2000"}
    said = words.not_known([source("ETH"), source("RUT", **EMPTY)], both, by_utc_days=False)
    assert said.startswith("No price of the Russell 2000 was stored yet.")
    few = words.not_known([source("ETH"), source("RUT")], both, by_utc_days=False)
    assert few.startswith("There are fewer joint sessions")
    other = words.not_known([source("ETH"), source("RUT")], both, by_utc_days=True)
    assert other.startswith("By UTC days their correlation is known")


@pytest.mark.parametrize(
    ("low", "high", "form", "said"),
    [
        (-0.2, 0.4, ".2f", "[\N{MINUS SIGN}0.20,\N{NO-BREAK SPACE}0.40]"),
        (-0.00049, 0.184, ".2f", "[\N{MINUS SIGN}0.0005,\N{NO-BREAK SPACE}0.18]"),
        (-0.00049, 0.184, ".1%", "[\N{MINUS SIGN}0.05%,\N{NO-BREAK SPACE}18.4%]"),
        (0.0, 0.004, ".2f", "[0.00,\N{NO-BREAK SPACE}0.004]"),
        (-1e-9, 0.0, ".2f", "[0.000000,\N{NO-BREAK SPACE}0.00]"),
        (None, None, ".2f", "[not known,\N{NO-BREAK SPACE}not known]"),
    ],
)
def test_an_end_of_an_interval_that_is_not_0_is_not_told_as_0(
    low: float | None, high: float | None, form: str, said: str
) -> None:
    assert interval({"lo95": low, "hi95": high}, form) == said


def test_a_claim_about_returns_is_told_in_percent_and_one_about_a_correlation_is_not() -> None:
    row = {"figure": 0.0918, "lo95": -0.00049, "hi95": 0.184, "unit": "difference of 20-session log returns"}
    assert claim_figures(row) == ("9.2%", "[\N{MINUS SIGN}0.05%,\N{NO-BREAK SPACE}18.4%]")
    assert claim_figures({**row, "unit": "correlation"}) == (
        "0.09",
        "[\N{MINUS SIGN}0.0005,\N{NO-BREAK SPACE}0.18]",
    )
    assert claim_figures({"figure": 58.3, "lo95": None, "hi95": None, "unit": "percent"}) == ("58.30", "")


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (20, 300, (20, 50, 100, 200)),
        (95, 112, (95, 100, 105, 110)),
        (8, 11_000, (10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)),
        (99.97, 100.02, (99.97, 99.98, 99.99, 100.0, 100.01, 100.02)),
        (100, 100, (100,)),
    ],
)
def test_ticks_are_round_and_lie_between_the_ends(low: float, high: float, ticks: tuple[float, ...]) -> None:
    assert log_ticks(low, high) == ticks


@pytest.mark.parametrize(
    ("ends", "rises"), [((104, 103), (-12, 18)), ((103, 104), (18, -12)), ((150, 100), (-12, -12))]
)
def test_labels_of_lines_that_end_close_together_do_not_touch(
    ends: tuple[float, float], rises: tuple[int, int]
) -> None:
    days = [date(2026, 1, 1), date(2026, 1, 2), date(2026, 1, 5)]
    rows = {"session": days, "target": [100.0, 150.0, ends[0]], "benchmark": [100.0, 95.0, ends[1]]}
    assert layout(pl.DataFrame(rows))[1] == rises


def test_what_changed_is_told_by_when_it_did() -> None:
    def change(what: str, newest: int, before: int) -> dict[str, Any]:
        days = {"session": date(2026, 1, newest), "session_before": date(2026, 1, before)}
        return {"what": what, "before": "weak", "after": "strong", **days}

    clocks = {"session_close": "New York close", "utc_day": "midnight UTC"}
    rows = [
        change("condition: volume", 8, 7),
        change("signal state", 9, 8),
        change("verdict of 30 sessions, session_close", 8, 7),
        change("verdict of 60 sessions, utc_day", 7, 5),
    ]
    assert [
        (when, [row["what"] for row in told]) for when, told in words.changes(rows, date(2026, 1, 8), clocks)
    ] == [
        ("Changed on 7 January 2026 since 5 January 2026", ["verdict of 60 sessions, midnight UTC"]),
        ("Changed since 7 January 2026", ["condition volume", "verdict of 30 sessions, New York close"]),
        ("Since then, on 9 January 2026, without a correlation", ["signal state"]),
    ]
    assert words.changes([], date(2026, 1, 8), clocks) == [("Nothing changed", [])]
