"""Every table that is computed, by the function that makes it; their annotations give the order."""

from collections.abc import Callable

from polars import LazyFrame

from transforms.assets import assets
from transforms.audit import freshness, revisions
from transforms.closes import closes
from transforms.correlations import correlations
from transforms.indicators import indicators
from transforms.returns import normalized, returns

TRANSFORMS: tuple[Callable[..., LazyFrame], ...] = (
    closes,
    returns,
    assets,
    normalized,
    correlations,
    indicators,
    revisions,
    freshness,
)
