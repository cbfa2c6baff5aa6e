"""Side by side: everyone is timed in alternation, in one process, and compared within a round.

What else the machine does then falls on all alike, and a ratio says more than seconds, which only hold here.
"""

import gc
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Contestants = Mapping[str, Callable[[], Any]]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table: median milliseconds, and the ratio to the baseline of the same round."""

    name: str
    milliseconds: float
    ratio: float
    low: float
    high: float
    notes: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Table:
    """Rows with what was done and what the ratio compares with."""

    title: str
    about: str
    baseline: str
    rows: list[Row]

    def lines(self) -> Iterator[str]:
        """The table as Markdown."""
        labels = list(dict.fromkeys(label for row in self.rows for label in row.notes))
        yield from (f"## {self.title}", "", self.about, "")
        yield f"| | median | ratio to {self.baseline} | spread |{''.join(f' {label} |' for label in labels)}"
        yield f"|---|---:|---:|---:|{'---:|' * len(labels)}"
        for row in self.rows:
            notes = "".join(f" {row.notes.get(label, '')} |" for label in labels)
            yield (
                f"| {row.name} | {row.milliseconds:,.0f} ms | {row.ratio:.2f} | "
                f"{row.low:.2f} - {row.high:.2f} |{notes}"
            )


def seconds(run: Callable[[], Any]) -> float:
    """Wall time of one run; its answer is freed after the clock has stopped."""
    gc.collect()
    start = time.perf_counter()
    answer = run()
    spent = time.perf_counter() - start
    del answer
    return spent


def alternated(runs: Contestants, rounds: int, warm_up: int = 1) -> dict[str, list[float]]:
    """Seconds of every contestant in every round, after the rounds that warm up."""
    times = [{name: seconds(run) for name, run in runs.items()} for _ in range(rounds + warm_up)][warm_up:]
    return {name: [of_round[name] for of_round in times] for name in runs}


def compared(times: Mapping[str, list[float]], baselines: list[str]) -> list[Row]:
    """The rows; a round's baseline is the fastest of those named."""
    base = [min(times[name][turn] for name in baselines) for turn in range(len(times[baselines[0]]))]
    rows = []
    for name, own in times.items():
        ratios = [spent / other for spent, other in zip(own, base, strict=True)]
        middle = statistics.median(own) * 1000
        rows.append(Row(name, middle, statistics.median(ratios), min(ratios), max(ratios)))
    return rows
