"""A DuckLake as the place of a warehouse: tables as Parquet files, their catalog in SQLite or PostgreSQL.

SQLite lets one writer in at a time and any number of readers beside it. On PostgreSQL writers of different
assets work side by side; DuckLake itself lets two of them store the same key, so each takes its names first.
"""

import fcntl
import re
import time
import zlib
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from os import environ
from pathlib import Path
from typing import Literal

import duckdb

from warehouse.extensions import Ask, load, object_storage
from warehouse.place import StoreError, literal

EXTENSION = {"sqlite": "sqlite_scanner", "postgres": "postgres_scanner"}
PATIENCE = 60.0  # seconds that a writer waits for another
PAUSE = 0.02
BUSY = 5000  # milliseconds that SQLite itself waits
OURS = 0x636F6D76  # the first word of our advisory locks; the second is the bucket of a name
BUCKETS = 64  # PostgreSQL has room for some thousand locks in all, so names share them
CONFLICT = re.compile(
    r"conflict|database is locked|could not serialize|duplicate key|deadlock", re.IGNORECASE
)
TIDY = (
    "CALL ducklake_expire_snapshots('lake', older_than => $1)",
    "CALL ducklake_merge_adjacent_files('lake')",
    "CALL ducklake_cleanup_old_files('lake', older_than => $1)",
    "CALL ducklake_delete_orphaned_files('lake', older_than => $1)",
)


