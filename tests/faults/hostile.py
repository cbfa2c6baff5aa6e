"""Files that a careless or hostile person may name in a universe; every one asks for the symbol X, daily."""

import os
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl

HEAD = "symbol,date,open,high,low,close,volume\n"
DAYS = [date(2025, 10, 6), date(2025, 10, 7), date(2025, 10, 8)]
GOOD = "".join(f"X,{day},10,12,9,11,100\n" for day in DAYS)
Make = Callable[[Path], object]


def text(content: str, encoding: str = "utf-8") -> Make:
    """A text file."""
    return lambda path: path.write_bytes(content.encode(encoding))


def row(line: str) -> Make:
    """Three good rows and one that is not."""
    return text(HEAD + GOOD + line + "\n")


def parquet(**columns: object) -> Make:
    """A Parquet file whose columns differ from good ones."""
    good = {"symbol": ["X"] * 3, "date": DAYS, "open": [10.0] * 3, "high": [12.0] * 3, "low": [9.0] * 3}
    frame = {**good, "close": [11.0] * 3, "volume": [100.0] * 3, **columns}
    return lambda path: pl.DataFrame(frame, strict=False).write_parquet(path)


def cut(share: float) -> Make:
    """A Parquet file that was cut off."""

    def make(path: Path) -> None:
        parquet()(path)
        os.truncate(path, int(path.stat().st_size * share))

    return make


def flipped(path: Path) -> None:
    """A Parquet file with a footer of nonsense lengths."""
    parquet()(path)
    content = bytearray(path.read_bytes())
    content[-8:-4] = b"\xff\xff\xff\x7f"
    path.write_bytes(content)


def spoiled(path: Path) -> None:
    """A Parquet file with a spoiled data page."""
    parquet()(path)
    content = bytearray(path.read_bytes())
    content[4:40] = b"\xff" * 36
    path.write_bytes(content)


