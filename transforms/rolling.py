"""Rolling correlation of many pairs at once, as exact as a direct two-pass computation per window.

A window of ``window`` joint returns is the end of one block of that length and the beginning of the next
(van Herk 1992; Gil & Werman 1993), so two running sums a block give every window, and nothing that has
left a window is in its sums. Both are taken about the last observation of the first block, the anchor. It
belongs to every window that they serve, so neither a large mean nor a difference in scale cancels digits,
and a window is flat exactly where its sum of squares is zero.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.integer[Any]]
Sides = list[FloatArray]  # fields (..., pairs, blocks) of the left or the right side of some pairs
Roll = Callable[[Sides, Sides, IntArray, IntArray], tuple[FloatArray, ...]]
Kernel = tuple[Sides, Roll]  # fields of the columns, and what makes figures (window, pairs, blocks) of them

_MIN_WINDOW = 2
_BATCH_PAIRS = 2048  # pairs that share their columns; bounds memory
_LONELY_PAIRS = 64  # the same when each pair has joint sessions of its own, and so two columns
_CHUNK_VALUES = 250_000  # of all fields of a chunk: long steps, and still near the core
_NEARLY_ONE = 1e-3  # below this 1 - r^2 the sums lose the digits that kappa needs
_WINDOWS_AT_ONCE = 4096  # of those computed directly; bounds memory
# glibc keeps freed memory up to twice the largest block that it has seen freed, of at most 32 MB. Without one
# of that size it hands the arrays of every chunk back, and the system zeroes them anew for the next.
_LARGEST_FREED = 31 * 2**17


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
    (r,) = _rolled(_pairs(returns, left, right, window), window, _correlation, 1, threads)
    return np.asarray(r.T)


def rolling_link(
    returns: FloatArray, left: IntArray, right: IntArray, window: int, *, threads: int | None = None
) -> Rolling:
    """Pearson correlation with its interval and the beta of left on right; see rolling_correlation."""
    pairs = _pairs(returns, left, right, window)
    counts = np.cumsum(pairs.masks, axis=1, dtype=np.int32)
    starts = np.full_like(counts, -1)
    for mask, count, start in zip(pairs.masks, counts, starts, strict=True):
        full = count >= window
        start[full] = np.flatnonzero(mask)[count[full] - window]
    n = np.minimum(counts, np.int32(window))[pairs.mask_of]
    figures = _rolled(pairs, window, _link, 4, threads)
    return Rolling(n.T, starts[pairs.mask_of].T, *(figure.T for figure in figures))


def rolling_spearman(returns: FloatArray, left: IntArray, right: IntArray, window: int) -> FloatArray:
    """Spearman correlation, Pearson on the average ranks in each window; see rolling_correlation."""
    pairs = _pairs(returns, left, right, window)
    result = np.full((len(left), len(returns)), np.nan)

    @lru_cache(maxsize=64)  # one entry holds window x windows values
    def ranks(mask: int, asset: int) -> tuple[FloatArray, FloatArray]:
        x = _centred_ranks(returns[pairs.masks[mask], asset], window)
        return x, np.einsum("ij,ij->j", x, x)

    for row, mask, a, b in zip(result, pairs.mask_of.tolist(), left.tolist(), right.tolist(), strict=True):
        ends = np.flatnonzero(pairs.masks[mask])[window - 1 :]
        if len(ends):
            (x, xx), (y, yy) = ranks(mask, a), ranks(mask, b)
            row[ends] = np.einsum("ij,ij->j", x, y) * _reciprocal(np.sqrt(xx * yy))
    return np.clip(result, -1, 1, out=result).T


def ewma_correlation(
    returns: FloatArray, left: IntArray, right: IntArray, decay: float = 0.94, warm_up: int = 32
) -> FloatArray:
    """Exponentially weighted correlation about zero (RiskMetrics Technical Document, 1996).

    Weights fall by ``decay`` a joint return. Returns (sessions, pairs), NaN before ``warm_up`` joint
    returns, where the session's own is missing, and while a side has only returned zero.
    """
    pairs = _pairs(returns, left, right, _MIN_WINDOW)
    joint = pairs.masks[pairs.mask_of]
    result = np.full(joint.shape, np.nan)
    moments = np.zeros((3, len(left)))
    for session, seen in enumerate(joint.T):
        x, y = returns[session, left], returns[session, right]
        new = decay * moments + (1 - decay) * np.stack([x * y, x * x, y * y])
        np.copyto(moments, new, where=seen)
        xy, xx, yy = moments
        np.copyto(result[:, session], xy * _reciprocal(np.sqrt(xx) * np.sqrt(yy)), where=seen)
    result[np.cumsum(joint, axis=1) < warm_up] = np.nan
    return np.clip(result, -1, 1, out=result).T


def kurtosis_interval(
    r: ArrayLike, kappa: ArrayLike, n: ArrayLike, k: int = 0
) -> tuple[FloatArray, FloatArray]:
    """95 % interval (lower, upper) of a correlation whose observations have fat tails, elementwise.

    Fisher's z with the variance (1 + kappa) / (n - 3 - k) of an elliptical distribution and a Student
    quantile (Mardia 1970; Muirhead 1982). NaN without a degree of freedom; |r| = 1 is its own interval.

    Args:
        r: correlation, or partial correlation given ``k`` controls.
        kappa: excess kurtosis, see mardia_kappa.
        n: observations.
        k: controls.
    """
    return _fisher(np.asarray(r, dtype=np.float64), np.asarray(kappa, dtype=np.float64), n, k)


def spearman_interval(rs: ArrayLike, n: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """95 % interval (lower, upper) of Spearman's correlation over ``n`` observations, elementwise.

    The standard error of Bonett & Wright (2000), sqrt((1 + rs^2/2) / (n - 3)), with the Student quantile
    of kurtosis_interval: on fat tails the paper's normal one covers a little less than 95 %.
    """
    rs = np.asarray(rs, dtype=np.float64)
    return _fisher(rs, rs * rs / 2, n, 0)


def mardia_kappa(x: FloatArray, y: FloatArray) -> FloatArray:
    """Excess kurtosis of two series about their correlation, at least 0; NaN where one is flat.

    (n+1)/(n-1) * mean(q^2)/8 - 1 with q the squared Mahalanobis distance of an observation (Mardia 1970),
    here as the square of x plus that of y's residual on x, both standardised (ddof 0): the same number as
    (u^2 + v^2 - 2 r u v) / (1 - r^2), without its loss of digits when |r| is close to 1.

    Args:
        x: (..., n) observations; for a partial correlation the residuals given the controls.
        y: (..., n) likewise.
    """
    n = x.shape[-1]
    u, v = _standardised(x), _standardised(y)
    residual = _standardised(v - np.mean(u * v, axis=-1, keepdims=True) * u)
    q = u * u + np.where(np.isnan(residual) & ~np.isnan(v), 0, residual) ** 2
    return np.asarray(np.maximum(0, (n + 1) / (n - 1) * np.mean(q * q, axis=-1) / 8 - 1))


@dataclass(frozen=True, slots=True)
class _Pairs:
    """Pairs of columns with the sessions at which both have a return."""

    series: FloatArray  # (assets, sessions)
    left: IntArray  # (pairs,)
    right: IntArray
    masks: NDArray[np.bool_]  # (masks, sessions), each different set of joint sessions once
    mask_of: IntArray  # (pairs,)

    def take(self, index: IntArray) -> "_Pairs":
        return _Pairs(self.series, self.left[index], self.right[index], self.masks, self.mask_of[index])


def _pairs(returns: FloatArray, left: IntArray, right: IntArray, window: int) -> _Pairs:
    """Check the arguments and find the joint sessions."""
    sessions, assets = returns.shape
    if window < _MIN_WINDOW:
        raise ValueError(f"window is {window}: a correlation needs at least {_MIN_WINDOW} observations")
    if left.shape != right.shape or np.any(
        (np.minimum(left, right) < 0) | (np.maximum(left, right) >= assets)
    ):
        raise ValueError(f"left and right must be equally long and name columns 0 to {assets - 1} of returns")
    if np.isinf(returns).any():
        session, asset = np.argwhere(np.isinf(returns))[0]
        raise ValueError(f"returns[{session}, {asset}] is infinite: give NaN where there is no return")
    series = np.ascontiguousarray(returns.T, dtype=np.float64)
    present, kind = _distinct(np.packbits(~np.isnan(series), axis=1))
    both, both_of = np.unique(kind[left] * len(present) + kind[right], return_inverse=True)
    bits, mask_of_both = _distinct(present[both // len(present)] & present[both % len(present)])
    masks = np.unpackbits(bits, axis=1, count=sessions).astype(np.bool_)
    return _Pairs(series, left, right, masks, mask_of_both[both_of])


def _distinct(rows: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], IntArray]:
    """The different rows and the number of each row among them; np.unique is slow on rows."""
    numbers: dict[bytes, int] = {}
    number_of = [numbers.setdefault(row.tobytes(), len(numbers)) for row in rows]
    return rows[np.unique(number_of, return_index=True)[1]], np.array(number_of, dtype=np.intp)


def _rolled(
    pairs: _Pairs, window: int, kernel: "Callable[[_Columns], Kernel]", figures: int, threads: int | None
) -> FloatArray:
    """The figures of a kernel for every pair, (figures, pairs, sessions), NaN where no window ends."""
    order = np.argsort(pairs.mask_of, kind="stable")
    result = np.empty((figures, len(order), pairs.series.shape[1]))
    np.empty(_LARGEST_FREED)
    threads = threads or os.cpu_count() or 1
    shared = _LONELY_PAIRS * -(-len(order) // max(1, len(pairs.masks)))
    size = max(1, min(_BATCH_PAIRS, shared, -(-len(order) // threads)))

    def run(first: int) -> None:
        batch = slice(first, first + size)
        _run(pairs.take(order[batch]), window, kernel, result[:, batch])

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(run, range(0, len(order), size)))
    is_sorted = bool(np.all(order[1:] > order[:-1]))
    return result if is_sorted else result[:, np.argsort(order)]


def _run(pairs: _Pairs, window: int, kernel: "Callable[[_Columns], Kernel]", result: FloatArray) -> None:
    """Fill the result (figures, pairs, sessions) of pairs sorted by their mask, in chunks."""
    columns, left, right = _joint_columns(pairs, window)
    fields, roll = kernel(columns)
    chunks = _chunks(right, _CHUNK_VALUES // len(fields) // columns.observations.shape[1])
    by_start = np.empty((chunks[0].stop, columns.observations.shape[1] - window))
    y_rows, y = right[:0], fields
    for chunk in chunks:
        x = [field.take(left[chunk], axis=-2) for field in fields]
        if not np.array_equal(y_rows, right[chunk]):
            y_rows = right[chunk]
            y = [field.take(y_rows, axis=-2) for field in fields]
        spans = _spans(pairs.masks, pairs.mask_of[chunk], window)
        for figure, target in zip(roll(x, y, left[chunk], y_rows), result[:, chunk], strict=True):
            windows = by_start[: len(target)]
            windows.reshape(len(target), -1, window)[...] = figure[::-1].transpose(1, 2, 0)
            target[...] = np.nan
            for rows, ends, number in spans:
                target[rows, ends] = windows[rows, :number]


def _chunks(right: IntArray, step: int) -> list[slice]:
    """Slices of about a step; in a list that is a product whole rows of it, which share their right sides."""
    rights = len(np.unique(right))
    step = round(step / rights) * rights or max(step, 1)
    return [slice(first, min(first + step, len(right))) for first in range(0, len(right), step)]


def _spans(masks: NDArray[np.bool_], mask_of: IntArray, window: int) -> list[tuple[slice, Any, int]]:
    """For each mask its pairs, the sessions where their windows end, and the number of windows."""
    spans: list[tuple[slice, Any, int]] = []
    for mask in np.unique(mask_of):
        rows = slice(*np.searchsorted(mask_of, [mask, mask + 1]).tolist())
        ends = np.flatnonzero(masks[mask])[window - 1 :]
        is_gapless = len(ends) > 0 and ends[-1] - ends[0] + 1 == len(ends)
        at = slice(ends[0], ends[-1] + 1) if is_gapless else ends  # a slice is ten times as fast
        spans.append((rows, at, len(ends)))
    return spans


@dataclass(frozen=True, slots=True)
class _Columns:
    """Joint returns of the sides of some pairs, with what the windows of one column need."""

    observations: FloatArray  # (columns, n), n a whole number of blocks
    deviations: FloatArray  # (window, 2, columns, blocks), see _deviations
    mean: FloatArray  # (window, columns, blocks) of every window about the anchor, in standard deviations
    sd: FloatArray  # likewise; ddof 0
    per_sd: FloatArray  # 1 / sd, NaN where flat


def _joint_columns(pairs: _Pairs, window: int) -> tuple[_Columns, IntArray, IntArray]:
    """Each side's joint returns, every different one once, and the row of each pair's sides in them."""
    assets = len(pairs.series)
    keys = np.concatenate([pairs.mask_of * assets + side for side in (pairs.left, pairs.right)])
    keys, rows = np.unique(keys, return_inverse=True)
    longest = max(window, int(np.count_nonzero(pairs.masks[np.unique(pairs.mask_of)], axis=1).max()))
    blocks = -(-(longest + 1) // window)
    observations = np.zeros((len(keys), blocks * window))
    for row, key in zip(observations, keys.tolist(), strict=True):
        mask, asset = divmod(key, assets)
        joint = pairs.series[asset][pairs.masks[mask]]
        row[: len(joint)] = joint
    deviations = _deviations(observations, window)
    mean = _window_sums(deviations.copy())
    mean /= window
    variance = _window_sums(deviations * deviations) / window
    sd = np.sqrt(np.maximum(variance - mean * mean, 0))
    per_sd = _reciprocal(sd)
    left, right = np.split(rows, 2)
    return _Columns(observations, deviations, mean * per_sd, sd, per_sd), left, right


def _deviations(observations: FloatArray, window: int) -> FloatArray:
    """Deviations from the anchors, (window, 2, columns, blocks).

    Part 0 reads a block backwards from its anchor, part 1 the next block forwards and one row later: a
    window that begins i observations before the anchor holds rows 0 to i of part 0 and rows 0 to
    window - 1 - i of part 1.
    """
    blocks = np.ascontiguousarray(observations.reshape(len(observations), -1, window).transpose(2, 0, 1))
    anchors = blocks[-1, :, :-1]
    parts = np.zeros((window, 2, *anchors.shape))
    np.subtract(blocks[::-1, :, :-1], anchors, out=parts[:, 0])
    np.subtract(blocks[:-1, :, 1:], anchors, out=parts[1:, 1])
    return parts


def _window_sums(parts: FloatArray, out: FloatArray | None = None) -> FloatArray:
    """Sums of every window from parts as in _deviations, which it spends: (window, ...).

    Row i is the windows that begin i observations before their anchors.
    """
    sums = parts[0]
    for row in parts[1:]:
        sums = np.add(sums, row, out=row)
    return np.add(parts[:, 0], parts[::-1, 1], out=out)


def _correlation(columns: _Columns) -> Kernel:
    """Kernel of r alone."""

    def roll(x: Sides, y: Sides, *_: IntArray) -> tuple[FloatArray, ...]:
        products, scales, means = x  # ours to change, while y may serve the next chunk
        products *= y[0]
        scales *= y[1]
        means *= y[2]
        r = _window_sums(products)
        r *= scales
        r -= means
        return (np.clip(r, -1, 1, out=r),)

    scale = columns.per_sd / np.sqrt(len(columns.deviations))
    return [columns.deviations, scale, columns.mean], roll


def _link(columns: _Columns) -> Kernel:
    """Kernel of r, both ends of its interval, and beta."""
    window = len(columns.deviations)

    def roll(x: Sides, y: Sides, left: IntArray, right: IntArray) -> tuple[FloatArray, ...]:
        r, uuvv, odd = _standard_comoments(x[:4], y[:4])
        rr = r * r
        even = (2 + 4 * rr) * uuvv - 4 * r * odd
        even += x[4]
        even += y[4]
        rest = np.maximum(1 - rr, np.finfo(np.float64).tiny ** 0.5)
        kappa = np.maximum(even / (rest * rest) * ((window + 1) / (window - 1) / 8) - 1, 0)
        _replace_nearly_one(kappa, rest, columns.observations, left, right)
        beta = r * x[5] * y[1]
        np.clip(r, -1, 1, out=r)
        return r, *kurtosis_interval(r, kappa, window), beta

    third, fourth = _standard_moments(columns)
    return [columns.deviations, columns.per_sd, columns.mean, third, fourth, columns.sd], roll


def _standard_moments(columns: _Columns) -> tuple[FloatArray, FloatArray]:
    """Means of (u + a)^3 and of u^4 in every window: u standardised, a the mean about the anchor."""
    x, a, scale = columns.deviations, columns.mean, columns.per_sd
    cubes = x * x * x
    scale = scale * scale * scale / len(x)
    fourth = _window_sums(cubes * x) * scale * columns.per_sd
    third = _window_sums(cubes) * scale
    return third, fourth - a * (4 * third - a * (6 + 3 * a * a))


def _standard_comoments(x: Sides, y: Sides) -> tuple[FloatArray, FloatArray, FloatArray]:
    """r, the mean of u^2 v^2 and that of u^3 v + u v^3 in every window, from the sums about the anchors."""
    xy, xxy, xyy, xxyy, xxxy, xyyy = _anchored_comoments(*x[:2], *y[:2])
    (a, a_third), (b, b_third) = x[2:], y[2:]
    ab, aa, bb = a * b, a * a, b * b
    r = xy - ab
    xxy -= 2 * a * r + b * (1 + aa)
    xyy -= 2 * b * r + a * (1 + bb)
    xxyy -= 2 * (b * xxy + a * xyy) + 4 * ab * r + aa + bb + aa * bb
    odd = xxxy + xyyy - 3 * (a * xxy + b * xyy + (aa + bb) * r)
    odd -= b * a_third + a * b_third
    return r, xxyy, odd


def _anchored_comoments(x: FloatArray, x_scale: FloatArray, y: FloatArray, y_scale: FloatArray) -> FloatArray:
    """Means of xy, x^2 y, x y^2, x^2 y^2, x^3 y and x y^3 about the anchors, in standard deviations."""
    parts = np.empty((*x.shape[:2], 6, *x.shape[2:]))  # side by side: one running sum for all six
    xy, xxy, xyy, xxyy, xxxy, xyyy = np.moveaxis(parts, 2, 0)
    np.multiply(x, y, out=xy)
    np.multiply(x, xy, out=xxy)
    np.multiply(y, xy, out=xyy)
    np.multiply(xy, xy, out=xxyy)
    np.multiply(x, xxy, out=xxxy)
    np.multiply(y, xyy, out=xyyy)
    means = np.empty((6, *x_scale.shape))
    _window_sums(parts, out=means.swapaxes(0, 1))
    scale = x_scale * y_scale
    means *= scale / len(x)
    factors = (x_scale, y_scale, scale, x_scale * x_scale, y_scale * y_scale)
    for number, factor in enumerate(factors, start=1):
        means[number] *= factor
    return means


def _replace_nearly_one(
    kappa: FloatArray, rest: FloatArray, observations: FloatArray, left: IntArray, right: IntArray
) -> None:
    """Compute kappa directly in the windows where 1 - r^2, the rest, is small."""
    window = len(kappa)
    before, pair, block = np.unravel_index(np.flatnonzero(rest < _NEARLY_ONE), rest.shape)
    first = (block + 1) * window - 1 - before
    for part in range(0, len(first), _WINDOWS_AT_ONCE):
        at = slice(part, part + _WINDOWS_AT_ONCE)
        span = first[at, None] + np.arange(window)
        x, y = (observations[side[pair[at], None], span] for side in (left, right))
        kappa[before[at], pair[at], block[at]] = mardia_kappa(x, y)


def _fisher(r: FloatArray, inflation: FloatArray, n: ArrayLike, k: int) -> tuple[FloatArray, FloatArray]:
    """tanh(atanh r -+ t SE) with SE^2 = (1 + inflation) / (n - 3 - k), without the infinite atanh of 1."""
    freedom = np.subtract(n, 3 + k, dtype=np.float64)
    freedom = np.where(freedom > 0, freedom, np.nan)
    half = np.tanh(np.sqrt(1 + inflation) * (stdtrit(freedom, 0.975) / np.sqrt(freedom)))
    half = np.minimum(half, np.nextafter(1, 0))  # 1 itself would make 0/0 of |r| = 1
    return (r - half) / (1 - r * half), (r + half) / (1 + r * half)


def _reciprocal(values: FloatArray) -> FloatArray:
    """1 / values, NaN for 0."""
    return np.divide(1, values, out=np.full_like(values, np.nan), where=values > 0)


def _standardised(values: FloatArray) -> FloatArray:
    """Values (..., n) about their mean in standard deviations (ddof 0), NaN where flat."""
    values = values - values[..., -1:]
    values -= np.mean(values, axis=-1, keepdims=True)
    return values * _reciprocal(np.sqrt(np.mean(values * values, axis=-1, keepdims=True)))


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
