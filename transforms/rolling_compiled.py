"""The windows of `transforms.rolling_figures` in compiled loops: the same operations in the same order.

Needs the extra `fast`. A pair is read once instead of once a step. Numba neither reorders nor fuses what it
compiles, so each figure is NumPy's to the bit, and it is a matter of speed alone whether the extra is there.
"""

# mypy: disable-error-code="untyped-decorator"

import numpy as np
from numba import njit

from transforms.intervals import FloatArray
from transforms.rolling_kernel import IntArray

TINY_ROOT = np.finfo(np.float64).tiny ** 0.5
OLDER, NEWER = -1, 1  # which way from the anchor


@njit(cache=True, nogil=True)
def correlation(
    observations: FloatArray,
    fields: tuple[FloatArray, ...],
    left: IntArray,
    right: IntArray,
    window: int,
    out: FloatArray,
) -> None:
    """Fill r, the one figure of ``out``.

    Args:
        observations: (columns, n), see transforms.rolling_kernel.Columns.
        fields: each (columns, windows), what is known of every window of a column.
        left: (pairs,) column of the first side.
        right: (pairs,) column of the second.
        window: observations in a window.
        out: (figures, pairs, windows), a window in the place of its first observation.
    """
    scale, mean = fields
    older, newer = np.empty(out.shape[2]), np.empty(out.shape[2])
    for pair in range(len(left)):
        a, b = left[pair], right[pair]
        x, y = observations[a], observations[b]
        for anchor in range(window - 1, len(older), window):
            before = after = 0.0
            for i in range(window):
                before += (x[anchor - i] - x[anchor]) * (y[anchor - i] - y[anchor])
                after += (x[anchor + i] - x[anchor]) * (y[anchor + i] - y[anchor])
                older[anchor - i] = before
                newer[anchor - window + 1 + i] = after
        for at in range(len(older)):
            r = (older[at] + newer[at]) * (scale[a, at] * scale[b, at]) - mean[a, at] * mean[b, at]
            out[0, pair, at] = np.minimum(np.maximum(r, -1.0), 1.0)


@njit(cache=True, nogil=True)
def link(
    observations: FloatArray,
    fields: tuple[FloatArray, ...],
    left: IntArray,
    right: IntArray,
    window: int,
    out: FloatArray,
) -> None:
    """Fill r, 1 + kappa, 1 - r^2 and beta; see correlation."""
    n = window
    weight = (n + 1) / (n - 1) / 8
    mean, square, cube, variance, scale, scale_square, fourth = fields
    sums = np.empty((6, window))
    for pair in range(len(left)):
        x, y = left[pair], right[pair]
        for first in range(0, out.shape[2], window):
            _anchored_sums(observations[x], observations[y], first, sums)
            for i in range(window):
                at = first + i
                a, b, xx, yy = mean[x, at], mean[y, at], square[x, at], square[y, at]
                uv, xxy, xyy, uuvv, uuuv, uvvv = (
                    sums[0, i],
                    sums[1, i],
                    sums[2, i],
                    sums[3, i],
                    sums[4, i],
                    sums[5, i],
                )
                uv -= n * a * b
                xxy -= a * uv
                xxy -= b * xx
                xyy -= b * uv
                xyy -= a * yy
                uuuv -= 3 * a * xxy
                uuuv -= b * cube[x, at]
                uvvv -= 3 * b * xyy
                uvvv -= a * cube[y, at]
                uuvv -= (2 * xxy + b * variance[x, at]) * b
                uuvv -= (2 * xyy + a * yy) * a
                both = scale[x, at] * scale[y, at]
                r = uv * both
                rr = r * r
                odd = (uuuv * scale_square[x, at] + uvvv * scale_square[y, at]) * both * r * (4 * n * weight)
                tails = (4 * n * weight * rr + 2 * n * weight) * (uuvv * (both * both)) - odd
                rest = np.maximum(1 - rr, TINY_ROOT)
                out[0, pair, at] = np.minimum(np.maximum(r, -1.0), 1.0)
                out[1, pair, at] = (tails + fourth[x, at] + fourth[y, at]) / (rest * rest)
                out[2, pair, at] = rest
                out[3, pair, at] = uv * scale_square[y, at]


@njit(cache=True, nogil=True)
def _anchored_sums(x: FloatArray, y: FloatArray, first: int, sums: FloatArray) -> None:
    """Sums (6, windows) of xy, x^2 y, x y^2, x^2 y^2, x^3 y and x y^3 about the anchor of a block."""
    window = sums.shape[1]
    anchor = first + window - 1
    sums[:] = 0
    for way in (OLDER, NEWER):
        xy = xxy = xyy = xxyy = xxxy = xyyy = 0.0
        for i in range(window):
            u, v = x[anchor + way * i] - x[anchor], y[anchor + way * i] - y[anchor]
            uv = u * v
            xy += uv
            xxy += uv * u
            xyy += uv * v
            xxyy += uv * uv
            xxxy += uv * (u * u)
            xyyy += uv * (v * v)
            at = i if way > 0 else window - 1 - i
            sums[0, at] += xy
            sums[1, at] += xxy
            sums[2, at] += xyy
            sums[3, at] += xxyy
            sums[4, at] += xxxy
            sums[5, at] += xyyy
