"""All of it or nothing of it, and again where another writer was in the way."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

import duckdb
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential_jitter

from warehouse.place import Place, StoreError

A = TypeVar("A")
ATTEMPTS = 12  # of a transaction that another writer is in the way of


def interruption(error: BaseException) -> BaseException | None:
    """What ended a query, if a signal did: DuckDB makes a RuntimeError of what its handler raises."""
    cause = error.__cause__ if isinstance(error, RuntimeError) else None
    return None if isinstance(cause, Exception) else cause


class Transactions:
    """Transactions on a connection to a warehouse."""

    path: Place
    con: duckdb.DuckDBPyConnection
    _is_within = False

    def transact(self, write: Callable[[], A], alone: Callable[[], Iterable[str]] = tuple) -> A:
        """Run a function in one transaction; the whole of it again, after a random wait, on a conflict.

        Args:
            write: What it does; within another transaction it becomes a part of that one.
            alone: Gives the names of what nobody else may write meanwhile.

        Raises:
            StoreError: if it failed; nothing of it was written.
        """
        if self._is_within:
            return write()
        retrying = Retrying(
            retry=retry_if_exception(lambda error: self.path.is_conflict(error.__cause__)),
            stop=stop_after_attempt(ATTEMPTS),
            wait=wait_exponential_jitter(multiplier=0.02, max=2.0, jitter=0.2),
            reraise=True,
        )

        def once() -> A:
            with self.path.alone(self.con, alone()), self.transaction():
                return write()

        return retrying(once)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of it or nothing of it."""
        self.con.execute("BEGIN")
        self._is_within = True
        try:
            yield
            self.con.execute("COMMIT")
        except duckdb.Error as error:
            self._roll_back()
            first = str(error).split("\n", 1)[0]
            raise StoreError(
                f"{self.path}: nothing was written ({first}); make room or mend it, then run again"
            ) from error
        except BaseException as error:
            self._roll_back()
            if signal := interruption(error):
                raise signal from None
            raise
        finally:
            self._is_within = False

    def _roll_back(self) -> None:
        with suppress(duckdb.Error):  # a failed COMMIT has rolled back by itself
            self.con.execute("ROLLBACK")
