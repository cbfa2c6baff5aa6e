"""The article's claims, each as a query and a rule that were fixed before looking.

The article: CoinOtag, 2025-10-08, on Ethereum and the Russell 2000.
"""

from transforms.claims_rules import Claim, above, below, beyond_chance, near
from transforms.claims_sql import (
    ABOVE_060_IN_RISK_ON,
    BITCOIN_SHARE,
    BREAKOUT_AFTER_QUIET,
    COINS,
    CONFIRMED_BY_VOLUME_AND_BREADTH,
    LARGEST_LAGGED,
    LIQUIDITY,
    LOOSER_AFTER_SHOCKS,
    MOMENTUM_AGREES,
    OVERLAY,
    ROLLING,
    SINCE_2021,
    STRONGER_IN_RISK_ON,
)

CLAIMS: tuple[Claim, ...] = (
    *(
        Claim(
            f"strong_{window}",
            f"The {window}-session correlation of {{target}} and {{benchmark}} is strong: above 0.5.",
            ROLLING.replace("{window}", str(window)),
            above(0.5),
            "correlation",
        )
        for window in (30, 60, 90)
    ),
    Claim(
        "above_060_in_risk_on",
        "In risk-on phases the correlation is at times above 0.6 (at least one session in twenty).",
        ABOVE_060_IN_RISK_ON,
        above(0.05, form=".0%"),
        "share of risk-on sessions",
        "share",
        block=60,
    ),
    Claim(
        "persistent_since_2021",
        "Since 2021 {target} and {benchmark} move together persistently: above 0.5 on most sessions.",
        SINCE_2021,
        above(0.5, form=".0%"),
        "share of sessions since 2021",
        "share",
        block=120,
    ),
    Claim(
        "stronger_in_risk_on",
        "The link is stronger in risk-on phases than otherwise.",
        STRONGER_IN_RISK_ON,
        above(0.0, form="+.2f"),
        "difference of correlations",
        "difference",
        block=120,
    ),
    Claim(
        "weaker_in_crypto_events",
        "The link is weaker in the 30 sessions after a shock that only {target} had.",
        LOOSER_AFTER_SHOCKS,
        above(0.0, form="+.2f"),
        "drop of the correlation after shocks",
        "difference",
        block=60,
    ),
    Claim(
        "momentum_agrees",
        "MACD and RSI of the two point the same way more often than a coin would.",
        MOMENTUM_AGREES,
        above(0.5, form=".0%"),
        "share of signs that agree",
        "mean",
        block=40,
    ),
    Claim(
        "volume_and_breadth_confirm",
        "When volume rises and breadth improves, {target} does better over the next 10 sessions.",
        CONFIRMED_BY_VOLUME_AND_BREADTH,
        above(0.0, form="+.1%"),
        "difference of 10-session log returns",
        "difference",
        block=20,
    ),
    Claim(
        "breakout_after_quiet",
        "After a quiet stretch with a neutral RSI, {target} reaches a 20-session high rather than a low in "
        "the next 20 sessions more often than otherwise.",
        BREAKOUT_AFTER_QUIET,
        above(0.0, form="+.0%"),
        "extra frequency of highs over lows after quiet stretches",
        "difference",
        block=40,
    ),
    Claim(
        "liquidity_helps",
        "When liquidity is loosening, {target} does better over the next 20 sessions.",
        LIQUIDITY,
        above(0.0, form="+.1%"),
        "difference of 20-session log returns",
        "difference",
        block=60,
    ),
    Claim(
        "reaction_takes_days_to_weeks",
        "{target} reacts to {benchmark} with a lag of one session to some weeks.",
        LARGEST_LAGGED,
        beyond_chance(negligible=0.2),
        "largest correlation at lags 1 to 20",
    ),
    Claim(
        "overlay_pays",
        "Holding more in strength and less in weakness earns more than always holding the average share.",
        OVERLAY,
        above(0.0, form="+.0%"),
        "difference of log returns per year",
        "mean",
        block=20,
    ),
    Claim(
        "decoupled_later",
        "As the same analyst said later, the two have come apart: the 60-session correlation is below 0.5.",
        ROLLING.replace("{window}", "60"),
        below(0.5),
        "correlation",
    ),
    Claim(
        "bitcoin_share_at_publication",
        "The page's header: Bitcoin's share of the market value was 58.26 % that day.",
        BITCOIN_SHARE,
        near(58.26, tolerance=0.5),
        "percent",
    ),
    Claim(
        "coins_at_publication",
        "The page's header: there were 10,071 coins that day.",
        COINS,
        near(10_071, tolerance=100, form=",.0f"),
        "number of coins",
    ),
)
