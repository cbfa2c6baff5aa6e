"""The stationary bootstrap: intervals for means of series whose neighbours resemble each other."""

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

FloatArray = NDArray[np.float64]
NORMAL = NormalDist().inv_cdf(0.975)


def standard_errors(values: FloatArray, block: int) -> FloatArray:
    """Standard errors of the means of some series under the stationary bootstrap, shape (k,).

    The bootstrap puts a series together from blocks that start anywhere, wrap around, and have geometric
    lengths with mean `block`. The variance of its mean needs no draws, which would add chance of their own: a
    step stays in its block with the probability 1 - 1/block, so it is a sum of the circular autocovariances
    (Politis & Romano 1994, lemma 1).

    Args:
        values: Shape (n, k), one column a series.
        block: Mean length of a block.
    """
    size = len(values)
    spectrum = np.abs(np.fft.rfft(values - values.mean(axis=0), axis=0)) ** 2
    covariance = np.fft.irfft(spectrum, size, axis=0) / size
    lag = np.arange(1, size)
    weights = (1 - lag / size) * (1 - 1 / block) ** lag
    variance = (covariance[0] + 2 * weights @ covariance[1:]) / size
    return np.asarray(np.sqrt(np.maximum(variance, 0)))


def mean_interval(values: FloatArray, block: int) -> tuple[float, float]:
    """95 % interval of the mean of a series; see mean_intervals."""
    low, high = mean_intervals(values[:, None], block)[0]
    return float(low), float(high)


def mean_intervals(values: FloatArray, block: int) -> FloatArray:
    """95 % intervals of the means of some series, within their ranges; NaN for fewer than two blocks.

    The bootstrap's standard error with Student's quantile for as many observations as there are blocks: its
    bare percentiles would be too narrow where blocks are few.

    Args:
        values: Shape (n, k), one column a series.
        block: Mean length of a block.

    Returns:
        Shape (k, 2): low and high.
    """
    size, width = values.shape
    if size < 2 * block:
        return np.full((width, 2), np.nan)
    half, mean = quantile(size / block) * standard_errors(values, block), values.mean(axis=0)
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

    A session moves the difference by how far it is from the mean of its side, the more the fewer are there:
    the standard error is that of the mean of these moves (the delta method), with what the chance in the size
    of a side adds to second order, as in poststratification (Cochran 1977). A mark counts as often as it
    begins, if that is less than the blocks. NaN for fewer than two blocks, or where a side is empty.

    Args:
        values: Shape (n,).
        marks: Shape (n, k), one column a mark.
        block: Mean length of a block.

    Returns:
        Shape (k, 2): low and high.
    """
    size, width = marks.shape
    intervals = np.full((width, 2), np.nan)
    sides = np.count_nonzero(marks, axis=0)
    told = np.flatnonzero((sides > 0) & (sides < size)) if size >= 2 * block else np.array([], dtype=np.intp)
    for column in told:
        mark, share = marks[:, column], sides[column] / size
        inside, outside = values[mark].mean(), values[~mark].mean()
        move = np.where(mark, (values - inside) / share, 0.0)
        other = np.where(mark, 0.0, (values - outside) / (1 - share))
        both, one, rest, marked = standard_errors(np.column_stack([move - other, move, other, mark]), block)
        error = math.hypot(both, marked * one / share, marked * rest / (1 - share))
        stretches = int(mark[0]) + np.count_nonzero(mark[1:] & ~mark[:-1])
        half = quantile(min(size / block, stretches)) * error
        intervals[column] = inside - outside - half, inside - outside + half
    return intervals


def quantile(observations: float) -> float:
    """Student's 97.5 % quantile for a number of independent observations."""
    return float(stdtrit(max(1.0, observations - 1), 0.975))
