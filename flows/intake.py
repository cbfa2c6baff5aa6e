"""From what a provider said to rows that may be stored: stamped, checked, the bad ones set aside."""

from datetime import timedelta

import polars as pl

from flows.batch import FIGURES, NO_MEMBER, Batch
from flows.sources import Answer, Request, SourceError
from flows.spool import Part
from flows.stamps import STAMP
from schemas import raw
from schemas.table import Instant, culprit, failures, key, polars_schema
from warehouse.unknown import shown

MAX_BAD_SHARE, FEW_BAD_ROWS = 0.1, 5
ALIASES = ("date", "as_of", "vintage")  # what files call what a row is about, and its version
HINTS = {
    "readable_time": "; an instant has its time zone, as 2026-08-21T20:00:00Z, and a date is as 2026-08-21"
}
MAX_JUMP = 0.04  # of a 24/7 daily close to the next open: there is no pause in which a price could move


def take_in(request: Request, answer: Answer) -> Batch:
    """The batch of an answer: rows in the shape of the raw table, with `first_at`, when they became final.

    Raises:
        SourceError: if more than a tenth of the rows (and more than 5), or all of them, are bad; the batch is
            the error's `batch`, so that the refused rows are kept.
    """
    known = {*polars_schema(request.model), *ALIASES} & {*answer.rows.columns}
    batch = Batch(answer.rows.select(sorted(known)).with_row_index("line"), answer.rows)
    try:
        STAMP[request.model](batch, request)
        check_duplicates(batch, request)
        check_schema(batch, request)
        check_frozen(batch, request)
    except (SourceError, pl.exceptions.PolarsError) as error:
        first = str(error).split("\n", 1)[0]
        raise SourceError(f"{request.source} {request.label}: {first}") from error
    allowed = max(FEW_BAD_ROWS, MAX_BAD_SHARE * answer.rows.height)
    if batch.wrong > allowed or (batch.bad and batch.rows.is_empty()):
        raise refusal(request, batch)
    return batch


class RefusedError(SourceError):
    """Too much of a batch is bad to believe the rest; `batch` is all of it, until it is spooled as `part`."""

    batch: Batch | None = None
    part: Part | None = None


def refusal(request: Request, batch: Batch) -> RefusedError:
    """An error that names the source, the share and the commonest check."""
    refused = pl.concat(batch.refused)
    refused = refused if batch.wrong == 0 else refused.filter(pl.col("check_name") != NO_MEMBER)
    worst = refused["check_name"].value_counts(sort=True)["check_name"][0]
    line, _, column = refused.row(refused["check_name"].index_of(worst))
    value = batch.delivered[column][line] if column in batch.delivered else None
    such = "" if value is None else f", such as {column} {shown(value)}"
    such += HINTS.get(worst, "")
    number = refused["line"].n_unique()
    error = RefusedError(
        f"{request.source} {request.label}: {number} of {batch.delivered.height} rows are bad "
        f"(most fail {worst}{such}); none were stored, see ops.quarantine"
    )
    error.batch = batch
    return error


def check_duplicates(batch: Batch, request: Request) -> None:
    """Of rows that repeat a key one stays if they agree; where they differ nobody knows which is right."""
    about = [c for c in key(request.model) if c in batch.rows.columns] + (
        ["said_at"] if "said_at" in batch.rows.columns else []
    )
    if batch.rows.select(about).n_unique() == batch.rows.height:  # nearly always, and far quicker to see
        return
    figures = [pl.col(c) for c in FIGURES[request.model] if c in batch.rows.columns]
    batch.refuse(pl.struct(figures).n_unique().over(about) > 1, "no_conflicting_duplicate")
    batch.refuse(pl.int_range(pl.len()).over(about) > 0, "no_duplicate")


def check_schema(batch: Batch, request: Request) -> None:
    """Row by row what the raw table's schema says."""
    shape = polars_schema(request.model)
    filled = batch.rows.with_columns(
        *(pl.lit(None, Instant).alias("said_at") for _ in range("said_at" not in batch.rows.columns)),
        source=pl.lit(request.source),
        interval=pl.lit(request.interval),
        known_at=pl.lit(request.now, Instant),
        is_known_at_assumed=pl.lit(request.is_recorded),
        load_id=pl.lit(request.load_id),
    )
    absent = [
        pl.lit(None, dtype).alias(label) for label, dtype in shape.items() if label not in filled.columns
    ]
    filled = filled.with_columns(absent).with_columns(
        pl.col(label).cast(dtype) for label, dtype in shape.items()
    )
    broken = failures(filled.select(list(shape)), request.model)
    tables = broken.filter(pl.col("row").is_null())
    if tables.height:
        first = tables.row(0, named=True)
        raise SourceError(f"column {culprit(first, request.model)} fails {first['check']}")
    for (check, column), found in broken.group_by("check", "column", maintain_order=True):
        batch.note(
            filled["line"].gather(found["row"].unique()),
            str(check),
            None if "." in str(column) else str(column),
        )
    batch.rows = filled.filter(~pl.int_range(pl.len()).is_in(broken["row"].cast(pl.Int64).implode())).select(
        "line", *dict.fromkeys([*shape, "is_known_at_assumed", "first_at", "said_at"])
    )


def is_judged_by_next(request: Request) -> bool:
    """True where only the next bar shows whether one is final, because the market never closes."""
    return request.model is raw.Bars and request.calendar == "24/7" and request.interval == "1d"


def check_frozen(batch: Batch, request: Request) -> None:
    """A 24/7 daily close far from the next day's open was taken while the bar still ran."""
    if not is_judged_by_next(request):
        return
    following = pl.col("open").shift(-1).over("symbol", order_by="opened_at")
    is_next = pl.col("opened_at").shift(-1).over("symbol", order_by="opened_at") - pl.col(
        "opened_at"
    ) == timedelta(days=1)
    is_frozen = is_next & ((pl.col("close") / following - 1).abs() > MAX_JUMP)
    batch.frozen = batch.rows.filter(is_frozen)
    batch.refuse(is_frozen, "close_is_next_open", "close")
