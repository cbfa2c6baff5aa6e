"""What a delivered row is about, in the words of the raw tables: numbers, instants, sessions."""

from datetime import date, timedelta

import polars as pl

from flows.batch import FIGURES, FUTURE, NO_MEMBER, Batch
from flows.calendars import FIRST_DAY, sessions
from flows.sources import Request, SourceError
from schemas import raw
from schemas.table import Instant
from transforms.finality import HOUR, daily_final_at

EVENT_KINDS = ("meeting", "statement", "unscheduled")
CLASS_SHARES = {  # iShares drops the separator before the class of shares; data vendors keep it
    "AKOB": "AKO-B",
    "BFA": "BF-A",
    "BFB": "BF-B",
    "BRKB": "BRK-B",
    "CRDA": "CRD-A",
    "CWENA": "CWEN-A",
    "GEFB": "GEF-B",
    "GTNA": "GTN-A",
    "HEIA": "HEI-A",
    "HVTA": "HVT-A",
    "LENB": "LEN-B",
    "LGFA": "LGF-A",
    "LGFB": "LGF-B",
    "MOGA": "MOG-A",
    "UHALB": "UHAL-B",
}
TICKER = "^[A-Z][A-Z.-]{0,9}$"
NUMBERS = (pl.String, pl.Categorical, pl.Null)  # besides numbers, what may be read as one
TIME_FORMATS = (
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%dT%H:%M:%SZ",
    "%Y-%m-%dT%H:%M:%S%.f%:z",
    "%Y-%m-%d %H:%M:%S%.f%:z",
)


def stamp_bars(batch: Batch, request: Request) -> None:
    """Prices as numbers, the bar's opening as an instant; holidays, the future and running bars set aside."""
    batch.rows = batch.rows.with_columns(
        symbol=pl.col("symbol").cast(pl.String) if request.item is None else pl.lit(request.item)
    )
    to_numbers(batch, FIGURES[raw.Bars])
    batch.refuse(pl.col("close").is_null(), "has_close", "close")
    if request.interval == "1h":
        stamp_hours(batch)
    else:
        stamp_days(batch, request)
    batch.refuse(pl.col("opened_at") > request.now, FUTURE, "opened_at")
    is_running = pl.col("first_at") > request.now
    batch.running = batch.rows.filter(is_running).height
    batch.rows = batch.rows.filter(~is_running)


def stamp_hours(batch: Batch) -> None:
    """Hourly bars open on a full hour and are final when it has passed."""
    about = "opened_at" if "opened_at" in batch.rows.columns else "date"
    batch.rows = batch.rows.with_columns(opened_at=to_instant(batch.rows, about))
    batch.refuse(pl.col("opened_at").is_null(), "readable_time", about)
    batch.refuse(pl.col("opened_at").dt.truncate("1h") != pl.col("opened_at"), "on_the_hour", "opened_at")
    batch.refuse(~pl.col("opened_at").dt.date().ge(FIRST_DAY), "after_1990", "opened_at")
    batch.rows = batch.rows.with_columns(first_at=pl.col("opened_at") + HOUR)


def stamp_days(batch: Batch, request: Request) -> None:
    """Daily bars get the opening of their session; a date on which the calendar has none is refused."""
    about = "date" if "date" in batch.rows.columns else "opened_at"
    batch.rows = batch.rows.with_columns(session=to_date(batch.rows, about))
    batch.refuse(pl.col("session").is_null(), "readable_time", about)
    if request.calendar == "24/7" and about == "opened_at":  # an hour's price is none of midnight
        opened = to_instant(batch.rows, about)
        batch.refuse(opened.dt.truncate("1d") != opened, "opens_at_midnight", about)
    batch.refuse(pl.col("session") > request.now.date() + timedelta(days=1), FUTURE, about)
    batch.refuse(pl.col("session") < FIRST_DAY, "after_1990", about)
    book = calendar_of(batch.rows["session"], request)
    batch.rows = batch.rows.drop("opened_at", strict=False).join(
        book, on="session", how="left", maintain_order="left"
    )
    batch.refuse(pl.col("opened_at").is_null(), "is_a_session", about)


