"""Requests and answers as a provider's module would make them, and a folder in which a run took place."""

import shutil
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from flows.batch import Batch, quarantine
from flows.intake import take_in
from flows.sources import Answer, Request
from schemas import raw
from tests.flows.webhook import Webhook


@pytest.fixture(scope="session")
def request_for() -> Callable[..., Request]:
    """A request for recorded daily bars of an index on XNYS, long after their time, with changes."""
    usual = {
        "model": raw.Bars,
        "provider": "files",
        "source": "files:x.csv",
        "item": "RUT",
        "now": datetime(2026, 8, 22, tzinfo=UTC),
        "load_id": "1",
        "interval": "1d",
        "calendar": "XNYS",
        "kind": "index",
        "is_recorded": True,
    }

    def make(**changes: object) -> Request:
        return Request(**{**usual, **changes})

    return make


@pytest.fixture(scope="session")
def taken() -> Callable[[pl.DataFrame, Request], tuple[Batch, list[tuple[str, str | None]]]]:
    """What is stored of some rows, and (check, column) of every row that is refused."""

    def take(rows: pl.DataFrame, request: Request) -> tuple[Batch, list[tuple[str, str | None]]]:
        batch = take_in(request, Answer(rows))
        return batch, quarantine(batch, request).select("check_name", "column_name").rows()

    return take


@pytest.fixture
def home(tiny_universe: Callable[[Path], Path], tmp_path: Path) -> Path:
    """A folder with the tiny universe and no data."""
    return tiny_universe(tmp_path / "home").parent


@pytest.fixture(scope="session")
def once(tiny_universe: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the tiny universe and the data of one run on 5 January 2026 at 6:00; to be copied."""
    from flows import universe
    from flows.job import Job
    from flows.pipeline import run
    from flows.runners import Plain

    folder = tmp_path_factory.mktemp("once")
    path = tiny_universe(folder)
    now = datetime(2026, 1, 5, 6, tzinfo=UTC)
    run(Job(universe.load(path), folder / "data", now=now, universe_path=path), Plain())
    return folder


@pytest.fixture
def folder(once: Path, tmp_path: Path) -> Path:
    """A copy of that folder that a test may change."""
    shutil.copytree(once, tmp_path / "ran")
    return tmp_path / "ran"


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    """A local server that keeps what is posted to it."""
    with Webhook() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()
