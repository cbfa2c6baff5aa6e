"""Sealed JSON: what was published, in a file whose every byte proves itself.

The last entry of a sealed file is the hash of all before it, and its text has one form only; so one flipped
byte, white space included, is noticed without a second file that would need a hash of its own.
"""

import json
from pathlib import Path
from typing import Any

from warehouse.files import digest

MANIFEST = "manifest.json"
SEAL = "sha256"
Content = dict[str, Any]


class SealError(ValueError):
    """A sealed file is not what was written."""


def sealed(content: Content) -> str:
    """The text of a sealed file."""
    return canonical({**content, SEAL: digest(canonical(content))})


def unsealed(path: Path) -> Content:
    """What a sealed file says.

    Raises:
        SealError: if a byte of it was changed, with the name of the file.
    """
    try:
        text = path.read_bytes().decode()
        content = json.loads(text)
        seal = content.pop(SEAL)
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise SealError(f"{path}: is not the file that was published ({error})") from error
    if text != sealed(content) or seal != digest(canonical(content)):
        raise SealError(f"{path}: its bytes are not those that were published")
    return dict(content)


def canonical(content: Content) -> str:
    """The one form of a content."""
    return json.dumps(content, indent=1)
