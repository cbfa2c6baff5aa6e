"""How many members of an index take part in a move; and the ratios of two funds that stand in for it."""

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated as As
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from polars import LazyFrame as Frame

from schemas import core, mart, raw
from schemas.table import conform, polars_schema
from transforms.closes import SESSION_CLOSE
from transforms.grid import IS_DAILY, numbered, session_grid, trailing

MEANS = (50, 200)
YEAR = 252
AT_ONCE = 4  # blocks of members, each of some 30 MB
IN_USE = 20  # sessions without a bar after which a member of a panel has left
TIE = 1e-12  # a price within rounding of its mean is not above it
MEMBER = r"^[A-Za-z]+(?:[.\-/ ][A-Za-z]+)?$"  # tickers; not cash ("-"), futures or escrow lines (P5N994)
BLOCK = 48  # members that a core counts at once: bounds the memory, and keeps a block near it
PROXIES = (("IWM", "SPY"), ("RSP", "SPY"))
PROXY_MEAN = 50

Prices = NDArray[np.float64]
Flags = NDArray[np.bool_]


def breadth(
    bars: As[Frame, raw.Bars],
    constituents: As[Frame, raw.Constituents],
    panels: As[Frame, core.Panels],
    sessions: As[Frame, core.Sessions],
) -> As[Frame, mart.Breadth]:
    """Members above their means, the advance/decline line and new highs minus lows of every panel.

    Members of basis `panel` are the symbols of the source with a bar within the last 20 sessions up to the
    row's, so that one that stops is dropped without knowing that it never comes back. Those of basis
    `constituents` are the tickers of the newest list dated before the session, with or without bars; up to
    the date of the first list there are no rows. Rows end at the newest session of the calendar for which any
    source has a daily bar, so that a gap in one source shows as nulls and not as an end.

    Windows count sessions of the calendar and need bars on 90 % of them. A figure is null where fewer than
    60 % of the members in use have what it needs: a bar and a warm window, or this bar and the one before.
    """
    frames = [
        panel_breadth(panel, bars, constituents, sessions)
        for panel in panels.sort("index_id", "basis").collect().iter_rows(named=True)
    ]
    if not frames:
        return pl.LazyFrame(schema=polars_schema(mart.Breadth))
    return pl.concat(frames).lazy().sort("index_id", "basis", "session").pipe(conform, mart.Breadth)


def breadth_proxies(closes: As[Frame, core.Closes]) -> As[Frame, mart.BreadthProxies]:
    """Ratios of the funds' closes on sessions with both, and their mean over 50 such sessions."""
    closing = closes.filter(pl.col("convention") == SESSION_CLOSE).select("asset", "session", "close")
    ratios = [
        closing.filter(pl.col("asset") == one)
        .join(closing.filter(pl.col("asset") == other), on="session")
        .select("session", proxy=pl.lit(f"{one}/{other}"), ratio=pl.col("close") / pl.col("close_right"))
        .filter(pl.col("ratio").is_not_null())
        for one, other in PROXIES
    ]
    return (
        pl.concat(ratios)
        .sort("proxy", "session")
        .with_columns(ratio_sma_50=pl.col("ratio").rolling_mean(PROXY_MEAN).over("proxy", order_by="session"))
        .with_columns(is_above_sma_50=pl.col("ratio") > pl.col("ratio_sma_50"))
        .pipe(conform, mart.BreadthProxies)
    )


def panel_breadth(panel: dict[str, Any], bars: Frame, constituents: Frame, sessions: Frame) -> pl.DataFrame:
    """The rows of one panel: its prices on the grid of sessions, counted, the counts as figures."""
    grid = session_grid(bars, sessions, panel["calendar"])
    own = (
        bars.filter(IS_DAILY & (pl.col("source") == panel["source"]))
        .join(grid.lazy(), left_on="opened_at", right_on="open_at")
        .select("symbol", "at", "close", "adj_close")
        .collect()
    )
    if panel["basis"] == "constituents":
        tickers, listed = membership(constituents, panel["index_id"], grid["session"])
        priced = tickers.join(own, on="symbol", how="semi", maintain_order="left")  # many never have a bar
        prices = price_matrix(own, rows_of(priced), grid.height)
        counts = tally(prices, listed[priced["row"].to_numpy()])
        counts["members"] = listed.sum(axis=0, dtype=np.int64)
    else:
        counts = tally(price_matrix(own, rows_of(own), grid.height), None)
    return (
        pl.DataFrame({"session": grid["session"], **counts})
        .filter(pl.col("members").cum_max() > 0)
        .select("session", "members", *figures())
        .with_columns(index_id=pl.lit(panel["index_id"]), basis=pl.lit(panel["basis"]))
    )


