"""A range of dates in pieces: which of them the ledger shows as loaded, and how far a piece is asked for."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta

import polars as pl

from flows.intake import is_judged_by_next
from flows.resume import OVERLAP, Known
from flows.sources import Request
from flows.sources.exchange import FIRST_DAY as FIRST_CANDLE
from schemas import raw

DAY = timedelta(days=1)
Range = tuple[date, date]
Series = tuple[str, str, str | None]  # source, item, interval


def chunks(since: date, until: date, days: int) -> Iterator[Range]:
    """The range in pieces of some days, the oldest first; both ends are inclusive."""
    while since <= until:
        last = min(since + timedelta(days=days - 1), until)
        yield since, last
        since = last + DAY


def identity(request: Request) -> Series:
    """How the ledger names a series."""
    return request.source, request.series, request.interval


def covered(loads: pl.DataFrame) -> dict[Series, list[Range]]:
    """The ranges that the ledger shows as loaded; none reaches further than the day before the load began.

    An answer without a row covers nothing: it may have been a bad hour of the provider's.

    Where a bar was still running then, it may be that day's, so the range ends a day earlier.
    """
    found: dict[Series, list[Range]] = {}
    has_rows = pl.col("status").is_in(["loaded", "unchanged"]) & (pl.col("rows_fetched") > 0)
    for row in loads.filter(has_rows).iter_rows(named=True):
        since = row["since_on"] or (FIRST_CANDLE if row["source"].startswith("ccxt:") else date.min)
        started: datetime | None = row["started_at"]
        if started is None:
            continue
        last = started.date() - (2 * DAY if row["rows_running"] else DAY)
        until = min(row["until_on"] or last, last)
        found.setdefault((row["source"], row["item"], row["interval"]), []).append((since, until))
    return found


def is_covered(piece: Range, ranges: list[Range]) -> bool:
    """Whether the ranges together hold every day of the piece."""
    missing = piece[0]
    for since, until in sorted(ranges):
        if since <= missing <= until:
            missing = until + DAY
    return missing > piece[1]


def widest(piece: Range) -> Range:
    """The piece with the longest overlap on either side."""
    most = max(OVERLAP.values())
    return piece[0] - most, piece[1] + most


def overlapping(piece: Range, request: Request, stored: Known) -> Range:
    """The days to ask for: a few more on each side where bars of them are stored, to be compared with those.

    They show whether history was restated in between; a market that never closes needs the day beside a
    piece, because only the next bar shows one to be right.
    """
    if request.model is not raw.Bars:
        return piece
    more = OVERLAP[request.interval] if request.is_restating else DAY * is_judged_by_next(request)
    first, last = piece[0] - more, piece[1] + more
    days = stored.days(request)
    is_before, is_after = days.is_between(first, piece[0] - DAY), days.is_between(piece[1] + DAY, last)
    return first if is_before.any() else piece[0], last if is_after.any() else piece[1]
