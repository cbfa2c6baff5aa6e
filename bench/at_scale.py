"""The large universe: its stages, its whole rebuild, its publication, and the questions on it."""

import statistics
from pathlib import Path
from tempfile import TemporaryDirectory

from bench import large, questions, rebuild, stages
from bench.timing import Table, compared

HALF = "half of them"
TOTALS = ("all", "rows", "gib", "publish", "processor", "megabytes")


def tables(scale: float = 1.0, rounds: int = 3) -> list[Table]:
    """The stages, the whole rebuild, twice the members, publishing, and the questions on the publication."""
    with TemporaryDirectory() as temporary:
        folder, half = Path(temporary), Path(temporary) / "half"
        whole = large.Size(members=int(3000 * scale), crypto=max(2, int(50 * scale)))
        bars = large.make(folder, whole)
        large.make(half, large.Size(members=whole.members // 2, crypto=whole.crypto))
        rebuild.apart(rebuild.OURS, folder)
        rebuild.keep_made(folder)
        parts = stages.table(folder, rounds)
        asked = questions.table(folder / "work", "on the large universe", questions.LARGE)
        found = [
            {way: rebuild.apart(way, folder) for way in rebuild.WAYS}
            | {HALF: rebuild.apart(rebuild.OURS, half)}
            for _ in range(rounds)
        ]
    ours = [of_round[rebuild.OURS] for of_round in found]
    times = {way: [of_round[way]["all"] for of_round in found] for way in found[0]}
    rows = compared({way: times[way] for way in rebuild.WAYS}, [rebuild.FLOOR])
    for row in rows:
        own = [of_round[row.name] for of_round in found]
        row.notes["processors"] = f"{statistics.median(one['processor'] for one in own):.0f} s"
        row.notes["peak memory"] = f"{max(one['gib'] for one in own):.1f} GiB"
    twice = compared({"all members": times[rebuild.OURS], HALF: times[HALF]}, [HALF])
    publishing = {
        "publish": [one["publish"] for one in ours],
        "publish, per 100 MB of the copy": [one["publish"] / one["megabytes"] * 100 for one in ours],
        "rebuild": times[rebuild.OURS],
    }
    slowest = sorted(ours[0].items(), key=lambda item: -item[1])
    told = ", ".join(
        f"{label} {spent:.1f} s" for label, spent in slowest if spent > 1 and label not in TOTALS
    )
    about = (
        f"{bars:,} bars, {whole.crypto * whole.benchmarks:,} pairs, {ours[0]['rows']:,.0f} rows in all; each "
        f"way in a process of its own. Of ours: {told}. The floor reads the landed bytes and writes our "
        "finished tables. Pandas fills seven of them; so does the row below its own, which makes no other."
    )
    copy = f"A DuckDB copy of {ours[0]['megabytes']:,.0f} MB, Parquet of every table, digests and hashes."
    return [
        parts,
        Table("The whole rebuild, landing zone to mart", about, rebuild.FLOOR, rows),
        Table("Twice the members", "The whole rebuild.", HALF, twice),
        Table("Publishing the large universe", copy, "the rebuild", compared(publishing, ["rebuild"])),
        asked,
    ]
