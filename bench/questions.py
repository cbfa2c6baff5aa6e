"""The ten questions of docs/questions.md on a published file, the opening of the file included."""

import re
import statistics
from contextlib import closing
from pathlib import Path

from bench.timing import Row, Table, seconds
from warehouse.reader import connect

PAGE = Path(__file__).parents[1] / "docs" / "questions.md"
TIMES = 20


def questions() -> dict[str, str]:
    """Heading and SQL of each question."""
    found = re.findall(
        r"^## (\d+\. .*?)$.*?```sql\n(.*?)```", PAGE.read_text(), flags=re.MULTILINE | re.DOTALL
    )
    return dict(found)


def ask(data: Path, sql: str) -> object:
    """Open, ask, close, as a tool would."""
    with closing(connect(data)) as con:
        return con.execute(sql).fetchall()


def table(data: Path, what: str, *, asset: str = "ETH", benchmark: str = "RUT") -> Table:
    """Median and 95th percentile of each question; the ratio is to opening the file and asking nothing."""
    opening = [seconds(lambda: ask(data, "SELECT 1")) for _ in range(TIMES)]
    base = statistics.median(opening)
    rows = [row("opening alone", opening, base)]
    for heading, text in questions().items():
        sql = text.replace("'ETH'", f"'{asset}'").replace("'RUT'", f"'{benchmark}'")
        rows.append(row(heading, [seconds(lambda sql=sql: ask(data, sql)) for _ in range(TIMES)], base))
    return Table(f"Ten questions, {what}", f"{TIMES} times each.", "opening", rows)


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
