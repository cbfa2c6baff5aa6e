"""How far the sources are, on stderr: a line when one is done, and now and then one while it is not."""

import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TextIO

from flows.ledger import Outcome
from flows.sources import Request, SourceError
from schemas import raw

CALM, LIVELY = 10.0, 0.2  # seconds between two lines of what goes on, in a log and at a terminal
UNITS = {raw.Bars: "symbols", raw.Macro: "series"}  # else requests
AGAIN = "\r\x1b[K"  # to the beginning of a terminal's line, and wipe it


@dataclass(slots=True)
class Tally:
    """What one source was asked for and what came, in symbols or series."""

    unit: str
    asked: int = 0
    done: int = 0
    failed: int = 0
    rows: int = 0
    last: str = ""

    def __str__(self) -> str:
        """As people read it."""
        failed = f", {self.failed:,} failed" if self.failed else ""
        return f"{self.done:,} of {self.asked:,} {self.unit}, {self.rows:,} rows{failed}"


@dataclass
class Progress:
    """Counts what the live sources answer; recorded files are read too fast to be worth a word.

    Attributes:
        asked: All requests.
        out: Where it is told; default: stderr.
        clock: Seconds that passed.
    """

    asked: list[Request]
    out: TextIO = field(default_factory=lambda: sys.stderr)
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        """Say what is asked for."""
        self.lock, self.tallies = threading.Lock(), dict[str, Tally]()
        self.began = self.told = self.clock()
        for request in filter(lambda one: one.is_live, self.asked):
            unit = UNITS.get(request.model, "requests")
            self.tallies.setdefault(request.source, Tally(unit)).asked += size(request)
        wanted = [f"{source} ({one.asked:,} {one.unit})" for source, one in self.tallies.items()]
        if wanted:
            self._line(f"asking {', '.join(wanted)}")

    def note(self, request: Request, result: Outcome | SourceError) -> None:
        """One request is answered, or failed."""
        if not request.is_live:
            return
        with self.lock:
            tally = self.tallies[request.source]
            tally.done += size(request)
            if isinstance(result, SourceError):
                tally.failed += size(request)
                tally.last = str(result)
            elif result.part:
                tally.rows += result.part.delivered
            if tally.done == tally.asked:
                self._line(self._closing(request.source, tally))
            else:
                self._tell_now_and_then()

    def _closing(self, source: str, tally: Tally) -> str:
        """The one line that stays of a source."""
        if tally.failed == tally.asked:
            return f"{source}: nothing of {tally.asked:,} {tally.unit}; {tally.last}"
        failed = f"; the last: {tally.last}" if tally.failed else ""
        return f"{source}: {tally} in {self.clock() - self.began:.0f} s{failed}"

    def _tell_now_and_then(self) -> None:
        if self.clock() - self.told < (LIVELY if self.out.isatty() else CALM):
            return
        self.told = self.clock()
        going = [f"{source}: {one}" for source, one in self.tallies.items() if one.done < one.asked]
        text = "; ".join(going)
        self.out.write(f"{AGAIN}{text}" if self.out.isatty() else f"{text}\n")
        self.out.flush()

    def _line(self, text: str) -> None:
        self.out.write(f"{AGAIN if self.out.isatty() else ''}{text}\n")
        self.out.flush()


def size(request: Request) -> int:
    """How many symbols or series a request is for."""
    return max(len(request.items), 1)
