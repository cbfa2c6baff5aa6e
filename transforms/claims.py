"""The verdict on each of the article's claims, out of the published tables.

Figures come from these tables, so that a reader can run the same query.
"""

import re
from collections.abc import Callable, Iterator
from datetime import date

import numpy as np
import polars as pl

from schemas import mart
from schemas.table import polars_schema
from transforms.bootstrap import difference_intervals, mean_interval, share_interval
from transforms.claims_registry import CLAIMS
from transforms.claims_rules import Claim, Figures, Verdict
from transforms.study import ARTICLE_DAY, Study

INTERVALS = {"mean": mean_interval, "share": share_interval}
ROUNDING = 1e-12
Query = Callable[[str], pl.DataFrame]


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
