"""The landing zone: immutable Parquet files, written before the warehouse hears of them. It is the truth.

`<schema>.<table>/<provider>/<run id>-<sha256>.parquet`: the name carries the hash, so a file proves itself.
"""

import json
import re
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from schemas import BY_NAME, Table
from schemas.ops import Loads
from schemas.table import conform, name
from warehouse.boundary import boundary
from warehouse.files import sha256, sync

REPLACES = "comove.replaces"
COMPACTED = "month="
PIECE = 500_000  # rows that are held in memory at once
NAME = re.compile(r"[a-z_]+\.[a-z_]+/[^/.][^/]*/[^/.][^/]*\.parquet")  # of a landed file, inside the zone


class LandingError(RuntimeError):
    """A file of the landing zone is not what was written, or could not be written."""


@dataclass(frozen=True, slots=True)
class Landed:
    """One landed file; `path` is relative to the landing zone."""

    path: str
    model: type[Table]
    sha256: str


def land(
    rows: pl.DataFrame | Iterable[pl.DataFrame],
    model: type[Table],
    provider: str,
    run_id: str,
    zone: Path,
    replaces: Iterable[str] = (),
    check: Callable[[Path], None] = lambda _: None,
) -> Path | None:
    """Write rows as one immutable file: temporary, fsynced, hashed, renamed; returns its path.

    Args:
        rows: A frame, or frames that are asked for one at a time and written as they come; none make no file.
        model: The table that they are for.
        provider: Who gave them.
        run_id: The run.
        zone: The landing zone.
        replaces: Files whose rows it holds, by path and so with their hashes; they are part of the file.
        check: Looks at the temporary file; what it raises keeps the file from getting its name.

    Raises:
        LandingError: if the disk refuses; the temporary file is gone and nothing that was landed is touched.
    """
    folder = zone / name(model) / provider
    temporary = folder / f".{run_id}.tmp"
    marks = {REPLACES: json.dumps([*replaces])}
    frames = iter([rows] if isinstance(rows, pl.DataFrame) else rows)
    first = next(frames, None)
    if first is None:
        return None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write(chain([first], frames), temporary, marks)
        sync(temporary)
        boundary("landing-written")
        check(temporary)
        target = folder / f"{run_id}-{sha256(temporary)}.parquet"
        temporary.replace(target)
        for made in (folder, folder.parent, zone):
            sync(made)
        boundary("landed-file")
    except (OSError, pa.ArrowException, pl.exceptions.ComputeError) as error:
        raise LandingError(
            f"{folder}: cannot land rows of {name(model)} ({error}); make room and run again, "
            "nothing stored was touched"
        ) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
    return target


def write(frames: Iterable[pl.DataFrame], path: Path, marks: dict[str, str]) -> None:
    """Write frames of the same columns to one Parquet file, each as soon as it is there."""
    writer = None
    try:
        for frame in frames:
            table = frame.to_arrow()
            writer = writer or pq.ParquetWriter(
                path, table.schema.with_metadata(marks), compression="zstd", write_statistics=True
            )
            writer.write_table(table)
    finally:
        if writer:
            writer.close()


def landed(zone: Path) -> Iterator[Landed]:
    """Every landed file, in the order of the runs.

    Leftovers of a killed run are not among them, nor are files whose rows a compacted one holds as well.
    """

    def by_run(path: Path) -> tuple[str, Path]:
        return path.name.removeprefix(COMPACTED), path.parent

    paths = sorted(zone.glob("*/*/*.parquet"), key=by_run)
    gone = {old for path in paths if is_compacted(path) for old in replaced(path)}
    for path in paths:
        if str(path.relative_to(zone)) in gone:
            continue
        model = BY_NAME.get(path.parts[-3])
        if model is None:
            raise LandingError(
                f"{path}: no table is called {path.parts[-3]}; move the file out of the landing zone"
            )
        yield Landed(str(path.relative_to(zone)), model, named_hash(path))


def read(file: Landed, zone: Path) -> pl.DataFrame:
    """The rows of a landed file, after its bytes were compared with the hash in its name.

    Raises:
        LandingError: if the bytes differ, with the name of the file.
    """
    prove(file, zone)
    return conform(pl.scan_parquet(zone / file.path, glob=False), file.model).collect()


