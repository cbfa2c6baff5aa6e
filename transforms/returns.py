"""Total log returns between consecutive study sessions, and the growth that they add up to."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby, pairwise
from operator import itemgetter
from typing import Annotated as As
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from polars import LazyFrame as Frame

from schemas import core, mart
from schemas.table import conform
from transforms.grid import numbered, study_sessions
from transforms.study import Study

SERIES = ["asset", "convention"]
SAME_ADJUSTMENT = 1e-6


def returns(
    closes: As[Frame, core.Closes], sessions: As[Frame, core.Sessions], study: Study
) -> As[Frame, core.Returns]:
    """Log return over the study session before, for every session after the asset's first.

    A session without a close keeps its row with a null return, and so does the one after it: nothing is
    filled forward, so no return is invented. Nor is one where another source stands in whose adjustment for
    dividends and splits is not the same.
    """
    prices = on_sessions(closes, sessions, study)
    moves = np.diff(np.log(prices.adjusted), axis=1, prepend=np.nan)
    moves[seams(prices)] = np.nan
    after_first = np.zeros_like(prices.has_begun)
    after_first[:, 1:] = prices.has_begun[:, :-1]
    return prices.long("log_return", moves, after_first).lazy().pipe(conform, core.Returns)


def normalized(
    closes: As[Frame, core.Closes], sessions: As[Frame, core.Sessions], study: Study
) -> As[Frame, mart.Normalized]:
    """Total-return level with 100 at the asset's first study session; null where the session has no close.

    Null also while another source stands in whose adjustment is not the same: what the asset earned between
    the two is not known.
    """
    prices = on_sessions(closes, sessions, study)
    begin = np.minimum((~prices.has_begun).sum(axis=1), prices.sessions.height - 1)
    first = np.take_along_axis(prices.adjusted, begin[:, None], axis=1)
    levels = 100 * (prices.adjusted / first)
    for series, of_other in incomparable(prices):
        levels[series, of_other] = np.nan
    return prices.long("rebased", levels, prices.has_begun).lazy().pipe(conform, mart.Normalized)


@dataclass(frozen=True, slots=True)
class Prices:
    """Closes of each series on the study's sessions; the matrices have the shape (series, sessions)."""

    series: pl.DataFrame  # asset and convention, sorted
    sessions: pl.DataFrame  # from the first to the newest that any asset has a price for
    has_begun: NDArray[np.bool_]  # from the first close of the series on
    close: NDArray[np.float64]  # NaN where there is none
    adjusted: NDArray[np.float64]
    source: NDArray[np.int64]  # a number for each source, -1 where there is no close

    def long(self, label: str, values: NDArray[np.float64], rows: NDArray[np.bool_]) -> pl.DataFrame:
        """A row per series and session where `rows` says so; NaN as null."""
        of_session = np.broadcast_to(np.arange(rows.shape[1], dtype=np.uint32), rows.shape)[rows]
        of_series = np.repeat(np.arange(rows.shape[0], dtype=np.uint32), rows.sum(axis=1))
        own = pl.Series(label, values[rows], nan_to_null=True)
        days = (self.sessions[column].gather(of_session) for column in ("session", "gap_days"))
        return self.series[of_series].with_columns(*days, own)


def on_sessions(closes: Frame, sessions: Frame, study: Study) -> Prices:
    """The closes of every asset, laid by calendar day, of which those of the study's sessions are taken."""
    days = study_sessions(closes, sessions, study).collect()
    taken = days["session"].to_physical().to_numpy()
    begin, width = (taken[0], int(taken[-1] - taken[0]) + 1) if len(taken) else (0, 0)
    own = closes.select(*SERIES, "session", "close", "adj_close", "source").collect()
    day = own["session"].to_physical().to_numpy() - begin
    is_within = (day >= 0) & (day < width)
    if not is_within.all():
        own, day = own.filter(is_within), day[is_within]
    series, row = numbered(own, SERIES)
    cell = row * width + day

    def laid(values: NDArray[Any], empty: float) -> NDArray[Any]:
        """Each value in its place."""
        cells = np.full((series.height, width), empty, values.dtype)
        cells.ravel()[cell] = values
        return cells[:, taken - begin]

    sources = laid(numbered(own, ["source"])[1], -1)
    has_begun = np.logical_or.accumulate(sources >= 0, axis=1)
    close, adjusted = (laid(own[label].to_numpy(), np.nan) for label in ("close", "adj_close"))
    return Prices(series, days, has_begun, close, adjusted, sources)


def seams(prices: Prices) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Series and sessions whose close is another source's than the one before, and is adjusted otherwise."""
    series, before = np.nonzero(prices.source[:, 1:] != prices.source[:, :-1])
    old, new = (prices.adjusted[series, at] / prices.close[series, at] for at in (before, before + 1))
    is_seam = ~(np.abs(new / old - 1) < SAME_ADJUSTMENT)
    return series[is_seam], before[is_seam] + 1


def incomparable(prices: Prices) -> Iterator[tuple[int, slice]]:
    """Series and sessions in which another source stands in whose adjustment is not the same."""
    adjustment = prices.adjusted / prices.close
    places = zip(*(axis.tolist() for axis in seams(prices)), strict=True)
    for series, of_series in groupby(places, key=itemgetter(0)):
        begins = [at for _, at in of_series]
        own, source = adjustment[series], prices.source[series]
        known = begins[0] - 1
        for begin, end in pairwise([*begins, len(own)]):
            if source[begin] != source[known] and abs(own[begin] / own[known] - 1) >= SAME_ADJUSTMENT:
                yield series, slice(begin, end)
