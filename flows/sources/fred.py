"""FRED: the public CSV without a key; with `FRED_API_KEY` every vintage, dated by its release (ALFRED).

Without a key a value counts as public after the series' declared lag. With one, `available_at` is the end of
the day on which ALFRED first had the observation, and its later vintages are versions of it. FRED
serves some series for three years only; what is stored stays.
"""

import io
import json
from datetime import date, timedelta
from typing import Any

import polars as pl

from flows.sources import Answer, Request
from flows.sources.answers import FetchError
from flows.sources.secret import secret
from flows.sources.web import get
from flows.stamps import end_of_day
from schemas import raw

CSV = "https://fred.stlouisfed.org/graph/fredgraph.csv"
API = "https://api.stlouisfed.org/fred/series/observations"
PAGE = 100_000  # the API's own limit
NO_VINTAGES = "does not exist in ALFRED"  # a 400, also where only this window has none
FIRST_VINTAGES = 2005  # before, they are few


def fetch(request: Request) -> Answer:
    """Observations of one series, all of its history: revisions may go back for decades, and it is small.

    Raises:
        FetchError: naming the series and what FRED said.
    """
    key = secret("FRED_API_KEY")
    dated = vintages(request, key) if key and request.model is raw.Macro else pl.DataFrame()
    rows = table(request) if dated.is_empty() else dated  # some series have no vintages
    if rows.is_empty() and request.since is None:
        raise FetchError(f"{request.what}: has no observations; check the series id")
    return Answer(rows if request.model is raw.Macro else as_bars(rows))


def table(request: Request) -> pl.DataFrame:
    """The CSV as text, with FRED's own column names checked."""
    text = get(request.what, CSV, "csv", {"id": request.item or "", **bounds(request, "cosd", "coed")})
    frame = pl.read_csv(io.StringIO(text), infer_schema=False)
    if frame.columns != ["observation_date", request.item]:
        raise FetchError(f"{request.what}: a table of {', '.join(frame.columns)[:80]} instead of the series")
    return frame.rename({"observation_date": "observed_on", request.item or "": "value"})


def vintages(request: Request, key: str) -> pl.DataFrame:
    """Every version of every observation, from the day on which FRED first had that value.

    A version that crosses the windows' borders comes again with the border's date; its value is the same, so
    it adds nothing.
    """
    spans = windows(request.now.year, request.vintages_from)
    found = [row for window in spans for row in observations(request, key, *window)]
    frame = pl.DataFrame(found, schema=dict.fromkeys(("date", "value", "realtime_start"), pl.String))
    first = pl.col("realtime_start").min().over("date")
    is_dated = first > pl.col("realtime_start").min()  # older ones were there when the vintages begin
    return frame.select(
        observed_on="date",
        value="value",
        vintage="realtime_start",
        available_at=pl.when(is_dated).then(end_of_day(first.str.to_date())),
    )


def windows(last_year: int, begin: date | None = None) -> list[tuple[str, str]]:
    """Spans of release dates of at most five years, because FRED allows 2,000 vintages a request."""
    first_year = begin.year if begin else FIRST_VINTAGES
    starts = [f"{year}-01-01" for year in range(first_year, last_year + 1, 5)]
    starts = [str(begin), *starts[1:]] if begin else ["1776-07-04", *starts]
    ends = [str(date.fromisoformat(start) - timedelta(days=1)) for start in starts[1:]]
    return list(zip(starts, [*ends, "9999-12-31"], strict=True))


def observations(request: Request, key: str, first: str, last: str) -> list[dict[str, Any]]:
    """All pages of one window; none where it ends before the series' first vintage."""
    params = {"series_id": request.item or "", "file_type": "json", "limit": str(PAGE), "api_key": key}
    params |= {"realtime_start": first, "realtime_end": last}
    params |= bounds(request, "observation_start", "observation_end")
    found: list[dict[str, Any]] = []
    while True:
        try:
            said = json.loads(get(request.what, API, "json", {**params, "offset": str(len(found))}))
        except FetchError as error:
            if NO_VINTAGES in str(error):
                return found
            raise
        page = said.get("observations") if isinstance(said, dict) else None
        if not isinstance(page, list):
            raise FetchError(f"{request.what}: an answer without observations; check the series id")
        found += page
        if not page or len(found) >= int(said.get("count", 0)):
            return found


def as_bars(rows: pl.DataFrame) -> pl.DataFrame:
    """A series that serves an asset: its values are closes; FRED's dots are days without one."""
    given = ~pl.col("value").str.strip_chars().is_in(["", "."])
    return rows.filter(given.fill_null(value=False)).select(date="observed_on", close="value")


def bounds(request: Request, first: str, last: str) -> dict[str, str]:
    """The range wanted, in the service's words."""
    wanted = {first: request.since, last: request.until}
    return {name: day.isoformat() for name, day in wanted.items() if day}
