"""What an HTTP answer is worth: data of the form that was asked for, or an error that says what came."""

import json
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Literal

from flows.sources import SourceError
from flows.sources.secret import masked

Form = Literal["json", "csv", "page"]

OK = 2  # hundred
HEALING = frozenset({408, 425, 429, 500, 502, 503, 504, *range(520, 528), 529})
DOWN = HEALING | {403, 451}  # these concern the whole source, not one symbol
WORDS = {
    400: "refused the question",
    401: "asks for a valid key",
    403: "refused us; check the key, or whether the network blocks it",
    404: "has nothing under this name; check the symbol, it may be delisted",
    429: "asks us to slow down; run again later",
    451: "does not serve this country; name another source in the universe",
}


class FetchError(SourceError):
    """A request failed; says whether it may heal, how long to wait, and whether the whole source is down."""

    def __init__(
        self,
        text: str,
        *,
        is_transient: bool = False,
        retry_after: float | None = None,
        is_down: bool = False,
        is_unreachable: bool = False,
    ) -> None:
        """Keep what decides what happens next."""
        super().__init__(text)
        self.is_transient = is_transient
        self.retry_after = retry_after
        self.is_down = is_down
        self.is_unreachable = is_unreachable


class LeftAloneError(FetchError):
    """A source that was down too often is not asked now."""


def judge(what: str, status: int, headers: Mapping[str, str], body: bytes, form: Form) -> str:
    """The text of an answer that has the form that was asked for.

    Args:
        what: Source and item, for the error.
        status: HTTP status.
        headers: Its headers, by lower-case or case-blind name.
        body: The whole body.
        form: What it should be; a declared content type is not trusted either way.

    Raises:
        FetchError: naming what came instead.
    """
    text = body.decode("utf-8-sig", "replace")
    if status // 100 != OK:
        words = WORDS.get(
            status, "is in trouble; run again later" if status in HEALING else "refused the question"
        )
        raise FetchError(
            f"{what}: HTTP {status}, the provider {words}{quoted(text)}",
            is_transient=status in HEALING,
            retry_after=retry_after(headers),
            is_down=status in DOWN,
        )
    if problem := malformed(text, form):
        raise FetchError(f"{what}: answered {problem}; run again later", is_transient=True, is_down=True)
    return text


def malformed(text: str, form: Form) -> str | None:
    """What is wrong with the form of an answer, if anything."""
    start = text.lstrip()[:200].lower()
    if not start:
        return "an empty body"
    if form == "page":
        return None if "</html>" in text.lower() or text.rstrip().endswith(">") else "a page that breaks off"
    if start.startswith("<"):
        return (
            "a web page instead of data"
            if "<html" in start or "<!doctype" in start
            else "XML instead of data"
        )
    if form == "csv":
        return None if text.endswith("\n") else "a table that breaks off"
    try:
        json.loads(text)
    except ValueError:
        return "JSON that breaks off or is none"
    return None


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the provider wants us to wait; a date counts from the answer's own `Date`."""
    given = headers.get("retry-after") or headers.get("Retry-After")
    try:
        return max(0.0, float(given or ""))
    except ValueError:
        pass
    try:
        sent = headers.get("date") or headers.get("Date") or ""
        return max(0.0, (parsedate_to_datetime(given or "") - parsedate_to_datetime(sent)).total_seconds())
    except (ValueError, TypeError):
        return None


def quoted(text: str) -> str:
    """The beginning of an error body, on one printable line."""
    words = " ".join("".join(c if c.isprintable() else " " for c in text[:400]).split())
    return f" ({masked(words)[:160]})" if words and not words.startswith("<") else ""
