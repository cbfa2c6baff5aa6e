"""Splits and dividends in prices: levels that no split breaks, and total returns where none are delivered."""

import polars as pl
from polars import LazyFrame as Frame

SERIES = ["asset", "source", "symbol"]
FIGURES = ["open", "high", "low", "close"]


def with_actions(bars: Frame, actions: Frame) -> Frame:
    """Daily bars as levels with splits chained forward, and `adj_close` for total returns.

    A level is the price times all splits so far, so that one share bought at the start is followed and
    history stands still when a dividend is paid or a share is split. A provider that has divided its whole
    history by later splits (price_basis split_adjusted) is multiplied by all of them. Dividends stay in the
    level. Where the provider delivers adjusted closes they are taken for returns, throughout or not at all;
    otherwise the total return is (close + dividend) * split / close before, chained.

    Args:
        bars: Daily bars with `session`, one row per series (asset, source, symbol) and session.
        actions: `raw.actions`; an action counts at the first bar from its ex date on.
    """
    paid = at_bars(actions, bars)
    split = pl.col("split_ratio").fill_null(1.0)
    so_far = split.cum_prod().over(SERIES, order_by="session")
    is_divided = pl.col("price_basis") == "split_adjusted"
    return (
        bars.join(paid, on=["source", "symbol", "session"], how="left")
        .with_columns(factor=pl.when(is_divided).then(split.product().over(SERIES)).otherwise(so_far))
        .with_columns(growth=growth(split, is_divided).over(SERIES, order_by="session"))
        .with_columns(pl.col(FIGURES) * pl.col("factor"))
        .with_columns(adj_close=total_return_close().over(SERIES, order_by="session"))
        .drop("split_ratio", "dividend", "factor", "growth")
    )


def at_bars(actions: Frame, bars: Frame) -> Frame:
    """Splits and dividends of each series by the session of the bar at which they count.

    Where the ex date has no bar, that is the next one; what came before the first bar does not count.
    """
    series = ["source", "symbol"]
    days = bars.select(*series, "session", bar="session").unique()
    dated = days.with_columns(first=pl.col("bar").min().over(series)).sort("session")
    return (
        actions.select(*series, "split_ratio", "dividend", session="ex_on")
        .sort("session")
        .join_asof(dated, on="session", by=series, strategy="forward", check_sortedness=False)
        .filter(pl.col("session") >= pl.col("first"))
        .group_by(*series, session="bar")
        .agg(pl.col("split_ratio").fill_null(1.0).product(), pl.col("dividend").fill_null(0.0).sum())
    )


def growth(split: pl.Expr, is_divided: pl.Expr) -> pl.Expr:
    """Total return of a session as a factor; 1 for the first."""
    own_split = pl.when(is_divided).then(1.0).otherwise(split)
    received = (pl.col("close") + pl.col("dividend").fill_null(0.0)) * own_split
    return (received / pl.col("close").shift(1)).fill_null(1.0)


def total_return_close() -> pl.Expr:
    """The provider's adjusted close if it has any, the chained one if dividends were paid, else the level."""
    is_adjusted = pl.col("adj_close").is_not_null().any()
    pays = (pl.col("dividend") > 0).any().fill_null(value=False)
    chained = pl.col("close").first() * pl.col("growth").cum_prod()
    return pl.when(is_adjusted).then("adj_close").when(pays).then(chained).otherwise("close")
