"""A store in a folder of its own, and whole tables to put into it."""

import shutil
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from schemas import TABLES, Table, core
from schemas.table import polars_schema
from warehouse.definitions import append_only
from warehouse.lake import Lake
from warehouse.store import Store

Tables = dict[type[Table], pl.DataFrame]


PLACES = [
    "file",
    "sqlite",
    pytest.param("postgres", marks=pytest.mark.slow),
    pytest.param("s3", marks=pytest.mark.slow),
]


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path | Lake:
    """Where a warehouse may be."""
    if request.param == "file":
        return tmp_path / "data" / "warehouse.duckdb"
    lake_of: Callable[[str], Lake] = request.getfixturevalue("lake_of")
    return lake_of(request.param)


@pytest.fixture
def store(place: Path | Lake) -> Iterator[Store]:
    """An open store without rows, in every place."""
    with Store(place) as opened:
        yield opened


@pytest.fixture(scope="session")
def whole() -> Callable[..., Tables]:
    """Every table that a build writes: the returns of ETH as given, the others empty."""

    def make(*log_returns: float) -> Tables:
        rows = [("ETH", "utc_day", date(2025, 10, 1 + n), r, 1) for n, r in enumerate(log_returns)]
        returns = pl.DataFrame(rows, schema=polars_schema(core.Returns), orient="row")
        kept = set(append_only())
        empty = {model: pl.DataFrame(schema=polars_schema(model)) for model in TABLES if model not in kept}
        return {**empty, core.Returns: returns}

    return make


@pytest.fixture(scope="module", params=PLACES)
def full(
    request: pytest.FixtureRequest,
    whole: Callable[..., Tables],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Store]:
    """An open store after a build, in every place; look, do not touch."""
    place: Path | Lake = tmp_path_factory.mktemp("full") / "warehouse.duckdb"
    if request.param != "file":
        lake_in: Callable[[Path, str], Lake] = request.getfixturevalue("lake_in")
        place = lake_in(place.parent, request.param)
    with Store(place) as opened:
        opened.replace(whole(0.1))
        yield opened


@pytest.fixture(scope="session")
def built(whole: Callable[..., Tables], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed warehouse file with every table and view, to be copied."""
    path = tmp_path_factory.mktemp("built") / "warehouse.duckdb"
    with Store(path) as store:
        store.replace(whole())
    return path


@pytest.fixture
def built_store(built: Path, tmp_path: Path) -> Iterator[Store]:
    """An open store with every table and view."""
    path = tmp_path / "data" / "warehouse.duckdb"
    path.parent.mkdir()
    shutil.copy(built, path)
    with Store(path) as opened:
        yield opened
