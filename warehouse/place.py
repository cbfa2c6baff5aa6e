"""Where a warehouse is: a DuckDB file of its own, or a lake (`warehouse.lake`); the store is the same."""

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

import duckdb


class StoreError(RuntimeError):
    """The warehouse cannot serve; the message says what to run next."""


class Place(Protocol):
    """What a store must know of the place that it writes to; `str` of it has no password."""

    @property
    def is_own(self) -> bool:
        """Whether nobody else can write there while it is open."""

    def exists(self) -> bool:
        """Whether something was ever stored there."""

    def connect(self, *, read_only: bool) -> duckdb.DuckDBPyConnection:
        """A connection whose current database is the warehouse; made where it is missing.

        Raises:
            StoreError: if it cannot be opened, with the next step.
        """

    def alone(self, con: duckdb.DuckDBPyConnection, names: Iterable[str]) -> AbstractContextManager[None]:
        """Nobody else writes what these names stand for while the block lasts.

        Raises:
            StoreError: if another process does and does not end in time.
        """

    def is_conflict(self, error: BaseException | None) -> bool:
        """Whether a transaction that failed so may succeed when the whole of it is run again."""

    def tidy(self, con: duckdb.DuckDBPyConnection, before: datetime) -> None:
        """Let go of what no table needs since an instant, and join small files."""


@dataclass(frozen=True, slots=True)
class File:
    """A DuckDB file; DuckDB itself keeps a second writer out, and clears up when the file is closed."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    @property
    def is_own(self) -> bool:
        """It is."""
        return True

    def exists(self) -> bool:
        """Whether the file is there."""
        return self.path.exists()

    def connect(self, *, read_only: bool) -> duckdb.DuckDBPyConnection:
        """Open or create the file.

        Raises:
            StoreError: if another process holds it, or it is damaged.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            return duckdb.connect(str(self.path), read_only=read_only)
        except duckdb.Error as error:
            raise StoreError(open_failed(self.path, error)) from error

    def alone(self, con: duckdb.DuckDBPyConnection, names: Iterable[str]) -> AbstractContextManager[None]:  # noqa: ARG002 - the protocol's signature
        """The whole file is held already."""
        return nullcontext()

    def is_conflict(self, error: BaseException | None) -> bool:  # noqa: ARG002 - the protocol's signature
        """Nobody to conflict with."""
        return False

    def tidy(self, con: duckdb.DuckDBPyConnection, before: datetime) -> None:
        """Nothing is left over."""


def literal(text: str | Path) -> str:
    """A text or path as a SQL string literal, for statements that take no parameters."""
    return "'" + str(text).replace("'", "''") + "'"


def open_failed(path: Path, error: duckdb.Error) -> str:
    """Why the file could not be opened, and what to do."""
    first = str(error).split("\n", 1)[0]
    if "Could not set lock" in first:
        return f"{path}: another process is writing to it; wait for that run to end ({first})"
    return (
        f"{path}: DuckDB cannot open it; run `make rebuild` to make it anew from the landing zone ({first})"
    )
