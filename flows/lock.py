"""One writer a data folder, by an advisory lock that the kernel frees when its holder dies."""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import IO

from warehouse.folder import unwritable

LOCK = "writer.lock"
PAUSE = 0.1  # seconds between two tries


class LockedError(RuntimeError):
    """Another run is writing to the data folder."""


@contextmanager
def one_writer(data: Path, wait: float) -> Iterator[timedelta]:
    """Hold the folder's lock for the block; gives the time that it took to get it.

    Args:
        data: The data folder.
        wait: Seconds to wait for another run to end.

    Raises:
        LockedError: if it is still held after the wait.
        OSError: if there can be no such folder, or nobody may write to it.
    """
    began = time.monotonic()
    with lock_file(data) as file:
        while not taken(file.fileno()):
            if time.monotonic() >= began + wait:
                raise LockedError(
                    f"{data}: another run is writing to it; waited {wait:g} s, wait longer with --wait"
                )
            time.sleep(PAUSE)
        yield timedelta(seconds=time.monotonic() - began)


def wait_for_turn(data: Path, wait: float) -> None:
    """Until nobody writes to the folder; for a command that takes long to start, so that it is told before.

    Raises:
        LockedError: if somebody still does after the wait.
    """
    with one_writer(data, wait):
        pass


def lock_file(data: Path) -> IO[str]:
    """The folder's lock file, opened, and the folder, made where it is missing."""
    try:
        data.mkdir(parents=True, exist_ok=True)
        return (data / LOCK).open("w")
    except OSError as error:
        raise OSError(unwritable(data, error.strerror)) from error


def taken(handle: int) -> bool:
    """Try to take the lock."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
