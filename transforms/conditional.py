"""The link that is left between two assets when the controls are held constant."""

from typing import Annotated as As

import numpy as np
import polars as pl
from numpy.lib.stride_tricks import sliding_window_view
from polars import LazyFrame as Frame

from schemas import core, mart
from schemas.table import conform, polars_schema
from transforms.rolling import FloatArray, kurtosis_interval, mardia_kappa
from transforms.study import Study

KEY = ["asset", "benchmark", "window_sessions", "session"]
SINGULAR = 1e-12  # a smaller share of unexplained variance is rounding: nothing is left to correlate
CHUNK = 256  # windows at a time: they stay near the core


def conditional(returns: As[Frame, core.Returns], study: Study) -> As[Frame, mart.Conditional]:
    """Partial correlation of every pair given the study's controls, and what the controls leave of the asset.

    The window is the last `window_sessions` returns that asset, benchmark and all controls have in common.
    One row per session from the first of these on; figures are null until the window is full, where one of
    the returns is missing, and where the window is singular (a flat side, collinear controls). A pair whose
    control has no returns at all has no rows: fewer controls would be another question.
    """
    wide = (
        returns.filter(pl.col("convention") == "session_close")
        .collect()
        .pivot("asset", index="session", values="log_return")
        .sort("session")
    )
    links = [
        partial_link(wide, pair, controls, window)
        for pair in study.pairs
        if (controls := tuple(control for control in study.controls if control not in pair))
        and {*pair, *controls} <= set(wide.columns)
        for window in study.windows
    ]
    empty = pl.DataFrame(schema=polars_schema(mart.Conditional))
    return pl.concat(links or [empty]).lazy().sort(KEY).pipe(conform, mart.Conditional)


def partial_link(
    wide: pl.DataFrame, pair: tuple[str, str], controls: tuple[str, ...], window: int
) -> pl.DataFrame:
    """Rows of one pair and window; `wide` has a column `session`, sorted, and one of returns per asset."""
    joint = wide.select("session", *pair, *controls).drop_nulls()
    figures = rolling_partial(joint.drop("session").to_numpy().T, window)
    known = joint.select("session", *(pl.Series(name, of, nan_to_null=True) for name, of in figures.items()))
    has_begun = pl.all_horizontal(pl.col(*pair, *controls).is_not_null()).cum_max()
    return (
        wide.filter(has_begun)
        .select("session")
        .join(known, on="session", how="left", maintain_order="left")
        .with_columns(
            pl.lit(pair[0]).alias("asset"),
            pl.lit(pair[1]).alias("benchmark"),
            pl.lit(window, pl.Int32).alias("window_sessions"),
            pl.lit(",".join(controls)).alias("controls"),
        )
    )


def rolling_partial(series: FloatArray, window: int) -> dict[str, FloatArray]:
    """The figures of the table for every observation, NaN until the window is full.

    Args:
        series: (2 + k, observations) log returns of asset, benchmark and k controls, all present.
        window: observations in a window.
    """
    figures = np.full((5, series.shape[1]), np.nan)
    if series.shape[1] >= window:
        windows = sliding_window_view(series, window, axis=1)
        for first in range(0, windows.shape[1], CHUNK):
            chunk = slice(first, first + CHUNK)
            figures[:, window - 1 :][:, chunk] = partial_figures(windows[:, chunk])
    names = ("partial_r", "lo95", "hi95", "r_squared", "idiosyncratic_share")
    return dict(zip(names, figures, strict=True))


def partial_figures(windows: FloatArray) -> FloatArray:
    """Partial r, its interval, r_squared and its complement: (5, windows), NaN where singular.

    The correlation of the two residuals from a regression on the controls (for one control the same as
    (rxy - rxz ryz) / sqrt((1 - rxz^2)(1 - ryz^2))). Its interval is that of a plain correlation with a
    degree of freedom less per control (Fisher 1924) and with Mardia's kurtosis of the residuals: linear
    combinations of elliptical variables keep their kurtosis (Muirhead 1982), and what widens the interval
    are the observations that the controls do not explain.

    Args:
        windows: (2 + k, windows, n) returns of asset, benchmark and k controls.
    """
    controls, n = len(windows) - 2, windows.shape[2]
    asset, benchmark = residuals(windows)
    own = np.mean(asset * asset, axis=-1)
    asset, benchmark = scaled(asset), scaled(benchmark)
    r = np.clip(np.mean(asset * benchmark, axis=-1), -1, 1)
    lo95, hi95 = kurtosis_interval(r, mardia_kappa(asset, benchmark), n, controls)
    own = np.clip(own, 0, 1)
    return np.stack([r, lo95, hi95, 1 - own, own])


def residuals(windows: FloatArray) -> FloatArray:
    """Residuals (2, windows, n) of asset and benchmark given the controls, in units of their own deviation.

    Modified Gram-Schmidt, as exact as a QR decomposition in each window; NaN where a control is flat or a
    combination of the ones before it.
    """
    centred = windows - windows[..., -1:]  # about an observation first, so that a flat window is exactly zero
    rest = scaled(centred - np.mean(centred, axis=-1, keepdims=True), floor=0)
    for last in range(len(windows) - 1, 1, -1):
        control, rest = scaled(rest[last]), rest[:last]
        rest -= np.mean(rest * control, axis=-1, keepdims=True) * control
    return rest


def scaled(deviations: FloatArray, floor: float = SINGULAR) -> FloatArray:
    """Deviations (..., n) from a mean in standard deviations, NaN where their variance is at most `floor`."""
    variance = np.mean(deviations * deviations, axis=-1, keepdims=True)
    return deviations / np.sqrt(np.where(variance > floor, variance, np.nan))
