"""Indicators on each asset's own bars, equal to the textbook recursions bar for bar; null until warm.

The functions are expressions over the bars of one series, oldest first and without gaps; bars are numbered
from 0. `pl.struct(...).struct.with_fields(...)` names an intermediate, which Polars would otherwise compute
again wherever it is used.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated as As

import polars as pl
from polars import LazyFrame as Frame

from schemas import core, mart
from schemas.table import conform

SERIES = ("asset", "convention")
BARS = ("session", "open", "high", "low", "close", "volume")


def rsi(close: pl.Expr, length: int) -> pl.Expr:
    """Relative strength index, 0 to 100: gains as a share of all changes, both smoothed; 50 while flat.

    First value at bar `length`. Wilder, New Concepts in Technical Trading Systems (1978).
    """
    change, gains, moves = pl.field("change"), pl.field("gains"), pl.field("moves")
    return (
        pl.struct(change=close.diff())
        .struct.with_fields(
            gains=wilder(change.clip(lower_bound=0), length), moves=wilder(change.abs(), length)
        )
        .struct.with_fields(rsi=pl.when(moves == 0).then(50.0).otherwise(100 * (gains / moves)))
        .struct.field("rsi")
    )


def macd(close: pl.Expr, fast: int, slow: int, signal: int) -> pl.Expr:
    """MACD in price units: a struct of the line (fast less slow average), its signal line, and the histogram.

    Both averages start at bar `slow - 1`, the signal line at bar `slow + signal - 2`, each as the mean of the
    values until then; that bar is the first of all three. Appel, Technical Analysis (2005).
    """
    first, line = slow + signal - 2, pl.field("line")
    quick, calm = (smoothed(close, 2 / (length + 1), length, slow - 1) for length in (fast, slow))
    return (
        pl.struct(line=quick - calm)
        .struct.with_fields(signal=smoothed(line, 2 / (signal + 1), signal, first))
        .struct.with_fields(
            line=pl.when(bar_number(line) >= first).then(line), hist=line - pl.field("signal")
        )
    )


def bollinger(close: pl.Expr, length: int, width: float) -> pl.Expr:
    """Bollinger bands: a struct of lower and upper, in price units, and bandwidth, a ratio to the mean.

    They lie `width` standard deviations of the population from the mean; first values at bar `length - 1`.
    Bollinger, Bollinger on Bollinger Bands (2001).
    """
    mean, reach = pl.field("mean"), pl.field("reach")
    return (
        pl.struct(mean=sma(close, length), reach=width * close.rolling_std(length, ddof=0))
        .struct.with_fields(bands=pl.struct(lower=mean - reach, upper=mean + reach, width=2 * reach / mean))
        .struct.field("bands")
    )


def atr(high: pl.Expr, low: pl.Expr, close: pl.Expr, length: int) -> pl.Expr:
    """Average true range in price units: how far a bar travels, its gap from the close before included.

    First value at bar `length`. Wilder, New Concepts in Technical Trading Systems (1978).
    """
    before = close.shift(1)
    return wilder(pl.max_horizontal(high - low, (high - before).abs(), (low - before).abs()), length)


def donchian_high(high: pl.Expr, length: int) -> pl.Expr:
    """Upper channel in price units: the highest high of the `length` bars before this one.

    Without this bar, so that it can break out; first value at bar `length`. Faith, Way of the Turtle (2007).
    """
    return high.rolling_max(length).shift(1)


def donchian_low(low: pl.Expr, length: int) -> pl.Expr:
    """Lower channel in price units: the lowest low of the `length` bars before this one.

    Without this bar, so that it can break out; first value at bar `length`. Faith, Way of the Turtle (2007).
    """
    return low.rolling_min(length).shift(1)


def sma(close: pl.Expr, length: int) -> pl.Expr:
    """Simple moving average of the last `length` closes, in price units; first value at bar `length - 1`.

    Equal weights make Polars sum every window afresh: its running sum keeps the rounding error of a huge
    price for good.
    """
    return close.rolling_mean(length, weights=[1.0] * length)


def volume_median(volume: pl.Expr, length: int) -> pl.Expr:
    """Median volume of the last `length` bars, in the asset's volume unit; first value at bar `length - 1`.

    A median, because one day of panic would lift a mean for as long as it stays in the window.
    """
    return volume.rolling_median(length)


def wilder(values: pl.Expr, length: int) -> pl.Expr:
    """Wilder's smoothing of values that begin at bar 1, seeded with the mean of the first `length`."""
    return smoothed(values, 1 / length, length, length)


