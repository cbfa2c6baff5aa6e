"""The link that is left between two assets when the controls are held constant."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated as As

import numpy as np
import polars as pl
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from polars import LazyFrame as Frame

from schemas import core, mart
from schemas.table import conform, polars_schema
from transforms.intervals import FloatArray, kurtosis_interval, reciprocal, standard_kappa
from transforms.study import Study

FIGURES = (
    "partial_r",
    "lo95",
    "hi95",
    "r_squared",
    "idiosyncratic_share",
    "idiosyncratic_lo95",
    "idiosyncratic_hi95",
)
SINGULAR = 1e-12  # a smaller share of unexplained variance is rounding: nothing is left to correlate
NEARLY_ONE = 1e-3  # below this 1 - r^2 the moments have lost the digits that the kurtosis needs
CHUNK = 2**17  # returns in the windows that are taken at a time: they stay near the core


def conditional(returns: As[Frame, core.Returns], study: Study) -> As[Frame, mart.Conditional]:
    """Partial correlation of every pair given the study's controls, and what the controls leave of the asset.

    The window is the last `window_sessions` returns that asset, benchmark and all controls have in common.
    One row per session from the first of these on, by window and session; figures are null until the window
    is full, where one of the returns is missing, and where the window is singular (a flat side, collinear
    controls). A pair whose control has no returns at all has no rows: fewer controls would be another
    question.
    """
    wide = (
        returns.filter(pl.col("convention") == "session_close")
        .collect()
        .pivot("asset", index="session", values="log_return")
        .sort("session")
    )
    alike = list(groups(wide, study))
    links = [group.link(wide["session"], window) for window in sorted(study.windows) for group in alike]
    return (
        pl.concat(links or [pl.DataFrame(schema=polars_schema(mart.Conditional))])
        .lazy()
        .pipe(conform, mart.Conditional)
    )


@dataclass(frozen=True, slots=True)
class Group:
    """Pairs that share their controls and their joint sessions, and so the residuals of their sides."""

    pairs: list[tuple[str, str]]
    controls: tuple[str, ...]
    joint: NDArray[np.bool_]  # (sessions,)
    series: FloatArray  # (sides + controls, joint sessions), every side once, the controls last
    left: NDArray[np.intp]  # (pairs,) rows of the assets in it
    right: NDArray[np.intp]

    def link(self, sessions: pl.Series, window: int) -> pl.DataFrame:
        """A row per session and pair, for one window."""
        begun = np.logical_or.accumulate(self.joint)
        figures = np.full((len(FIGURES), len(self.pairs), len(sessions)), np.nan)
        figures[:, :, self.joint] = self.rolling(window)
        height = int(np.count_nonzero(begun))
        of_session, of_pair = np.divmod(np.arange(height * len(self.pairs)), len(self.pairs))
        return pl.DataFrame(self.pairs, schema=["asset", "benchmark"], orient="row")[of_pair].with_columns(
            sessions.filter(pl.Series(begun)).gather(of_session).alias("session"),
            *(
                pl.Series(name, of[:, begun].T.ravel(), nan_to_null=True)
                for name, of in zip(FIGURES, figures, strict=True)
            ),
            window_sessions=pl.lit(window, pl.Int32),
            controls=pl.lit(",".join(self.controls)),
        )

    def rolling(self, window: int) -> FloatArray:
        """The figures at every joint session, (figures, pairs, sessions), NaN until the window is full."""
        found = np.full((len(FIGURES), len(self.pairs), self.series.shape[1]), np.nan)
        if self.series.shape[1] >= window:
            windows = sliding_window_view(self.series, window, axis=1)
            step = max(1, CHUNK // (len(self.series) * window))
            for first in range(0, windows.shape[1], step):
                chunk = slice(first, first + step)
                found[:, :, window - 1 :][:, :, chunk] = partial_figures(
                    windows[:, chunk], len(self.controls), self.left, self.right
                )
        return found


def groups(wide: pl.DataFrame, study: Study) -> Iterator[Group]:
    """The pairs of the study that have all their returns; `wide` has a column of them per asset."""
    known = set(wide.columns[1:])
    alike: dict[tuple[tuple[str, ...], bytes], list[tuple[str, str]]] = {}
    present = {asset: wide[asset].is_not_null().to_numpy() for asset in known}
    for pair in sorted(study.pairs):
        controls = tuple(control for control in study.controls if control not in pair)
        if controls and {*pair, *controls} <= known:
            joint = np.logical_and.reduce([present[asset] for asset in (*pair, *controls)])
            alike.setdefault((controls, joint.tobytes()), []).append(pair)
    for (controls, mask), pairs in alike.items():
        joint = np.frombuffer(mask, dtype=np.bool_)
        sides = sorted({asset for pair in pairs for asset in pair})
        series = wide.filter(pl.Series(joint)).select(*sides, *controls).to_numpy().T
        left, right = (np.array([sides.index(pair[side]) for pair in pairs]) for side in (0, 1))
        yield Group(pairs, controls, joint, series, left, right)


def partial_figures(
    windows: FloatArray, controls: int, left: NDArray[np.intp], right: NDArray[np.intp]
) -> FloatArray:
    """Partial r, its interval, r_squared, its complement and the interval of that; NaN where singular.

    The correlation of the two residuals from a regression on the controls (for one control the same as
    (rxy - rxz ryz) / sqrt((1 - rxz^2)(1 - ryz^2))). Its interval is that of a plain correlation with a
    degree of freedom less per control (Fisher 1924) and with Mardia's kurtosis of the residuals: linear
    combinations of elliptical variables keep their kurtosis (Muirhead 1982), and what widens the interval
    are the observations that the controls do not explain.

    Args:
        windows: (sides + controls, windows, n) returns, those of the controls last.
        controls: Their number.
        left: (pairs,) rows of the assets in `windows`.
        right: (pairs,) rows of the benchmarks.

    Returns:
        (figures, pairs, windows).
    """
    sides = standardised(windows)
    rest = residuals(sides, controls)
    own = np.clip(np.mean(rest * rest, axis=-1), 0, 1)
    shares = np.stack([1 - own, own, *own_share_interval(sides[:-controls], rest, own, controls)])[:, left]
    rest = scaled(rest)
    r, kappa = moments(rest, left, right)
    return np.stack([r, *kurtosis_interval(r, kappa, windows.shape[2], controls), *shares])


def moments(
    sides: FloatArray, left: NDArray[np.intp], right: NDArray[np.intp]
) -> tuple[FloatArray, FloatArray]:
    """Correlation and Mardia's kurtosis (see `mardia_kappa`) of pairs of sides, each (pairs, windows).

    Out of the moments of all pairs that have their lefts in common. Each sum is that of a pair and window
    alone: the last digit of a matrix product hangs on how many others there are. Near |r| = 1, where the
    moments cancel, each window is computed by itself.

    Args:
        sides: (sides, windows, n) with a mean of 0 and a variance of 1 in each window.
        left: (pairs,) rows of `sides`.
        right: Likewise.
    """
    n = sides.shape[-1]
    squared = sides * sides
    powers = {1: sides, 2: squared, 3: squared * sides}
    fourth = np.mean(squared * squared, axis=-1)
    products = np.empty((4, len(left), sides.shape[1]))
    for lefts, rights, place in products_of(left, right):
        for product, (of_left, of_right) in zip(products, ((1, 1), (2, 2), (3, 1), (1, 3)), strict=True):
            x, y = (np.moveaxis(powers[p][rows], 0, 1) for p, rows in ((of_left, lefts), (of_right, rights)))
            product[place] = np.einsum("wln,wrn->lrw", x, y)
    products /= n
    r, squares, cubed, cubes = products
    np.clip(r, -1, 1, out=r)
    lost = 1 - r * r
    total = fourth[left] + fourth[right] + (2 + 4 * r * r) * squares - 4 * r * (cubed + cubes)
    kappa = np.maximum(0, (n + 1) / (n - 1) * total * reciprocal(lost * lost) / 8 - 1)
    for pair, window in np.argwhere(lost < NEARLY_ONE):
        kappa[pair, window] = standard_kappa(sides[left[pair], window], sides[right[pair], window])
    return r, kappa


def products_of(
    left: NDArray[np.intp], right: NDArray[np.intp]
) -> Iterator[tuple[list[int], list[int], NDArray[np.intp]]]:
    """Pairs in groups where every left has every right: these, and the place of each pair (lefts, rights)."""
    place = {pair: at for at, pair in enumerate(zip(left.tolist(), right.tolist(), strict=True))}
    lefts_of: dict[int, list[int]] = {}
    for a, b in place:
        lefts_of.setdefault(b, []).append(a)
    rights_of: dict[tuple[int, ...], list[int]] = {}
    for b, lefts in lefts_of.items():
        rights_of.setdefault(tuple(sorted(lefts)), []).append(b)
    for alike, rights in rights_of.items():
        yield list(alike), rights, np.array([[place[a, b] for b in rights] for a in alike])


def own_share_interval(
    sides: FloatArray, rest: FloatArray, own: FloatArray, controls: int
) -> tuple[FloatArray, FloatArray]:
    """95 % interval of the share of each side's variance that is its own, (sides, windows) each.

    Through the multiple correlation R, whose z has the variance (1 + kappa) / (n - 2 - k) for elliptical
    variables, as that of a plain one has with k = 1 (Muirhead 1982); kappa is that of side and fitted value.
    """
    kappa = standard_kappa(sides, scaled(sides - rest))
    low, high = kurtosis_interval(np.sqrt(1 - own), kappa, sides.shape[-1], controls - 1)
    return 1 - high**2, 1 - np.maximum(low, 0) ** 2


def standardised(windows: FloatArray) -> FloatArray:
    """Returns (..., n) about their mean in standard deviations, NaN where flat."""
    centred = windows - windows[..., -1:]  # about an observation first, so that a flat window is exactly zero
    return scaled(centred - np.mean(centred, axis=-1, keepdims=True), floor=0)


def residuals(sides: FloatArray, controls: int) -> FloatArray:
    """Residuals (sides, windows, n) of standardised sides given the controls, which stand last.

    Modified Gram-Schmidt, as exact as a QR decomposition in each window; NaN where a control is flat or a
    combination of the ones before it.
    """
    rest = sides
    for _ in range(controls):
        control, rest = scaled(rest[-1]), rest[:-1]
        rest = rest - np.mean(rest * control, axis=-1, keepdims=True) * control
    return rest


def scaled(deviations: FloatArray, floor: float = SINGULAR) -> FloatArray:
    """Deviations (..., n) from a mean in standard deviations, NaN where their variance is at most `floor`."""
    variance = np.mean(deviations * deviations, axis=-1, keepdims=True)
    return deviations / np.sqrt(np.where(variance > floor, variance, np.nan))
