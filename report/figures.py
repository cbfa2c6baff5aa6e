"""How days, figures and intervals are written for people."""

from collections.abc import Mapping
from datetime import date
from typing import Any

Row = Mapping[str, Any]
UNKNOWN = "not known"
MOST_DIGITS = 6


def day(value: date | None) -> str:
    """A date as people write it."""
    return f"{value.day} {value:%B %Y}" if value else UNKNOWN


def short_day(value: date) -> str:
    """A date as a column's heading."""
    return f"{value.day} {value:%b %Y}"


def number(value: float | None, form: str = ".2f") -> str:
    """A figure with a real minus sign; no "-0.00"."""
    if value is None:
        return UNKNOWN
    text = f"{value:{form}}"
    if not any(digit in text for digit in "123456789"):
        text = text.removeprefix("-")
    return text.replace("-", "\N{MINUS SIGN}")


def interval(row: Row, form: str = ".2f", of: str = "") -> str:
    """A 95 % interval; an end that is not 0 is not told as 0. `of` is what its columns' names start with."""
    low, high = (number(row[of + end], seen(row[of + end], form)) for end in ("lo95", "hi95"))
    return f"[{low},\N{NO-BREAK SPACE}{high}]"


def seen(value: float | None, form: str) -> str:
    """A form with as many decimals as it takes to see that a value is not 0, up to six."""
    digits = int(form[-2])
    while value and digits < MOST_DIGITS and not any(d in f"{value:{form}}" for d in "123456789"):
        digits += 1
        form = f"{form[:-2]}{digits}{form[-1]}"
    return form


def claim_figures(row: Row) -> tuple[str, str]:
    """The figure of a claim and its interval: shares, frequencies and returns in percent."""
    form = ".1%" if any(word in row["unit"] for word in ("share", "frequency", "returns")) else ".2f"
    return number(row["figure"], form), "" if row["lo95"] is None else interval(row, form)


def share(part: int, whole: int) -> str:
    """A part of some sessions, in percent with one decimal; some are never told as none, nor most as all."""
    if part in {0, whole}:
        return "all" if part else "none"
    percent = f"{part / whole:.1%}"
    return {"0.0%": "under 0.1%", "100.0%": "over 99.9%"}.get(percent, percent)