@dataclass(frozen=True, slots=True)
class Lake:
    """A DuckLake: the kind of its catalog, where that is, and where its files are.

    Attributes:
        kind: Of the catalog.
        catalog: A path, or what libpq connects by, without the password.
        data_path: A folder, or a prefix such as `s3://bucket/lake`.
        password: Of the catalog; shown nowhere.
        ask: Gives the keys of the bucket, by their names in the environment.
    """

    kind: Literal["sqlite", "postgres"]
    catalog: str
    data_path: str
    password: str | None = field(default=None, repr=False)
    ask: Ask = field(default=environ.get, repr=False, compare=False)

    def __str__(self) -> str:
        return f"ducklake:{self.kind}:{self.catalog}"

    @property
    def is_own(self) -> bool:
        """Others may."""
        return False

    @property
    def is_remote(self) -> bool:
        """Whether its files are in object storage."""
        return "://" in self.data_path

    def exists(self) -> bool:
        """Whether the catalog was ever written."""
        if self.kind == "sqlite":
            return Path(self.catalog).exists()
        with closing(self._instance()) as con:
            self._attach_locks(con)
            query = "FROM postgres_query('locks', 'SELECT to_regclass(''ducklake_metadata'')::text')"
            return con.execute(query).fetchall() != [(None,)]

    def connect(self, *, read_only: bool) -> duckdb.DuckDBPyConnection:
        """A DuckDB in memory with the lake as its current database; made where it is missing.

        Raises:
            StoreError: if the catalog or the files cannot be reached.
            LakeError: if an extension is not installed or the bucket's keys are not given.
        """
        con = self._instance()
        try:
            self._attach(con, read_only=read_only)
            if self.kind == "postgres":
                self._attach_locks(con)
        except BaseException:
            con.close()
            raise
        return con

    @contextmanager
    def alone(self, con: duckdb.DuckDBPyConnection, names: Iterable[str]) -> Iterator[None]:
        """Hold the names for the block: the whole SQLite catalog, or advisory locks of PostgreSQL.

        Raises:
            StoreError: if another process holds one of them for too long.
        """
        held = self._flocked() if self.kind == "sqlite" else self._advised(con, names)
        with held:
            yield

    def is_conflict(self, error: BaseException | None) -> bool:
        """Whether another writer was faster, so that the whole transaction is worth another try."""
        return isinstance(error, duckdb.Error) and bool(CONFLICT.search(str(error)))

    def tidy(self, con: duckdb.DuckDBPyConnection, before: datetime) -> None:
        """Forget the snapshots before an instant, join small files, remove files that nothing names."""
        for statement in TIDY:
            con.execute(statement, [before] if "$1" in statement else None)

    def _instance(self) -> duckdb.DuckDBPyConnection:
        con = duckdb.connect(":memory:")
        try:
            load(con, ("ducklake", EXTENSION[self.kind], *(["httpfs"] if self.is_remote else [])))
            if self.is_remote:
                object_storage(con, self.data_path, self.ask)
            if self.password:  # as a secret, so that no error repeats it
                con.execute("CREATE SECRET catalog (TYPE postgres, PASSWORD $1)", [self.password])
        except BaseException:
            con.close()
            raise
        return con

    def _attach(self, con: duckdb.DuckDBPyConnection, *, read_only: bool) -> None:
        options = [f"DATA_PATH {literal(self.data_path)}"]
        options += ["DATA_INLINING_ROW_LIMIT 0"]  # every value goes through Parquet, whatever the catalog
        if self.kind == "sqlite":
            options += ["META_JOURNAL_MODE 'WAL'", f"META_BUSY_TIMEOUT {BUSY}"]
        if self.password:
            options += ["META_SECRET 'catalog'"]
        if read_only:
            options += ["READ_ONLY"]
        for folder in self._folders():
            folder.mkdir(parents=True, exist_ok=True)
        try:
            con.execute(f"ATTACH {literal(str(self))} AS lake ({', '.join(options)})")
            con.execute("USE lake")
        except duckdb.Error as error:
            raise StoreError(self._refused(error)) from error

    def _folders(self) -> Iterator[Path]:
        """The folders of this machine that the lake needs."""
        if self.kind == "sqlite":
            yield Path(self.catalog).parent
        if not self.is_remote:
            yield Path(self.data_path)

    def _attach_locks(self, con: duckdb.DuckDBPyConnection) -> None:
        """The catalog's server once more, for locks that outlast the lake's own transactions."""
        secret = ", SECRET catalog" if self.password else ""
        try:
            con.execute(f"ATTACH {literal(self.catalog)} AS locks (TYPE postgres, READ_ONLY{secret})")
        except duckdb.Error as error:
            raise StoreError(self._refused(error)) from error

    def _refused(self, error: duckdb.Error) -> str:
        said = " ".join(str(error).split())
        return (
            f"{self}: cannot be opened, with files in {self.data_path}; see that both can be reached ({said})"
        )

    @contextmanager
    def _flocked(self) -> Iterator[None]:
        with Path(f"{self.catalog}.lock").open("w") as file:
            deadline = time.monotonic() + PATIENCE
            while True:
                with suppress(BlockingIOError):
                    fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                if time.monotonic() > deadline:
                    raise StoreError(self._occupied())
                time.sleep(PAUSE)
            yield

    @contextmanager
    def _advised(self, con: duckdb.DuckDBPyConnection, names: Iterable[str]) -> Iterator[None]:
        """All at once and in order, so that two writers cannot wait for each other."""
        buckets = sorted({zlib.crc32(one.encode()) % BUCKETS for one in names})
        if not buckets:
            yield
            return
        waits = f"SELECT set_config('lock_timeout', '{PATIENCE:.0f}s', true)"
        locks = f"SELECT pg_advisory_xact_lock({OURS}, n)::text FROM unnest(ARRAY{buckets}) AS n"
        with closing(con.cursor()) as other:
            other.execute("BEGIN")
            try:
                for query in (waits, locks):
                    other.execute("FROM postgres_query('locks', $1)", [query]).fetchall()
            except duckdb.Error as error:
                if "lock timeout" in str(error):
                    raise StoreError(self._occupied()) from error
                raise
            yield  # closing the cursor ends its transaction, and with it the locks

    def _occupied(self) -> str:
        return f"{self}: another process has been writing to it for {PATIENCE:g} s; run again when it ended"
