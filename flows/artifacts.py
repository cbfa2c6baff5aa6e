"""What a Prefect run leaves in its interface: headline, sources, claims, freshness, timings, the page."""

from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

from flows.alerts import LAST_READING, link
from warehouse.reader import connect

if TYPE_CHECKING:
    from flows.pipeline import Run

CLAIMS = """
SELECT claim, round(figure, 3) AS figure, round(lo95, 3) AS lo95, round(hi95, 3) AS hi95, verdict
FROM mart.claims QUALIFY as_of_session = max(as_of_session) OVER ()
"""
SUMMARY = """
WITH told AS (
    SELECT * REPLACE (
        CASE WHEN rows_quarantined > 0 OR status <> 'unchanged' AND error IS NOT NULL THEN item END AS item
    ) FROM ops.loads WHERE run_id = $1
), summed AS (
    SELECT
        source, table_name, status, item, count(*) AS loads, sum(rows_fetched)::BIGINT AS fetched,
        sum(rows_new)::BIGINT AS new, sum(rows_revised)::BIGINT AS revised,
        sum(rows_running)::BIGINT AS running, sum(rows_quarantined)::BIGINT AS quarantined, error
    FROM told GROUP BY ALL
)
FROM summed
ORDER BY status NOT IN ('failed', 'refused'), quarantined = 0, item IS NULL, source, table_name, item
"""
FRESHNESS = """
SELECT asset, source, symbol, interval, last_session, sessions_behind, is_stale, last_load, quarantined
FROM mart.data_freshness
"""


def leave(run: "Run") -> None:
    """Make the artifacts; each key keeps its history from run to run."""
    from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact

    study = run.job.universe.study
    with closing(connect(run.job.home)) as con:
        readings = con.execute(LAST_READING, [study.target, study.benchmark]).fetchall()
        tables = {
            "run-summary": rows(con, SUMMARY, [run.job.run_id]),
            "claims": rows(con, CLAIMS),
            "freshness": rows(con, FRESHNESS),
        }
    tables["timings"] = [{"table": name, "seconds": round(spent, 3)} for name, spent in run.seconds.items()]
    create_markdown_artifact(headline(readings, link(run.job)), key="headline", description="The link today")
    for key, table in tables.items():
        create_table_artifact(table, key=key)
    create_link_artifact(link(run.job), link_text="the page", key="page")


def rows(con: Any, query: str, values: Sequence[object] = ()) -> list[dict[str, Any]]:
    """The rows as Prefect's tables want them: dates as text."""
    cursor = con.execute(query, values)
    names = [column[0] for column in cursor.description]
    plain = (str, int, float, bool, type(None))
    return [
        {name: cell if isinstance(cell, plain) else str(cell) for name, cell in zip(names, row, strict=True)}
        for row in cursor.fetchall()
    ]


def headline(readings: list[tuple[Any, ...]], address: str) -> str:
    """The newest reading as Markdown."""
    if not readings:
        return f"Not known yet. [The page]({address})"
    said, session, regime, state, reason = readings[0]
    status = f"As of {session}. Regime: {regime or 'none yet'}. Signal: {state}: {reason}."
    return f"# {said}\n\n{status} [The page]({address})"
