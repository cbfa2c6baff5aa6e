"""The Federal Reserve: the FOMC's calendar, press feed and statements as dated figures, without texts.

The calendar page names meetings and links statements; the feed and the statement itself give the instant of
the release. A statement gives the target range in words ("3-3/4 to 4 percent") and a tone (see `tone`).
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from email.utils import parsedate_to_datetime
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
from bs4 import BeautifulSoup, Tag

from flows.sources import Answer, Request
from flows.sources.answers import FetchError
from flows.sources.tone import tone
from flows.sources.web import get
from schemas.table import Instant

HOST = "https://www.federalreserve.gov"
CALENDAR = f"{HOST}/monetarypolicy/fomccalendars.htm"
FEED = f"{HOST}/feeds/press_monetary.xml"
NEW_YORK = ZoneInfo("America/New_York")
RELEASE = time(14)  # New York, of scheduled statements since March 2013; 12:30 or 14:15 before
MONTHS = {f"{date(2000, month, 1):%b}".lower(): month for month in range(1, 13)}
STATEMENT = re.compile(r"/newsevents/pressreleases/monetary(\d{8})a\.htm")
RELEASED_AT = re.compile(r"release at (\d{1,2}):(\d{2}) ([ap])\.m\.")
FRACTION = r"\d+(?:[-\u2010\u2011](?=\d+/))?(?:\d+/\d+)?|\d+/\d+"
TARGET = re.compile(
    rf"target range for the federal funds rate[^.;]*?\b(?:at|to)\s+({FRACTION})\s+to\s+({FRACTION})\s+percent"
)
SCHEMA = {
    "event_id": pl.String,
    "released_at": Instant,
    "kind": pl.String,
    "target_low_pct": pl.Float64,
    "target_high_pct": pl.Float64,
    "tone": pl.Float64,
}


@dataclass(frozen=True, slots=True)
class Meeting:
    """One line of the calendar: the day of the decision, and the path of its statement if there is one."""

    day: date
    is_unscheduled: bool
    statement: str | None


def fetch(request: Request) -> Answer:
    """Planned meetings and decisions; statements from before `since` are not read again.

    Raises:
        FetchError: if the calendar has no meeting, which means that the page has changed.
    """
    meetings = list(calendar(get(request.what, CALENDAR, "page")))
    if not meetings:
        raise FetchError(
            f"{request.what}: the calendar page shows no meeting; its form has changed, report it"
        )
    released = feed(get(request.what, FEED, "page", check=naming(request.what, "<rss")))
    since = request.since or date.min
    wanted = [meeting for meeting in meetings if meeting.day >= since]
    events = [event(request, meeting, released) for meeting in wanted]
    rows = [row for row in events if request.until is None or row["released_at"].date() <= request.until]
    return Answer(pl.DataFrame(rows, schema=SCHEMA))


def naming(what: str, word: str) -> Callable[[str], None]:
    """A check that a page has a word that it always has; that of a network's login or a block has not."""

    def check(page: str) -> None:
        if word not in page:
            said = f"{what}: answered a page without {word}; run again later"
            raise FetchError(said, is_transient=True, is_down=True)

    return check


def calendar(page: str) -> Iterator[Meeting]:
    """The meetings of the calendar page; a line that is neither planned nor has a statement is left out."""
    for panel in BeautifulSoup(page, "html.parser").select("div.panel"):
        year = re.search(r"(\d{4}) FOMC Meetings", panel.get_text(" ", strip=True))
        for row in panel.select("div.fomc-meeting") if year else []:
            meeting = line(row, int(year[1])) if year else None
            if meeting:
                yield meeting


def line(row: Tag, year: int) -> Meeting | None:
    """One meeting: "January 27-28", "April/May 30-1", "March 15 (unscheduled)"."""
    month, days = row.select_one(".fomc-meeting__month"), row.select_one(".fomc-meeting__date")
    numbers = re.findall(r"\d{1,2}", days.get_text() if days else "")
    link = STATEMENT.search(str(row))
    words = days.get_text().lower() if days else ""
    if not month or not numbers or "cancel" in words or ("notation" in words and not link):
        return None
    number = MONTHS.get(month.get_text().strip().split("/")[-1].strip()[:3].lower())
    if number is None:
        return None
    day = date(year, number, int(numbers[-1]))
    return Meeting(day, "unscheduled" in words or "notation" in words, link[0] if link else None)


def feed(xml: str) -> dict[str, datetime]:
    """The instant of release by the path of the press release."""
    found = {}
    for item in re.findall(r"<item>.*?</item>", xml, re.DOTALL):
        path, sent = STATEMENT.search(item), re.search(r"<pubDate>(.*?)</pubDate>", item, re.DOTALL)
        if path and sent:
            text = re.sub(r"<!\[CDATA\[|\]\]>", "", sent[1]).strip()
            found[path[0]] = parsedate_to_datetime(text).astimezone(UTC)
    return found


def event(request: Request, meeting: Meeting, released: dict[str, datetime]) -> dict[str, Any]:
    """A row: planned, or decided with what its statement says."""
    planned = datetime.combine(meeting.day, RELEASE, NEW_YORK).astimezone(UTC)
    row = {"event_id": f"fomc-{meeting.day}", "released_at": planned, "kind": "meeting"}
    if meeting.statement is None:
        return row
    said = get(request.what, HOST + meeting.statement, "page", check=naming(request.what, "Committee"))
    page = BeautifulSoup(said, "html.parser")
    body = page.select_one("#article") or page
    text = "\n".join(paragraph.get_text(" ", strip=True) for paragraph in body.find_all("p"))
    if not text:
        raise FetchError(f"{request.what}: the statement of {meeting.day} has no text; run again later")
    low, high = target(text)
    row["kind"] = "unscheduled" if meeting.is_unscheduled else "statement"
    row["released_at"] = released.get(meeting.statement) or release_time(text, meeting.day) or planned
    return row | {"target_low_pct": low, "target_high_pct": high, "tone": tone(text)}


def release_time(text: str, day: date) -> datetime | None:
    """The instant after "For release at", in UTC."""
    found = RELEASED_AT.search(text)
    if not found:
        return None
    hour = int(found[1]) % 12 + (12 if found[3] == "p" else 0)
    return datetime.combine(day, time(hour, int(found[2])), NEW_YORK).astimezone(UTC)


def target(text: str) -> tuple[float | None, float | None]:
    """The target range in per cent that a statement decides, if it names one."""
    found = TARGET.search(text)
    return (number(found[1]), number(found[2])) if found else (None, None)


def number(words: str) -> float:
    """3-3/4 as 3.75."""
    parts = re.findall(r"\d+/\d+|\d+", words)
    return sum(int(a) / int(b or 1) for a, _, b in (part.partition("/") for part in parts))
