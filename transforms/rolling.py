"""Rolling correlation of many pairs at once, as exact as a direct two-pass computation per window.

Each pair rolls over its own joint returns; `transforms.rolling_kernel` says how, and why nothing cancels.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from transforms.intervals import FloatArray, kurtosis_interval, mardia_kappa, reciprocal, spearman_interval
from transforms.rolling_figures import correlation, link
from transforms.rolling_kernel import MIN_WINDOW, IntArray, joint_pairs, rolled

__all__ = [
    "FloatArray",
    "IntArray",
    "Rolling",
    "ewma_correlation",
    "kurtosis_interval",
    "mardia_kappa",
    "rolling_correlation",
    "rolling_link",
    "rolling_spearman",
    "spearman_interval",
]


@dataclass(frozen=True, slots=True)
class Rolling:
    """Rolling link of each pair at each session; every array has the shape (sessions, pairs).

    ``n`` and ``start`` describe the window that ends at the last joint session so far. The others are
    NaN while that window is not full, where it is flat, and where the session's own return is missing.
    """

    n: NDArray[np.int32]  # joint observations so far, at most the window
    start: NDArray[np.int32]  # row of the window's first joint observation, -1 while it is not full
    r: FloatArray  # Pearson correlation, within [-1, 1]
    lo95: FloatArray  # its interval, see kurtosis_interval
    hi95: FloatArray
    beta: FloatArray  # slope of left on right


def rolling_correlation(
    returns: FloatArray, left: IntArray, right: IntArray, window: int, *, threads: int | None = None
) -> FloatArray:
    """Pearson correlation of each pair over its last ``window`` joint returns.

    Args:
        returns: (sessions, assets), dimensionless, NaN where an asset has no return; magnitudes within
            1e-70 to 1e70, since fourth powers are summed.
        left: (pairs,) column of the first asset of each pair.
        right: (pairs,) column of the second.
        window: joint observations in a window, at least 2.
        threads: workers; default one a core.

    Returns:
        (sessions, pairs) within [-1, 1]; NaN until there are ``window`` joint returns, where the session's
        own is missing, and where a side of the window is flat. A pair's sessions are contiguous in memory.

    Raises:
        ValueError: for a window below 2, a column that does not exist, or an infinite return.
    """
    (r,) = rolled(joint_pairs(returns, left, right, window), window, correlation, 1, threads)
    return np.asarray(r.T)


def rolling_link(
    returns: FloatArray, left: IntArray, right: IntArray, window: int, *, threads: int | None = None
) -> Rolling:
    """Pearson correlation with its interval and the beta of left on right; see rolling_correlation."""
    pairs = joint_pairs(returns, left, right, window)
    counts = np.cumsum(pairs.masks, axis=1, dtype=np.int32)
    starts = np.full_like(counts, -1)
    for mask, count, start in zip(pairs.masks, counts, starts, strict=True):
        full = count >= window
        start[full] = np.flatnonzero(mask)[count[full] - window]
    n = np.minimum(counts, np.int32(window))[pairs.mask_of]
    figures = rolled(pairs, window, link, 4, threads)
    return Rolling(n.T, starts[pairs.mask_of].T, *(figure.T for figure in figures))


def rolling_spearman(returns: FloatArray, left: IntArray, right: IntArray, window: int) -> FloatArray:
    """Spearman correlation, Pearson on the average ranks in each window; see rolling_correlation."""
    pairs = joint_pairs(returns, left, right, window)
    result = np.full((len(left), len(returns)), np.nan)

    @lru_cache(maxsize=64)  # one entry holds window x windows values
    def ranks(mask: int, asset: int) -> tuple[FloatArray, FloatArray]:
        x = _centred_ranks(returns[pairs.masks[mask], asset], window)
        return x, np.einsum("ij,ij->j", x, x)

    for row, mask, a, b in zip(result, pairs.mask_of.tolist(), left.tolist(), right.tolist(), strict=True):
        ends = np.flatnonzero(pairs.masks[mask])[window - 1 :]
        if len(ends):
            (x, xx), (y, yy) = ranks(mask, a), ranks(mask, b)
            row[ends] = np.einsum("ij,ij->j", x, y) * reciprocal(np.sqrt(xx * yy))
    return np.clip(result, -1, 1, out=result).T


def ewma_correlation(
    returns: FloatArray, left: IntArray, right: IntArray, decay: float = 0.94, warm_up: int = 32
) -> FloatArray:
    """Exponentially weighted correlation about zero (RiskMetrics Technical Document, 1996).

    Weights fall by ``decay`` a joint return. Returns (sessions, pairs), NaN before ``warm_up`` joint
    returns, where the session's own is missing, and while a side has only returned zero.
    """
    pairs = joint_pairs(returns, left, right, MIN_WINDOW)
    joint = pairs.masks[pairs.mask_of]
    x, y = returns[:, left], returns[:, right]
    moments = (1 - decay) * np.stack(
        [x * y, x * x, y * y], axis=1
    )  # (sessions, 3, pairs): each session's own
    before = np.zeros(moments.shape[1:])
    for own, seen in zip(moments, joint.T, strict=True):
        np.copyto(own, np.where(seen, own + decay * before, before))
        before = own
    xy, xx, yy = moments.transpose(1, 2, 0)
    result: FloatArray = xy * reciprocal(np.sqrt(xx) * np.sqrt(yy))
    result[~joint | (np.cumsum(joint, axis=1) < warm_up)] = np.nan
    np.clip(result, -1, 1, out=result)
    return result.T


def _centred_ranks(column: FloatArray, window: int) -> FloatArray:
    """Twice the average rank less its mean, (window, windows): whole numbers, so that their sums are exact.

    An observation's rank in a window counts those it beats, found once for all the windows it is in.
    """
    size = len(column)
    padded = np.pad(column, window - 1, constant_values=np.nan)
    wins = np.zeros((2 * window, size))
    for shift in range(2 * window - 1):
        other = padded[shift : shift + size]
        half_wins = (other < column).view(np.int8) + (other <= column).view(np.int8)
        np.add(wins[shift], half_wins, out=wins[shift + 1])
    windows = size - window + 1
    spans = [slice(place, place + windows) for place in range(window)]
    ranks = [wins[2 * window - 1 - i, at] - wins[window - 1 - i, at] for i, at in enumerate(spans)]
    return np.stack(ranks) - window
