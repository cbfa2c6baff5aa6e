"""The article's claims, each as a query and a rule that were fixed before looking, and the verdict.

The article: CoinOtag, 2025-10-08, on Ethereum and the Russell 2000. A claim says that a figure lies above a
bar. It held if the whole 95 % interval does, it did not hold if the whole interval lies below, and else the
data do not decide. Figures come from the published tables, so that a reader can run the same query.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from schemas import mart
from schemas.table import polars_schema
from transforms.bootstrap import difference_intervals, mean_interval, share_interval
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
from transforms.study import ARTICLE_DAY, Study

MOST_DIGITS = 6
INTERVALS = {"mean": mean_interval, "share": share_interval}
ROUNDING = 1e-12
Figures = tuple[float | None, float | None, float | None]
Verdict = tuple[str, str]
Rule = Callable[[Figures, str], Verdict]
Query = Callable[[str], pl.DataFrame]


@dataclass(frozen=True, slots=True)
class Claim:
    """One claim.

    Attributes:
        claim_id: Short name.
        sentence: The claim in our words; {target} and {benchmark} are filled in.
        sql: Gives `figure, lo95, hi95` if `statistic` is None, else a series of `session`, `value` and, for
            a difference, `is_in`.
        rule: Verdict and explanation for a figure with its interval and its unit.
        statistic: None, "mean", "share" (of sessions, from values of 0 and 1), or "difference" (mean where
            `is_in` minus mean elsewhere).
        unit: Unit of the figure, in words that follow "the".
        block: Mean length of the bootstrap's blocks, in sessions; not below the overlap of the values.
    """

    claim_id: str
    sentence: str
    sql: str
    rule: Rule
    unit: str
    statistic: str | None = None
    block: int = 20


def above(bar: float, *, form: str = ".2f", negligible: float | None = None) -> Rule:
    """The claim is that the figure is above a bar; it fails below it, or where it would be negligible."""
    floor = bar if negligible is None else negligible

    def judge(figures: Figures, unit: str) -> Verdict:
        _, low, high = figures
        if low is None or high is None:
            return "undecided", "there are not enough data to say"
        said = f"{unit} between {apart(low, bar, form)} and {apart(high, floor, form)}"
        if low > bar:
            return "held", f"the data put the {said}, all of it above {plain(bar, form)}"
        if high < floor:
            return "not held", f"the data put the {said}, all of it below {plain(floor, form)}"
        return "undecided", f"the data allow any {said}, on both sides of {plain(bar, form)}"

    return judge


def apart(value: float, bar: float, form: str) -> str:
    """A value with as many digits as it takes to tell it from the bar; -0.0 and +0.0 are one number."""
    digits = int(form[-2])
    while digits < MOST_DIGITS and value != bar and rounded(value, form) == rounded(bar, form):
        digits += 1
        form = f"{form[:-2]}{digits}{form[-1]}"
    return f"{value:{form}}"


def rounded(value: float, form: str) -> float:
    """The number that a reader sees."""
    return float(f"{value:{form}}".rstrip("%"))


def plain(bar: float, form: str) -> str:
    """A bar for a reader: no sign and no digits on zero."""
    return f"{bar:{form}}" if bar else "0"


def beyond_chance(negligible: float) -> Rule:
    """The claim is that the largest of many figures is beyond chance; its ends are -+ what chance reaches."""

    def judge(figures: Figures, unit: str) -> Verdict:
        figure, low, high = figures
        if figure is None or low is None or high is None:
            return "undecided", "there are not enough data to say"
        said = f"the {unit} is {figure:.2f}, and chance alone reaches {figure - low:.2f}"
        if low > 0:
            return "held", said
        if high < negligible:
            return "not held", f"{said}: a lagged link, if there is one, is weaker than {negligible:.2f}"
        return "undecided", f"{said}: a weak one can be neither seen nor ruled out"

    return judge


def below(bar: float) -> Rule:
    """The claim is that the figure is below a bar."""
    swap = {"held": "not held", "not held": "held", "undecided": "undecided"}

    def judge(figures: Figures, unit: str) -> Verdict:
        verdict, explanation = above(bar)(figures, unit)
        return swap[verdict], explanation

    return judge


def near(value: float, tolerance: float, *, form: str = ".2f") -> Rule:
    """The claim is a figure that was printed; it needs a record of that day."""

    def judge(figures: Figures, _: str) -> Verdict:
        figure = figures[0]
        if figure is None:
            return (
                "undecided",
                f"no snapshot was recorded on {ARTICLE_DAY}, and the providers keep no history",
            )
        said = f"recorded {figure:{form}}, printed {value:{form}}"
        return ("held" if abs(figure - value) <= tolerance else "not held"), said

    return judge


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


def claims(query: Query, study: Study, names: dict[str, str]) -> pl.DataFrame:
    """`mart.claims`: every claim on the article's day, if the data reach it, and on the newest session.

    Args:
        query: Runs SQL on the tables of this build and gives a frame.
        study: The study's pair is the one that is judged.
        names: Names of the assets for people, by id.
    """
    newest = query("SELECT max(session) AS newest FROM mart.signals")["newest"][0]
    days = [] if newest is None else sorted({newest, min(newest, ARTICLE_DAY)})
    rows = [row for day in days for row in judged(query, study, names, day)]
    return pl.DataFrame(rows, schema=polars_schema(mart.Claims))


def judged(query: Query, study: Study, names: dict[str, str], day: date) -> Iterator[dict[str, object]]:
    """One row per claim as of a session."""
    for claim in CLAIMS:
        sql = filled(claim.sql, study, day)
        figures = measured(claim, query(sql))
        verdict, explanation = without_window(sql, study) or claim.rule(figures, claim.unit)
        yield {
            "claim_id": claim.claim_id,
            "as_of_session": day,
            "claim": claim.sentence.format(target=names[study.target], benchmark=names[study.benchmark]),
            "question_sql": question(claim, sql),
            **dict(zip(("figure", "lo95", "hi95"), figures, strict=True)),
            "unit": claim.unit,
            "verdict": verdict,
            "explanation": explanation,
        }


def without_window(sql: str, study: Study) -> Verdict | None:
    """The verdict on a query of a rolling window that the study does not have."""
    asked = re.search(r"window_sessions = (\d+)", sql)
    if asked is None or int(asked[1]) in study.windows:
        return None
    return "undecided", f"the study has no window of {asked[1]} sessions"


def filled(sql: str, study: Study, day: date) -> str:
    """A claim's query for one pair and day; ids are checked by the universe, the day is a date."""
    values = {"asset": study.target, "benchmark": study.benchmark, "day": f"{day:%Y-%m-%d}"}
    for name, value in values.items():
        sql = sql.replace(f"{{{name}}}", value)
    return sql.strip()


