"""What a delivered row is about, in the words of the raw tables: numbers, instants, sessions."""

from datetime import date, timedelta

import polars as pl

from flows.batch import FIGURES, Batch
from flows.calendars import FIRST_DAY, sessions
from flows.sources import Request
from schemas import raw
from schemas.table import Instant
from transforms.finality import HOUR, daily_final_at

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
    batch.refuse(pl.col("opened_at") > request.now, "not_in_the_future", "opened_at")
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
    batch.refuse(pl.col("session") > request.now.date() + timedelta(days=1), "not_in_the_future", about)
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
    to_numbers(batch, FIGURES[raw.Macro])
    batch.refuse(pl.col("observed_on").is_null(), "readable_time", "observed_on")
    released = end_of_day(pl.col("observed_on") + timedelta(days=request.release_lag_days))
    given = to_instant(batch.rows, "available_at")
    batch.rows = batch.rows.with_columns(
        available_at=pl.coalesce(given, pl.min_horizontal(released, "said_at"))  # a vintage shows it was out
    ).with_columns(first_at=pl.col("available_at"))
    batch.refuse(pl.col("observed_on") > request.now.date(), "not_in_the_future", "observed_on")


def to_numbers(batch: Batch, labels: tuple[str, ...]) -> None:
    """Columns as floats; what is not a number is refused, what is absent is null."""
    for label in labels:
        if label not in batch.rows.columns:
            batch.rows = batch.rows.with_columns(pl.lit(None, pl.Float64).alias(label))
            continue
        given = pl.col(label).str.strip_chars() if batch.rows[label].dtype == pl.String else pl.col(label)
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
        return pl.col(label).str.strip_chars().str.to_date("%Y-%m-%d", strict=False)
    return pl.col(label).cast(pl.Date) if isinstance(dtype, (pl.Datetime, pl.Date)) else pl.lit(None, pl.Date)


def end_of_day(day: pl.Expr) -> pl.Expr:
    """The last instant of a UTC day."""
    return day.cast(pl.Datetime("us")).dt.replace_time_zone("UTC") + timedelta(days=1, microseconds=-1)


STAMP = {raw.Bars: stamp_bars, raw.Macro: stamp_macro}
