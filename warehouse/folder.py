"""The data folder that a command is given, looked at before anything is imported that takes seconds."""

import os
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

DATABASE = "latest.duckdb"  # what readers open, in `published`
NOTHING_CHANGED = 1  # exit code


class Paths(ArgumentParser):
    """Only the flags that are looked at early; the command's own parser tells what is wrong with any."""

    def error(self, message: str) -> NoReturn:
        """Leave it to the command."""
        raise ValueError(message)


def paths() -> Paths:
    """A parser of `--data`."""
    made = Paths(add_help=False)
    made.add_argument("--data", type=Path, default=default())
    return made


def default() -> Path:
    """The data folder of who names none."""
    return Path(os.environ.get("COMOVE_DATA", "data"))


def published(data: Path) -> Path:
    """The database that was published in a data folder.

    Raises:
        FileNotFoundError: if nothing was published there yet.
    """
    path = data / "published" / DATABASE
    if not data.is_dir():
        raise FileNotFoundError(missing(data))
    if not path.exists():
        raise FileNotFoundError(f"{path}: nothing is published there; {filled(data)} first")
    return path


def missing(data: Path) -> str:
    """That there is no such folder."""
    return f"{data}: there is no such folder; name another, or {filled(data)} to make it"


def filled(data: Path) -> str:
    """What fills a folder."""
    return f"run `make demo DATA={data}` (the samples) or `make live DATA={data}`"


def unwritable(data: Path, why: str | None) -> str:
    """That there can be no such folder, or that nobody may write to it."""
    return f"{data}: is no folder to write to ({why}); name another with --data"


def complain(text: str, code: int) -> int:
    """One line on stderr; returns the exit code."""
    sys.stderr.write(f"comove: {' '.join(text.split())}\n")
    return code


def refuse_unpublished(arguments: Sequence[str]) -> None:
    """End the process if nothing is published in the folder that its arguments name."""
    early(arguments, lambda: published(paths().parse_known_args(arguments)[0].data))


def early(arguments: Sequence[str], check: Callable[[], object]) -> None:
    """End the process if a check of its paths fails; not if it is asked for help or its flags are wrong."""
    if {"-h", "--help"} & set(arguments):
        return
    try:
        check()
    except OSError as error:
        sys.exit(complain(str(error), NOTHING_CHANGED))
    except ValueError:
        return
