"""Ctrl-C and SIGTERM: one line, a code of their own, and no process is left behind."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from flows.command import exit_code
from tests.flows.served import ROOT, below, words
from warehouse.store import Store


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_command_that_is_stopped_says_so_in_one_line(
    number: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(number)

    def struck() -> int:
        os.kill(os.getpid(), number)
        time.sleep(10)
        return 0

    assert exit_code(struck) == 130
    assert capsys.readouterr().err == "comove: stopped; what was published stays, run again\n"
    assert signal.getsignal(number) is before


LONG = "SELECT count(*) FROM range(1_000_000) a, range(1_000_000) b WHERE a.range % 7 = b.range % 11"


def soon(number: signal.Signals) -> None:
    """A signal once the query below is under way."""
    threading.Timer(0.5, os.kill, [os.getpid(), number]).start()


def test_a_command_that_is_stopped_in_a_query_says_so_too(capsys: pytest.CaptureFixture[str]) -> None:
    def struck() -> int:
        with duckdb.connect() as con:
            soon(signal.SIGTERM)
            con.execute(LONG)
        return 0

    assert exit_code(struck) == 130
    assert capsys.readouterr().err == "comove: stopped; what was published stays, run again\n"


def test_a_damaged_warehouse_is_to_be_rebuilt(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "warehouse.duckdb"
    with duckdb.connect(str(path)) as con:
        con.execute("CREATE TABLE t AS SELECT hash(range) AS h FROM range(200_000)")
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 3000] = bytes(3000)
    path.write_bytes(content)

    def reads() -> int:
        with duckdb.connect(str(path)) as con:
            con.execute("SELECT sum(h) FROM t").fetchall()
        return 0

    assert exit_code(reads) == 1
    said = capsys.readouterr().err
    assert "Corrupt database file" in said
    assert said.endswith("; what was published stays, run `make rebuild` to make the warehouse anew\n")


def test_a_query_that_fails_is_no_stop() -> None:
    def fails() -> int:
        raise RuntimeError("of its own") from ValueError("of another")

    with pytest.raises(RuntimeError, match="of its own"):
        exit_code(fails)


def test_a_transaction_that_is_stopped_is_undone_and_raises_what_stopped_it(tmp_path: Path) -> None:
    with Store(tmp_path / "warehouse.duckdb") as store:

        def write() -> None:
            store.con.execute("CREATE TABLE half (x INTEGER)")
            soon(signal.SIGINT)
            store.con.execute(LONG)

        with pytest.raises(KeyboardInterrupt):
            store.transact(write)
        assert "half" not in store.tables()
        assert store.con.execute("SELECT 1").fetchall() == [(1,)]


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["the server starts", "the flow runs"])
def test_prefects_temporary_server_ends_with_the_run(
    moment: str, tiny_universe: Callable[[Path], Path], tmp_path: Path
) -> None:
    data = tmp_path / "data"
    given = ["--universe", str(tiny_universe(tmp_path / "home")), "--data", str(data)]
    with subprocess.Popen(
        [sys.executable, "-m", "flows.refresh", *given],
        cwd=ROOT,
        env={**os.environ, "PREFECT_HOME": str(tmp_path / "prefect")},
        stderr=subprocess.PIPE,
        text=True,
    ) as run:
        servers: list[int] = []
        while not servers or (moment == "the flow runs" and not list(data.rglob("*.parquet"))):
            assert run.poll() is None
            time.sleep(0.02)
            servers = [pid for pid in below(run.pid) if "uvicorn" in words(pid)]
        run.send_signal(signal.SIGTERM)
        assert run.wait(120) == 130
        left = [pid for pid in servers if Path(f"/proc/{pid}").exists()]
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        assert left == []
        assert run.stderr
        assert run.stderr.read().endswith("comove: stopped; what was published stays, run again\n")
