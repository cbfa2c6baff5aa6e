"""What the newest publication of a data folder says of how it was made."""

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from flows.job import Job
from flows.start import UniverseError
from warehouse.place import StoreError
from warehouse.publish import POINTER


@dataclass(frozen=True, slots=True)
class Last:
    """The newest publication: the instant of its run, its universe, a digest of every table, the pair."""

    now: datetime
    universe: Path
    fingerprint: str
    digests: dict[str, str]
    pair: tuple[str, str]


def last(data: Path) -> Last:
    """What the pointer of a data folder says.

    Raises:
        StoreError: if there is none, or one that does not say it.
    """
    pointer = data / "published" / POINTER
    try:
        said = json.loads(pointer.read_text())
        made_of = said["universe"]
        digests = {table: str(entry["digest"]) for table, entry in said["tables"].items()}
        now = datetime.fromisoformat(said["as_of"])
        pair = (said["study"]["target"], said["study"]["benchmark"])
        return Last(now, Path(made_of["path"]), made_of["fingerprint"], digests, pair)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(
            f"{pointer}: does not say which universe was used; name it with --universe"
        ) from error


def refuse_another(job: Job) -> None:
    """Refuse a run onto what another universe published: its rows would stay, its publication would not.

    An edited file is the same universe, and so is another of the same pair, such as the live one after the
    recorded one, and one that was moved: its content is the same, or the file that it was is gone.

    Raises:
        UniverseError: if the folder is that of another, and the job does not take it over.
    """
    if job.as_of or job.takes_over or not job.universe_path:
        return
    try:
        before = last(job.data)
    except StoreError:  # nothing was published, or by nobody knows whom
        return
    is_edited = before.universe.resolve() == job.universe_path.resolve()
    is_moved = before.fingerprint == job.universe.fingerprint or not before.universe.exists()
    study = job.universe.study
    if not is_edited and not is_moved and before.pair != (study.target, study.benchmark):
        raise UniverseError(
            f"{job.universe_path}: {job.data} holds what {before.universe} made; give this universe a folder "
            "of its own with --data, or run flows.refresh on both with --take-over"
        )
