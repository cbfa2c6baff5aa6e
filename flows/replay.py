"""What was known then, built beside the live copy, and what was revised since.

`python -m flows.replay 2025-10-08T21:00Z --data DIR`, with the universe that the folder was last made with.
"""

import sys

if __name__ == "__main__":  # before the imports that take seconds
    from flows.start import refuse_wrong_paths

    is_lake = any(one.startswith("--warehouse") for one in sys.argv)  # it has the rows; the folder may be new
    refuse_wrong_paths(sys.argv[1:], is_new=is_lake)

from contextlib import closing
from pathlib import Path

from prefect import flow
from rich.console import Console
from rich.text import Text

from flows.command import INSTANT, console, exit_code, instant, parser
from flows.fetching import NothingUsableError
from flows.job import Job
from flows.last import last
from flows.parameters import Instant, Seconds
from flows.pipeline import Run, run
from flows.refresh import job
from flows.runners import Plain, Prefect
from flows.summary import LINK, link_table, plain_table, where
from warehouse.reader import connect

LATER = """
SELECT table_name, source, item, column_name, count(*) AS figures, min(known_at)::DATE, max(known_at)::DATE
FROM ops.revisions WHERE known_at > $1
GROUP BY ALL ORDER BY figures DESC, table_name, source, item, column_name
"""


@flow(name="replay", persist_result=False)
def replay(
    as_of: Instant,
    universe: Path = Path("universe.toml"),
    data: Path = Path("data"),
    wait: Seconds = 600.0,
    warehouse: str | None = None,
) -> Run:
    """Build and publish what was known at an instant, in a folder of its own below the data folder."""
    return run(job(universe, data, as_of, None, None, wait, None, warehouse), Prefect())


def show(done: Run, page: Console) -> None:
    """Print the headline of that day, and what was revised since.

    Raises:
        NothingUsableError: if no correlation of the study's pair was known then.
    """
    asked = done.job
    table = link_table(links_then(asked), done)
    title, table.title = table.title, None
    page.print(
        Text(f"As known at {asked.as_of:%Y-%m-%d %H:%M} UTC", "bold"), Text(str(title)), table, sep="\n"
    )
    revised = plain_table(
        "Since then revised", ["table", "source", "item", "figure", ">changes", "from", "to"]
    )
    for row in later_revisions(asked):
        revised.add_row(*(Text(str(value)) for value in row))
    page.print(Text("\nSince then revised", "bold") if revised.rows else Text("\nnothing was revised since"))
    revised.title = None
    if revised.rows:
        page.print(revised)
    page.print()
    for line in where(done):
        page.print(Text(line), soft_wrap=True)


def links_then(asked: Job) -> list[tuple[object, ...]]:
    """The correlations of the study's pair that were known then; there must be one."""
    study = asked.universe.study
    with closing(connect(asked.home)) as con:
        found = con.execute(LINK, [study.target, study.benchmark]).fetchall()
    if not found:
        raise NothingUsableError(
            f"{asked.data}: no correlation of {study.target} and {study.benchmark} was known at "
            f"{asked.as_of:%Y-%m-%d %H:%M} UTC by {asked.universe_path}; name a later instant, "
            "or with --universe the file that the folder was made with"
        )
    return found


def later_revisions(asked: Job) -> list[tuple[object, ...]]:
    """Per series and figure: how many values changed after the instant, as the live copy knows."""
    try:
        with closing(connect(asked.data)) as con:
            return con.execute(LATER, [asked.as_of]).fetchall()
    except FileNotFoundError:
        return []


def main(arguments: list[str] | None = None) -> int:
    """Replay; the exit codes are those of `flows.refresh`."""
    made = parser("flows.replay", "Build what was known at an instant, beside the live copy.", universe=None)
    made.add_argument("as_of", type=instant, nargs="?", help=f"an instant, e.g. {INSTANT}")
    flags = made.parse_args(arguments)
    if not flags.as_of:
        made.error(f"as of when? name an instant: make replay AS_OF={INSTANT}")

    def once() -> int:
        universe = flags.universe or last(flags.data).universe
        asked = (universe, flags.data, flags.as_of, None, None, flags.wait, None, flags.warehouse)
        show(run(job(*asked), Plain()), console())
        return 0

    return exit_code(once)


if __name__ == "__main__":
    sys.exit(main())
