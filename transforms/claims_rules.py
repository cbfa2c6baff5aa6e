"""What a claim is, and the rules that judge its figure.

A claim says that a figure lies above a bar. It held if the whole 95 % interval does, it did not hold if the
whole interval lies below, and else the data do not decide.
"""

from collections.abc import Callable
from dataclasses import dataclass

from transforms.study import ARTICLE_DAY

MOST_DIGITS = 6
Figures = tuple[float | None, float | None, float | None]
Verdict = tuple[str, str]
Rule = Callable[[Figures, str], Verdict]


@dataclass(frozen=True, slots=True)
class Claim:
    """One claim.

    Attributes:
        claim_id: Short name.
        sentence: The claim in our words; {target} and {benchmark} are filled in.
        sql: Gives `figure, lo95, hi95` if `statistic` is None, else a series of `session`, `value` and, for
            a difference, `is_in`.
        rule: Verdict and explanation for a figure with its interval and its unit.
        statistic: None, "mean", "share" (of sessions, from values of 0 and 1), or "difference" (mean where
            `is_in` minus mean elsewhere).
        unit: Unit of the figure, in words that follow "the".
        block: Mean length of the bootstrap's blocks, in sessions; not below the overlap of the values.
    """

    claim_id: str
    sentence: str
    sql: str
    rule: Rule
    unit: str
    statistic: str | None = None
    block: int = 20


def above(bar: float, *, form: str = ".2f", negligible: float | None = None) -> Rule:
    """The claim is that the figure is above a bar; it fails below it, or where it would be negligible."""
    floor = bar if negligible is None else negligible

    def judge(figures: Figures, unit: str) -> Verdict:
        _, low, high = figures
        if low is None or high is None:
            return "undecided", "there are not enough data to say"
        said = f"{unit} between {apart(low, bar, form)} and {apart(high, floor, form)}"
        if low > bar:
            return "held", f"the data put the {said}, all of it above {plain(bar, form)}"
        if high < floor:
            return "not held", f"the data put the {said}, all of it below {plain(floor, form)}"
        where = (
            "on both sides of"
            if low < bar < high
            else "at its end"
            if bar in (low, high)
            else "not far below"
        )
        return "undecided", f"the data allow any {said}, {where} {plain(bar, form)}"

    return judge


def apart(value: float, bar: float, form: str) -> str:
    """A value with as many digits as it takes to tell it from the bar; -0.0 and +0.0 are one number."""
    digits = int(form[-2])
    while digits < MOST_DIGITS and value != bar and rounded(value, form) == rounded(bar, form):
        digits += 1
        form = f"{form[:-2]}{digits}{form[-1]}"
    return f"{value:{form}}"


def rounded(value: float, form: str) -> float:
    """The number that a reader sees."""
    return float(f"{value:{form}}".rstrip("%"))


def plain(bar: float, form: str) -> str:
    """A bar for a reader: no sign and no digits on zero."""
    return f"{bar:{form}}" if bar else "0"


def beyond_chance(negligible: float) -> Rule:
    """The claim is that the largest of many figures is beyond chance; its ends are -+ what chance reaches."""

    def judge(figures: Figures, unit: str) -> Verdict:
        figure, low, high = figures
        if figure is None or low is None or high is None:
            return "undecided", "there are not enough data to say"
        said = f"the {unit} is {figure:.2f}, and chance alone reaches {figure - low:.2f}"
        if low > 0:
            return "held", said
        if high < negligible:
            return "not held", f"{said}: a lagged link, if there is one, is weaker than {negligible:.2f}"
        return "undecided", f"{said}: a weak one can be neither seen nor ruled out"

    return judge


def below(bar: float) -> Rule:
    """The claim is that the figure is below a bar."""
    swap = {"held": "not held", "not held": "held", "undecided": "undecided"}

    def judge(figures: Figures, unit: str) -> Verdict:
        verdict, explanation = above(bar)(figures, unit)
        return swap[verdict], explanation

    return judge


def near(value: float, tolerance: float, *, form: str = ".2f") -> Rule:
    """The claim is a figure that was printed; it needs a record of that day."""

    def judge(figures: Figures, _: str) -> Verdict:
        figure = figures[0]
        if figure is None:
            return (
                "undecided",
                f"no snapshot was recorded on {ARTICLE_DAY}, and the providers keep no history",
            )
        said = f"recorded {figure:{form}}, printed {value:{form}}"
        return ("held" if abs(figure - value) <= tolerance else "not held"), said

    return judge