FILES: dict[str, tuple[str, Make]] = {
    "no bytes": ("x.csv", text("")),
    "a header alone": ("x.csv", text(HEAD)),
    "one line break": ("x.csv", text("\n")),
    "zero bytes": ("x.csv", lambda path: path.write_bytes(bytes(5000))),
    "every byte value": ("x.csv", lambda path: path.write_bytes(bytes(range(256)) * 20)),
    "latin-1 text": ("x.csv", text(HEAD + GOOD + "Zürich,2025-10-08,1,1,1,1,1\n", "latin-1")),
    "UTF-16": ("x.csv", text(HEAD + GOOD, "utf-16")),
    "a byte-order mark": ("x.csv", text(HEAD + GOOD, "utf-8-sig")),
    "CRLF": ("x.csv", text((HEAD + GOOD).replace("\n", "\r\n"))),
    "old Mac line ends": ("x.csv", text((HEAD + GOOD).replace("\n", "\r"))),
    "semicolons": ("x.csv", text((HEAD + GOOD).replace(",", ";"))),
    "HTML": ("x.csv", text("<!doctype html><html><body>Too many requests</body></html>")),
    "JSON": ("x.csv", text('{"error": "rate limit", "symbol": "X"}')),
    "a column missing": ("x.csv", text("symbol,date,price\nX,2025-10-08,1\n")),
    "a column twice": ("x.csv", text("symbol,date,close,close\nX,2025-10-08,1,2\n")),
    "a header in capitals": ("x.csv", text(HEAD.upper() + GOOD)),
    "a row cut short": ("x.csv", row("X,2025-10-09,10,12")),
    "a row too long": ("x.csv", row("X,2025-10-09,10,12,9,11,100,1,2,3")),
    "an open quote": ("x.csv", row('X,2025-10-09,"10,12,9,11,100')),
    "no number": ("x.csv", row("X,2025-10-09,10,12,9,eleven,100")),
    "a formula": ("x.csv", row('X,2025-10-09,10,12,9,"=cmd|/c calc!A1",100')),
    "a thousands comma": ("x.csv", row('X,2025-10-09,10,12,9,"1,100",100')),
    "NaN": ("x.csv", row("X,2025-10-09,10,12,9,nan,100")),
    "infinity": ("x.csv", row("X,2025-10-09,10,inf,9,11,100")),
    "1e400": ("x.csv", row("X,2025-10-09,10,1e400,9,11,100")),
    "a negative price": ("x.csv", row("X,2025-10-09,10,12,-9,11,100")),
    "a price of zero": ("x.csv", row("X,2025-10-09,10,12,9,0,100")),
    "a negative volume": ("x.csv", row("X,2025-10-09,10,12,9,11,-100")),
    "a high below its low": ("x.csv", row("X,2025-10-09,10,8,9,11,100")),
    "year 9999": ("x.csv", row("X,9999-12-31,10,12,9,11,100")),
    "year 0001": ("x.csv", row("X,0001-01-01,10,12,9,11,100")),
    "30 February": ("x.csv", row("X,2025-02-30,10,12,9,11,100")),
    "a Sunday": ("x.csv", row("X,2025-10-05,10,12,9,11,100")),
    "no date": ("x.csv", row("X,,10,12,9,11,100")),
    "a day of two closes": ("x.csv", row("X,2025-10-08,10,12,9,11.5,100")),
    "SQL for a symbol": ("x.csv", row("'; DROP TABLE raw.bars; --,2025-10-09,10,12,9,11,100")),
    "a symbol of a megabyte": ("x.csv", row("X" * 1_000_000 + ",2025-10-09,10,12,9,11,100")),
    "a NUL in a field": ("x.csv", row("X\0,2025-10-09,10,12,9,11,100")),
    "text in a Parquet name": ("x.parquet", text(HEAD + GOOD)),
    "Parquet in a CSV name": ("x.csv", parquet()),
    "a Parquet of no bytes": ("x.parquet", text("")),
    "PAR1 and no more": ("x.parquet", text("PAR1")),
    "a Parquet cut in half": ("x.parquet", cut(0.5)),
    "a Parquet without its last byte": ("x.parquet", cut(0.999)),
    "a footer of two gigabytes": ("x.parquet", flipped),
    "a spoiled data page": ("x.parquet", spoiled),
    "a Parquet of no rows": (
        "x.parquet",
        lambda p: pl.DataFrame({"symbol": [], "date": [], "close": []}).write_parquet(p),
    ),
    "lists for prices": ("x.parquet", parquet(close=[[11.0]] * 3)),
    "structs for prices": ("x.parquet", parquet(close=[{"a": 1.0}] * 3)),
    "text for prices": ("x.parquet", parquet(close=["eleven"] * 3)),
    "nulls for prices": ("x.parquet", parquet(close=[None, None, None])),
    "nulls for symbols": ("x.parquet", parquet(symbol=[None, None, None])),
    "booleans for prices": ("x.parquet", parquet(close=[True] * 3)),
    "numbers for dates": ("x.parquet", parquet(date=[1, 2, 3])),
    "instants far away": ("x.parquet", parquet(date=[datetime(9999, 12, 31, 23, tzinfo=UTC)] * 3)),
    "NaN in a Parquet": ("x.parquet", parquet(close=[11.0, float("nan"), 11.0])),
    "a folder": ("x.csv", lambda path: path.mkdir()),
    "a folder named Parquet": ("x.parquet", lambda path: path.mkdir()),
    "no file": ("x.csv", lambda _: None),
    "a link to itself": ("x.csv", lambda path: path.symlink_to(path)),
    "a link to nowhere": ("x.csv", lambda path: path.symlink_to("/nonexistent/file")),
}

