"""Files: their hashes, and what makes them durable."""

import hashlib
import os
from pathlib import Path


def digest(text: str) -> str:
    """Hex digest of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def sha256(path: Path) -> str:
    """Hex digest of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync(path: Path) -> None:
    """Make a file or a folder's entries durable."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def replace_text(path: Path, text: str) -> None:
    """Replace a small file in one durable step."""
    work = path.with_name(f".{path.name}.tmp")
    work.write_text(text)
    sync(work)
    work.replace(path)
    sync(path.parent)
