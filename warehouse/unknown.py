"""What is said of a name that nobody knows: which one comes near it, and which there are."""

import json
from collections.abc import Iterable
from contextlib import suppress
from difflib import get_close_matches
from itertools import islice

LISTED, LOOKED_AT, SHOWN_CHARACTERS = 10, 5000, 80  # what an error line shows of names and of a value


def unknown(what: str, value: object, known: Iterable[str]) -> str:
    """That a value is unknown, and what is known instead."""
    return f"unknown {what} {shown(value)}{instead(value, known)}"


def instead(value: object, known: Iterable[str]) -> str:
    """The name that comes near a value, and the known ones in their order; of many, the nearest first."""
    names = {name[: SHOWN_CHARACTERS + 1].casefold(): name for name in islice(known, LOOKED_AT)}
    wanted = str(value)[:SHOWN_CHARACTERS].casefold()
    near = [f'; did you mean "{plain(names[n])}"?' for n in get_close_matches(wanted, names, n=1)]
    listed = names if len(names) <= LISTED else get_close_matches(wanted, names, LISTED, cutoff=0.0)
    told = [plain(names[n]) for n in listed] + ["..."] * (len(names) > LISTED)
    return f"{''.join(near)} (known: {', '.join(told) or 'none'})"


def shown(value: object) -> str:
    """A value as an error line shows it."""
    text = type(value).__name__
    with suppress(ValueError):  # Python writes out no integer of more than 4300 digits
        text = json.dumps(value, default=str, ensure_ascii=False)
    return cut(text)


def plain(name: str) -> str:
    """A name out of a file, which may hold anything, as a piece of one line."""
    return cut("".join(c if c.isprintable() else "?" for c in name[: SHOWN_CHARACTERS + 1]))


def cut(text: str) -> str:
    """A text, with dots for what is too long of it."""
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}..."
