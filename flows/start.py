"""What a command looks at before it imports what takes seconds: whether its paths can be used."""

import os
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from warehouse.folder import complain, early, missing, paths, unwritable

BAD_INPUT = 2


class UniverseError(ValueError):
    """The universe cannot be used; the text is one line: the file, the block, the key, the next step."""


def document(path: Path | str) -> dict[str, Any]:
    """What a TOML file says.

    Raises:
        UniverseError: not readable, or not TOML.
    """
    try:
        return tomllib.loads(Path(path).read_text("utf-8-sig"))  # editors may write a byte-order mark
    except OSError as error:
        text = f"cannot be read ({error.strerror}); give the path of a universe file"
    except (ValueError, RecursionError) as error:
        text = f"is not TOML: {error}"
    raise UniverseError(one_line(f"{path}: {text}"))


def one_line(text: str) -> str:
    """A text with what cannot be printed written out."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def refuse_wrong_paths(
    arguments: Sequence[str], universe: str | None = None, *, is_new: bool = False
) -> None:
    """End the process with one line if its universe cannot be read, or its data folder cannot be used.

    Args:
        arguments: Its arguments.
        universe: The universe of who names none.
        is_new: Whether the folder may be made; else it must be there.
    """
    early(arguments, lambda: check(arguments, universe, is_new=is_new))


def check(arguments: Sequence[str], universe: str | None, *, is_new: bool) -> None:
    """The universe first, then the folder."""
    known = paths()
    known.add_argument("--universe", default=universe)
    flags, _ = known.parse_known_args(arguments)
    if flags.universe:
        try:
            document(flags.universe)
        except UniverseError as error:
            sys.exit(complain(str(error), BAD_INPUT))
    if is_new:
        refuse_unwritable(flags.data)
    elif not flags.data.is_dir():
        raise FileNotFoundError(missing(flags.data))


def refuse_unwritable(data: Path) -> None:
    """Nothing is made here: a command that fails later leaves no folder behind.

    Raises:
        OSError: if there can be no such folder, or nobody may write to it.
    """
    there = next(one for one in (data, *data.absolute().parents) if one.exists())
    if not there.is_dir():
        raise NotADirectoryError(unwritable(data, f"{there} is a file"))
    if not os.access(there, os.W_OK | os.X_OK):
        raise PermissionError(unwritable(data, "Permission denied"))
