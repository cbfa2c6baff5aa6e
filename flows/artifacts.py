"""What a Prefect run leaves in its interface: headline, claims, freshness, timings, a link to the page."""

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
        tables = {"claims": rows(con, CLAIMS), "freshness": rows(con, FRESHNESS)}
    tables["timings"] = [{"table": name, "seconds": round(spent, 3)} for name, spent in run.seconds.items()]
    create_markdown_artifact(headline(readings, link(run.job)), key="headline", description="The link today")
    for key, table in tables.items():
        create_table_artifact(table, key=key)
    create_link_artifact(link(run.job), link_text="the page", key="page")


def rows(con: Any, query: str) -> list[dict[str, Any]]:
    """The rows as Prefect's tables want them: dates as text."""
    cursor = con.execute(query)
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
