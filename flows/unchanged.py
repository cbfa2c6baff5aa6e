"""Recorded files that were read before, and are as they were then: they are not read again.

A file says the same when its bytes are the same and it is read by the same code with the same settings. Rows
that were refused as of the future or still running are read again, unless the file says itself when it was
recorded: what they are depends on the clock.
"""

from datetime import datetime
from pathlib import Path

import polars as pl

from flows.batch import FUTURE
from flows.build_cache import code, fingerprint
from flows.ledger import Outcome
from flows.resume import Known
from flows.sources import Request
from flows.universe import Universe
from schemas.table import name
from warehouse.files import sha256

SAID = ("loaded", "unchanged")  # of an attempt whose rows are stored
NOTE = "the file is as it was when it was last read"


def answer_hashes(asked: list[Request], now: datetime) -> dict[str, str]:
    """By load id, a hash of what a recorded file says and of how it is read; a file is hashed once."""
    files: dict[Path, str] = {}
    found = {}
    for request in asked:
        if request.path is None or request.is_live or not request.path.is_file():
            continue
        try:
            files[request.path] = files.get(request.path) or sha256(request.path)
        except OSError:  # its own request says why
            continue
        clock = None if request.now == now else request.now
        found[request.load_id] = fingerprint(files[request.path], code(), str(clock), settings(request))
    return found


def settings(request: Request) -> list[str]:
    """What a request asks for, in whichever run and wherever the file lies."""
    return [
        name(request.model) if label == "model" else str(getattr(request, label))
        for label in Request.__slots__
        if label not in {"load_id", "now", "path"}
    ]


def unchanged(
    asked: list[Request], marks: dict[str, str], stored: Known, universe: Universe, now: datetime
) -> dict[str, Outcome]:
    """By load id, the outcome of each request that need not be asked again.

    The sources of an asset are compared with each other, so they are all read, or none of them.

    Args:
        asked: The requests.
        marks: From `answer_hashes`.
        stored: `ops.loads`, in the order in which they were loaded, and what was ever refused.
        universe: Says which requests belong to one asset.
        now: The instant of the run.
    """
    newest = stored.loads.sort("run_id", maintain_order=True).unique(
        ["source", "table_name", "item", "interval"], keep="last", maintain_order=True
    )
    said = newest.filter(pl.col("status").is_in(SAID) & pl.col("answer_sha256").is_not_null())
    still = said.filter(rows_running=0)
    early = stored.refused.filter(check_name=FUTURE).select("source", "table_name", "item")
    has_early = set(early.iter_rows())
    whole, complete, ended = (
        set(loads["answer_sha256"]) for loads in (said, still, still.filter(rows_quarantined=0))
    )

    def is_same(one: Request) -> bool:
        depends = (one.source, name(one.model), one.label) in has_early
        fit = whole if one.now != now else ended if depends else complete
        return marks.get(one.load_id) in fit

    same = {one.load_id for one in asked if is_same(one)}
    by_series = {(one.source, one.item, one.interval): one.load_id for one in asked}
    for asset in universe.asset:
        own = {by_series.get((one.source, one.symbol, one.interval)) for one in asset.sources} - {None}
        if not own <= same:
            same -= own
    return {one.load_id: Outcome(one, now, note=NOTE) for one in asked if one.load_id in same}
