"""What a run says at its end, for a person at a terminal; every figure is read from what was published."""

from contextlib import closing
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from flows.fetching import NothingUsableError, of_assets
from transforms.closes import SESSION_CLOSE
from warehouse.reader import connect

if TYPE_CHECKING:
    from flows.pipeline import Run

STYLES = {"held": "green", "not held": "red", "undecided": "yellow"}
LINK = """
SELECT convention, window_sessions, session, r, lo95, hi95, verdict
FROM mart.correlations
WHERE asset = $1 AND benchmark = $2 AND r IS NOT NULL
QUALIFY row_number() OVER (PARTITION BY convention, window_sessions ORDER BY session DESC) = 1
ORDER BY convention, window_sessions
"""

CLAIMS = """
SELECT as_of_session, claim, verdict, explanation FROM mart.claims
QUALIFY as_of_session = max(as_of_session) OVER ()
"""

STALE = """
SELECT asset, source, symbol, last_session, expected_session
FROM mart.data_freshness WHERE is_stale AND last_session IS NOT NULL
"""


def show(run: "Run", page: Console) -> None:
    """Print the sources, the rows, the link today, the claims, and where the files are."""
    study = run.job.universe.study
    with closing(connect(run.job.home)) as con:
        link = con.execute(LINK, [study.target, study.benchmark]).fetchall()
        claims = con.execute(CLAIMS).fetchall()
        stale = con.execute(STALE).fetchall()
    for table in (source_table(run), row_table(run), link_table(link, run), claim_table(claims)):
        title, table.title = table.title, None
        page.print(Text(str(title), "bold"), table if table.row_count else "none", Text(), sep="\n")
    for line in (*clock_lines(link), *map(stale_line, stale), *closing_lines(run)):
        page.print(Text(line), soft_wrap=True)


def clock_lines(link: list[tuple[Any, ...]]) -> list[str]:
    """Where the pair has a correlation by UTC days alone, what that leaves out."""
    if not link or any(convention == SESSION_CLOSE for convention, *_ in link):
        return []
    return [
        "too few prices at the exchange's close, which come of hourly candles: no signal, no claim judged"
    ]


def stale_line(row: tuple[Any, ...]) -> str:
    """A source that is behind, and how far."""
    asset, source, symbol, last, expected = row
    return f"stale: {asset} from {source} {symbol} ends on {last}, {expected} is expected"


def refuse_unusable(run: "Run") -> None:
    """Say so where a run found no correlation at all.

    Raises:
        NothingUsableError: with the reason: the failures of an asset without a price, or too few sessions.
    """
    with closing(connect(run.job.home)) as con:
        if con.execute("SELECT count(r) FROM mart.correlations").fetchall()[0][0]:
            return
        priced = {asset for (asset,) in con.execute("SELECT DISTINCT asset FROM core.closes").fetchall()}
    study = run.job.universe.study
    lacking = [asset for asset in (study.target, study.benchmark) if asset not in priced]
    asked = of_assets(run.job.universe, run.outcomes, *lacking)
    reasons = [str(outcome.error) for outcome in asked if outcome.error]
    few = f"{study.target} and {study.benchmark} have fewer than {min(study.windows)} returns in common"
    why = f"{'; '.join(reasons)}; mend it and run again" if reasons else few
    raise NothingUsableError(f"{run.job.home}: what was published has not one correlation: {why}")


def link_table(rows: list[tuple[Any, ...]], run: "Run") -> Table:
    """One line per convention and window."""
    study = run.job.universe.study
    names = run.job.universe.assets_by_id
    table = plain_table(
        f"{names[study.target].name} and {names[study.benchmark].name}: correlation of log returns"
        f" (strong: 95 % interval above {study.threshold:g})",
        ["convention", "window", "session", ">r", ">95 % interval", "verdict"],
    )
    for convention, window, session, r, low, high, verdict in rows:
        table.add_row(
            convention, f"{window} sessions", str(session), f"{r:.6f}", f"{low:+.2f} .. {high:+.2f}", verdict
        )
    return table


def claim_table(rows: list[tuple[Any, ...]]) -> Table:
    """One line per claim of the article, as of the newest session."""
    table = plain_table(
        f"What the article claimed{f', as of {rows[0][0]}' if rows else ''}", ["claim", "verdict", "why"]
    )
    for _, claim, verdict, explanation in rows:
        table.add_row(Text(claim), Text(verdict, STYLES[verdict]), Text(explanation))
    return table


def source_table(run: "Run") -> Table:
    """One line per source and table: what it brought and what was refused; failures are named below it."""
    table = plain_table(
        "Sources", ["source", "table", ">items", ">rows", ">running", ">quarantined", ">failed"]
    )
    groups: dict[tuple[str, str], list[Any]] = {}
    for outcome in run.outcomes:
        groups.setdefault((outcome.request.source, outcome.table), []).append(outcome)
    for (source, target), outcomes in groups.items():
        seen = [outcome.seen for outcome in outcomes if outcome.seen]
        table.add_row(
            Text(source),
            target,
            str(len(outcomes)),
            f"{sum(part.delivered for part in seen):,}",
            str(sum(part.running for part in seen)),
            str(sum(part.bad for part in seen)),
            str(sum(outcome.error is not None for outcome in outcomes)),
        )
    return table


def row_table(run: "Run") -> Table:
    """Rows per published table, how many the run added, and whether any of them changed."""
    table = plain_table("Tables", ["table", ">rows", ">change"])
    for name, count in run.publication.tables.items():
        if count:
            added = count - run.rows_before.get(name, 0)
            same = run.before.get(name) == run.after[name]
            table.add_row(name, f"{count:,}", f"{added:+,}" if added else "unchanged" if same else "revised")
    return table


def closing_lines(run: "Run") -> list[str]:
    """What failed, whether anything is new, and where it is."""
    data = [table for table in run.after if not table.startswith("ops.")]
    is_same = all(run.before.get(table) == run.after[table] for table in data)
    is_refused = any(outcome.seen and outcome.seen.bad for outcome in run.outcomes)
    return [
        *(f"failed: {outcome.error}" for outcome in run.outcomes if outcome.error),
        *(["refused: each row, with the check that it failed, is in ops.quarantine"] if is_refused else []),
        *([f"as known at {run.job.as_of:%Y-%m-%d %H:%M} UTC"] if run.job.as_of else []),
        *(["nothing new: not one row of raw, core or mart changed"] if is_same else []),
        *where(run),
    ]


def where(run: "Run") -> list[str]:
    """What could not be made, and where the rest is: for SQL, for other tools, for the browser."""
    return [
        *(f"trouble: {' '.join(trouble.split())}" for trouble in run.troubles),
        f"query:   make sql DATA={run.job.home}",
        f"files:   {run.publication.folder}",
        *([f"page:    {run.page}"] if run.page else []),
    ]


def plain_table(title: str, headings: list[str]) -> Table:
    """A table without a box; a heading that starts with > is right-aligned."""
    table = Table(title=Text(title), box=None, padding=(0, 2, 0, 0))
    for heading in headings:
        table.add_column(heading.removeprefix(">"), justify="right" if heading.startswith(">") else "left")
    return table
