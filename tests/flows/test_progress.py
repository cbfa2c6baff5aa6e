"""What is told of the sources while they are asked, in a log and at a terminal."""

import io
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from flows.ledger import Outcome
from flows.progress import Progress
from flows.sources import Request, SourceError
from flows.spool import Part
from schemas import raw

NOW = datetime(2026, 3, 20, 22, tzinfo=UTC)
SPY = Request(raw.Bars, "yahoo", "yahoo", "SPY", NOW)
PANEL = replace(SPY, item=None, items=tuple("ABCDEFGHIJ"))
WALCL = Request(raw.Macro, "fred", "fred", "WALCL", NOW)
FILE = Request(raw.Bars, "files", "files:x.csv", "SPY", NOW)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Ticks:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def answered(request: Request, rows: int) -> Outcome:
    return Outcome(request, NOW, Part(Path("x"), rows, 0, 0, rows, frozenset()))


def test_log_is_calm_and_each_source_ends_with_one_line() -> None:
    out, clock = io.StringIO(), Ticks()
    asked = [SPY, PANEL, PANEL, WALCL, FILE]
    progress = Progress(asked, out, clock)
    progress.note(FILE, answered(FILE, 9))
    progress.note(SPY, answered(SPY, 100))
    clock.now = 11
    progress.note(PANEL, answered(PANEL, 1000))
    progress.note(WALCL, SourceError("fred WALCL: cannot be reached"))
    clock.now = 12
    progress.note(PANEL, SourceError("yahoo A..J (10): HTTP 500"))
    assert out.getvalue().splitlines() == [
        "asking yahoo (21 symbols), fred (1 series)",
        "yahoo: 11 of 21 symbols, 1,100 rows; fred: 0 of 1 series, 0 rows",
        "fred: nothing of 1 series; fred WALCL: cannot be reached",
        "yahoo: 21 of 21 symbols, 1,100 rows, 10 failed in 12 s; the last: yahoo A..J (10): HTTP 500",
    ]


def test_terminal_has_one_line_that_is_written_over() -> None:
    out, clock = Terminal(), Ticks()
    progress = Progress([SPY, PANEL], out, clock)
    clock.now = 1
    progress.note(PANEL, answered(PANEL, 50))
    assert out.getvalue().endswith("\r\x1b[Kyahoo: 10 of 11 symbols, 50 rows")
    progress.note(SPY, answered(SPY, 5))
    assert out.getvalue().endswith("\r\x1b[Kyahoo: 11 of 11 symbols, 55 rows in 1 s\n")


def test_recorded_files_are_not_worth_a_word() -> None:
    out = io.StringIO()
    Progress([FILE], out, Ticks()).note(FILE, answered(FILE, 9))
    assert out.getvalue() == ""
