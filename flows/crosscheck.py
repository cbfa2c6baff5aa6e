"""The sources of one asset against each other: a fallback that tells another story is not stored."""

from collections.abc import Iterator
from dataclasses import replace

import polars as pl

from flows.intake import RefusedError
from flows.ledger import Outcome
from flows.resume import Known
from flows.universe import Universe
from flows.universe_blocks import AssetSource
from schemas import raw

ENOUGH = 5  # common bars
SHARE = 0.95  # of the common bars must agree: a flash crash is no reason, another instrument is


class DisagreementError(RefusedError):
    """A fallback's prices are not those of the first source."""


def disagreement(
    outcome: Outcome, first: AssetSource, difference: float, tolerance: float
) -> DisagreementError:
    """An error that names both, and by how much they differ."""
    error = DisagreementError(
        f"{outcome.request.what}: closes differ from {first.source} {first.symbol} by {difference:.2f} % "
        f"(tolerance_pct = {tolerance:g}); none were stored, check the symbol and its currency"
    )
    error.part = outcome.part
    return error


def checked(universe: Universe, outcomes: list[Outcome], stored: Known) -> list[Outcome]:
    """The outcomes, with fallbacks that disagree turned into refusals."""
    refused = {
        id(outcome): replace(outcome, part=None, error=error)
        for outcome, error in disagreements(universe, outcomes, stored)
    }
    return [refused.get(id(outcome), outcome) for outcome in outcomes]


def disagreements(
    universe: Universe, outcomes: list[Outcome], stored: Known
) -> Iterator[tuple[Outcome, DisagreementError]]:
    """Each fallback that lies off the first source of its asset, interval and price basis."""
    found = {
        (o.request.source, o.request.item, o.request.interval): o
        for o in outcomes
        if o.request.model is raw.Bars
    }
    for asset in universe.asset:
        for source in asset.sources:
            first = next(s for s in asset.sources if alike(s, source))
            outcome = found.get((source.source, source.symbol, source.interval))
            if first is source or outcome is None or outcome.part is None:
                continue
            theirs = closes(first, found.get((first.source, first.symbol, first.interval)), stored)
            difference = apart(theirs, outcome.part.closes)
            if difference is not None and difference > source.tolerance_pct:
                yield outcome, disagreement(outcome, first, difference, source.tolerance_pct)


def alike(one: AssetSource, other: AssetSource) -> bool:
    """Comparable: bars of the same length on the same basis."""
    return one.interval == other.interval and (one.price_basis == "adjusted") == (
        other.price_basis == "adjusted"
    )


def closes(source: AssetSource, outcome: Outcome | None, stored: Known) -> pl.DataFrame:
    """What the first source says now, or said last if it does not answer."""
    if outcome and outcome.part:
        return outcome.part.closes
    return stored.bars.filter(source=source.source, symbol=source.symbol, interval=source.interval)


def apart(theirs: pl.DataFrame, ours: pl.DataFrame) -> float | None:
    """The per cent within which the common bars lie, but for one in twenty; `None` if too few."""
    both = ours.join(theirs.select("opened_at", first="close"), on="opened_at").filter(pl.col("first") > 0)
    if both.height < ENOUGH:
        return None
    off = both.select(((pl.col("close") / pl.col("first") - 1).abs() * 100).quantile(SHARE)).item()
    return None if off is None else float(off)
