"""What the commands share: their flags, their exit codes, and one line for every error."""

import argparse
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from types import FrameType
from typing import NoReturn

from rich.console import Console

from flows.cluster import ClusterError
from flows.fetching import NothingUsableError
from flows.lock import LockedError
from flows.start import BAD_INPUT, UniverseError
from schemas.table import InvalidTableError
from warehouse.copying import PublishError
from warehouse.extensions import LakeError
from warehouse.folder import NOTHING_CHANGED, complain, default
from warehouse.landing import LandingError
from warehouse.place import StoreError
from warehouse.store import DatabaseError
from warehouse.transactions import interruption

DONE, LOCKED_OUT, STOPPED = 0, 3, 130
FAILURES = (
    NothingUsableError,
    LandingError,
    StoreError,
    PublishError,
    InvalidTableError,
    OSError,
)
INSTANT, DAY = "2025-10-08T21:00Z", "2025-10-08"
UNIVERSE = Path("universe.toml")
OTHERS_LEVEL = (
    "PREFECT_LOGGING_ROOT_LEVEL"  # of the server's libraries, which log what is broken off at its end
)
DAMAGED = "Corrupt database file"  # what DuckDB says of a block that is not as it was written
WIDTH = 110  # of what is not written to a terminal


class ServeError(RuntimeError):
    """Something that should be served is not."""


class Parser(argparse.ArgumentParser):
    """Argparse with errors on one line, and without shortened flags."""

    def __init__(self, program: str, description: str) -> None:
        """A parser of one program."""
        super().__init__(program, description=description, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and where to look."""
        self.exit(BAD_INPUT, f"comove: {message}; see --help\n")


def parser(program: str, description: str, universe: Path | None = UNIVERSE) -> Parser:
    """A parser with the flags that every command has; without a universe, the data folder names its own."""
    made = Parser(f"python -m {program}", description)
    whose = universe or "the one that the data folder was last made with"
    made.add_argument(
        "--universe",
        type=Path,
        default=universe,
        help=f"TOML file that says what is watched (default: {whose})",
    )
    made.add_argument(
        "--data",
        type=Path,
        default=default(),
        help="folder of landing zone, warehouse and publication (default: COMOVE_DATA, or else data)",
    )
    made.add_argument("--warehouse", help="ducklake:... in place of the folder's own file")
    made.add_argument(
        "--wait", type=float, default=0.0, help="seconds to wait for another run on the folder (default: 0)"
    )
    return made


def instant(text: str) -> datetime:
    """An ISO instant with its time zone."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f'"{text}" is no ISO instant; write {INSTANT}') from error
    if moment.tzinfo is None:
        raise argparse.ArgumentTypeError(f'"{text}" has no time zone; write {INSTANT}')
    return moment.astimezone(UTC)


def day(text: str) -> date:
    """An ISO date."""
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f'"{text}" is no ISO date; write {DAY}') from error


def exit_code(action: Callable[[], int]) -> int:
    """The action's own code, or that of the error that ended it, told on one line."""
    try:
        with stoppable():
            return action()
    except (UniverseError, LakeError, ClusterError) as error:
        return complain(str(error), BAD_INPUT)
    except LockedError as error:
        return complain(str(error), LOCKED_OUT)
    except FAILURES as error:
        return complain(str(error), NOTHING_CHANGED)
    except (KeyboardInterrupt, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not interruption(error):
            raise
        return complain("stopped; what was published stays, run again", STOPPED)
    except DatabaseError as error:
        first = str(error).split("\n", 1)[0]
        next_step = (
            "run `make rebuild` to make the warehouse anew" if DAMAGED in first else "mend it and run again"
        )
        return complain(f"{first}; what was published stays, {next_step}", NOTHING_CHANGED)


@contextmanager
def stoppable() -> Iterator[None]:
    """SIGTERM ends the block as Ctrl-C does, so that what it started, such as Prefect's server, ends too."""
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def interrupt(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 - the signal's signature
    """As Ctrl-C does."""
    raise KeyboardInterrupt


def console() -> Console:
    """Standard output, of a fixed width where it is not a terminal."""
    return Console(width=None if sys.stdout.isatty() else WIDTH)


@contextmanager
def quietly() -> Iterator[None]:
    """Without Prefect's log, because the command's own output says it all."""
    from prefect.logging.configuration import setup_logging  # two seconds that a plain run need not wait
    from prefect.settings import PREFECT_LOGGING_LEVEL, PREFECT_SERVER_LOGGING_LEVEL, temporary_settings

    level = os.environ.get("PREFECT_LOGGING_LEVEL", "CRITICAL")
    with temporary_settings({PREFECT_LOGGING_LEVEL: level, PREFECT_SERVER_LOGGING_LEVEL: level}):
        setup_logging(incremental=False)
        before = os.environ.get(OTHERS_LEVEL)
        os.environ[OTHERS_LEVEL] = before or level  # the server that is started has it
        try:
            yield
        finally:
            os.environ.pop(OTHERS_LEVEL)
            if before:
                os.environ[OTHERS_LEVEL] = before