def calendar_of(days: pl.Series, request: Request) -> pl.DataFrame:
    """Opening and finality of the sessions around some dates: `session`, `opened_at`, `first_at`."""
    first, last = days.min() or FIRST_DAY, days.max() or FIRST_DAY
    assert isinstance(first, date)
    assert isinstance(last, date)
    final_at = daily_final_at(pl.col("close_at"), pl.lit(request.kind), pl.lit(request.settle_minutes))
    return sessions(request.calendar, first.year, last.year).select(
        "session", opened_at=pl.col("open_at"), first_at=final_at
    )


def stamp_macro(batch: Batch, request: Request) -> None:
    """Values as numbers; public at the source's release instant, else a declared lag after their day."""
    is_missing = pl.col("value").cast(pl.String).str.strip_chars().is_in(["", "."])  # FRED's holidays
    batch.rows = batch.rows.with_columns(
        series_id=pl.lit(request.item),
        observed_on=to_date(batch.rows, "observed_on"),
        value=pl.when(~is_missing).then(pl.col("value")),
        said_at=end_of_day(to_date(batch.rows, "vintage")),
    ).filter(pl.col("value").is_not_null())
    if not request.is_recorded:  # a vintage of today is known now, not at the end of the day
        now = pl.lit(request.now, Instant)
        batch.rows = batch.rows.with_columns(
            said_at=pl.when(pl.col("said_at") > now).then(now).otherwise("said_at")
        )
    to_numbers(batch, FIGURES[raw.Macro])
    batch.refuse(pl.col("observed_on").is_null(), "readable_time", "observed_on")
    released = end_of_day(pl.col("observed_on") + timedelta(days=request.release_lag_days))
    given = to_instant(batch.rows, "available_at")
    batch.rows = batch.rows.with_columns(
        available_at=pl.coalesce(given, pl.min_horizontal(released, "said_at"))  # a vintage shows it was out
    ).with_columns(first_at=pl.col("available_at"))
    batch.refuse(pl.col("observed_on") > request.now.date(), FUTURE, "observed_on")


def stamp_actions(batch: Batch, request: Request) -> None:
    """Dividends and splits under the first date without the right, public from the end of that day."""
    about = "ex_on" if "ex_on" in batch.rows.columns else "date"
    batch.rows = batch.rows.with_columns(
        symbol=pl.col("symbol").cast(pl.String) if request.item is None else pl.lit(request.item),
        ex_on=to_date(batch.rows, about),
        said_at=end_of_day(to_date(batch.rows, "vintage")),
    ).with_columns(first_at=end_of_day(pl.col("ex_on")))
    to_numbers(batch, FIGURES[raw.Actions])
    batch.refuse(pl.col("ex_on").is_null(), "readable_time", about)
    batch.refuse(pl.all_horizontal(pl.col(FIGURES[raw.Actions]).is_null()), "has_dividend_or_split")


def stamp_constituents(batch: Batch, request: Request) -> None:
    """Members of the request's index on a date; a line without a ticker, such as escrow, is no member."""
    about = "as_of_on" if "as_of_on" in batch.rows.columns else "as_of"
    batch.refuse(pl.col("symbol").is_null(), "has_symbol", "symbol")
    batch.rows = batch.rows.with_columns(
        index_id=pl.lit(request.item),
        symbol=pl.col("symbol").cast(pl.String).str.strip_chars().replace(CLASS_SHARES),
        as_of_on=to_date(batch.rows, about),
    ).with_columns(first_at=end_of_day(pl.col("as_of_on")))
    is_ticker, is_like_one = (pl.col("symbol").str.contains(form) for form in (TICKER, f"(?i){TICKER}"))
    batch.refuse(is_like_one & ~is_ticker, "is_upper_case", "symbol")
    batch.refuse(~is_like_one, NO_MEMBER, "symbol")
    to_numbers(batch, FIGURES[raw.Constituents])
    batch.refuse(pl.col("weight_pct").is_null(), "has_weight", "weight_pct")
    batch.refuse(pl.col("as_of_on").is_null(), "readable_time", about)
    batch.refuse(pl.col("as_of_on") > request.now.date(), FUTURE, about)


