"""Trading calendars as tables: sessions, early closes and daylight saving, from exchange_calendars."""

from datetime import date, datetime
from functools import lru_cache
from threading import Lock
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from flows.build_cache import basis, untouched
from schemas import core
from schemas.table import name, polars_schema
from warehouse.store import Store

FIRST_DAY = date(1990, 1, 1)
ONE_THREAD = Lock()  # the library hides pandas' warnings meanwhile, which two threads undo for each other
_made_before: dict[str, pl.DataFrame] = {}


def sessions(calendar: str, first_year: int, last_year: int) -> pl.DataFrame:
    """`core.sessions` of one calendar over whole years; the first session has no gap.

    The bounds are passed on because the library's own move with today's date.
    """
    with ONE_THREAD:
        before = _made_before.get(calendar)
        if before is None or not {first_year, last_year} <= {*before["session"].dt.year()}:
            return made(calendar, first_year, last_year)
    within = before.filter(pl.col("session").dt.year().is_between(first_year, last_year))
    return within.with_columns(gap_days=pl.when(pl.int_range(pl.len()) > 0).then("gap_days"))


def remember(store: Store, universe: str) -> None:
    """Take the sessions that the last build stored, if these would be the same: the library loads in seconds.

    Args:
        store: The warehouse.
        universe: The universe's fingerprint.
    """
    if untouched(store, [name(core.Sessions)]).filter(basis=basis(universe)).height:
        stored = store.read(core.Sessions).sort("calendar", "session")
        _made_before.update({str(part["calendar"][0]): part for part in stored.partition_by("calendar")})


@lru_cache(maxsize=64)
def made(calendar: str, first_year: int, last_year: int) -> pl.DataFrame:
    """The same, each calendar once a process."""
    import exchange_calendars

    book = exchange_calendars.get_calendar(calendar, start=f"{first_year}-01-01", end=f"{last_year}-12-31")
    days = book.sessions.to_numpy()
    return (
        pl.DataFrame(
            {
                "session": days,
                "is_early_close": np.isin(days, book.early_closes.to_numpy()),
                "open_at": book.opens.dt.tz_localize(None).to_numpy(),
                "close_at": book.closes.dt.tz_localize(None).to_numpy(),
            }
        )
        .with_columns(
            calendar=pl.lit(calendar),
            session=pl.col("session").cast(pl.Date),
            open_at=pl.col("open_at").cast(pl.Datetime("us")).dt.replace_time_zone("UTC"),
            close_at=pl.col("close_at").cast(pl.Datetime("us")).dt.replace_time_zone("UTC"),
        )
        .with_columns(gap_days=pl.col("session").diff().dt.total_days().cast(pl.Int32))
        .select(list(polars_schema(core.Sessions)))
    )


def local_date(calendar: str, moment: datetime) -> date:
    """The date of an instant where the exchange is."""
    import exchange_calendars  # takes more than a second to import

    book = exchange_calendars.get_calendar(calendar, start=f"{moment.year}-01-01", end=f"{moment.year}-12-31")
    return moment.astimezone(ZoneInfo(str(book.tz))).date()
