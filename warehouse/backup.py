"""Backup and restore of the landing zone, to a folder or a bucket; the rest can be made anew from it."""

from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

import pyarrow as pa
from pyarrow import fs

from warehouse.boundary import boundary
from warehouse.files import sha256, sync
from warehouse.landing import NAME, LandingError, damaged, is_damaged, known_paths, landed, named_hash

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
        if is_damaged(zone / file.path):
            raise LandingError(
                f"{zone / file.path}: its bytes are not those that were landed; nothing was copied"
            )
    try:
        for path in (file.path for file in missing):
            goal = f"{root}/{path}"
            place.create_dir(str(PurePosixPath(goal).parent), recursive=True)
            fs.copy_files(str(zone / path), goal + PART, source_filesystem=here, destination_filesystem=place)
            durable(place, goal + PART)
            boundary("backup-copied")
            place.move(goal + PART, goal)
            durable(place, str(PurePosixPath(goal).parent))
            boundary("backup-named")
    except (OSError, pa.ArrowException) as error:
        raise LandingError(f"{target}: cannot be written ({error}); the landing zone is untouched") from error
    return len(missing)


def restore(source: str, zone: Path) -> int:
    """Copy every file of a backup whose rows the landing zone lacks or has damaged, each proved by its hash.

    Returns:
        How many.

    Raises:
        LandingError: if the backup cannot be read, or files of it are not what was landed; all others are
            restored before these are named.
    """
    place, root = opened(source)
    there = listed(place, root)
    if not there:
        raise LandingError(f"{source}: holds no backup; name another place with --place")
    wanted = sorted(there - known_paths(zone, without=damaged(zone)))
    broken = [path for path in wanted if not restored(place, root, path, zone)]
    if broken:
        raise LandingError(
            f"{source}: {', '.join(broken)}: not those that were landed, and not restored; the other "
            f"{len(wanted) - len(broken)} files are; try another backup for these"
        )
    return len(wanted)


def restored(place: fs.FileSystem, root: str, path: str, zone: Path) -> bool:
    """Copy one file of a backup; False, and nothing is written, if it has no landed file's name or bytes."""
    if not NAME.fullmatch(path):
        return False
    goal = zone / path
    part = goal.with_name(f".{goal.name}.tmp")
    goal.parent.mkdir(parents=True, exist_ok=True)
    fs.copy_files(
        f"{root}/{path}", str(part), source_filesystem=place, destination_filesystem=fs.LocalFileSystem()
    )
    if sha256(part) != named_hash(goal):
        part.unlink()
        return False
    sync(part)
    boundary("restore-copied")
    part.replace(goal)
    sync(goal.parent)
    boundary("restore-named")
    return True


def durable(place: fs.FileSystem, path: str) -> None:
    """Sync a file or folder of a backup; an object store has done so when it answers."""
    if isinstance(place, fs.LocalFileSystem):
        sync(Path(path))


def opened(target: str) -> tuple[fs.FileSystem, str]:
    """The file system of a folder or URI, and the path in it.

    Raises:
        LandingError: if there is no such place, or its address holds a key, which every error would repeat.
    """
    if "://" in target and "@" in urlsplit(target).netloc:
        scheme = target.partition("://")[0]
        raise LandingError(
            f"{scheme}://***@...: a key in an address is seen by all; give it in the environment "
            "(AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY), and the address without it"
        )
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
