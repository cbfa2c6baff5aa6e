"""What is stored already: from where a source is asked again, and whether it has restated its history."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

import polars as pl

from flows.plan import in_panels
from flows.sources import Request
from flows.spool import Part
from flows.versions import SAME
from schemas import ops, raw
from schemas.table import name, polars_schema
from warehouse.store import Store

OVERLAP = {"1h": timedelta(days=2), "1d": timedelta(days=7), None: timedelta(days=7)}
OF_BAR = ("source", "symbol", "interval")


@dataclass(frozen=True, slots=True)
class Known:
    """The stored bars to compare with, the newest decision of every source, the ledger, what was refused."""

    bars: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=polars_schema(raw.Bars)))
    decided: dict[str, date] = field(default_factory=dict)
    loads: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=polars_schema(ops.Loads)))
    refused: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=polars_schema(ops.Quarantine)))

    def last(self, request: Request) -> dict[str, date]:
        """The day of the newest bar of each symbol of a request."""
        newest = self.of(request).group_by("symbol").agg(pl.col("opened_at").max().dt.date())
        return dict(newest.iter_rows())

    def vintages(self, request: Request) -> date | None:
        """The day of the newest load of all vintages of a series; without a key, it takes a single page."""
        mine = self.loads.filter(
            pl.col("status").is_in(["loaded", "unchanged"]),
            pl.col("pages") > 1,
            pl.all_horizontal(pl.col("since_on", "until_on").is_null()),
            source=request.source,
            item=request.series,
            table_name=name(request.model),
        )
        newest = mine["started_at"].max()
        return newest.date() if isinstance(newest, datetime) else None

    def days(self, request: Request) -> pl.Series:
        """The days of all bars of a request."""
        return self.of(request)["opened_at"].dt.date()

    def of(self, request: Request) -> pl.DataFrame:
        """The bars of a request."""
        wanted = request.items or (request.item,)
        mine = self.bars.filter(source=request.source, interval=request.interval or "")
        return mine.filter(pl.col("symbol").is_in(wanted))


def known(store: Store, now: datetime, days: tuple[date, date] | None = None) -> Known:
    """What is in force now: bars as far back as the overlap, or the first and last ones of a range of days.

    A restatement moves every bar before it, so the first ones of a range show it.
    """
    widest = max(OVERLAP.values())
    if days:
        bars = store.ends(raw.Bars, now, *days, widest).filter(pl.col("close").is_not_null())
    else:
        bars = store.recent(raw.Bars, now, 2 * widest).filter(pl.col("close").is_not_null())
        age = pl.col("opened_at").max().over(OF_BAR) - pl.col("opened_at")
        bars = bars.filter(age <= widest)
    events = store.newest(raw.PolicyEvents, now).filter(pl.col("kind").is_in(["statement", "unscheduled"]))
    decided = events.group_by("source").agg(pl.col("released_at").max().dt.date())
    return Known(bars, dict(decided.iter_rows()), store.read(ops.Loads), store.read(ops.Quarantine))


def resume(wanted: list[Request], stored: Known, run_id: str) -> list[Request]:
    """The requests from where they left off, with new load ids where one became several."""
    asked = [one for request in wanted for one in resumed(request, stored)]
    return [replace(one, load_id=f"{run_id}-{number:04d}") for number, one in enumerate(asked, start=1)]


def resumed(request: Request, stored: Known) -> Iterator[Request]:
    """The request from its last stored bar minus the overlap; several where its symbols differ in that.

    Recorded files always deliver everything, and so does a macro series: it is small, and its revisions may
    go back for decades. Of its vintages, only those since all were asked for are.
    """
    overlap = OVERLAP[request.interval]
    if request.is_live and request.model is raw.Macro and not (request.since or request.until):
        day = stored.vintages(request)
        yield replace(request, vintages_from=day and day - overlap)
    elif not request.is_live or request.since or request.model not in (raw.Bars, raw.PolicyEvents):
        yield from in_panels(request)
    elif request.model is raw.PolicyEvents:
        yield since(request, stored.decided.get(request.source), overlap)
    elif request.items:
        yield from resumed_panel(request, stored.last(request), overlap)
    else:
        yield since(request, stored.last(request).get(request.item or ""), overlap)


def since(request: Request, last: date | None, overlap: timedelta) -> Request:
    """The request from the overlap before its last bar, or from its own end if that is earlier."""
    first = last and min(last - overlap, request.until or date.max)
    return replace(request, since=first)


def resumed_panel(request: Request, last: dict[str, date], overlap: timedelta) -> Iterator[Request]:
    """Requests for the symbols that are up to date, that stayed behind, and that are new, some at a time."""
    newest = max(last.values(), default=date.min)
    groups: dict[str, list[str]] = {"current": [], "behind": [], "new": []}
    for symbol in request.items:
        is_current = symbol in last and newest - last[symbol] <= overlap
        groups["new" if symbol not in last else "current" if is_current else "behind"].append(symbol)
    for symbols in groups.values():
        for panel in in_panels(replace(request, items=tuple(symbols))) if symbols else ():
            day = min((last[symbol] for symbol in panel.items if symbol in last), default=None)
            yield since(panel, day, overlap)


def is_restated(request: Request, part: Part, stored: Known) -> bool:
    """Whether a stored close or adjusted close is another now: a dividend, a split.

    Then every bar before may be another too, and the whole history is asked for, so that versions are added.
    """
    if request.model is not raw.Bars or not request.is_restating or request.since is None:
        return False
    both = part.rows.join(stored.bars, on=[*OF_BAR, "opened_at"], suffix="_stored")
    moved = [(pl.col(c) / pl.col(f"{c}_stored") - 1).abs() > SAME for c in ("close", "adj_close")]
    return both.filter(pl.any_horizontal(moved)).height > 0
