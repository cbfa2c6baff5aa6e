"""Any Parquet or CSV with the columns of the samples: recorded data, or a user's own vendor data."""

from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from flows.sources import Answer, Request, SourceError, constituents
from schemas import raw
from warehouse.unknown import LOOKED_AT, instead

MAX_ROWS, MAX_BYTES = 200_000_000, 8 << 30
MAX_NAMES = 200  # characters of a file's column names in a message
TWICE = "_duplicated_"  # how Polars names the second column of a name
WANTED = {
    raw.Bars: {"symbol", "close"},
    raw.Macro: {"series_id", "observed_on", "value"},
    raw.Actions: {"symbol"},
    raw.Constituents: {"symbol", "weight_pct"},
    raw.MarketSnapshot: {"total_market_cap_usd"},
    raw.PolicyEvents: {"event_id", "kind"},
}
ABOUT = {
    raw.Bars: ("opened_at", "date"),
    raw.Macro: ("observed_on",),
    raw.Actions: ("ex_on", "date"),
    raw.Constituents: ("as_of_on", "as_of"),
    raw.MarketSnapshot: ("captured_at",),
    raw.PolicyEvents: ("released_at",),
}
ITEM = {raw.Bars: "symbol", raw.Macro: "series_id", raw.Actions: "symbol"}  # else a file is about one thing
SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}  # that are not read


def fetch(request: Request) -> Answer:
    """The rows of the request's item, in its range, with the file's own columns.

    Raises:
        SourceError: if the file is missing, empty, not Parquet or CSV, lacks a column, or has no such item.
    """
    path = request.path
    assert path is not None, "the universe gives every file its path"
    try:
        is_fund = request.model is raw.Constituents and constituents.is_holdings(path)
        frame = constituents.holdings(path) if is_fund else scan(path)
        about = check_columns(frame, request, path)
        rows = select(frame, request, about).collect()
    except (OSError, pl.exceptions.PolarsError, pa.ArrowException, UnicodeDecodeError) as error:
        first = str(error).split("\n", 1)[0]
        raise SourceError(f"{path}: cannot be read as {path.suffix[1:] or 'CSV'} ({first})") from error
    if request.model is raw.Constituents:
        constituents.check_whole(rows, about, path)
    if rows.is_empty() and request.since is None and request.until is None:
        there = instead(request.item, items(frame, request)) if request.item else ""
        raise SourceError(f"{path}: has no rows for {request.label}; check the symbol in the universe{there}")
    return Answer(rows)


def items(frame: pl.LazyFrame, request: Request) -> list[str]:
    """The symbols or series that a file has."""
    if request.model not in ITEM:
        return []
    column = pl.col(ITEM[request.model]).cast(pl.String)
    found = frame.select(column.unique(maintain_order=True).head(LOOKED_AT)).collect()
    return found.to_series().drop_nulls().to_list()


def scan(path: Path) -> pl.LazyFrame:
    """A lazy frame over the file; a Parquet footer is checked first, so that a hostile one is not read."""
    if path.is_dir():
        raise SourceError(f"{path}: is a folder; name a file in it")
    if path.stat().st_size == 0:
        raise SourceError(f"{path}: is empty; replace it or remove the block that names it from the universe")
    if path.suffix == ".parquet":
        footer = pq.read_metadata(path)
        size = sum(footer.row_group(i).total_byte_size for i in range(footer.num_row_groups))
        if footer.num_rows > MAX_ROWS or size > MAX_BYTES:
            raise SourceError(f"{path}: claims {footer.num_rows} rows in {size} bytes; split it")
        return pl.scan_parquet(path, glob=False)
    return pl.scan_csv(path, infer_schema=False, encoding="utf8", glob=False)


def check_columns(frame: pl.LazyFrame, request: Request, path: Path) -> str:
    """The name of the column that says what a row is about."""
    names = set(frame.collect_schema().names())
    if twice := sorted(name.partition(TWICE)[0] for name in names if TWICE in name):
        raise SourceError(f"{path}: has the column {plainly(twice)} twice; remove one")
    about = next((column for column in ABOUT[request.model] if column in names), None)
    missing = sorted(WANTED[request.model] - names)
    if about is None:
        missing.append(" or ".join(ABOUT[request.model]))
    if missing:
        said = f"{path}: lacks the column {', '.join(missing)} (it has {plainly(sorted(names))})"
        mark = next((mark for mark in SEPARATORS if len(names) == 1 and mark in next(iter(names))), None)
        hint = f"; its columns are separated by {SEPARATORS[mark]}: save it with commas" if mark else ""
        raise SourceError(said + hint)
    return str(about)


def plainly(names: list[str]) -> str:
    """Column names out of a file, which may hold anything, as a piece of one line."""
    text = "".join(c if c.isprintable() else "?" for c in ", ".join(names))
    return text if len(text) <= MAX_NAMES else f"{text[:MAX_NAMES]}..."


def select(frame: pl.LazyFrame, request: Request, about: str) -> pl.LazyFrame:
    """Only the item and the range that were asked for."""
    if request.item is not None and request.model in ITEM:
        frame = frame.filter(pl.col(ITEM[request.model]).cast(pl.String) == request.item)
    if request.since is None and request.until is None:
        return frame
    day = pl.col(about).cast(pl.String).str.slice(0, 10).str.to_date(strict=False)
    since = pl.lit(value=True) if request.since is None else (day >= request.since).fill_null(value=True)
    until = pl.lit(value=True) if request.until is None else (day <= request.until).fill_null(value=True)
    return frame.filter(since & until)
