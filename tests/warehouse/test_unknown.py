"""An unknown name is told with the known ones: all of few, the nearest of many, on one line."""

from warehouse.unknown import LISTED, instead, unknown


def test_few_names_keep_their_order_and_the_nearest_is_named() -> None:
    said = unknown("asset", "SPX", ["ETH", "RUT", "SPY"])
    assert said == 'unknown asset "SPX"; did you mean "SPY"? (known: ETH, RUT, SPY)'


def test_nothing_near_is_not_guessed() -> None:
    assert instead("zz", ["ETH", "RUT"]) == " (known: ETH, RUT)"
    assert instead("zz", []) == " (known: none)"


def test_of_many_the_nearest_come_first_whatever_their_case() -> None:
    said = instead("cLose", [*(f"other_{n}" for n in range(50)), "CLOSES", "Close"])
    assert said.startswith('; did you mean "Close"? (known: Close, CLOSES, ')
    assert said.endswith(", ...)")
    assert said.partition("known: ")[2].count(", ") == LISTED


def test_a_hostile_name_stays_one_short_line() -> None:
    said = instead("x", ["x\n\u2028\x1b[31m" + "y" * 10_000])
    assert said.isprintable()
    assert len(said) < 200


def test_a_huge_known_name_takes_no_time() -> None:
    """Compared in full it would take hours."""
    assert instead("ye", ["y" * 10_000_000, "yes"]).startswith('; did you mean "yes"?')
