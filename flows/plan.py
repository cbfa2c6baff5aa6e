"""What a run asks for: one request per source of an asset, macro series and other block of the universe."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime

from flows.intake import take_in
from flows.sources import Request, SourceError, fetch
from flows.universe import Universe
from flows.universe_blocks import Breadth, Feed, Macro
from schemas import raw

PANEL = 20  # members of an index in one request, as many as Yahoo answers for at once


KINDS = ("crypto", "exchange", "macro", "events", "snapshot")


def requests(
    universe: Universe,
    run_id: str,
    now: datetime,
    since: date | None = None,
    until: date | None = None,
    only: tuple[str, ...] = KINDS,
) -> list[Request]:
    """Every request of a run, each with the id of its load; a source that serves two assets is asked once.

    `only` names the kinds that are asked: crypto, exchange (all that is traded there, and breadth), macro,
    events, snapshot.
    """
    asked = (request for request in every(universe, now) if kind_of(request) in only)
    wanted = {(r.model, r.source, r.item, r.items, r.interval): r for r in asked}
    return [
        replace(request, load_id=f"{run_id}-{number:04d}", since=since, until=until)
        for number, request in enumerate(wanted.values(), start=1)
    ]


def kind_of(request: Request) -> str:
    """The kind of source that a request asks, as a deployment names it."""
    if request.model is raw.Bars:
        return "crypto" if request.kind == "crypto" else "exchange"
    kinds = {raw.Macro: "macro", raw.PolicyEvents: "events", raw.MarketSnapshot: "snapshot"}
    return kinds.get(request.model, "exchange")


def every(universe: Universe, now: datetime) -> Iterator[Request]:
    """The requests in the order of the file."""
    yield from of_assets(universe, now)
    for macro in universe.macro:
        yield of_macro(universe, macro, now)
    for breadth in universe.breadth:
        yield from of_breadth(universe, breadth, now)
    for events in universe.events:
        yield replace(of_feed(universe, events, now, None), model=raw.PolicyEvents)
    for snapshot in universe.snapshot:
        yield replace(of_feed(universe, snapshot, now, None), model=raw.MarketSnapshot)


def of_assets(universe: Universe, now: datetime) -> Iterator[Request]:
    """One request a source of an asset."""
    for asset in universe.asset:
        for source in asset.sources:
            request = of_feed(universe, source, now, source.symbol)
            yield replace(
                request,
                interval=source.interval,
                calendar=asset.calendar,
                kind=asset.kind,
                settle_minutes=source.settle_minutes,
            )


def of_feed(universe: Universe, feed: Feed, now: datetime, item: str | None) -> Request:
    """What all requests share; recorded files bring their own now."""
    return Request(
        model=raw.Bars,
        provider=feed.provider,
        source=feed.source,
        item=item,
        now=feed.recorded_at or now,
        path=universe.resolve(feed.path) if feed.path else None,
        is_recorded=feed.provider == "files",
    )


def of_macro(universe: Universe, macro: Macro, now: datetime) -> Request:
    """One macro series with its release lag."""
    request = of_feed(universe, macro, now, macro.symbol)
    return replace(request, model=raw.Macro, release_lag_days=macro.release_lag_days)


def of_breadth(universe: Universe, breadth: Breadth, now: datetime) -> Iterator[Request]:
    """The members' prices and the membership, as far as the block has them."""
    if breadth.members == "file":
        yield of_panel(universe, breadth, now)
    if breadth.constituents:
        membership = of_members(universe, breadth, breadth.constituents, now)
        yield membership
        if breadth.provider != "files":
            yield from of_prices(universe, breadth, membership)


def of_prices(universe: Universe, breadth: Breadth, membership: Request) -> Iterator[Request]:
    """The prices of all that ever were members, as one request; an unreadable file is told once."""
    try:
        symbols = members(membership)
    except SourceError:  # the membership's own request says so
        return
    panel = of_panel(universe, breadth, membership.now)
    own = {s.symbol for asset in universe.asset for s in asset.sources if s.source == panel.source}
    others = tuple(symbol for symbol in symbols if symbol not in own)  # an asset has its own request
    if others:
        yield replace(panel, items=others)


def in_panels(request: Request) -> Iterator[Request]:
    """A request for many symbols as several, each one answer and one line of the ledger."""
    if not request.items:
        yield request
    for at in range(0, len(request.items), PANEL):
        yield replace(request, items=request.items[at : at + PANEL])


def of_panel(universe: Universe, breadth: Breadth, now: datetime) -> Request:
    """All symbols of a file as one load of daily bars."""
    request = of_feed(universe, breadth, now, None)
    return replace(request, interval="1d", calendar=breadth.calendar, kind="stock")


def of_members(universe: Universe, breadth: Breadth, path: str, now: datetime) -> Request:
    """The dated membership of an index, which is a file whoever serves the members' prices."""
    request = of_feed(universe, breadth, now, breadth.index)
    return replace(
        request,
        model=raw.Constituents,
        provider="files",
        source=f"files:{path}",
        path=universe.resolve(path),
        is_recorded=True,
    )


def members(membership: Request) -> tuple[str, ...]:
    """The symbols of every member on any date.

    Raises:
        SourceError: if the file does not serve.
    """
    rows = take_in(membership, fetch(membership)).rows
    return tuple(rows["symbol"].unique().sort().to_list())
