"""Backup and restore of the landing zone, to a folder or a bucket; the rest can be made anew from it."""

from pathlib import Path, PurePosixPath

import pyarrow as pa
from pyarrow import fs

from warehouse.boundary import boundary
from warehouse.landing import LandingError, landed, sha256, sync

PART = ".part"  # of a copy that is under way


def backup(zone: Path, target: str) -> int:
    """Copy every landed file that the target does not have; returns how many.

    Args:
        zone: The landing zone.
        target: A folder, or a URI that Arrow knows, such as `s3://bucket/path`.

    Raises:
        LandingError: if the target cannot be written, or a file to copy is not what was landed.
    """
    place, root = opened(target)
    here = fs.LocalFileSystem()
    there = listed(place, root)
    missing = [file for file in landed(zone) if file.path not in there]
    for file in missing:
        if sha256(zone / file.path) != file.sha256:
            raise LandingError(
                f"{zone / file.path}: its bytes are not those that were landed; nothing was copied"
            )
    try:
        for path in (file.path for file in missing):
            goal = f"{root}/{path}"
            place.create_dir(str(PurePosixPath(goal).parent), recursive=True)
            fs.copy_files(str(zone / path), goal + PART, source_filesystem=here, destination_filesystem=place)
            boundary("backup-copied")
            place.move(goal + PART, goal)
            boundary("backup-named")
    except (OSError, pa.ArrowException) as error:
        raise LandingError(f"{target}: cannot be written ({error}); the landing zone is untouched") from error
    return len(missing)


def restore(source: str, zone: Path) -> int:
    """Copy every file of a backup that the landing zone lacks, each proved by its hash; returns how many.

    Raises:
        LandingError: if the backup cannot be read, or a file of it is not what was landed.
    """
    place, root = opened(source)
    there = listed(place, root)
    if not there:
        raise LandingError(f"{source}: holds no backup; name another place with --place")
    wanted = sorted(there - {file.path for file in landed(zone)})
    for path in wanted:
        goal = zone / path
        part = goal.with_name(f".{goal.name}.tmp")
        goal.parent.mkdir(parents=True, exist_ok=True)
        fs.copy_files(
            f"{root}/{path}", str(part), source_filesystem=place, destination_filesystem=fs.LocalFileSystem()
        )
        if sha256(part) != goal.stem.rpartition("-")[2]:
            part.unlink()
            raise LandingError(
                f"{source}/{path}: its bytes are not those that were landed; try another backup"
            )
        sync(part)
        boundary("restore-copied")
        part.replace(goal)
        sync(goal.parent)
        boundary("restore-named")
    return len(wanted)


def opened(target: str) -> tuple[fs.FileSystem, str]:
    """The file system of a folder or URI, and the path in it."""
    try:
        if "://" in target:
            place, root = fs.FileSystem.from_uri(target)
            return place, str(root).rstrip("/")
    except (OSError, pa.ArrowException) as error:
        raise LandingError(f"{target}: cannot be opened ({error})") from error
    return fs.LocalFileSystem(), str(Path(target).absolute())


def listed(place: fs.FileSystem, root: str) -> set[str]:
    """The landed files in a place, relative to its root."""
    try:
        found = place.get_file_info(fs.FileSelector(root, recursive=True, allow_not_found=True))
    except (OSError, pa.ArrowException) as error:
        raise LandingError(f"{root}: cannot be listed ({error}); the landing zone is untouched") from error
    return {info.path[len(root) + 1 :] for info in found if info.path.endswith(".parquet")}
