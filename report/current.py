"""Whether the page that is there shows what is published, so that it need not be drawn again."""

import hashlib
import json
from functools import cache
from pathlib import Path

from warehouse.manifest import Content, unsealed
from warehouse.publish import POINTER

HERE = Path(__file__).parent
PAGE = "index.html"
SHOWN = ("core.", "mart.", "ops.freshness", "ops.quarantine")
HEAD = 2000  # bytes of the page in which its mark stands


@cache
def code() -> str:
    """Hash of all that draws the page."""
    texts = [path.read_bytes() for path in sorted(HERE.iterdir()) if path.is_file()]
    return hashlib.sha256(b"".join(texts)).hexdigest()


def mark(pointer: Content) -> str:
    """Hash of the rows that the page of a publication shows, and of what draws it."""
    shown = {
        table: entry.get("digest") for table, entry in pointer["tables"].items() if table.startswith(SHOWN)
    }
    return hashlib.sha256(json.dumps([code(), pointer["study"], shown]).encode()).hexdigest()


def current_page(home: Path) -> Path | None:
    """The page of a data folder, if it shows what is published there."""
    path = home / "report" / PAGE
    wanted = mark(unsealed(home / "published" / POINTER))
    try:
        with path.open("rb") as file:
            return path if wanted.encode() in file.read(HEAD) else None
    except FileNotFoundError:
        return None
