"""The same run on the processes of a cluster: the same tables, and every kind of failure comes back."""

import os
import pickle
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from flows import cluster, refresh, universe
from flows.cluster import ClusterError
from flows.intake import RefusedError, take_in
from flows.job import Job
from flows.pipeline import run
from flows.runners import Plain
from flows.sources import Answer, Request, SourceError
from flows.sources.answers import FetchError
from tests.faults.compare import digests
from warehouse.reader import connect
from warehouse.store import Store

NOW = datetime(2026, 1, 5, 6, tzinfo=UTC)
LEDGER = "SELECT source, item, status, rows_new, rows_quarantined, error FROM ops.loads ORDER BY ALL"
REFUSED = "SELECT * EXCLUDE (quarantine_id, load_id) FROM ops.quarantine ORDER BY ALL"


@dataclass(frozen=True)
class Item:
    """Something to work on, of a lane."""

    number: int
    lane: str | None


def where(item: Item) -> int:
    """The process that works on an item; a source that fails is one with a negative number."""
    if item.number < 0:
        raise SourceError(f"number {item.number}")
    if item.number > 99:
        raise ZeroDivisionError
    time.sleep(0.1)
    return os.getpid()


@pytest.fixture
def spoiled(tiny_universe: Callable[[Path], Path], tmp_path: Path) -> Path:
    """A universe in which one source is refused for its rows and another is no file of prices."""
    path = tiny_universe(tmp_path)
    spy = pl.read_csv(tmp_path / "spy.csv", try_parse_dates=True)
    spy.with_columns(low=pl.col("high") + 1).write_csv(tmp_path / "spy.csv")
    (tmp_path / "macro.csv").write_text("not a table\n")
    return path


def test_a_refusal_travels_with_the_rows_that_it_refused(
    request_for: Callable[..., Request], once: Path
) -> None:
    rows = pl.read_csv(once / "spy.csv", try_parse_dates=True).with_columns(low=pl.col("high") + 1)
    with pytest.raises(RefusedError) as caught:
        take_in(request_for(), Answer(rows))
    caught.value.seconds = 1.5
    back = pickle.loads(pickle.dumps(caught.value))
    assert (str(back), back.seconds) == (str(caught.value), 1.5)
    assert back.batch is not None
    assert back.batch.bad == rows.height


def test_a_failed_request_travels_with_what_decides_what_happens_next() -> None:
    error = FetchError("yahoo: slow down", is_transient=True, retry_after=3.0, is_down=True)
    back = pickle.loads(pickle.dumps(error))
    assert (str(back), back.is_transient, back.retry_after, back.is_down) == (
        "yahoo: slow down",
        True,
        3.0,
        True,
    )


def test_requests_of_one_live_source_share_a_process_and_files_do_not(
    request_for: Callable[..., Request],
) -> None:
    live = [request_for(provider="yahoo", source="yahoo", item=str(n)) for n in range(3)]
    other = request_for(provider="ccxt", source="ccxt:kraken")
    files = [request_for(), request_for()]
    assert cluster.lanes([live[0], files[0], live[1], other, files[1], live[2]]) == [[0, 2, 5], [1], [3], [4]]


def test_without_the_extra_a_run_says_what_to_install(
    once: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "find_spec", lambda _: None)
    flags = ["--universe", str(once / "universe.toml"), "--data", str(tmp_path / "data")]
    assert refresh.main([*flags, "--runner", "dask"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "pip install" in said


@pytest.fixture(scope="module")
def harness() -> Iterator[None]:
    """A Prefect server for the tests of this file."""
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=120):
        yield


@pytest.mark.slow
@pytest.mark.usefixtures("harness")
def test_a_run_on_a_cluster_gives_what_a_plain_one_gives(spoiled: Path, tmp_path: Path) -> None:
    plain = Job(universe.load(spoiled), tmp_path / "plain", now=NOW, universe_path=spoiled)
    run(plain, Plain())
    done = refresh.refresh(universe=spoiled, data=tmp_path / "dask", runner="dask")
    assert done.troubles == []
    with Store(plain.warehouse) as one, Store(done.job.warehouse) as other:
        assert digests(one.con) == digests(other.con)
        for query in (LEDGER, REFUSED):
            wanted = one.con.execute(query).fetchall()
            assert other.con.execute(query).fetchall() == wanted
            assert wanted
    with closing(connect(tmp_path / "dask")) as con:
        statuses = con.execute("SELECT DISTINCT status FROM ops.loads ORDER BY 1").fetchall()
    assert statuses == [("failed",), ("loaded",), ("refused",)]


@pytest.mark.slow
@pytest.mark.usefixtures("harness")
def test_the_steps_run_in_other_processes_and_a_lane_in_one_of_them() -> None:
    from distributed import LocalCluster
    from prefect import flow

    items = [*(Item(n, "yahoo") for n in range(4)), *(Item(n, None) for n in range(8)), Item(-1, None)]

    @flow(persist_result=False)
    def fan_out(address: str, items: list[Item]) -> list[int | SourceError]:
        with cluster.cluster(address) as workers:
            return workers.map(where, items)

    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address="127.0.0.1:0"
    ) as local:
        found = fan_out(local.scheduler_address, items)
        with pytest.raises(ZeroDivisionError):
            fan_out(local.scheduler_address, [Item(100, None)])
    assert os.getpid() not in found
    assert len(set(found[:4])) == 1
    assert len(set(found[4:-1])) == 2
    assert isinstance(found[-1], SourceError)
    assert str(found[-1]) == "number -1"


@pytest.mark.slow
@pytest.mark.usefixtures("harness")
def test_a_scheduler_that_does_not_answer_is_one_line(
    once: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "PATIENCE", 1)
    shutil.copytree(once, tmp_path / "home")
    home = ["--universe", str(tmp_path / "home/universe.toml"), "--data", str(tmp_path / "home/data")]
    assert refresh.main([*home, "--runner", "dask", "--dask", "tcp://127.0.0.1:9"]) == 2
    assert "tcp://127.0.0.1:9: no Dask scheduler answers there" in capsys.readouterr().err
    with pytest.raises(ClusterError), cluster.cluster("tcp://127.0.0.1:9"):
        pass
