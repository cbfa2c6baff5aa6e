"""What the page says of shares and of sources, word for word."""

from typing import Any

import pytest

from report import words

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
    assert words.share(part, whole) == said


def test_how_sure_the_data_are_is_one_sentence_about_shares_of_one_form() -> None:
    assert words.sure({"weak": 300, "undetermined": 700}, 0.5) == (
        "The whole interval lay above 0.5 on none of the sessions, below it on 30.0%, and on both sides "
        "of it, undecided, on 70.0%. "
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
    said = words.not_known([source("ETH"), source("RUT", **EMPTY)], both)
    assert said.startswith("No price of the Russell 2000 was stored yet.")
    assert words.not_known([source("ETH"), source("RUT")], both).startswith("There are fewer joint sessions")
