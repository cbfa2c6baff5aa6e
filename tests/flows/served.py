"""`make serve` as a process on a free port, and what a test wants of its server."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import DeploymentScheduleUpdate, DeploymentUpdate
from prefect.client.schemas.objects import FlowRun, State
from prefect.client.schemas.schedules import CronSchedule
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows import serve

ROOT = Path(__file__).parents[2]
START, PATIENCE = 300.0, 400.0  # seconds, on a machine that does other things too


class Served:
    """A server that can be started, killed and started again; `data` is where its runs publish."""

    def __init__(self, folder: Path, universe: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        told = serve.settings(port)
        self.env = {"COMOVE_PORT": str(port), "PREFECT_HOME": str(folder / "prefect"), **told}
        self.url = told["PREFECT_API_URL"]
        self.folder, self.universe = folder, universe

    def given(self, data: str) -> dict[str, str]:
        """The parameters of a run on the tiny universe."""
        return {"universe": str(self.universe), "data": str(self.folder / data)}

    def start(self) -> None:
        """Start it, wait until it says so, and stop the clocks of all deployments, which ask live sources."""
        with (self.folder / "serve.log").open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "flows.serve"],
                cwd=ROOT,
                env={**os.environ, **self.env},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.wait(lambda: "comove is served at" in self.log, START)
        self.stop_clocks()

    def stop_clocks(self) -> None:
        """No deployment runs by its own schedule any more."""
        with self.client() as client:
            for one in client.read_deployments():
                client.update_deployment(one.id, DeploymentUpdate(schedules=[]))

    def stop(self) -> int:
        """Ask it to end."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(120)

    @property
    def log(self) -> str:
        """What it and its children printed."""
        return (self.folder / "serve.log").read_text()

    def wait(self, has_come: Callable[[], Any], seconds: float = PATIENCE, every: float = 0.2) -> None:
        """Until something holds; a server that ended is a failure."""
        deadline = time.monotonic() + seconds
        while not has_come():
            assert self.process.poll() is None, self.log
            assert time.monotonic() < deadline, self.log
            time.sleep(every)

    @contextmanager
    def client(self) -> Iterator[SyncPrefectClient]:
        """A client of it, and Prefect's own clients turned to it."""
        with temporary_settings({PREFECT_API_URL: self.url}), get_client(sync_client=True) as client:
            yield client

    def ended(self, client: SyncPrefectClient, run: UUID) -> State[Any]:
        """The state in which a run ends."""
        self.wait(lambda: state_of(client, run).is_final(), every=0.5)
        return state_of(client, run)


class Split(Served):
    """Server and worker apart, as the systemd units start them; `process` is the server."""

    def start(self) -> None:
        """Start the server, deploy, and start the worker."""
        port = self.env["COMOVE_PORT"]
        self.process = self.begin("prefect", "server", "start", "--host", "127.0.0.1", "--port", port)
        serve.wait_for(self.process, self.url)
        assert self.begin("flows.serve", "deploy").wait(START) == 0, self.log
        self.stop_clocks()
        self.start_worker()

    def start_worker(self) -> None:
        """Start a worker."""
        self.worker = self.begin("prefect", "worker", "start", "--pool", "comove", "--type", "process")

    def begin(self, *words: str) -> subprocess.Popen[bytes]:
        """A module as a process in a group of its own."""
        with (self.folder / "serve.log").open("a") as log:
            return subprocess.Popen(
                [sys.executable, "-m", *words],
                cwd=ROOT,
                env={**os.environ, **self.env},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def stop(self) -> int:
        """End both."""
        serve.stop(self.worker)
        serve.stop(self.process)
        return self.process.wait()


def state_of(client: SyncPrefectClient, run: UUID) -> State[Any]:
    """The state of a run now."""
    state = client.read_flow_run(run).state
    assert state
    return state


def every_minute(parameters: dict[str, Any]) -> DeploymentUpdate:
    """A deployment that runs each full minute with these parameters."""
    schedule = DeploymentScheduleUpdate(schedule=CronSchedule(cron="* * * * *", timezone="UTC"), active=True)
    return DeploymentUpdate(schedules=[schedule], parameters=parameters)


def by_its_clock(run: FlowRun) -> bool:
    """Whether nobody asked for the run."""
    return run.auto_scheduled and run.created_by is not None and run.created_by.type == "SCHEDULE"


def below(pid: int) -> list[int]:
    """The processes below one, the nearest first."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
            for child in map(int, task.read_text().split()):
                found += [child, *below(child)]
    return found


def words(pid: int) -> str:
    """The command line of a process; empty where it has just ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except (FileNotFoundError, ProcessLookupError):
        return ""
