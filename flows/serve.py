"""Server, work pool, deployments, alarms and a worker, on loopback, until Ctrl-C. `python -m flows.serve`.

`COMOVE_PORT` is the server's port (default 4200). `python -m flows.serve deploy` makes work pool, automations
and deployments on the server that `PREFECT_API_URL` names. What alarms do is said in `flows.server`.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx

from flows.command import ServeError, stoppable
from warehouse.folder import complain

ROOT = Path(__file__).parents[1]
HOST = "127.0.0.1"
START_SECONDS, STOP_SECONDS, PAUSE = 180.0, 30.0, 0.2


def settings(port: int) -> dict[str, str]:
    """What every process is told: where the server is, and to send nothing anywhere."""
    return {
        "PREFECT_API_URL": f"http://{HOST}:{port}/api",
        "PREFECT_SERVER_API_HOST": HOST,
        "PREFECT_SERVER_API_PORT": str(port),
        # no page of another origin may talk to it from the browser of whoever runs it
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": f"http://{HOST}:{port},http://localhost:{port}",
        # who holds a deployment's only slot must outlive the server, or a run that died with it keeps it
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }


@contextmanager
def running(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A Prefect command in a process group of its own, which ends with the block, or with this process."""
    process = subprocess.Popen(  # noqa: S603 - our own words, no shell
        [sys.executable, "-m", "flows.bound", "prefect", *arguments], cwd=ROOT, start_new_session=True
    )
    try:
        yield process
    finally:
        stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process group: asked first, then killed."""
    with suppress(ProcessLookupError):
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(STOP_SECONDS)
        os.killpg(process.pid, signal.SIGKILL)  # its children may outlive it
    process.wait(STOP_SECONDS)


def wait_for(server: subprocess.Popen[bytes], url: str) -> None:
    """Until the server says that it is well.

    Raises:
        ServeError: if it ended, or does not answer in time.
    """
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise ServeError(f"{url}: the server ended; is the port taken? choose another with COMOVE_PORT")
        try:
            if httpx.get(f"{url}/health", timeout=5).is_success:
                return
        except httpx.HTTPError:
            time.sleep(PAUSE)
    raise ServeError(f"{url}: the server did not answer within {START_SECONDS:g} s; see what it printed")


def refuse_taken(url: str) -> None:
    """Another server on the port would be mistaken for our own.

    Raises:
        ServeError: if one answers.
    """
    try:
        httpx.get(f"{url}/health", timeout=2)
    except httpx.HTTPError:
        return
    raise ServeError(f"{url}: something answers there already; end it, `make serve` may run twice by mistake")


def deploy() -> None:
    """All deployments of prefect.yaml.

    Raises:
        ServeError: if Prefect refuses one.
    """
    with running("--no-prompt", "deploy", "--all") as process:
        if process.wait():
            raise ServeError(f"{ROOT / 'prefect.yaml'}: was not deployed; see what Prefect printed above")


def deploy_all() -> None:
    """Work pool, automations and deployments, on the server that `PREFECT_API_URL` names."""
    from flows import server as on_server  # Prefect reads its settings when it is imported

    on_server.make_pool()
    deploy()
    on_server.set_alarms()
    on_server.refuse_unknown_parameters()


def serve(port: int) -> None:
    """Everything, until it is interrupted or a part of it ends."""
    told = settings(port)
    os.environ.update(told)
    url = told["PREFECT_API_URL"]
    refuse_taken(url)
    from flows import server as on_server  # Prefect reads its settings when it is imported

    with running("server", "start", "--host", HOST, "--port", str(port)) as server:
        wait_for(server, url)
        deploy_all()
        on_server.bury()
        with running("worker", "start", "--pool", on_server.POOL, "--type", "process") as worker:
            sys.stdout.write(f"comove is served at http://{HOST}:{port}; Ctrl-C ends it\n")
            sys.stdout.flush()
            while server.poll() is None and worker.poll() is None:
                time.sleep(PAUSE)
            raise ServeError(f"{'the worker' if server.poll() is None else 'the server'} ended by itself")


def main(arguments: Sequence[str] = ()) -> int:
    """Serve, or with the word `deploy` only tell a server that is there already.

    Returns:
        0 after Ctrl-C or SIGTERM, 1 if a part ended by itself, 2 for a bad port or flag.
    """
    port = os.environ.get("COMOVE_PORT", "4200")
    if not port.isdecimal() or not 0 < int(port) < 1 << 16:
        return complain(f'COMOVE_PORT: "{port}" is no port; give a number below 65536', 2)
    if arguments and (list(arguments) != ["deploy"] or "PREFECT_API_URL" not in os.environ):
        return complain("flows.serve takes no flag; `deploy` needs PREFECT_API_URL, a server's address", 2)
    try:
        with stoppable():
            if list(arguments) == ["deploy"]:
                deploy_all()
            else:
                serve(int(port))
    except KeyboardInterrupt:
        return 0
    except ServeError as error:
        return complain(str(error), 1)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
