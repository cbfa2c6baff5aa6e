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
Place = Path | Lake


def places(*quick: str) -> list[object]:
    """Every place that a warehouse may be in, of which the quick tests take some."""
    every = ("file", "sqlite", "postgres", "s3")
    return [kind if kind in quick else pytest.param(kind, marks=pytest.mark.slow) for kind in every]


def place_of(request: pytest.FixtureRequest, folder: Path) -> Place:
    """A new place of the kind that a fixture is asked for, in a folder."""
    if request.param == "file":
        return folder / "data" / "warehouse.duckdb"
    lake_in: Callable[[Path, str], Lake] = request.getfixturevalue("lake_in")
    return lake_in(folder, request.param)


@pytest.fixture(params=places("file", "sqlite"))
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Where a warehouse may be."""
    return place_of(request, tmp_path)


@pytest.fixture(params=places("file"))
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An open store without rows, in every place; a lake takes half a second to open."""
    with Store(place_of(request, tmp_path)) as opened:
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


@pytest.fixture(scope="module", params=places("file", "sqlite"))
def full(
    request: pytest.FixtureRequest,
    whole: Callable[..., Tables],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Store]:
    """An open store after a build, in every place; look, do not touch."""
    with Store(place_of(request, tmp_path_factory.mktemp("full"))) as opened:
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
