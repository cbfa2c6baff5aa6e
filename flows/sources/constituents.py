"""The members of an index from the holdings of a fund: a Parquet or CSV table, or iShares' own holdings file.

iShares' file has a byte-order mark, a preamble with the date, thousands separators, cash, futures and escrow
lines among the shares, tickers that look like something else (`TRUE`, `-`), and a legal footer. A file that
lacks part of the fund is refused as a whole, because membership is a fact of its date.
"""

import csv
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import polars as pl

from flows.sources import SourceError

AS_OF = re.compile(r'^Fund Holdings as of,"?([A-Z][a-z]{2} \d{1,2}, \d{4})"?', re.MULTILINE)
HEADER = "Ticker,Name,"
SHARES = "Equity"
UNLISTED = "NO MARKET"
WHOLE_PCT = (98.5, 101.0)  # a fund's weights add up to 100, but for cash and rounding
SCHEMA = {"as_of_on": pl.Date, "symbol": pl.String, "weight_pct": pl.String, "text": pl.String}


def is_holdings(path: Path) -> bool:
    """True for a holdings file as iShares has it."""
    return path.suffix == ".csv" and HEADER in path.read_text("utf-8-sig")[:4000]


def holdings(path: Path) -> pl.LazyFrame:
    """The shares of a holdings file; a line that breaks off has no symbol and its text in `text`.

    Raises:
        SourceError: if the file does not say of which day it is, or breaks off within the table.
    """
    text = path.read_text("utf-8-sig")
    day = AS_OF.search(text)
    if not day:
        raise SourceError(f'{path}: lacks the line "Fund Holdings as of"; download the holdings again')
    as_of = datetime.strptime(day[1], "%b %d, %Y").date()  # noqa: DTZ007 - a date has no time zone
    rows = [{"as_of_on": as_of, **row} for row in shares(text, path)]
    return pl.LazyFrame(rows, schema=SCHEMA)


def shares(text: str, path: Path) -> Iterator[dict[str, str | None]]:
    """The lines of the table up to the blank one before the footer, without cash, futures and escrow.

    Raises:
        SourceError: if there is no such blank line, so that members may be missing.
    """
    lines = iter(text[text.index(HEADER) :].splitlines())
    names = next(csv.reader([next(lines)]))
    for line in lines:
        if not line.strip("\ufeff\xa0 "):
            return
        cells = next(csv.reader([line]))
        if len(cells) != len(names):
            yield {"symbol": None, "weight_pct": None, "text": line}
            continue
        row = dict(zip(names, cells, strict=True))
        if row["Asset Class"] == SHARES and not row.get("Exchange", "").upper().startswith(UNLISTED):
            yield {"symbol": row["Ticker"], "weight_pct": row["Weight (%)"].replace(",", "")}
    raise SourceError(
        f"{path}: breaks off, as the line after the table is missing; download the holdings again"
    )


def check_whole(rows: pl.DataFrame, about: str, path: Path) -> None:
    """The weights of each date add up to the whole fund.

    Raises:
        SourceError: naming the date and the sum.
    """
    weight = pl.col("weight_pct").cast(pl.Float64, strict=False).sum()
    for day, total in rows.group_by(about).agg(weight).iter_rows():
        if not WHOLE_PCT[0] <= total <= WHOLE_PCT[1]:
            raise SourceError(
                f"{path}: the weights of {day} add up to {total:.1f} %, so members are missing or double; "
                "download the holdings again"
            )