def smoothed(values: pl.Expr, share: float, length: int, first: int) -> pl.Expr:
    """Exponential smoothing by `share`; bar `first` has the mean of the `length` values until then."""
    value = pl.field("value")
    bar = bar_number(value)
    seed = value.slice(first + 1 - length, length).mean()
    seeded = pl.when(bar > first).then(value).when(bar == first).then(seed)
    return (
        pl.struct(value=values)
        .struct.with_fields(value=seeded.ewm_mean(alpha=share, adjust=False, ignore_nulls=True))
        .struct.field("value")
    )


def bar_number(values: pl.Expr) -> pl.Expr:
    """Number of each bar, from 0."""
    return pl.int_range(values.len())


@dataclass(frozen=True, slots=True)
class Indicator:
    """A line of the registry: names, the columns that the expression takes, the expression, its settings.

    An expression with several names returns a struct with as many fields, in the same order.
    """

    names: tuple[str, ...]
    needs: tuple[str, ...]
    expression: Callable[..., pl.Expr]
    settings: tuple[float, ...]

    def values(self) -> pl.Expr:
        """A struct a bar: computed over the bars that have all that it needs, null at the others."""
        usable = pl.all_horizontal(pl.col(self.needs).is_finite())
        value = self.expression(*(pl.col(need).filter(usable) for need in self.needs), *self.settings)
        many = len(self.names) > 1
        named = value.struct.rename_fields(self.names) if many else pl.struct(value.alias(*self.names))
        return named.gather(pl.when(usable).then(usable.cum_sum() - 1)).alias(self.names[0])

    def columns(self) -> Iterator[pl.Expr]:
        """Each name's list of values, out of the list of structs."""
        for name in self.names:
            yield pl.col(self.names[0]).list.eval(pl.element().struct.field(name)).alias(name)


INDICATORS: tuple[Indicator, ...] = (
    Indicator(("rsi_14",), ("close",), rsi, (14,)),
    Indicator(("macd", "macd_signal", "macd_hist"), ("close",), macd, (12, 26, 9)),
    Indicator(("bb_lower", "bb_upper", "bb_bandwidth"), ("close",), bollinger, (20, 2)),
    Indicator(("atr_14",), ("high", "low", "close"), atr, (14,)),
    Indicator(("donchian_high_20",), ("high",), donchian_high, (20,)),
    Indicator(("donchian_low_20",), ("low",), donchian_low, (20,)),
    Indicator(("sma_20",), ("close",), sma, (20,)),
    Indicator(("sma_50",), ("close",), sma, (50,)),
    Indicator(("sma_200",), ("close",), sma, (200,)),
    Indicator(("volume_median_20",), ("volume",), volume_median, (20,)),
)


def indicators(closes: As[Frame, core.Closes]) -> As[Frame, mart.Indicators]:
    """Every indicator at every bar of every asset, sorted by asset, convention, indicator and session."""
    return (
        closes.pipe(bars_by_series)
        .group_by("series", maintain_order=True)
        .agg(pl.col(SERIES).first(), "session", *(indicator.values() for indicator in INDICATORS))
        .select(*SERIES, "session", *(column for indicator in INDICATORS for column in indicator.columns()))
        .unpivot(index=[*SERIES, "session"], variable_name="indicator")
        .sort(*SERIES, "indicator")
        .explode("session", "value")
        .pipe(conform, mart.Indicators)
    )


def bars_by_series(closes: Frame) -> Frame:
    """The bars of each series together, oldest first, under a sorted number, so that groups are slices.

    Sorting within the groups is several times faster than sorting the table by three columns.
    """
    return (
        closes.group_by(SERIES)
        .agg(pl.col(BARS).sort_by("session"))
        .with_row_index("series")
        .explode(BARS)
        .set_sorted("series")
    )
