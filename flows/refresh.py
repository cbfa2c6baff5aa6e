"""The daily job: fetch -> land -> build -> publish -> report -> alert.

`python -m flows.refresh --help` shows its flags.
"""

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import NoReturn

from prefect import flow
from prefect.logging.configuration import setup_logging
from prefect.settings import PREFECT_LOGGING_LEVEL, PREFECT_SERVER_LOGGING_LEVEL, temporary_settings
from rich.console import Console

from flows import universe as universes
from flows.aftermath import observed
from flows.fetching import NothingUsableError
from flows.job import Job
from flows.lock import LockedError
from flows.pipeline import Run
from flows.runners import Plain, Prefect
from flows.summary import show
from schemas.table import InvalidTableError
from warehouse.landing import LandingError
from warehouse.publish import PublishError
from warehouse.store import StoreError

WIDTH = 110  # of the summary where it is not written to a terminal
FAILURES = (NothingUsableError, LandingError, StoreError, PublishError, InvalidTableError, OSError)


@flow(name="refresh", persist_result=False)
def refresh(
    universe: Path = Path("universe.toml"),
    data: Path = Path("data"),
    as_of: datetime | None = None,
    until: date | None = None,
    since: date | None = None,
    wait: float = 0.0,
) -> Run:
    """Fetch what is new, land it, rebuild the tables and publish a verified copy."""
    return observed(job(universe, data, as_of, until, since, wait), Prefect(), is_prefect=True)


def job(
    universe: Path, data: Path, as_of: datetime | None, until: date | None, since: date | None, wait: float
) -> Job:
    """A job out of its parameters.

    Raises:
        UniverseError: if the universe cannot be used.
    """
    watched = universes.load(universe)
    if as_of:
        as_of = as_of.astimezone(UTC) if as_of.tzinfo else as_of.replace(tzinfo=UTC)
    return Job(watched, data, as_of=as_of, since=since, until=until, universe_path=universe, wait=wait)


def main(arguments: list[str] | None = None) -> int:
    """Run once; 0 if something usable was published, 2 for a bad universe or flag, 3 if locked out."""
    flags = parser().parse_args(arguments)
    asked = (flags.universe, flags.data, flags.as_of, flags.until, flags.since, flags.wait)
    try:
        plain = job(*asked)
        if flags.runner == "plain":
            done = observed(plain, Plain(), is_prefect=False)
        else:
            with quietly():
                done = refresh(*asked)
    except universes.UniverseError as error:
        return complain(str(error), 2)
    except LockedError as error:
        return complain(str(error), 3)
    except FAILURES as error:
        return complain(str(error), 1)
    show(done, Console(width=None if sys.stdout.isatty() else WIDTH))
    return 0


@contextmanager
def quietly() -> Iterator[None]:
    """Without Prefect's log, because the command's own output says it all."""
    level = os.environ.get("PREFECT_LOGGING_LEVEL", "CRITICAL")
    with temporary_settings({PREFECT_LOGGING_LEVEL: level, PREFECT_SERVER_LOGGING_LEVEL: level}):
        setup_logging(incremental=False)
        yield


def complain(text: str, code: int) -> int:
    """One line on stderr."""
    sys.stderr.write(f"comove: {' '.join(text.split())}\n")
    return code


class Parser(argparse.ArgumentParser):
    """Argparse with errors on one line."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and where to look."""
        self.exit(2, f"comove: {message}; see --help\n")


def instant(text: str) -> datetime:
    """An ISO instant with its time zone."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise argparse.ArgumentTypeError(f'"{text}" has no time zone; write 2025-10-08T21:00Z')
    return moment.astimezone(UTC)


def parser() -> Parser:
    """The flags; each default is that of the flow."""
    made = Parser("python -m flows.refresh", description="Fetch, land, build and publish once.")
    data = Path(os.environ.get("COMOVE_DATA", "data"))
    made.add_argument(
        "--universe", type=Path, default=Path("universe.toml"), help="what is watched (a TOML file)"
    )
    made.add_argument(
        "--data", type=Path, default=data, help="folder of landing zone, warehouse and publication"
    )
    made.add_argument(
        "--as-of", type=instant, help="replay what was known at this instant, beside the main copy"
    )
    made.add_argument("--since", type=date.fromisoformat, help="first date to fetch")
    made.add_argument("--until", type=date.fromisoformat, help="last date to fetch")
    made.add_argument("--wait", type=float, default=0.0, help="seconds to wait for another run on the folder")
    made.add_argument("--runner", choices=["prefect", "plain"], default="prefect", help="who runs the steps")
    return made


if __name__ == "__main__":
    sys.exit(main())
