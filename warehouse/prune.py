"""What upkeep removes: leftovers of killed runs, generations that no pointer keeps, and old replays."""

import shutil
from datetime import datetime, timedelta
from pathlib import Path

from warehouse.manifest import SealError, unsealed
from warehouse.publish import POINTER, generations, sweep
from warehouse.verify import broken_file

KEPT = timedelta(days=30)  # a replay can be made again at any time


def prune(data: Path, now: datetime) -> list[Path]:
    """Sweep every publication of a data folder, and remove replays that are old or that a kill left broken.

    Nobody may write to the folder meanwhile.

    Args:
        data: The data folder.
        now: The instant from which the age of a replay is counted, which is that of its last publication.

    Returns:
        The folders of the replays that were removed.
    """
    removed = []
    for home in (data, *sorted(data.glob("as-of/*/"))):
        published = home / "published"
        if published.is_dir():
            sweep(published, generations(published))
        if home != data and (is_old(home, now) or not is_whole(published)):
            shutil.rmtree(home)
            removed.append(home)
    return removed


def is_old(home: Path, now: datetime) -> bool:
    """Whether a replay was last published longer ago than it is kept."""
    published = home / "published"
    made = (published if published.is_dir() else home).stat().st_mtime
    return datetime.fromtimestamp(made, now.tzinfo) < now - KEPT


def is_whole(published: Path) -> bool:
    """Whether a replay can be read: what its pointer names is there. Files that others left do not count."""
    try:
        pointer = unsealed(published / POINTER)
    except (OSError, SealError):
        return False
    return not any(broken_file(published, pointer["database"]))
