"""Intervals of correlations that allow for fat tails, elementwise on arrays."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

FloatArray = NDArray[np.float64]


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
    return fisher_interval(np.asarray(r, dtype=np.float64), 1 + np.asarray(kappa, dtype=np.float64), n, k)


def spearman_interval(rs: ArrayLike, n: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """95 % interval (lower, upper) of Spearman's correlation over ``n`` observations, elementwise.

    The standard error of Bonett & Wright (2000), sqrt((1 + rs^2/2) / (n - 3)), with the Student quantile
    of kurtosis_interval: on fat tails the paper's normal one covers a little less than 95 %.
    """
    rs = np.asarray(rs, dtype=np.float64)
    return fisher_interval(rs, 1 + rs * rs / 2, n)


def mardia_kappa(x: FloatArray, y: FloatArray) -> FloatArray:
    """Excess kurtosis of two series about their correlation, at least 0; NaN where one is flat.

    (n+1)/(n-1) * mean(q^2)/8 - 1 with q the squared Mahalanobis distance of an observation (Mardia 1970),
    here as the square of x plus that of y's residual on x, both standardised (ddof 0): the same number as
    (u^2 + v^2 - 2 r u v) / (1 - r^2), without its loss of digits when |r| is close to 1.

    Args:
        x: (..., n) observations; for a partial correlation the residuals given the controls.
        y: (..., n) likewise.
    """
    return standard_kappa(_standardised(x), _standardised(y))


def standard_kappa(u: FloatArray, v: FloatArray) -> FloatArray:
    """The same of observations (..., n) that have a mean of 0 and a variance of 1 (ddof 0) already."""
    n = u.shape[-1]
    residual = v - np.mean(u * v, axis=-1, keepdims=True) * u
    variance = np.mean(residual * residual, axis=-1, keepdims=True)
    q = u * u + residual * residual * np.where(variance > 0, reciprocal(variance), 0)
    return np.asarray(np.maximum(0, (n + 1) / (n - 1) * np.mean(q * q, axis=-1) / 8 - 1))


def fisher_interval(
    r: FloatArray, inflation: FloatArray, n: ArrayLike, k: int = 0
) -> tuple[FloatArray, FloatArray]:
    """tanh(atanh r -+ t SE) with SE^2 = inflation / (n - 3 - k), without the infinite atanh of 1."""
    freedom = np.subtract(n, 3 + k, dtype=np.float64)
    freedom = np.where(freedom > 0, freedom, np.nan)
    half = np.tanh(np.sqrt(inflation) * (stdtrit(freedom, 0.975) / np.sqrt(freedom)))
    half = np.minimum(half, np.nextafter(1, 0))  # 1 itself would make 0/0 of |r| = 1
    product = r * half
    return (r - half) / (1 - product), (r + half) / (1 + product)


def reciprocal(values: FloatArray) -> FloatArray:
    """1 / values, NaN for 0."""
    return np.divide(1, values, out=np.full_like(values, np.nan), where=values > 0)


def _standardised(values: FloatArray) -> FloatArray:
    """Values (..., n) about their mean in standard deviations (ddof 0), NaN where flat."""
    values = values - values[..., -1:]
    values -= np.mean(values, axis=-1, keepdims=True)
    return values * reciprocal(np.sqrt(np.mean(values * values, axis=-1, keepdims=True)))
