"""Re-hash everything that was stored or published, and name what is broken."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import duckdb

from warehouse.files import sha256
from warehouse.folder import DATABASE, missing
from warehouse.landing import LandingError, is_compacted, is_damaged, landed, replaced
from warehouse.manifest import MANIFEST, Content, SealError, unsealed
from warehouse.publish import POINTER
from warehouse.reader import connect


def broken(data: Path) -> Iterator[str]:
    """One line for each thing in a data folder that is not as it was written; none if all is well.

    The landing zone, the publication, and that of every replay. The warehouse file is not looked at: it is
    rebuilt from the landing zone, and to read it here could break the lock of a run.
    """
    if not data.is_dir():
        yield missing(data)
        return
    yield from broken_landing(data)
    for home in (data, *sorted(data.glob("as-of/*"))):
        if (home / "published").is_dir():
            yield from broken_publication(home / "published")


def broken_landing(data: Path) -> Iterator[str]:
    """Landed files whose bytes are not those that their names tell, and files that are gone."""
    zone = data / "landing"
    try:
        files = [file.path for file in landed(zone)]
    except LandingError as error:
        yield str(error)
        return
    for path in files:
        if is_damaged(zone / path):
            yield f"{zone / path}: its bytes are not those that were landed; restore it from a backup"
    compacted = {old for path in files if is_compacted(zone / path) for old in replaced(zone / path)}
    for path in sorted(set(loaded(data)) - set(files) - compacted):
        yield f"{zone / path}: was landed and is gone; restore it from a backup"


def loaded(data: Path) -> list[str]:
    """The landed files that the publication was made from; none if it cannot be read."""
    try:
        with closing(connect(data)) as con:
            return [row[0] for row in con.execute("SELECT path FROM ops.landed").fetchall()]
    except (OSError, duckdb.Error):  # said by the check of the publication itself
        return []


def broken_publication(folder: Path) -> Iterator[str]:
    """Published files that are not what pointer and manifests tell, are gone, or belong to nobody."""
    known = {folder / DATABASE, folder / POINTER}
    runs = sorted(path.name.removeprefix("run=") for path in folder.glob("run=*"))
    try:
        pointer = unsealed(folder / POINTER)
    except (OSError, SealError) as error:
        yield f"{error}; run again to publish anew"
    else:
        yield from broken_file(folder, pointer["database"])
        yield from (f"{folder}/run={run}: is gone" for run in pointer["generations"] if run not in runs)
        runs = [run for run in runs if run in pointer["generations"]]
    for run in runs:
        known |= {folder / f"run={run}" / MANIFEST}
        yield from broken_generation(folder, run, known)
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path not in known:
            yield f"{path}: was not published; a killed run left it (the next run removes it), or remove it"


def broken_generation(folder: Path, run: str, known: set[Path]) -> Iterator[str]:
    """Check one generation of Parquet against its manifest, and add its files to the known ones."""
    files = set((folder / f"run={run}").glob("*.parquet"))
    try:
        manifest = unsealed(folder / f"run={run}" / MANIFEST)
    except (OSError, SealError) as error:
        known |= files
        yield f"{error}; the files of this run cannot be checked"
        return
    for entry in manifest["tables"].values():
        known.add(folder / entry["path"])
        yield from broken_file(folder, entry)


def broken_file(folder: Path, entry: Content) -> Iterator[str]:
    """Compare one file with its entry."""
    path = folder / entry["path"]
    if not path.exists():
        yield f"{path}: is gone; run again to publish anew"
    elif path.stat().st_size != entry["bytes"]:
        yield f"{path}: has {path.stat().st_size} bytes, the manifest says {entry['bytes']}"
    elif sha256(path) != entry["sha256"]:
        yield f"{path}: its bytes are not those that were published"
