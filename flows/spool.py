"""What a run was told, on disk until it is landed: memory holds the answers that are on their way.

A part lies in the landing zone's own temporary folder. It is not the truth yet: a killed run leaves parts
that nobody reads, and the next run removes them.
"""

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from flows.batch import Batch, quarantine
from flows.sources import Request
from flows.sources.files import ITEM
from schemas.table import name
from warehouse.landing import LandingError

FOLDER = ".spool"
GROUP = 25_000  # rows that are compared with the stored ones at once


@dataclass(frozen=True, slots=True)
class Part:
    """The checked rows of one answer, on disk.

    Attributes:
        path: Its file names' common beginning.
        height, running, bad: Numbers of rows: good ones, bars that still ran, refused ones.
        delivered: Number of rows as they came.
        about: What its rows are about: source, interval and symbol or series, each as often as it is there.
        is_whole: Whether it has everything up to now: no row is wrong, and no earlier end was asked for.
    """

    path: Path
    height: int
    running: int
    bad: int
    delivered: int
    about: frozenset[tuple[str, ...]]
    is_whole: bool = True

    @property
    def rows(self) -> pl.DataFrame:
        """The rows that passed."""
        return read(self.file("rows"))

    @property
    def closes(self) -> pl.DataFrame:
        """Opening and close of the bars that passed."""
        return read(self.file("rows"), ["opened_at", "close"])

    @property
    def frozen(self) -> pl.DataFrame:
        """Bars that the next one shows to be wrong; no columns where there are none."""
        return read(self.file("frozen")) if self.file("frozen").exists() else pl.DataFrame()

    @property
    def refused(self) -> pl.DataFrame | None:
        """The refused rows as `ops.quarantine`, if any."""
        return read(self.file("refused")) if self.bad else None

    def file(self, kind: str) -> Path:
        """Where one kind of its rows is."""
        return self.path.with_name(f"{self.path.name}-{kind}.tmp")


def keep(batch: Batch, request: Request, zone: Path) -> Part:
    """Write a batch to the landing zone's temporary folder; a part of the same load is replaced.

    Raises:
        LandingError: if the disk refuses.
    """
    path = zone / FOLDER / request.load_id
    part = Part(
        path,
        batch.rows.height,
        batch.running,
        batch.bad,
        batch.delivered.height,
        about(batch, request),
        is_whole=not batch.wrong and request.until is None,
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        batch.rows.write_parquet(part.file("rows"), compression="lz4")
        part.file("frozen").unlink(missing_ok=True)
        if batch.frozen.height:
            batch.frozen.write_parquet(part.file("frozen"), compression="lz4")
        if batch.bad:
            quarantine(batch, request).write_parquet(part.file("refused"), compression="lz4")
    except (OSError, pl.exceptions.ComputeError) as error:
        raise LandingError(
            f"{path.parent}: cannot keep {batch.rows.height} rows of {name(request.model)} ({error}); "
            "make room and run again, nothing stored was touched"
        ) from error
    return part


def about(batch: Batch, request: Request) -> frozenset[tuple[str, ...]]:
    """What the rows of a batch are about: two parts that share none of it can be compared apart."""
    of = (request.source, request.interval or "")
    column = ITEM.get(request.model)
    if column is None or column not in batch.rows.columns:
        return frozenset([of])
    frames = [frame for frame in (batch.rows, batch.frozen) if frame.height]
    return frozenset((*of, str(item)) for frame in frames for item in frame[column].unique())


def groups(parts: Iterable[Part]) -> Iterator[list[Part]]:
    """The parts in groups of about `GROUP` rows; what is about the same lies in one group."""
    group: list[Part] = []
    for one in together(parts):
        if group and sum(part.height for part in [*group, *one]) > GROUP:
            yield group
            group = []
        group += one
    if group:
        yield group


def together(parts: Iterable[Part]) -> list[list[Part]]:
    """The parts, with those that share something under one head; each head where its first part stood."""
    heads: dict[tuple[str, ...], list[Part]] = {}
    for part in parts:
        mine = [part]
        shared = {id(heads[key]): heads[key] for key in part.about if key in heads}
        for other in shared.values():
            mine = other + mine
        for one in mine:
            heads |= dict.fromkeys(one.about, mine)
    return list({id(found): found for found in heads.values()}.values())


def read(path: Path, columns: list[str] | None = None) -> pl.DataFrame:
    """A part of this run.

    Raises:
        LandingError: if it cannot be read.
    """
    try:
        return pl.read_parquet(path, columns=columns, glob=False)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise LandingError(f"{path}: cannot be read back ({error}); run again") from error


@contextmanager
def kept(zone: Path) -> Iterator[None]:
    """Room for the parts of one run: without what a killed run left, and gone however this one ends."""
    clear(zone)
    try:
        yield
    finally:
        clear(zone)


def clear(zone: Path) -> None:
    """Remove all parts."""
    shutil.rmtree(zone / FOLDER, ignore_errors=True)
