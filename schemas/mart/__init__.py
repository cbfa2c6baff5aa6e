"""What analysts and BI tools query: one class a table, its docstring the grain."""

from schemas.mart.decisions import Claims, Exposure, OverlayScorecard, Scorecard, Signals
from schemas.mart.link import Conditional, Correlations, LeadLag, Regimes, RegimeSummary
from schemas.mart.market import Breadth, BreadthProxies, Liquidity, MarketSnapshot, PolicyTone
from schemas.mart.prices import Assets, Indicators, Normalized
from schemas.mart.words import Dictionary

__all__ = [
    "Assets",
    "Breadth",
    "BreadthProxies",
    "Claims",
    "Conditional",
    "Correlations",
    "Dictionary",
    "Exposure",
    "Indicators",
    "LeadLag",
    "Liquidity",
    "MarketSnapshot",
    "Normalized",
    "OverlayScorecard",
    "PolicyTone",
    "RegimeSummary",
    "Regimes",
    "Scorecard",
    "Signals",
]