SHAPE = "lacks the column"
UNREADABLE = "cannot be read as"
Checks = list[tuple[str, str | None]]  # by name and column, as ops.quarantine says them
OUTCOMES: dict[
    str, str | tuple[int, int, Checks]
] = {  # words of the one line, or rows stored, refused, and why
    "no bytes": "is empty",
    "a header alone": "has no rows for X",
    "one line break": UNREADABLE,
    "zero bytes": SHAPE,
    "every byte value": SHAPE,
    "latin-1 text": "invalid utf-8",
    "UTF-16": SHAPE,
    "a byte-order mark": (3, 0, []),
    "CRLF": (3, 0, []),
    "old Mac line ends": "twice; remove one",
    "semicolons": SHAPE,
    "HTML": SHAPE,
    "JSON": SHAPE,
    "a column missing": "lacks the column close (it has date, price, symbol)",
    "a column twice": "has the column close twice",
    "a header in capitals": SHAPE,
    "a row too long": "found more fields than defined",
    "an open quote": UNREADABLE,
    "a row cut short": (3, 1, [("has_close", "close")]),
    "no number": (3, 1, [("is_a_number", "close")]),
    "a formula": (3, 1, [("is_a_number", "close")]),
    "a thousands comma": (3, 1, [("is_a_number", "close")]),
    "NaN": (3, 1, [("finite", "close")]),
    "infinity": (3, 1, [("finite", "high")]),
    "1e400": (3, 1, [("finite", "high")]),
    "a negative price": (3, 1, [("greater_than(0)", "low")]),
    "a price of zero": (3, 1, [("greater_than(0)", "close"), ("low_is_lowest", None)]),
    "a negative volume": (3, 1, [("greater_than_or_equal_to(0)", "volume")]),
    "a high below its low": (3, 1, [("high_is_highest", None), ("low_is_lowest", None)]),
    "year 9999": (3, 1, [("not_in_the_future", "date")]),
    "year 0001": (3, 1, [("after_1990", "date")]),
    "30 February": (3, 1, [("readable_time", "date")]),
    "a Sunday": (3, 1, [("is_a_session", "date")]),
    "no date": (3, 1, [("readable_time", "date")]),
    "a day of two closes": (2, 2, [("no_conflicting_duplicate", None)]),
    "SQL for a symbol": (3, 0, []),
    "a symbol of a megabyte": (3, 0, []),
    "a NUL in a field": (3, 0, []),
    "text in a Parquet name": UNREADABLE,
    "Parquet in a CSV name": SHAPE,
    "a Parquet of no bytes": "is empty",
    "PAR1 and no more": UNREADABLE,
    "a Parquet cut in half": UNREADABLE,
    "a Parquet without its last byte": UNREADABLE,
    "a footer of two gigabytes": "smaller than the size reported by footer",
    "a spoiled data page": UNREADABLE,
    "a Parquet of no rows": "has no rows for X",
    "lists for prices": "column close holds List(Float64), not numbers",
    "structs for prices": "column close holds Struct",
    "text for prices": '3 of 3 rows are bad (most fail is_a_number, such as close "eleven")',
    "nulls for prices": "3 of 3 rows are bad (most fail has_close)",
    "nulls for symbols": "has no rows for X",
    "booleans for prices": "column close holds Boolean, not numbers",
    "numbers for dates": "3 of 3 rows are bad (most fail readable_time, such as date 1; an instant has its "
    "time zone, as 2026-08-21T20:00:00Z, and a date is as 2026-08-21)",
    "instants far away": "3 of 3 rows are bad (most fail not_in_the_future, such as date "
    '"9999-12-31 23:00:00+00:00")',
    "NaN in a Parquet": (2, 1, [("finite", "close")]),
    "a folder": "is a folder",
    "a folder named Parquet": "is a folder",
    "no file": "No such file",
    "a link to itself": "Too many levels of symbolic links",
    "a link to nowhere": "No such file",
}
ASSET = """
[[asset]]
id = "X"
name = "X"
kind = "stock"
sources = [{{ provider = "files", path = "{path}", symbol = "{symbol}", interval = "1d" }}]
"""
PATH = "/etc/passwd\\x00; name a file"
SYMBOL = "is not allowed; write it as"
UNIVERSES = {  # what it says, or a block more in a good one, and words of the one line
    "no bytes": (b"", "[study]: missing; add it"),
    "random bytes": (bytes(range(256)), "is not TOML"),
    "a Parquet": (b"PAR1\x00\x00PAR1", "is not TOML"),
    "HTML": (b"<html></html>", "is not TOML"),
    "UTF-16": ("[study]".encode("utf-16"), "is not TOML"),
    "deep nesting": (b"a = " + b"[" * 100_000, "is not TOML"),
    "a table twice": (b"[study]\n[study]\n", "is not TOML"),
    "a path outside": (ASSET.format(path="../../../etc/passwd\\u0000", symbol="X").encode(), PATH),
    "SQL for a symbol": (
        ASSET.format(path="rut.csv", symbol="'; DROP TABLE raw.bars; --").encode(),
        SYMBOL,
    ),
    "a symbol of a megabyte": (ASSET.format(path="rut.csv", symbol="X" * 1_000_000).encode(), SYMBOL),
    "a symbol with a line break": (ASSET.format(path="rut.csv", symbol="X\\nfailed: no").encode(), SYMBOL),
}


def table() -> str:
    """The cases and how each ends, for docs/reliability.md."""
    lines = ["| the file is or has | what happens |", "|---|---|"]
    lines += [f"| {case} | {told(OUTCOMES[case])} |" for case in FILES]
    lines += ["", "| the universe file is or has | the line says |", "|---|---|"]
    lines += [f'| {case} | "... {words} ..." |' for case, (_, words) in UNIVERSES.items()]
    return "\n".join(lines)


def told(end: str | tuple[int, int, Checks]) -> str:
    """How a case ends, in words."""
    if isinstance(end, str):
        return f'fails alone: "... {end} ..."'
    rows, bad, checks = end
    why = ", ".join(f"`{check}`" + (f" of {column}" if column else "") for check, column in checks)
    return f"{rows} rows stored, {bad} quarantined" + (f": {why}" if why else "")


if __name__ == "__main__":
    print(table())  # noqa: T201
