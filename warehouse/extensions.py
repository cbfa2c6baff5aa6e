"""DuckDB's extensions out of installed packages, without a download, and the keys that they need."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import duckdb

from warehouse.place import literal

Ask = Callable[[str], str | None]  # gives the value of a secret by its name in the environment
ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")


class LakeError(ValueError):
    """The words that name a lake cannot be used; the text is one line with the next step."""


def location(name: str) -> Path:
    """The file of an extension, e.g. of `ducklake`.

    Raises:
        LakeError: if the package that brings it is not installed, or is for another version of DuckDB.
    """
    spec = find_spec(f"duckdb_extension_{name}")
    version = f"v{duckdb.__version__}"
    if spec is None or spec.origin is None:
        raise LakeError(
            f"a lake needs DuckDB's extension {name}, which is not installed; install the extra: "
            "`pip install -e .[lake]`, or with hashes `make test`"
        )
    path = Path(spec.origin).parent / "extensions" / version / f"{name}.duckdb_extension"
    if not path.exists():
        raise LakeError(
            f"{path}: the extension {name} is not the one for DuckDB {version}; "
            f"run `pip install duckdb-extension-{name.replace('_', '-')}=={duckdb.__version__}`"
        )
    return path


def load(con: duckdb.DuckDBPyConnection, names: tuple[str, ...]) -> None:
    """Load extensions, and none that is not named here: nothing is fetched from a network."""
    con.execute("SET autoinstall_known_extensions = false")
    con.execute("SET autoload_known_extensions = false")
    for name in names:
        con.execute(f"LOAD {literal(str(location(name)))}")


def first(names: tuple[str, ...], ask: Ask) -> str | None:
    """The first of some names that has a value."""
    return next((value for value in map(ask, names) if value), None)


def object_storage(con: duckdb.DuckDBPyConnection, prefix: str, ask: Ask) -> None:
    """Give the connection the keys of a bucket's prefix, under the names that every tool for S3 knows.

    Raises:
        LakeError: if there are none.
    """
    key, secret = ask("AWS_ACCESS_KEY_ID"), ask("AWS_SECRET_ACCESS_KEY")
    if not key or not secret:
        raise LakeError(f"{prefix}: needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment")
    options = {
        "KEY_ID": key,
        "SECRET": secret,
        "SESSION_TOKEN": ask("AWS_SESSION_TOKEN"),
        "REGION": first(REGIONS, ask) or "us-east-1",
    }
    if endpoint := first(ENDPOINTS, ask):
        scheme, _, host = endpoint.rpartition("://")
        options |= {"ENDPOINT": host.rstrip("/"), "URL_STYLE": "path"}
        options |= {"USE_SSL": "false"} if scheme == "http" else {}
    given = {option: value for option, value in options.items() if value}
    words = ", ".join(f"{option} ${n}" for n, option in enumerate(given, start=1))
    con.execute(f"CREATE SECRET bucket (TYPE s3, SCOPE {literal(prefix)}, {words})", list(given.values()))
