"""The kernel of the rolling correlation: block prefix and suffix sums about an anchor in the window.

A window of ``window`` joint returns is the end of one block of that length and the beginning of the next
(van Herk 1992; Gil & Werman 1993), so two running sums a block give every window, and nothing that has
left a window is in its sums. Both are taken about the last observation of the first block, the anchor. It
belongs to every window that they serve, so neither a large mean nor a difference in scale cancels digits,
and a window is flat exactly where its sum of squares is zero. `transforms.rolling_figures` has what is made
of the sums.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from transforms.intervals import FloatArray, reciprocal

IntArray = NDArray[np.integer[Any]]
Sides = list[FloatArray]  # fields (..., pairs, blocks) of the left or the right side of some pairs

MIN_WINDOW = 2
_BATCH_PAIRS = 2048  # pairs that share their columns; bounds memory
_LONELY_PAIRS = 64  # the same when each pair has joint sessions of its own, and so two columns
_WORTH_COMPILING = 500_000  # figures; for fewer the loops take longer to load than to run
_CHUNK_VALUES = 125_000  # of a field of a chunk: long steps, and still near the core
# glibc keeps freed memory up to twice the largest block that it has seen freed, of at most 32 MB. Without one
# of that size it hands the arrays of every chunk back, and the system zeroes them anew for the next. Once is
# enough: the same block at every call would raise what lies free past the limit, and all of it goes back.
np.empty(31 * 2**17)


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
    pairs: Pairs, window: int, kernel: "Callable[[Columns], Kernel]", figures: int, threads: int | None
) -> list[FloatArray]:
    """The figures of a kernel for every pair, each (pairs, sessions), NaN where no window ends."""
    order = np.argsort(pairs.mask_of, kind="stable")
    result = [np.empty((len(order), pairs.series.shape[1])) for _ in range(figures)]
    threads = threads or os.cpu_count() or 1
    shared = _LONELY_PAIRS * -(-len(order) // max(1, len(pairs.masks)))
    size = max(1, min(_BATCH_PAIRS, shared, -(-len(order) // threads)))
    loops = _compiled() if result[0].size >= _WORTH_COMPILING else None

    def run(first: int) -> None:
        batch = slice(first, first + size)
        _run(pairs.take(order[batch]), window, kernel, [figure[batch] for figure in result], loops)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(run, range(0, len(order), size)))
    is_sorted = bool(np.all(order[1:] > order[:-1]))
    return result if is_sorted else [figure[np.argsort(order)] for figure in result]


def _compiled() -> ModuleType | None:
    """The loops, unless the extra `fast` is not installed or no folder can keep what it compiles."""
    try:
        from transforms import rolling_compiled
    except (ImportError, RuntimeError):
        return None
    return rolling_compiled


def _run(
    pairs: Pairs,
    window: int,
    kernel: "Callable[[Columns], Kernel]",
    result: list[FloatArray],
    loops: ModuleType | None,
) -> None:
    """Fill the figures (pairs, sessions) of pairs sorted by their mask, in chunks."""
    columns, left, right = _joint_columns(pairs, window)
    how = kernel(columns)
    roll = _looped(getattr(loops, how.name), columns, how, len(result)) if loops else _stepped(how)
    spans = _spans(pairs.masks, pairs.mask_of, window)
    for chunk in _chunks(right, _CHUNK_VALUES // columns.observations.shape[1]):
        figures = how.figures(roll(left[chunk], right[chunk]), left[chunk], right[chunk])
        for figure, target in zip(figures, result, strict=True):
            _spread(figure, target, chunk, spans)


def _stepped(kernel: "Kernel") -> Callable[[IntArray, IntArray], list[FloatArray]]:
    """The raw figures (pairs, blocks, window) of some pairs, a step of all their windows at a time."""
    rows: IntArray = np.empty(0, dtype=np.intp)
    y = kernel.fields

    def roll(left: IntArray, right: IntArray) -> list[FloatArray]:
        nonlocal rows, y
        x = [field.take(left, axis=-2) for field in kernel.fields]
        if not np.array_equal(rows, right):
            rows, y = right, [field.take(right, axis=-2) for field in kernel.fields]
        return [_by_time(figure) for figure in kernel.roll(x, y)]

    return roll


def _looped(
    loop: Callable[..., None], columns: "Columns", kernel: "Kernel", count: int
) -> Callable[[IntArray, IntArray], list[FloatArray]]:
    """The same, a pair at a time."""
    window = len(columns.deviations)
    fields = [_by_time(field) for field in kernel.fields[1:]]
    shape = fields[0].shape[1:]
    flat = tuple(field.reshape(len(field), -1) for field in fields)

    def roll(left: IntArray, right: IntArray) -> list[FloatArray]:
        out = np.empty((count, len(left), flat[0].shape[1]))
        loop(columns.observations, flat, left, right, window, out)
        return list(out.reshape(count, len(left), *shape))

    return roll


def _by_time(field: FloatArray) -> FloatArray:
    """Of what lies by the steps before an anchor, (window, columns, blocks), a view by time."""
    return field[::-1].transpose(1, 2, 0)


def _spread(
    windows: FloatArray, target: FloatArray, chunk: slice, spans: "list[tuple[slice, Any, int]]"
) -> None:
    """Put a chunk's windows (pairs, blocks, window) where they end in (pairs, sessions), NaN elsewhere."""
    window = windows.shape[2]
    for rows, ends, number in spans:
        first, last = max(rows.start, chunk.start), min(rows.stop, chunk.stop)
        if first >= last:
            continue
        own, given = target[first:last], windows[first - chunk.start : last - chunk.start]
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
class Kernel:
    """Fields of the columns, and what makes figures of windows of them."""

    name: str  # of the loop in transforms.rolling_compiled that does what `roll` does
    fields: Sides  # (..., columns, blocks); the first are the deviations, which a loop does without
    roll: Callable[[Sides, Sides], tuple[FloatArray, ...]]  # raw figures (window, pairs, blocks)
    figures: Callable[[list[FloatArray], IntArray, IntArray], list[FloatArray]]  # of raw ones by time


@dataclass(frozen=True, slots=True)
class Columns:
    """Joint returns of the sides of some pairs, with what the windows of one column need."""

    observations: FloatArray  # (columns, n), n a whole number of blocks
    deviations: FloatArray  # (window, 2, columns, blocks), see _deviations
    mean: FloatArray  # (window, columns, blocks) of every window about the anchor, NaN where flat
    squares: FloatArray  # likewise the sum of squares about the anchor
    sd: FloatArray  # ddof 0
    per_sd: FloatArray  # 1 / sd, NaN where flat


def _joint_columns(pairs: Pairs, window: int) -> tuple[Columns, IntArray, IntArray]:
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
    mean = window_sums(deviations.copy())
    mean /= window
    squares = window_sums(deviations * deviations)
    sd = np.sqrt(np.maximum(squares / window - mean * mean, 0))
    mean[sd == 0] = np.nan  # so that nothing comes of a flat window
    left, right = np.split(rows, 2)
    return Columns(observations, deviations, mean, squares, sd, reciprocal(sd)), left, right


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


def window_sums(parts: FloatArray, out: FloatArray | None = None) -> FloatArray:
    """Sums of every window from parts as in _deviations, which it spends: (window, ...).

    Row i is the windows that begin i observations before their anchors.
    """
    sums = parts[0]
    for row in parts[1:]:
        sums = np.add(sums, row, out=row)
    return np.add(parts[:, 0], parts[::-1, 1], out=out)
