"""What the kernel of the rolling correlation makes of a window: r alone, or r, its interval and beta."""

import numpy as np

from transforms.intervals import FloatArray, fisher_interval, mardia_kappa
from transforms.rolling_kernel import Columns, IntArray, Kernel, Sides, window_sums

_NEARLY_ONE = 1e-3  # below this 1 - r^2 the sums lose the digits that kappa needs
_WINDOWS_AT_ONCE = 4096  # of those computed directly; bounds memory


def correlation(columns: Columns) -> Kernel:
    """Kernel of r alone."""

    def roll(x: Sides, y: Sides) -> tuple[FloatArray, ...]:
        products, scales, means = x  # ours to change, while y may serve the next chunk
        products *= y[0]
        scales *= y[1]
        means *= y[2]
        r = window_sums(products)
        r *= scales
        r -= means
        return (np.clip(r, -1, 1, out=r),)

    def figures(raw: list[FloatArray], *_: IntArray) -> list[FloatArray]:
        return raw

    scale = columns.per_sd / np.sqrt(len(columns.deviations))
    fields = [columns.deviations, scale, columns.mean * columns.per_sd]
    return Kernel("correlation", fields, roll, figures)


def link(columns: Columns) -> Kernel:
    """Kernel of r, both ends of its interval, and beta.

    With u and v standardised, kappa comes from the mean of q^2, q = (u^2 - 2 r u v + v^2) / (1 - r^2).
    """
    n = len(columns.deviations)
    weight = (n + 1) / (n - 1) / 8  # of the mean of q^2 in 1 + kappa

    def roll(x: Sides, y: Sides) -> tuple[FloatArray, ...]:
        (*x, x_scale, x_square, x_fourth), (*y, y_scale, y_square, y_fourth) = x, y
        r, uuvv, uuuv, uvvv = _central_sums(x, y)
        beta = r * y_square
        scale = x_scale * y_scale
        r *= scale
        uuuv *= x_square
        uvvv *= y_square
        odd = np.add(uuuv, uvvv, out=uuuv)
        odd *= scale
        odd *= r
        scale *= scale
        uuvv *= scale
        odd *= 4 * n * weight
        rr = r * r
        tails = (4 * n * weight) * rr  # 1 + kappa
        tails += 2 * n * weight
        tails *= uuvv
        tails -= odd
        tails += x_fourth
        tails += y_fourth
        rest = np.subtract(1, rr, out=rr)
        np.maximum(rest, np.finfo(np.float64).tiny ** 0.5, out=rest)
        tails /= rest * rest
        return np.clip(r, -1, 1, out=r), tails, rest, beta

    def figures(raw: list[FloatArray], left: IntArray, right: IntArray) -> list[FloatArray]:
        r, tails, rest, beta = raw
        _replace_nearly_one(tails, rest, columns.observations, left, right)
        np.maximum(tails, 1, out=tails)
        return [r, *fisher_interval(r, tails, n), beta]

    cubes, fourth = _higher_sums(columns)
    scale = columns.per_sd / np.sqrt(n)
    about = [columns.deviations, columns.mean, columns.squares, cubes, n * columns.sd**2]
    return Kernel("link", [*about, scale, scale * scale, weight * fourth], roll, figures)


def _higher_sums(columns: Columns) -> tuple[FloatArray, FloatArray]:
    """Of every window the sum of cubes about the anchor, and the mean of u^4."""
    x, a = columns.deviations, columns.mean
    powers = x * x * x
    fourth = window_sums(powers * x)
    cubes = window_sums(powers)
    fourth -= a * (4 * cubes - a * (6 * columns.squares - 3 * len(x) * a * a))
    return cubes, fourth * columns.per_sd**4 / len(x)


def _central_sums(x: Sides, y: Sides) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Sums of uv, u^2 v^2, u^3 v and u v^3 in every window, from those about the anchors."""
    (x_parts, a, xx, xxx, uu), (y_parts, b, yy, yyy, _) = x, y
    uv, xxy, xyy, uuvv, uuuv, uvvv = _anchored_sums(x_parts, y_parts)
    uv -= len(a) * a * b
    xxy -= a * uv
    xxy -= b * xx  # now of u^2 v + a u v
    xyy -= b * uv
    xyy -= a * yy  # and of u v^2 + b u v
    uuuv -= 3 * a * xxy
    uuuv -= b * xxx
    uvvv -= 3 * b * xyy
    uvvv -= a * yyy
    xxy *= 2
    xxy += b * uu
    uuvv -= np.multiply(xxy, b, out=xxy)
    xyy *= 2
    xyy += a * yy
    uuvv -= np.multiply(xyy, a, out=xyy)
    return uv, uuvv, uuuv, uvvv


def _anchored_sums(x: FloatArray, y: FloatArray) -> list[FloatArray]:
    """Sums of xy, x^2 y, x y^2, x^2 y^2, x^3 y and x y^3 about the anchors, each (window, ...)."""
    xy = x * y
    sums = [window_sums(xy * factor) for factor in (x, y, xy, x * x, y * y)]
    return [window_sums(xy), *sums]


def _replace_nearly_one(
    tails: FloatArray, rest: FloatArray, observations: FloatArray, left: IntArray, right: IntArray
) -> None:
    """Compute 1 + kappa directly in the windows (pairs, blocks, window) where 1 - r^2, the rest, is small."""
    small = rest < _NEARLY_ONE
    if not small.any():
        return
    window = tails.shape[2]
    pair, block, place = np.nonzero(small)
    first = block * window + place
    for part in range(0, len(first), _WINDOWS_AT_ONCE):
        at = slice(part, part + _WINDOWS_AT_ONCE)
        span = first[at, None] + np.arange(window)
        x, y = (observations[side[pair[at], None], span] for side in (left, right))
        tails[pair[at], block[at], place[at]] = 1 + mardia_kappa(x, y)
