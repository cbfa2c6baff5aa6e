"""The signal's six conditions as a checklist: met, not met or unknown, and the figures that decided it."""

from collections.abc import Callable
from dataclasses import dataclass

from report.figures import Row, number

MARKS = {True: "met", False: "not met", None: "unknown"}


@dataclass(frozen=True, slots=True)
class Condition:
    """One line of the checklist."""

    name: str
    rule: str
    mark: str
    evidence: str


def link(row: Row, threshold: float) -> str:
    """Correlation against the threshold."""
    return f"correlation {number(row['r'])}, bar {threshold:g}"


def momentum(row: Row, _: float) -> str:
    """RSI now and five sessions ago, and the sign of the histogram, on both."""

    def side(prefix: str) -> str:
        now, before, hist = (row[f"{prefix}{field}"] for field in ("rsi_14", "rsi_before", "macd_hist"))
        sign = "not known" if hist is None else "above 0" if hist > 0 else "not above 0"
        return f"RSI {number(before, '.0f')} \N{RIGHTWARDS ARROW} {number(now, '.0f')}, MACD histogram {sign}"

    return f"target: {side('')}; benchmark: {side('benchmark_')}"


def volume(row: Row, _: float) -> str:
    """Mean volume of a week against that of a month, on both."""
    return (
        f"mean of 5 sessions by that of 20: target {number(row['swell'])}, "
        f"benchmark {number(row['benchmark_swell'])}"
    )


def breadth(row: Row, _: float) -> str:
    """Share of members above their mean, now and ten sessions ago."""
    before, now = number(row["share_before"], ".0%"), number(row["share_above_50"], ".0%")
    return f"{before} ten sessions ago, {now} now"


def liquidity(row: Row, _: float) -> str:
    """The composite."""
    return f"composite is {number(row['composite'], '+.2f')}"


def breakout(row: Row, _: float) -> str:
    """The close against the high before it."""
    close, high = number(row["close"], ",.0f"), number(row["donchian_high_20"], ",.0f")
    return f"close {close}, highest of the 20 sessions before {high}"


CONDITIONS: tuple[tuple[str, str, Callable[[Row, float], str]], ...] = (
    ("link", "The correlation is above the threshold", link),
    ("momentum", "RSI rises over 5 sessions and the MACD histogram is above 0, on both", momentum),
    (
        "volume",
        "The week's volume is above the month's, on both",
        volume,
    ),
    (
        "breadth",
        "Over half of the members stand above their 50-session mean, more than 10 sessions ago",
        breadth,
    ),
    ("liquidity", "The liquidity composite is above 0", liquidity),
    ("breakout", "A new 20-session high within 5 sessions, out of a quiet stretch", breakout),
)


def checklist(headline: Row, evidence: Row, threshold: float) -> list[Condition]:
    """The conditions at the headline's session."""
    return [
        Condition(name, rule, MARKS[headline[name]], why(evidence, threshold))
        for name, rule, why in CONDITIONS
    ]