def stamp_snapshot(batch: Batch, request: Request) -> None:
    """One look at the whole market, final when it is taken."""
    batch.rows = batch.rows.with_columns(captured_at=to_instant(batch.rows, "captured_at")).with_columns(
        first_at=pl.col("captured_at")
    )
    to_numbers(batch, FIGURES[raw.MarketSnapshot])
    batch.refuse(pl.col("captured_at").is_null(), "readable_time", "captured_at")
    batch.refuse(pl.col("captured_at") > request.now, FUTURE, "captured_at")


def stamp_events(batch: Batch, request: Request) -> None:
    """Decisions are public at their release; a meeting that is only planned, from the file's `known_at`."""
    released, said = (to_instant(batch.rows, label) for label in ("released_at", "known_at"))
    is_planned = pl.col("kind") == "meeting"
    batch.rows = (
        batch.rows.with_columns(released_at=released, said_at=said)
        .drop("known_at", strict=False)
        .with_columns(
            first_at=pl.coalesce(
                "said_at", pl.when(is_planned).then(pl.lit(request.now, Instant)).otherwise("released_at")
            )
        )
    )
    to_numbers(batch, ("target_low_pct", "target_high_pct", "tone"))
    batch.refuse(
        pl.col("event_id").is_null() | pl.col("released_at").is_null(), "readable_time", "released_at"
    )
    batch.refuse(~pl.col("kind").is_in(EVENT_KINDS), "known_kind", "kind")
    batch.refuse(~is_planned & (pl.col("released_at") > request.now), FUTURE, "released_at")


def to_numbers(batch: Batch, labels: tuple[str, ...]) -> None:
    """Columns as floats; what is not a number is refused, what is absent is null."""
    for label in labels:
        if label not in batch.rows.columns:
            batch.rows = batch.rows.with_columns(pl.lit(None, pl.Float64).alias(label))
            continue
        dtype = batch.rows.schema[label]
        if not (dtype.is_numeric() or isinstance(dtype, NUMBERS)):
            raise SourceError(f"column {label} holds {dtype}, not numbers")
        given = pl.col(label).cast(pl.String).str.strip_chars() if not dtype.is_numeric() else pl.col(label)
        is_given = given.is_not_null() & (given.cast(pl.String) != "")
        batch.refuse(is_given & given.cast(pl.Float64, strict=False).is_null(), "is_a_number", label)
        batch.rows = batch.rows.with_columns(given.cast(pl.Float64, strict=False).alias(label))


def to_instant(rows: pl.DataFrame, label: str) -> pl.Expr:
    """UTC instants from instants, naive ones (taken as UTC) or ISO text; null where unreadable or absent."""
    dtype = rows.schema.get(label, pl.Null())
    if dtype == pl.String:
        text = pl.col(label).str.strip_chars()
        return pl.coalesce(
            text.str.to_datetime(form, strict=False, time_zone="UTC", time_unit="us") for form in TIME_FORMATS
        )
    if not isinstance(dtype, (pl.Datetime, pl.Date)):
        return pl.lit(
            None, Instant
        )  # a bare number may be seconds, milliseconds or microseconds: not guessed
    zone = getattr(dtype, "time_zone", None)
    stamped = pl.col(label).cast(pl.Datetime("us", zone))
    return stamped.dt.replace_time_zone("UTC") if zone is None else stamped.dt.convert_time_zone("UTC")


def to_date(rows: pl.DataFrame, label: str) -> pl.Expr:
    """Dates from dates, instants or ISO text; null where unreadable or absent."""
    dtype = rows.schema.get(label, pl.Null())
    if dtype == pl.String:
        day = pl.col(label).str.strip_chars().str.to_date("%Y-%m-%d", strict=False)
        return pl.coalesce(day, to_instant(rows, label).dt.date())
    return pl.col(label).cast(pl.Date) if isinstance(dtype, (pl.Datetime, pl.Date)) else pl.lit(None, pl.Date)


def end_of_day(day: pl.Expr) -> pl.Expr:
    """The last instant of a UTC day."""
    return day.cast(pl.Datetime("us")).dt.replace_time_zone("UTC") + timedelta(days=1, microseconds=-1)


STAMP = {
    raw.Bars: stamp_bars,
    raw.Macro: stamp_macro,
    raw.Actions: stamp_actions,
    raw.Constituents: stamp_constituents,
    raw.MarketSnapshot: stamp_snapshot,
    raw.PolicyEvents: stamp_events,
}
