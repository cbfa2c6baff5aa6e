"""The words that name a lake, as a value.

    ducklake:sqlite:PATH                                    files in PATH.files beside it
    ducklake:sqlite:PATH?data_path=s3://bucket/prefix       files in object storage
    ducklake:postgres:dbname=lake host=db?data_path=FOLDER  catalog shared by many machines
    ducklake:postgres://user@db/lake?data_path=s3://bucket/prefix

`data_path` comes last. The keys of a bucket are never part of the words.
"""

import os
import re
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from warehouse.extensions import Ask, LakeError, location
from warehouse.lake import EXTENSION, Lake

SCHEME = "ducklake:"
FORMS = "write ducklake:sqlite:PATH or ducklake:postgres:CONNECTION?data_path=PLACE"
DATA_PATH = re.compile(r"[?&]data_path=([^?&]+)$")
PASSWORD = re.compile(r"\s*\bpassword\s*=\s*('(?:[^'\\]|\\.)*'|\S+)", re.IGNORECASE)
ESCAPED = re.compile(r"\\(.)")


def parse(text: str, ask: Ask = os.environ.get) -> Lake:
    """A lake out of the words that name it; nothing is opened.

    Raises:
        LakeError: if they name none, or an extension that it needs is not installed.
    """
    kind, _, rest = text.removeprefix(SCHEME).partition(":")
    found = DATA_PATH.search(rest)
    catalog = rest[: found.start()] if found else rest
    if not text.startswith(SCHEME) or kind not in EXTENSION or not catalog or "data_path=" in catalog:
        raise LakeError(f'"{text.partition(":")[0]}:...": names no lake; {FORMS}')
    for name in ("ducklake", EXTENSION[kind]):
        location(name)
    if kind == "sqlite":
        path = str(Path(catalog).absolute())
        return Lake("sqlite", path, place(found[1] if found else f"{path}.files"), ask=ask)
    if not found:
        raise LakeError("ducklake:postgres: needs a place for its files; end it with ?data_path=PLACE")
    conninfo, password = without_password(catalog)
    return Lake("postgres", conninfo, place(found[1]), password, ask)


def place(data_path: str) -> str:
    """A prefix of a bucket as it is, a folder from its root."""
    if "://" not in data_path:
        return str(Path(data_path).absolute())
    if not data_path.startswith("s3://"):
        raise LakeError(f"{data_path}: only a folder or s3://bucket/prefix can hold the files of a lake")
    location("httpfs")
    return data_path.rstrip("/")


def without_password(connection: str) -> tuple[str, str | None]:
    """What libpq connects by, as keywords, and the password that stood in it."""
    keywords = from_url(f"postgresql:{connection}") if connection.startswith("//") else connection
    keywords = from_url(keywords) if "://" in keywords else keywords
    found = PASSWORD.search(keywords)
    if not found:
        return keywords, None
    return PASSWORD.sub("", keywords).strip(), ESCAPED.sub(r"\1", found[1].strip("'"))


def from_url(url: str) -> str:
    """The keywords of a libpq URL."""
    try:
        parts = urlsplit(url)
        named: dict[str, str | int | None] = {
            "host": parts.hostname,
            "port": parts.port,
            "user": parts.username,
            "password": parts.password,
            "dbname": parts.path.lstrip("/"),
        }
    except ValueError:
        raise LakeError(f"ducklake:postgres: its URL cannot be read; {FORMS}") from None
    pairs = [(word, unquote(str(value))) for word, value in named.items() if value]
    return " ".join(f"{word}={keyword(value)}" for word, value in pairs + parse_qsl(parts.query))


def keyword(value: str) -> str:
    """A value of a libpq keyword, quoted."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
