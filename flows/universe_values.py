"""The values that a universe file may hold: each a type that refuses in words what it cannot take."""

import os
import re
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationInfo,
)
from pydantic_core import PydanticCustomError

from warehouse.unknown import shown, unknown


def refusal(text: str, *at: str | int) -> PydanticCustomError:
    """What validators raise: `text` about the key `at`, relative to what is being validated."""
    return PydanticCustomError("refused", "{text}", {"text": text, "at": at})


def pattern(form: str) -> AfterValidator:
    """A text of this form, without two dots in a row."""

    def check(value: str) -> str:
        if re.fullmatch(form, value) is None or ".." in value:
            raise refusal(f'{shown(value)} is not allowed; write it as {form}, without ".."')
        return value

    return AfterValidator(check)


def _printable(value: str) -> str:
    if not (value.strip() and value.isprintable()):
        raise refusal(f"{shown(value)} is not allowed; use visible characters on one line")
    return value


def _instant(value: object) -> datetime:
    """Pydantic alone would take a number for seconds since 1970."""
    with suppress(ValueError, OverflowError):
        at = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
        if at.tzinfo:
            return at.astimezone(UTC)
    raise refusal(f'{shown(value)} is not an instant with its time zone, as "2026-08-22T05:30:00Z"')


def _readable(path: str, info: ValidationInfo) -> str:
    file = Path((info.context or {}).get("folder", "."), path)
    if not (path.isprintable() and os.access(file, os.R_OK) and file.is_file()):
        raise refusal(f"cannot read {file}; name a file, relative to the folder of the universe file")
    return path


def _calendar(name: str) -> str:
    if name in USUAL_CALENDARS:
        return name
    names = import_module("exchange_calendars").get_calendar_names()  # takes more than a second to import
    if name not in names:
        raise refusal(unknown("calendar", name, names))
    return name


def distinct(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """The values, unless one repeats another."""
    if repeated := [value for value, count in Counter(values).items() if count > 1]:
        raise refusal(f"{shown(repeated[0])} is there more than once; keep one")
    return values


def _two_assets(pair: tuple[str, ...]) -> tuple[str, ...]:
    if (len(pair), len(set(pair))) != (2, 2):
        raise refusal(f'{shown(pair)} is not a pair of two assets, as ["ETH", "RUT"]')
    return pair


USUAL_CALENDARS = {"24/7", "XLON", "XNAS", "XNYS"}  # known to exist without asking the library
Id = Annotated[str, pattern("[A-Z0-9][A-Z0-9._-]{0,31}")]
Symbol = Annotated[str, pattern(r"\^?[A-Za-z0-9][A-Za-z0-9^=./_:-]{0,62}")]
Text = Annotated[str, Field(max_length=100), AfterValidator(_printable)]
Instant = Annotated[datetime, BeforeValidator(_instant)]
File = Annotated[str, AfterValidator(_readable)]
Calendar = Annotated[str, AfterValidator(_calendar)]
Window = Annotated[int, Field(strict=True, ge=20, le=10_000)]
Pair = Annotated[tuple[Id, ...], AfterValidator(_two_assets)]
