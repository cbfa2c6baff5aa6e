"""How much memory a run takes for so many symbols: `python peak.py SYMBOLS FOLDER`, in a process of its own.

Yahoo's answers are charts of seven years of days, each symbol's the same but for its name.
Prints what fetching and landing, and then loading, took at most on top of a run over a few symbols, in bytes,
and the rows that were landed.
"""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flows import universe as universes
from flows.fetching import fetched
from flows.job import Job
from flows.ledger import land, load_landed
from flows.runners import Plain
from flows.sources import Request, yahoo
from warehouse.store import Store

NOW = datetime(2026, 3, 20, 22, tzinfo=UTC)
FEW = 12


def universe(folder: Path, symbols: int) -> Path:
    """So many stocks, each an asset of its own."""
    block = '[[asset]]\nid = "S{0}"\nname = "S{0}"\nkind = "stock"\nsources = [{1}]\n'
    source = '{{ provider = "yahoo", symbol = "S{0}", interval = "1d" }}'
    study = '[study]\ntarget = "S0"\nbenchmark = "S1"\npairs = [["S0", "S1"]]\n'
    folder.mkdir()
    path = folder / "universe.toml"
    path.write_text(study + "".join(block.format(n, source.format(n)) for n in range(symbols)))
    return path


def answers() -> Any:
    """A stand-in for the request: the chart of whatever symbol is asked for."""
    from yahoo_server import Chart, sessions

    days = {day: 50.0 + n / 100 for n, day in enumerate(sessions("2019-01-02", "2026-03-20"))}
    result = Chart(days).result("S", {"period1": "0", "period2": str(2**40)})

    def ask(request: Request, *_: Any) -> dict[str, Any]:
        named = {**result, "meta": {**result["meta"], "symbol": request.item}}
        return {"chart": {"result": [named], "error": None}}

    return ask


def run(folder: Path, symbols: int) -> tuple[int, int, int]:
    """Bytes at most of fetching with landing, and of loading, above what there was; rows."""
    job = Job(universes.load(universe(folder, symbols)), folder / "data", now=NOW)
    before = figure("VmRSS", is_reset=True)
    outcomes = fetched(job, Plain())
    with Store(job.warehouse) as store:
        land(outcomes, store, job.zone, job.run_id, NOW)
        landing = figure("VmHWM") - before
        load_landed(store, job.zone)
        loading = figure("VmHWM") - before
        return landing, loading, store.tables()["raw.bars"]


def figure(label: str, *, is_reset: bool = False) -> int:
    """Memory of this process in bytes, now (VmRSS) or at most since the last reset (VmHWM)."""
    if is_reset:
        Path("/proc/self/clear_refs").write_text("5")
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith(f"{label}:")]
    return int(line.split()[1]) << 10


if __name__ == "__main__":
    yahoo.ask = answers()
    run(Path(sys.argv[2]) / "few", FEW)  # so that libraries and buffers are there
    sys.stdout.write(" ".join(map(str, run(Path(sys.argv[2]) / "many", int(sys.argv[1])))))
