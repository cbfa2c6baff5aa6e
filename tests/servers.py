"""PostgreSQL and an object store on loopback, for the tests of a lake; each ends with its block."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

SECRET = "s3 cr'et\\@:/"  # every letter of it has a meaning to some parser on its way
KEYS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing-secret", "AWS_REGION": "us-east-1"}
NUMBERS = count()


def missing(what: str) -> None:
    """Skip, or fail where everything has to be there."""
    if os.environ.get("COMOVE_REQUIRE_ALL"):
        pytest.fail(what)
    pytest.skip(what)


def programs() -> Path | None:
    """The folder of PostgreSQL's programs."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    path = shutil.which("initdb") or (found[-1] if found else None)
    return Path(path).resolve().parent if path else None


@dataclass(frozen=True)
class Postgres:
    """A running server, whose one user has the password `SECRET`."""

    port: int

    def database(self) -> str:
        """A new database, as libpq's keywords without the password."""
        name = f"lake{next(NUMBERS)}"
        with psycopg.connect(self.of("postgres"), password=SECRET, autocommit=True) as con:
            con.execute(f"CREATE DATABASE {name}")
        return self.of(name)

    def of(self, name: str) -> str:
        """How libpq connects to a database."""
        return f"host=127.0.0.1 port={self.port} user=comove dbname={name}"

    def url(self, keywords: str) -> str:
        """The same with the password, as a URL."""
        name = keywords.rpartition("=")[2]
        return f"postgresql://comove:{quote(SECRET, safe='')}@127.0.0.1:{self.port}/{name}"


def wait_for(server: Postgres, process: subprocess.Popen[bytes], log: Path) -> None:
    """Until the server answers."""
    for _ in range(600):
        try:
            psycopg.connect(server.of("postgres"), password=SECRET).close()
        except psycopg.OperationalError:
            assert process.poll() is None, log.read_text()
            time.sleep(0.05)
        else:
            return
    pytest.fail(f"PostgreSQL does not answer: {log.read_text()}")


@contextmanager
def postgres() -> Iterator[Postgres]:
    """A server in a folder of its own; root lends it the user `postgres`, as it refuses to run as root."""
    found = programs()
    if not found:
        missing("PostgreSQL is not installed; apt-get install postgresql")
    assert found
    folder = Path(tempfile.mkdtemp(prefix="comove-pg-"))
    (folder / "password").write_text(SECRET)
    as_user = {}
    if os.geteuid() == 0:
        as_user = {"user": "postgres", "group": "postgres"}
        for path in (folder, folder / "password"):
            shutil.chown(path, "postgres", "postgres")
    base = folder / "db"
    secret = folder / "password"
    made = [found / "initdb", "-D", base, "-U", "comove", "-A", "scram-sha-256", "--pwfile", secret, "-N"]
    subprocess.run(made, check=True, stdout=subprocess.DEVNULL, **as_user)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    flags = ["-D", base, "-k", folder, "-h", "127.0.0.1", "-p", str(port), "-c", "fsync=off"]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen([found / "postgres", *flags], stdout=log, stderr=log, **as_user)
        try:
            wait_for(Postgres(port), server, folder / "log")
            yield Postgres(port)
        finally:
            server.send_signal(signal.SIGQUIT)  # at once: nothing of it is kept
            server.wait(30)
            shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True)
class Bucket:
    """A bucket, and how to reach it."""

    name: str
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def ask(self) -> Callable[[str], str | None]:
        """Gives a key by its name."""
        return self.environment.get

    def prefix(self) -> str:
        """A new place in it."""
        return f"s3://{self.name}/{next(NUMBERS)}"


@contextmanager
def bucket() -> Iterator[Bucket]:
    """An object store with one bucket, in a thread."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        environment = {**KEYS, "AWS_ENDPOINT_URL": f"http://{host}:{port}"}
        client = boto3.client(
            "s3",
            endpoint_url=environment["AWS_ENDPOINT_URL"],
            region_name="us-east-1",
            aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
        )
        client.create_bucket(Bucket="lake")
        yield Bucket("lake", environment)
    finally:
        server.stop()
