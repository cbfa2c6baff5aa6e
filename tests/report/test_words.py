"""What the page says of shares, word for word."""

import pytest

from report import words


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
