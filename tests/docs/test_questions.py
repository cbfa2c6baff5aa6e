"""The ten questions of docs/questions.md run as they stand, and the answers shown are those of the samples.

`COMOVE_WRITE_DOCS=1 pytest tests/docs/test_questions.py` writes the answers anew.
"""

import os
import re
from contextlib import closing
from pathlib import Path
from typing import Any

from warehouse.reader import connect

PAGE = Path(__file__).parents[2] / "docs" / "questions.md"
QUERY = re.compile(r"```sql\n(.*?)```\n(?:\n\|.*?\|\n(?=\n|\Z))?", re.DOTALL)


def told(value: Any) -> str:
    return "" if value is None else str(value)


def table(con: Any, query: str) -> str:
    cursor = con.execute(query)
    rows = [[column[0] for column in cursor.description], *cursor.fetchall()]
    lines = [f"| {' | '.join(map(told, row))} |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]]) + "\n"


def answered(text: str, con: Any) -> str:
    return QUERY.sub(lambda found: f"```sql\n{found[1]}```\n\n{table(con, found[1])}", text)


def test_the_answers_shown_are_those_of_the_samples(sample_data: Path) -> None:
    text = PAGE.read_text()
    with closing(connect(sample_data)) as con:
        current = answered(text, con)
    if os.environ.get("COMOVE_WRITE_DOCS"):
        PAGE.write_text(current)
    assert current == text


def test_there_are_ten_questions_and_each_has_an_answer(sample_data: Path) -> None:
    with closing(connect(sample_data)) as con:
        counts = [len(con.execute(found[1]).fetchall()) for found in QUERY.finditer(PAGE.read_text())]
    assert len(counts) == 10
    assert all(counts)
