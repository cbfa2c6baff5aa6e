"""What the newest publication of a data folder says of how it was made."""

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from warehouse.place import StoreError
from warehouse.publish import POINTER


@dataclass(frozen=True, slots=True)
class Last:
    """The newest publication: the instant of its run, its universe, and a digest of every table."""

    now: datetime
    universe: Path
    fingerprint: str
    digests: dict[str, str]


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
        return Last(now, Path(made_of["path"]), made_of["fingerprint"], digests)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(
            f"{pointer}: does not say which universe was used; name it with --universe"
        ) from error
