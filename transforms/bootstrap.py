"""The stationary bootstrap: intervals for means of series whose neighbours resemble each other."""

import math
from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

FloatArray = NDArray[np.float64]
DRAWS = 999
SEED = 1994
NORMAL = NormalDist().inv_cdf(0.975)


@lru_cache(maxsize=4)  # some 17 MB each; the memory of one that goes is there for the next
def draw_counts(length: int, block: int, draws: int = DRAWS) -> FloatArray:
    """How often each row is in each resampled series, shape (draws, length): a sum is a matrix product.

    A series is put together from blocks that start anywhere, wrap around, and have geometric lengths with
    mean `block` (Politis & Romano 1994), so that it is stationary. The same draws for the same arguments.
    """
    random = np.random.default_rng([SEED, length, block])
    blocks = int(2 * length / block + 10 * np.sqrt(length / block) + 10)  # enough in all but impossible cases
    ends = np.minimum(random.geometric(1 / block, (draws, blocks)).cumsum(axis=1), length)
    ends[:, -1] = length
    starts = random.integers(0, length, (draws, blocks))
    past = starts + np.diff(ends, axis=1, prepend=0)
    wraps = past >= length
    row = np.arange(draws)[:, None] * length
    begun = np.bincount((row + starts).ravel(), minlength=draws * length)
    begun -= np.bincount((row + past - length * wraps).ravel(), minlength=draws * length)
    counts = begun.reshape(draws, length)
    counts[:, 0] += np.count_nonzero(wraps, axis=1)
    np.cumsum(counts, axis=1, out=counts)  # of whole numbers, which is many times as fast
    return counts.astype(np.float64)


def mean_interval(values: FloatArray, block: int) -> tuple[float, float]:
    """95 % interval of the mean of a series; see mean_intervals."""
    low, high = mean_intervals(values[:, None], block)[0]
    return float(low), float(high)


def mean_intervals(values: FloatArray, block: int) -> FloatArray:
    """95 % intervals of the means of some series, within their ranges; NaN for fewer than two blocks.

    The bootstrap's standard error with Student's quantile for as many observations as there are blocks: the
    bare percentiles are too narrow where blocks are few.

    Args:
        values: Shape (n, k), one column a series.
        block: Mean length of a block.

    Returns:
        Shape (k, 2): low and high.
    """
    size, width = values.shape
    if size < 2 * block:
        return np.full((width, 2), np.nan)
    errors = (draw_counts(size, block) @ values / size).std(axis=0, ddof=1)
    half, mean = quantile(size / block) * errors, values.mean(axis=0)
    return np.column_stack(
        [np.maximum(mean - half, values.min(axis=0)), np.minimum(mean + half, values.max(axis=0))]
    )


def share_interval(values: FloatArray, block: int) -> tuple[float, float]:
    """95 % interval of a share of sessions, from values of 0 and 1; NaN for fewer than two blocks.

    From the lower of the ends of two intervals to the higher: that of the mean, and Wilson's (1927) for as
    many independent observations as there are blocks. A resampled rare share is hardly ever larger than the
    recorded one, and of one that was never seen the bootstrap says that it is impossible.
    """
    if len(values) < 2 * block:
        return np.nan, np.nan
    ends = (*mean_interval(values, block), *wilson(float(values.mean()), len(values) / block))
    return min(ends), max(ends)


def wilson(share: float, count: float) -> tuple[float, float]:
    """Wilson's 95 % interval of a share among so many independent observations."""
    square = NORMAL**2 / count
    middle = (share + square / 2) / (1 + square)
    half = NORMAL / (1 + square) * math.sqrt(share * (1 - share) / count + square / (4 * count))
    return max(0.0, middle - half), min(1.0, middle + half)


def difference_intervals(values: FloatArray, marks: NDArray[np.bool_], block: int) -> FloatArray:
    """95 % intervals of the mean where a mark is set minus the mean elsewhere; see mean_interval.

    Sessions are drawn together with their marks, and a mark counts as often as it begins, if that is less
    than the blocks. Draws in which a side is empty say nothing and are left out; NaN for fewer than two
    blocks, or where a side is empty.

    Args:
        values: Shape (n,).
        marks: Shape (n, k), one column a mark.
        block: Mean length of a block.

    Returns:
        Shape (k, 2): low and high.
    """
    size, width = marks.shape
    intervals = np.full((width, 2), np.nan)
    if size < 2 * block:
        return intervals
    drawn = draw_counts(size, block) @ np.column_stack([values, marks, marks * values[:, None]])
    total, inside, sum_inside = drawn[:, :1], drawn[:, 1 : width + 1], drawn[:, width + 1 :]
    with np.errstate(divide="ignore", invalid="ignore"):
        differences = sum_inside / inside - (total - sum_inside) / (size - inside)
    for column, (drawn_differences, mark) in enumerate(zip(differences.T, marks.T, strict=True)):
        found = drawn_differences[np.isfinite(drawn_differences)]
        if mark.any() and not mark.all() and len(found) > 1:
            stretches = int(mark[0]) + np.count_nonzero(mark[1:] & ~mark[:-1])
            half = quantile(min(size / block, stretches)) * found.std(ddof=1)
            middle = values[mark].mean() - values[~mark].mean()
            intervals[column] = middle - half, middle + half
    return intervals


def quantile(observations: float) -> float:
    """Student's 97.5 % quantile for a number of independent observations."""
    return float(stdtrit(max(1.0, observations - 1), 0.975))
