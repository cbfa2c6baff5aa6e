"""One landed file per table, provider and month in place of one per run; not a row is lost on the way.

The compacted file names the files that it replaces, each with its hash. It is written and read back before
they are deleted; while both are there the old ones do not count, so a kill between any two steps changes
nothing that a rebuild makes.
"""

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
from polars.testing import assert_frame_equal

from schemas.table import key, name
from warehouse.boundary import boundary
from warehouse.landing import COMPACTED, Landed, LandingError, land, landed, read, replaced, sync

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
        path = land(frame, model, provider, f"{COMPACTED}{month}", zone, replaces)
        assert path is not None, "a frame makes a file"
        new = Landed(str(path.relative_to(zone)), model, path.stem.rpartition("-")[2])
        refuse_difference(read(new, zone), frame, new)
        boundary("compacted")
        made.append(new.path)
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


def refuse_difference(found: pl.DataFrame, wanted: pl.DataFrame, file: Landed) -> None:
    """Both hold the same rows, each as often."""
    try:
        assert_frame_equal(found, wanted, check_exact=True)
    except AssertionError as error:
        raise LandingError(
            f"{file.path}: {name(file.model)} reads back otherwise than it was written; the old files stay"
        ) from error


def finish_deleting(zone: Path) -> None:
    """Delete the files whose rows a compacted one holds."""
    for path in list(superseded(zone)):  # one of them may be a compacted file itself
        path.unlink()
        sync(path.parent)
        boundary("compacted-deleted")


def superseded(zone: Path) -> Iterator[Path]:
    """Files that are still there although a compacted one replaces them."""
    made = sorted(zone.glob(f"*/*/{COMPACTED}*.parquet"))
    for old in sorted({old for path in made for old in replaced(path)}):
        if (zone / old).exists():
            yield zone / old
