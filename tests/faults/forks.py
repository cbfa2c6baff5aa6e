"""A process that imports the pipeline once and forks for every run, so that a crash costs no import.

It reads one JSON request a line and answers each with one line. A request names a task and its values, and
what the child is to suffer: `env`, `kill_after` (seconds until kill -9, from the start or when its folder
holds a file like `kill_from`), `file_limit` (bytes), `sql` (a setting of every warehouse that it opens),
`is_unprivileged` (file modes hold for root too), `is_copy_kept` (the published file is changed in part,
however much is new).
"""

import ctypes
import importlib
import json
import os
import resource
import signal
import struct
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, Self

ROOT = Path(__file__).parents[2]
WARM = (  # what a child would import itself, at a second or two each time
    "flows.backfill",
    "flows.maintain",
    "flows.refresh",
    "flows.sources.answers",
    "flows.sources.files",
    "flows.sources.policy",
    "pandera.backends.polars.builtin_checks",
    "pandera.backends.polars.container",
    "pandera.strategies.base_strategies",
    "pyarrow.dataset",
)
Answer = dict[str, Any]


class Forks:
    """The client's side."""

    def __init__(self) -> None:
        """Start the process; it imports while the caller goes on."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.forks"],
            cwd=ROOT,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.process.communicate()

    def many(self, task: str, times: int, **request: Any) -> list[Answer]:
        """Run a task in several children at once."""
        assert self.process.stdin
        assert self.process.stdout
        request = {"task": task, "times": times, **request}
        self.process.stdin.write(json.dumps(request, default=str) + "\n")
        self.process.stdin.flush()
        answers: list[Answer] = json.loads(self.process.stdout.readline())
        return answers

    def __call__(self, task: str, **request: Any) -> Answer:
        """Run a task in a child: `code` or `signal` by which it ended, its `out` and `err`, its `seconds`."""
        return self.many(task, 1, **request)[0]

    def run(self, folder: Path, now: datetime, **request: Any) -> Answer:
        """One run of the pipeline on the universe in a folder."""
        return self("run", folder=folder, now=now, **request)


def run(folder: str, now: str, until: str | None = None, **_: Any) -> int:
    """The plain pipeline."""
    from flows import pipeline
    from flows.runners import Plain

    pipeline.run(job(folder, now, date.fromisoformat(until) if until else None), Plain())
    return 0


def rebuild(folder: str, now: str, **_: Any) -> int:
    """The warehouse anew."""
    from flows import maintain

    maintain.rebuild(job(folder, now))
    return 0


def compact(folder: str, now: str, **_: Any) -> int:
    """The landing zone compacted."""
    from flows import maintain

    print(json.dumps(maintain.compacted(Path(folder) / "data", datetime.fromisoformat(now))))  # noqa: T201
    return 0


def command(module: str, arguments: list[str], **_: Any) -> int:
    """A command line."""
    code: int = importlib.import_module(module).main(arguments)
    return code


TASKS: dict[str, Callable[..., int]] = {
    "run": run,
    "rebuild": rebuild,
    "compact": compact,
    "command": command,
}


def job(folder: str, now: str, until: date | None = None) -> Any:
    """The job of a folder that holds a universe and its data."""
    from flows import universe
    from flows.job import Job
    from flows.lakes import lake

    path = Path(folder) / "universe.toml"
    moment = datetime.fromisoformat(now)
    return Job(
        universe.load(path),
        path.parent / "data",
        now=moment,
        until=until,
        universe_path=path,
        lake=lake(None),
    )


def child(request: dict[str, Any], out: IO[bytes], err: IO[bytes]) -> None:
    """Suffer what is asked for, do the task, and end without a clean-up."""
    code = 70
    try:
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)
        suffer(request)
        code = TASKS[request["task"]](**request)
    except SystemExit as error:
        code = int(error.code or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def suffer(request: dict[str, Any]) -> None:
    """Set up the fault."""
    os.environ.update(request.get("env") or {})
    if limit := request.get("file_limit"):
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    if request.get("is_unprivileged"):
        give_up_rights()
    if request.get("is_copy_kept"):
        from warehouse import copying

        copying.SHARE, copying.GROWTH = 1.0, 2.0
    if sql := request.get("sql"):
        from warehouse.store import Store

        plain = Store.__init__

        def opened(self: Store, *arguments: Any, **named: Any) -> None:
            plain(self, *arguments, **named)
            self.con.execute(sql)

        Store.__init__ = opened  # type: ignore[method-assign]


def give_up_rights() -> None:
    """No capabilities any more: file modes hold for root too."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.capset(struct.pack("<Ii", 0x20080522, 0), struct.pack("<6I", *[0] * 6)):
        raise OSError(ctypes.get_errno(), "capset")


def started(request: dict[str, Any]) -> tuple[int, IO[bytes], IO[bytes]]:
    """A child under way."""
    out, err = TemporaryFile(), TemporaryFile()  # noqa: SIM115 - closed by `ended`
    pid = os.fork()
    if not pid:
        child(request, out, err)
    return pid, out, err


def ended(pid: int, out: IO[bytes], err: IO[bytes], request: Answer, began: float) -> Answer:
    """What became of a child."""
    code = os.waitstatus_to_exitcode(struck(pid, request, began))
    texts = []
    for file in (out, err):
        file.seek(0)
        texts.append(file.read().decode(errors="replace"))
        file.close()
    seconds = time.monotonic() - began
    return {"code": code, "out": texts[0], "err": texts[1], "seconds": seconds}


def struck(pid: int, request: Answer, began: float) -> int:
    """Wait for a child, and kill it when its time has come; its status."""
    after, sign = request.get("kill_after"), request.get("kill_from")
    if after is None:
        return os.waitpid(pid, 0)[1]
    kill_at = None if sign else began + after
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return status
        if kill_at is None and any(Path(request["folder"]).glob(sign)):
            kill_at = time.monotonic() + after
        if kill_at is not None and time.monotonic() >= kill_at:
            os.kill(pid, signal.SIGKILL)
            return os.waitpid(pid, 0)[1]
        time.sleep(0.0005)


def answered(request: dict[str, Any]) -> list[Answer]:
    """Fork as often as asked, and wait for all."""
    began = time.monotonic()
    children = [started(request) for _ in range(request["times"])]
    return [ended(*one, request, began) for one in children]


def serve() -> None:
    """Import, then answer until the client goes away."""
    import exchange_calendars

    from flows import pipeline
    from schemas import TABLES

    for module in WARM:
        importlib.import_module(module)
    for model in TABLES:
        model.to_schema()
    for calendar in ("24/7", "XNYS"):
        exchange_calendars.get_calendar(calendar, start="2025-01-01", end="2026-12-31")
    pipeline.render = lambda home: home / "report"  # charts take two seconds and come after the publication
    for line in sys.stdin:
        sys.stdout.write(json.dumps(answered(json.loads(line))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve()
