"""The stationary bootstrap: intervals for means of series whose neighbours resemble each other."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
DRAWS = 999
INTERVAL = (0.025, 0.975)


def stationary_indices(length: int, block: int, draws: int = DRAWS, seed: int = 0) -> NDArray[np.int64]:
    """Row numbers of `draws` resampled series, shape (draws, length); blocks wrap around.

    Each block starts anywhere and has a geometric length with mean `block` (Politis & Romano 1994), so that
    the resampled series is stationary. Deterministic for a seed.
    """
    random = np.random.default_rng(seed)
    starts = random.integers(0, length, size=(draws, length))
    is_start = random.random((draws, length)) < 1 / block
    is_start[:, 0] = True
    position = np.arange(length)
    last = np.maximum.accumulate(np.where(is_start, position, 0), axis=1)
    return (np.take_along_axis(starts, last, axis=1) + position - last) % length


@lru_cache(maxsize=16)
def draw_counts(length: int, block: int) -> FloatArray:
    """How often each row is in each draw, shape (draws, length): a resampled sum is a matrix product."""
    cells = stationary_indices(length, block) + np.arange(DRAWS)[:, None] * length
    return np.bincount(cells.ravel(), minlength=DRAWS * length).reshape(DRAWS, length).astype(np.float64)


def mean_interval(values: FloatArray, block: int) -> tuple[float, float]:
    """95 % percentile interval of the mean of a series; NaN for fewer than two blocks."""
    if len(values) < 2 * block:
        return np.nan, np.nan
    low, high = np.quantile(draw_counts(len(values), block) @ values / len(values), INTERVAL)
    return float(low), float(high)


def difference_intervals(values: FloatArray, marks: NDArray[np.bool_], block: int) -> FloatArray:
    """95 % percentile intervals of the mean where a mark is set minus the mean elsewhere.

    Sessions are drawn together with their marks. Draws in which a side is empty say nothing and are left
    out; NaN for fewer than two blocks, or where no draw has both sides.

    Args:
        values: Shape (n,).
        marks: Shape (n, k), one column a mark.
        block: Mean length of a block.

    Returns:
        Shape (k, 2): low and high.
    """
    width = marks.shape[1]
    intervals = np.full((width, 2), np.nan)
    if len(values) < 2 * block:
        return intervals
    drawn = draw_counts(len(values), block) @ np.column_stack([values, marks, marks * values[:, None]])
    total, inside, sum_inside = drawn[:, :1], drawn[:, 1 : width + 1], drawn[:, width + 1 :]
    with np.errstate(divide="ignore", invalid="ignore"):
        differences = sum_inside / inside - (total - sum_inside) / (len(values) - inside)
    for column, found in enumerate(differences.T):
        if np.isfinite(found).any():
            intervals[column] = np.quantile(found[np.isfinite(found)], INTERVAL)
    return intervals
