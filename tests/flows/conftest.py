"""Requests and answers as a provider's module would make them, and a webhook."""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

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
def webhook() -> Iterator[Webhook]:
    """A local server that keeps what is posted to it."""
    with Webhook() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()
