"""The ten questions of docs/questions.md on a published file, the opening of the file included."""

import re
import statistics
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from bench.timing import Row, Table, seconds
from warehouse.reader import connect

PAGE = Path(__file__).parents[1] / "docs" / "questions.md"
TIMES = 20
HISTORIES = ("4", "5", "8")  # the questions that read every session or lag of a pair or more
LARGE = {  # assets and days of the large universe for those of the samples
    "ETH": "C00",
    "RUT": "I00",
    "SPY": "I01",
    "VIX": "I02",
    "2026-01-01": "2025-01-01",
    "2026-08-21": "2025-12-31",
}


def questions() -> dict[str, str]:
    """Heading and SQL of each question."""
    found = re.findall(
        r"^## (\d+\. .*?)$.*?```sql\n(.*?)```", PAGE.read_text(), flags=re.MULTILINE | re.DOTALL
    )
    return dict(found)


def ask(data: Path, sql: str) -> list[Any]:
    """Open, ask, close, as a tool would."""
    with closing(connect(data)) as con:
        return con.execute(sql).fetchall()


def table(data: Path, what: str, names: Mapping[str, str] | None = None) -> Table:
    """Median and 95th percentile of each question; the ratio is to opening the file and asking nothing.

    Args:
        data: The folder with the publication.
        what: Which one it is, for the title.
        names: What stands there for the assets and days of the questions.
    """
    opening = [seconds(lambda: ask(data, "SELECT 1")) for _ in range(TIMES)]
    base = statistics.median(opening)
    rows = [row("opening alone", opening, base)]
    for heading, text in questions().items():
        sql = text
        for name, other in (names or {}).items():
            sql = sql.replace(f"'{name}'", f"'{other}'")
        if not ask(data, sql):
            raise ValueError(f"{what}: no answer to {heading}")
        one = row(heading, [seconds(lambda sql=sql: ask(data, sql)) for _ in range(TIMES)], base)
        one.notes["reads"] = (
            "a whole history" if heading.split(".")[0] in HISTORIES else "a point, or the latest"
        )
        rows.append(one)
    return Table(
        f"Ten questions, {what}", f"{TIMES} times each, opening and closing the file.", "opening", rows
    )


def row(name: str, times: list[float], base: float) -> Row:
    """One question."""
    ratios = [spent / base for spent in times]
    percentile = statistics.quantiles(times, n=20)[-1] * 1000
    return Row(
        name,
        statistics.median(times) * 1000,
        statistics.median(ratios),
        min(ratios),
        max(ratios),
        {"p95": f"{percentile:.0f} ms"},
    )
