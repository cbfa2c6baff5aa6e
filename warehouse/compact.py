"""One landed file per table, provider and month in place of one per run; not a row is lost on the way.

The compacted file names the files that it replaces, each with its hash. It is read back before it gets its
name, for from then on the old ones do not count, and once more before they are deleted. So neither a kill
between any two steps nor a file that was written badly changes what a rebuild makes.
"""

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import polars as pl
from polars.testing import assert_frame_equal

from schemas import Table
from schemas.table import conform, key, name
from warehouse.boundary import boundary
from warehouse.files import sync
from warehouse.landing import (
    COMPACTED,
    Landed,
    LandingError,
    is_compacted,
    land,
    landed,
    named_hash,
    read,
    replaced,
)

AGE = timedelta(days=7)
Groups = dict[tuple[str, str, str], list[Landed]]  # table, provider, month


def compact(zone: Path, now: datetime) -> list[str]:
    """Compact the landed files of runs older than a week; returns the new files, relative to the zone.

    Raises:
        LandingError: if a file is not what was landed, or what was written is not what was read.
    """
    made = []
    finish_deleting(zone)
    for (_, provider, month), files in old_files(zone, now).items():
        model = files[0].model
        frame = pl.concat([read(file, zone) for file in files]).sort(key(model))
        replaces = [old for file in files for old in (*replaced(zone / file.path), file.path)]
        same = partial(refuse_difference, model=model, wanted=frame)
        path = land(frame, model, provider, f"{COMPACTED}{month}", zone, replaces, same)
        assert path is not None, "a frame makes a file"
        boundary("compacted")
        made.append(str(path.relative_to(zone)))
    finish_deleting(zone)
    return made


def old_files(zone: Path, now: datetime) -> Groups:
    """Files of runs older than a week, and compacted ones of their month, where there is more than one."""
    groups: Groups = defaultdict(list)
    for file in landed(zone):
        table, provider, label = Path(file.path).parts
        run = label.removeprefix(COMPACTED)
        if f"{run:.8}" < f"{now - AGE:%Y%m%d}":
            groups[table, provider, run[:6]].append(file)
    return {group: files for group, files in groups.items() if len(files) > 1}


def refuse_difference(path: Path, model: type[Table], wanted: pl.DataFrame) -> None:
    """A file holds these rows, each as often."""
    try:
        assert_frame_equal(
            conform(pl.scan_parquet(path, glob=False), model).collect(), wanted, check_exact=True
        )
    except AssertionError as error:
        raise LandingError(
            f"{path}: {name(model)} reads back otherwise than it was written; the old files stay"
        ) from error


def finish_deleting(zone: Path) -> None:
    """Delete the files whose rows a compacted one holds, once it was seen to hold them.

    Raises:
        LandingError: if it lacks some of their rows; nothing is deleted.
    """
    gone = list(superseded(zone))  # one of them may be a compacted file itself
    for new in landed(zone) if gone else ():
        if is_compacted(zone / new.path):
            named = replaced(zone / new.path)
            refuse_loss(new, [path for path in gone if str(path.relative_to(zone)) in named], zone)
    for path in gone:
        path.unlink()
        sync(path.parent)
        boundary("compacted-deleted")


def refuse_loss(new: Landed, old: list[Path], zone: Path) -> None:
    """A compacted file holds every row of these files, each at least as often as they do together."""
    if not old:
        return
    again = {one for path in old if is_compacted(path) for one in replaced(path)}  # rows of those among them
    files = [Landed(str(path.relative_to(zone)), new.model, named_hash(path)) for path in old]
    wanted = pl.concat([read(file, zone) for file in files if file.path not in again])
    there, labels = read(new, zone).group_by(pl.all()).len("there"), wanted.columns
    found = wanted.group_by(pl.all()).len().join(there, on=labels, how="left", nulls_equal=True)
    if lacking := found.filter(pl.col("there").fill_null(0) < pl.col("len")).height:
        raise LandingError(
            f"{zone / new.path}: lacks {lacking} rows of the files that it replaces, so none was deleted; "
            "move it out of the landing zone, and they count again"
        )


def superseded(zone: Path) -> Iterator[Path]:
    """Files that are still there although a compacted one replaces them."""
    made = sorted(zone.glob(f"*/*/{COMPACTED}*.parquet"))
    for old in sorted({old for path in made for old in replaced(path)}):
        if (zone / old).exists():
            yield zone / old
