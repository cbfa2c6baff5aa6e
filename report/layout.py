"""What a chart must know of its rows: round ticks, and labels that do not touch."""

import math

import polars as pl

FEWEST = 3  # ticks of an axis
ABOVE, BELOW = -12, 18  # where a line's label goes, in pixels from its end
CLOSE = 0.1  # of a chart's height: ends of lines whose labels would touch


def log_ticks(low: float, high: float) -> tuple[float, ...]:
    """Round values between two: of the series 1, 2, 5, 10, or where it has too few, at even steps."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    series = [step * 10.0**decade for decade in decades for step in (1, 2, 5)]
    if len(ticks := [value for value in series if low <= value <= high]) >= FEWEST:
        return tuple(ticks)
    step = max(
        value
        for value in (10.0**n * of for n in range(-3, 6) for of in (1, 2, 5))
        if value <= max((high - low) / FEWEST, 0.001)
    )
    return tuple(round(n * step, 6) for n in range(math.ceil(low / step), math.floor(high / step) + 1))


def layout(rows: pl.DataFrame) -> tuple[tuple[float, ...], tuple[int, int]]:
    """What the chart of growth needs of its rows: ticks between their ends, and labels that do not touch."""
    target, benchmark = rows.sort("session").select("target", "benchmark").row(-1)
    values = [*rows["target"], *rows["benchmark"]]
    low, high = min(values), max(values)
    is_close = abs(math.log(target / benchmark)) < CLOSE * math.log(high / low)
    below = (ABOVE, BELOW) if target >= benchmark else (BELOW, ABOVE)
    return log_ticks(low, high), below if is_close else (ABOVE, ABOVE)