def pieces(file: Landed, zone: Path) -> Iterator[pl.DataFrame]:
    """The rows of a landed file as `read` gives them, at most `PIECE` at a time.

    Raises:
        LandingError: if the bytes differ, before the first piece.
    """
    prove(file, zone)
    rows = conform(pl.scan_parquet(zone / file.path, glob=False), file.model)
    starts = range(0, pq.read_metadata(zone / file.path).num_rows, PIECE)
    return (rows.slice(start, PIECE).collect() for start in starts)


def distinct(file: Landed, zone: Path, wanted: Iterable[str]) -> pl.DataFrame:
    """The combinations of values that some columns of a landed file have."""
    return pl.scan_parquet(zone / file.path, glob=False).select(*wanted).unique().collect()


def prove(file: Landed, zone: Path) -> None:
    """Compare a file's bytes with the hash in its name."""
    path = zone / file.path
    found = sha256(path)
    if found != file.sha256:
        raise LandingError(
            f"{path}: its bytes hash to {found[:12]}, its name says {file.sha256[:12]}; "
            "restore the file from a backup or move it away and fetch its range again"
        )


def is_compacted(path: Path) -> bool:
    """Whether a file's name says that it holds the rows of others."""
    return path.name.startswith(COMPACTED)


def newest_run(zone: Path) -> str:
    """The id of the newest run that landed its attempts, "" if none did; a backfill's pieces count as one.

    Raises:
        LandingError: if a compacted file cannot be read.
    """
    said = [""]
    for path in zone.glob(f"{name(Loads)}/*/*.parquet"):
        if not is_compacted(path):
            said.append(path.name)
            continue
        try:
            said += (
                pl.scan_parquet(path, glob=False).select(pl.col("run_id").max()).collect()["run_id"].to_list()
            )
        except (OSError, pl.exceptions.PolarsError) as error:
            raise unreadable(path, error) from error
    return max(one.partition("-")[0] for one in said)


def named_hash(path: Path) -> str:
    """The hash that the name of a landed file carries."""
    return path.stem.rpartition("-")[2]


def is_damaged(path: Path) -> bool:
    """Whether the bytes of a landed file are not those that its name tells."""
    return sha256(path) != named_hash(path)


def damaged(zone: Path) -> set[str]:
    """The files of the zone whose bytes are not those that their names tell, relative to the zone."""
    paths = zone.glob("*/*/*.parquet")
    return {str(path.relative_to(zone)) for path in paths if is_damaged(path)}


def known_paths(zone: Path, without: Container[str] = ()) -> set[str]:
    """Every file of the zone but some, and every file that a compacted one replaces, relative to the zone."""
    paths = [path for path in zone.glob("*/*/*.parquet") if str(path.relative_to(zone)) not in without]
    gone = {old for path in paths if is_compacted(path) for old in replaced(path)}
    return gone | {str(path.relative_to(zone)) for path in paths}


def replaced(path: Path) -> list[str]:
    """The files, relative to the landing zone, whose rows a file holds; none for one that a run landed.

    Raises:
        LandingError: if the file cannot be read, or names what no landed file is called.
    """
    try:
        said = (pq.read_metadata(path).metadata or {}).get(REPLACES.encode(), b"[]")
        old = [str(one) for one in json.loads(said)]
    except (OSError, ValueError, pa.ArrowException) as error:
        raise unreadable(path, error) from error
    for one in old:
        if not NAME.fullmatch(one):
            raise unreadable(path, f"it says that it replaces {one!r}, which no landed file is called")
    return old


def unreadable(path: Path, why: object) -> LandingError:
    """The error for a landed file that does not say what it should."""
    first = str(why).split("\n", 1)[0]
    return LandingError(f"{path}: cannot be read ({first}); restore the file from a backup")


def sweep(zone: Path) -> None:
    """Remove the temporary files of a killed run."""
    for leftover in zone.glob("*/*/.*.tmp"):
        leftover.unlink()
