"""The kernel of the rolling correlation: block prefix and suffix sums about an anchor in the window.

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
from typing import Any

import numpy as np
from numpy.typing import NDArray

from transforms.intervals import FloatArray, kurtosis_interval, mardia_kappa, reciprocal

IntArray = NDArray[np.integer[Any]]
Sides = list[FloatArray]  # fields (..., pairs, blocks) of the left or the right side of some pairs
Roll = Callable[[Sides, Sides, IntArray, IntArray], tuple[FloatArray, ...]]
Kernel = tuple[Sides, Roll]  # fields of the columns, and what makes figures (window, pairs, blocks) of them

MIN_WINDOW = 2
_BATCH_PAIRS = 2048  # pairs that share their columns; bounds memory
_LONELY_PAIRS = 64  # the same when each pair has joint sessions of its own, and so two columns
_CHUNK_VALUES = 500_000  # of all fields of a chunk: long steps, and still near the core
_NEARLY_ONE = 1e-3  # below this 1 - r^2 the sums lose the digits that kappa needs
_WINDOWS_AT_ONCE = 4096  # of those computed directly; bounds memory
# glibc keeps freed memory up to twice the largest block that it has seen freed, of at most 32 MB. Without one
# of that size it hands the arrays of every chunk back, and the system zeroes them anew for the next.
_LARGEST_FREED = 31 * 2**17


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs of columns with the sessions at which both have a return."""

    series: FloatArray  # (assets, sessions)
    left: IntArray  # (pairs,)
    right: IntArray
    masks: NDArray[np.bool_]  # (masks, sessions), each different set of joint sessions once
    mask_of: IntArray  # (pairs,)

    def take(self, index: IntArray) -> "Pairs":
        """Some of the pairs, of the same series."""
        return Pairs(self.series, self.left[index], self.right[index], self.masks, self.mask_of[index])


def joint_pairs(returns: FloatArray, left: IntArray, right: IntArray, window: int) -> Pairs:
    """Check the arguments and find the joint sessions."""
    sessions, assets = returns.shape
    if window < MIN_WINDOW:
        raise ValueError(f"window is {window}: a correlation needs at least {MIN_WINDOW} observations")
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
    return Pairs(series, left, right, masks, mask_of_both[both_of])


def _distinct(rows: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], IntArray]:
    """The different rows and the number of each row among them; np.unique is slow on rows."""
    numbers: dict[bytes, int] = {}
    number_of = [numbers.setdefault(row.tobytes(), len(numbers)) for row in rows]
    return rows[np.unique(number_of, return_index=True)[1]], np.array(number_of, dtype=np.intp)


def rolled(
    pairs: Pairs, window: int, kernel: "Callable[[_Columns], Kernel]", figures: int, threads: int | None
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


def _run(pairs: Pairs, window: int, kernel: "Callable[[_Columns], Kernel]", result: FloatArray) -> None:
    """Fill the result (figures, pairs, sessions) of pairs sorted by their mask, in chunks."""
    columns, left, right = _joint_columns(pairs, window)
    fields, roll = kernel(columns)
    y_rows, y = right[:0], fields
    for chunk in _chunks(right, _CHUNK_VALUES // len(fields) // columns.observations.shape[1]):
        x = [field.take(left[chunk], axis=-2) for field in fields]
        if not np.array_equal(y_rows, right[chunk]):
            y_rows = right[chunk]
            y = [field.take(y_rows, axis=-2) for field in fields]
        spans = _spans(pairs.masks, pairs.mask_of[chunk], window)
        for figure, target in zip(roll(x, y, left[chunk], y_rows), result[:, chunk], strict=True):
            _spread(figure[::-1].transpose(1, 2, 0), target, spans)


def _spread(windows: FloatArray, target: FloatArray, spans: "list[tuple[slice, Any, int]]") -> None:
    """Put the windows (pairs, blocks, window) where they end in (pairs, sessions), and NaN elsewhere."""
    window = windows.shape[2]
    for rows, ends, number in spans:
        own, given = target[rows], windows[rows]
        if not isinstance(ends, slice):
            own[...] = np.nan
            own[:, ends] = given.reshape(len(own), -1)[:, :number]
            continue
        own[:, : ends.start] = own[:, ends.stop :] = np.nan
        blocks, rest = divmod(number, window)
        whole = own[:, ends.start : ends.stop - rest]  # a view, written in place
        whole.reshape(len(own), blocks, window, copy=False)[...] = given[:, :blocks]
        if rest:
            own[:, ends.stop - rest : ends.stop] = given[:, blocks, :rest]


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


def _joint_columns(pairs: Pairs, window: int) -> tuple[_Columns, IntArray, IntArray]:
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
    per_sd = reciprocal(sd)
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


def correlation(columns: _Columns) -> Kernel:
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


def link(columns: _Columns) -> Kernel:
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