def membership(constituents: Frame, index_id: str, days: pl.Series) -> tuple[pl.DataFrame, Flags]:
    """Tickers of the lists of an index, and whether each was a member: shape (tickers, sessions)."""
    lists = constituents.filter(
        (pl.col("index_id") == index_id)
        & pl.col("symbol").str.contains(MEMBER)
        & pl.col("weight_pct").is_not_null()  # else a corrected list took it off
    ).select("symbol", "as_of_on")
    listed = lists.unique().collect()
    dates = listed["as_of_on"].unique().sort()
    tickers = rows_of(listed)
    members = np.zeros((tickers.height, len(dates) + 1), dtype=np.bool_)  # column 0: before the first list
    rows = listed.join(tickers, on="symbol")
    members[rows["row"].to_numpy(), dates.search_sorted(rows["as_of_on"], "right").to_numpy()] = True
    return tickers, members[:, dates.search_sorted(days, "left").to_numpy()]  # a list is out the day after


def rows_of(symbols: pl.DataFrame) -> pl.DataFrame:
    """The symbols that occur, each with its `row` in a matrix."""
    return numbered(symbols, ["symbol"])[0].with_row_index("row")


def price_matrix(bars: pl.DataFrame, tickers: pl.DataFrame, width: int) -> Prices:
    """Prices of shape (tickers, sessions), NaN where there is no bar.

    A symbol's are its adjusted closes if its first bar has one, else its closes; never some of each.
    """
    symbols, of_bar = numbered(bars, ["symbol"])
    row = symbols.join(tickers, on="symbol", how="left", maintain_order="left")["row"].fill_null(len(tickers))
    cell = row.to_numpy()[of_bar].astype(np.int64) * width + bars["at"].to_numpy()
    prices: Prices = np.full(
        (2, tickers.height + 1, width), np.nan
    )  # the last row is of those without a ticker
    for matrix, label in zip(prices, ("close", "adj_close"), strict=True):
        matrix.ravel()[cell] = bars[label].to_numpy()
    close, adjusted = prices[0, :-1], prices[1, :-1]
    if not width:
        return close
    first = np.argmax(~np.isnan(close), axis=1)[:, None]
    return np.where(np.isnan(np.take_along_axis(adjusted, first, axis=1)), close, adjusted)


def tally(prices: Prices, listed: Flags | None) -> dict[str, NDArray[np.int64]]:
    """The counts of all members per session; counts add up, so blocks of members are taken at once."""
    blocks = [slice(start, start + BLOCK) for start in range(0, max(1, len(prices)), BLOCK)]
    with ThreadPoolExecutor(min(AT_ONCE, os.cpu_count() or 1)) as pool:
        counts = [
            *pool.map(lambda block: count(prices[block], None if listed is None else listed[block]), blocks)
        ]
    return {label: np.sum([one[label] for one in counts], axis=0) for label in counts[0]}


def count(prices: Prices, listed: Flags | None) -> dict[str, NDArray[np.int64]]:
    """Members per session by what is true of them, for prices of shape (members, sessions)."""
    present = ~np.isnan(prices)
    in_use = trailing(present, [IN_USE], np.logical_or, empty=False)[0] if listed is None else listed
    *filled, filled_year = trailing(present.astype(np.int16), [*MEANS, YEAR], np.add, empty=0)
    totals = trailing(np.where(present, prices, 0.0), MEANS, np.add, empty=0.0)
    flags = {"members": in_use}
    has_bar = present & in_use
    for window, count, total in zip(MEANS, filled, totals, strict=True):
        flags[f"known_{window}"] = has_bar & is_warm(count, window)
        flags[f"above_{window}"] = flags[f"known_{window}"] & (prices * count > total * (1 + TIE))
    flags["known_year"] = has_bar & is_warm(filled_year, YEAR)
    (highest,) = trailing(np.where(present, prices, -np.inf), [YEAR], np.maximum, empty=-np.inf)
    (lowest,) = trailing(np.where(present, prices, np.inf), [YEAR], np.minimum, empty=np.inf)
    flags["high"] = flags["known_year"] & (prices >= highest)
    flags["low"] = flags["known_year"] & (prices <= lowest)
    before = np.full_like(prices, np.nan)
    before[:, 1:] = prices[:, :-1]
    flags["compared"] = has_bar & ~np.isnan(before)
    flags["up"], flags["down"] = has_bar & (prices > before), has_bar & (prices < before)
    return {label: flag.sum(axis=0, dtype=np.int64) for label, flag in flags.items()}


def is_warm(filled: NDArray[np.int16], window: int) -> Flags:
    """True where at least 90 % of the window's sessions have a bar."""
    return 10 * filled >= 9 * window


def figures() -> list[pl.Expr]:
    """The published columns from the counts."""
    net = pl.when(quorum("compared")).then(pl.col("up") - pl.col("down"))
    extremes = pl.when(quorum("known_year")).then(pl.col("high") - pl.col("low"))
    return [
        *(
            pl.when(quorum(f"known_{w}"))
            .then(pl.col(f"above_{w}") / pl.col(f"known_{w}"))
            .alias(f"share_above_{w}")
            for w in MEANS
        ),
        net.cum_sum().alias("advance_decline"),
        extremes.alias("new_highs_minus_lows"),
    ]


def quorum(counted: str) -> pl.Expr:
    """True where at least 60 % of the members in use are counted; in whole numbers, so the edge is exact."""
    return (pl.col("members") > 0) & (5 * pl.col(counted) >= 3 * pl.col("members"))