def question(claim: Claim, sql: str) -> str:
    """The query whose answer is the figure."""
    if claim.statistic is None:
        return sql
    figure = "avg(value)"
    if claim.statistic == "difference":
        figure = "avg(value) FILTER (is_in) - avg(value) FILTER (NOT is_in)"
    return f"SELECT {figure} AS figure FROM (\n{sql}\n)"


def measured(claim: Claim, answer: pl.DataFrame) -> Figures:
    """The figure and its interval: as the query gives them, or by bootstrap from the series it gives."""
    if claim.statistic is None:
        found = answer.row(0, named=True) if answer.height else {}
        return found.get("figure"), found.get("lo95"), found.get("hi95")
    series = answer.drop_nulls().sort("session")
    values = series["value"].cast(pl.Float64).to_numpy()
    if not len(values):
        return None, None, None
    if claim.statistic in INTERVALS:
        return optional(values.mean(), *INTERVALS[claim.statistic](values, claim.block))
    is_in = series["is_in"].to_numpy()
    if is_in.all() or not is_in.any():
        return None, None, None
    interval = difference_intervals(values, is_in[:, None], claim.block)[0]
    return optional(values[is_in].mean() - values[~is_in].mean(), *interval)


def optional(figure: float, low: float, high: float) -> Figures:
    """The three as floats, NaN as None, and 0 for what is nothing but rounding."""
    rounded = (0.0 if abs(value) < ROUNDING else float(value) for value in (figure, low, high))
    known = [None if np.isnan(value) else value for value in rounded]
    return known[0], known[1], known[2]
