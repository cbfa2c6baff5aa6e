"""Every table that is computed, by the function that makes it; their annotations give the order."""

from collections.abc import Callable

from polars import LazyFrame

from transforms.assets import assets
from transforms.audit import freshness, revisions
from transforms.breadth import breadth, breadth_proxies
from transforms.closes import closes
from transforms.conditional import conditional
from transforms.correlations import correlations
from transforms.exposure import exposure
from transforms.indicators import indicators
from transforms.lead_lag import lead_lag
from transforms.liquidity import liquidity
from transforms.market_snapshot import market_snapshot
from transforms.policy_tone import policy_tone
from transforms.regimes import regime_summary, regimes
from transforms.returns import normalized, returns
from transforms.scorecard import overlay_scorecard, scorecard
from transforms.signals import signals

TRANSFORMS: tuple[Callable[..., LazyFrame], ...] = (
    closes,
    returns,
    assets,
    normalized,
    correlations,
    conditional,
    regimes,
    regime_summary,
    lead_lag,
    indicators,
    breadth,
    breadth_proxies,
    liquidity,
    policy_tone,
    market_snapshot,
    signals,
    exposure,
    scorecard,
    overlay_scorecard,
    revisions,
    freshness,
)
