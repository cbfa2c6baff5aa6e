"""A universe small enough to reason about, and one run on the samples that many tests may look at."""

import fcntl
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import settings

from tests.servers import Bucket, Postgres, bucket, missing, postgres
from warehouse.address import parse
from warehouse.extensions import LakeError, location
from warehouse.lake import Lake

settings.register_profile("untimed", deadline=None)  # on a busy machine any example may be slow
settings.load_profile("untimed")
ROOT = Path(__file__).parents[1]
LONGEST = (  # files, which begin first: a worker that has one at the end keeps the others waiting
    "test_served.py",
    "test_split.py",
    "test_upkeep_kills.py",
    "test_following.py",
    "test_many_symbols.py",
    "test_crash_points.py",
    "test_loop.py",
    "test_random_kills.py",
    "test_lake_kills.py",
    "test_pipeline.py",
)
DIRTY = Path(__file__).parent / "dirty"
FIRST, LAST = date(2025, 6, 2), date(2025, 11, 20)
HOLIDAYS = [date(2025, 6, 19), date(2025, 7, 4), date(2025, 9, 1)]  # of XNYS between the two
UNIVERSE = """\
[study]
target = "ETH"
benchmark = "RUT"
controls = ["SPY"]
calendar = "XNYS"
windows = [20, 30]
threshold = 0.5

[[asset]]
id = "ETH"
name = "Ethereum"
kind = "crypto"

[[asset.sources]]
provider = "files"
path = "eth_1h.parquet"
symbol = "ETHUSDT"
interval = "1h"
recorded_at = "2025-11-20T22:30:00Z"

[[asset.sources]]
provider = "files"
path = "eth_1d.parquet"
symbol = "ETH-USD"
interval = "1d"
recorded_at = "2025-11-20T22:00:00Z"

[[asset]]
id = "RUT"
name = "Russell 2000"
kind = "index"
volume_from = "SPY"

[[asset.sources]]
provider = "files"
path = "rut.csv"
symbol = "^RUT"
interval = "1d"
recorded_at = "2025-11-20T22:00:00Z"

[[asset]]
id = "SPY"
name = "SPDR S&P 500"
kind = "etf"

[[asset.sources]]
provider = "files"
path = "spy.csv"
symbol = "SPY"
interval = "1d"
recorded_at = "2025-11-20T22:00:00Z"

[[macro]]
id = "WALCL"
provider = "files"
path = "macro.csv"
recorded_at = "2025-11-20T22:00:00Z"
unit = "million USD"
sign = 1
release_lag_days = 1
"""


def walk(steps: int, seed: int, start: float) -> np.ndarray:
    """Prices that move by a random half a percent."""
    return np.round(start * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.005, steps))), 2)


def bars(symbol: str, about: dict[str, list[date] | list[datetime]], prices: np.ndarray) -> pl.DataFrame:
    """Bars that open at the close before them."""
    opens = np.concatenate([prices[:1], prices[:-1]])
    return pl.DataFrame(
        {
            "symbol": [symbol] * len(prices),
            **about,
            "open": opens,
            "high": np.maximum(opens, prices) + 0.5,
            "low": np.minimum(opens, prices) - 0.5,
            "close": prices,
            "volume": np.arange(len(prices)) + 1000.0,
        }
    )


def tiny_frames() -> dict[str, pl.DataFrame]:
    """The files of the tiny universe: 121 sessions of XNYS with an early close and a change of the clock."""
    days = [FIRST + timedelta(n) for n in range((LAST - FIRST).days + 1)]
    sessions = [day for day in days if day.weekday() < 5 and day not in HOLIDAYS]
    midnight = datetime(FIRST.year, FIRST.month, FIRST.day, tzinfo=UTC)
    hours = [midnight + timedelta(hours=n) for n in range(24 * len(days) - 1)]
    hourly = bars("ETHUSDT", {"opened_at": hours}, walk(len(hours), 1, 2500.0))
    daily = (
        hourly.group_by(date=pl.col("opened_at").dt.date(), maintain_order=True)
        .agg(
            pl.col("open").first(),
            pl.col("high").max(),
            pl.col("low").min(),
            pl.col("close").last(),
            pl.col("volume").sum(),
        )
        .select(pl.lit("ETH-USD").alias("symbol"), pl.all())
    )
    weeks = [day for day in days if day.weekday() == 2]
    assets = [6.7e6 + 100 * n for n in range(len(weeks))]
    return {
        "eth_1h.parquet": hourly.with_columns(pl.col("opened_at").cast(pl.Datetime("us", "UTC"))),
        "eth_1d.parquet": daily,
        "rut.csv": bars("^RUT", {"date": sessions}, walk(len(sessions), 2, 2100.0)),
        "spy.csv": bars("SPY", {"date": sessions}, walk(len(sessions), 3, 600.0)).with_columns(
            adj_close=(pl.col("close") * 0.99).round(4)
        ),
        "macro.csv": pl.DataFrame(
            {"series_id": ["WALCL"] * len(weeks), "observed_on": weeks, "value": assets}
        ),
    }


def write(frame: pl.DataFrame, path: Path) -> None:
    """In the format that the name says."""
    if path.suffix == ".parquet":
        frame.write_parquet(path)
    else:
        frame.write_csv(path)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first."""
    rank = {file: place for place, file in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.name, len(rank)))


@pytest.fixture(scope="session")
def tiny_universe() -> Callable[[Path], Path]:
    """Writes the tiny universe and its files to a folder, and returns the path of the TOML file."""
    frames = tiny_frames()

    def make(folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for name, frame in frames.items():
            write(frame, folder / name)
        path = folder / "universe.toml"
        path.write_text(UNIVERSE)
        return path

    return make


@pytest.fixture
def home(tiny_universe: Callable[[Path], Path], tmp_path: Path) -> Path:
    """A folder with the tiny universe and no data."""
    return tiny_universe(tmp_path / "home").parent


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Callable[..., Path]:
    """`made_once(name, make)`: a path that all workers share and the first of them makes, by `make(path)`."""
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent

    def get(name: str, make: Callable[[Path], object]) -> Path:
        path, done = shared / name, shared / f"{name}.done"
        with (shared / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not done.exists():
                make(path)
                done.touch()
        return path

    return get


@pytest.fixture(scope="session")
def once(tiny_universe: Callable[[Path], Path], made_once: Callable[..., Path]) -> Path:
    """A folder with the tiny universe and the data of one run on 5 January 2026 at 6:00; to be copied."""
    from flows import universe
    from flows.job import Job
    from flows.pipeline import run
    from flows.runners import Plain

    def make(folder: Path) -> None:
        path = tiny_universe(folder)
        now = datetime(2026, 1, 5, 6, tzinfo=UTC)
        done = run(Job(universe.load(path), folder / "data", now=now, universe_path=path), Plain())
        assert done.troubles == []

    return made_once("once", make)


@pytest.fixture
def folder(once: Path, tmp_path: Path) -> Path:
    """A copy of that folder that a test may change."""
    shutil.copytree(once, tmp_path / "ran")
    return tmp_path / "ran"


@pytest.fixture(scope="session")
def server() -> Iterator[Postgres]:
    """A PostgreSQL of this test process."""
    with postgres() as started:
        yield started


@pytest.fixture(scope="session")
def object_store() -> Iterator[Bucket]:
    """An object store of this test process, with one bucket."""
    with bucket() as started:
        yield started


@pytest.fixture(scope="session")
def extensions() -> None:
    """DuckDB's extensions, which a lake needs, for the version of DuckDB that runs the tests."""
    try:
        for name in ("ducklake", "sqlite_scanner", "postgres_scanner", "httpfs"):
            location(name)
    except LakeError as error:
        missing(f"no lake: {str(error).partition(': ')[2] or error}")


@pytest.fixture(scope="session")
def lake_in(extensions: None, request: pytest.FixtureRequest) -> Callable[[Path, str], Lake]:
    """A new lake in a folder: on `sqlite`, on `postgres`, or on `s3` with a SQLite catalog."""

    def make(folder: Path, kind: str) -> Lake:
        if kind == "s3":
            place: Bucket = request.getfixturevalue("object_store")
            words = f"ducklake:sqlite:{folder / 'lake' / 'on-s3.sqlite'}?data_path={place.prefix()}"
            return parse(words, place.ask)
        if kind == "sqlite":
            return parse(f"ducklake:sqlite:{folder / 'lake' / 'catalog.sqlite'}")
        running: Postgres = request.getfixturevalue("server")
        url = running.url(running.database())
        return parse(f"ducklake:postgres:{url}?data_path={folder / 'lake' / 'files'}")

    return make


@pytest.fixture
def lake_of(lake_in: Callable[[Path, str], Lake], tmp_path: Path) -> Callable[[str], Lake]:
    """The same in the folder of the test."""
    return lambda kind: lake_in(tmp_path, kind)


@pytest.fixture(scope="session")
def sample_data(made_once: Callable[..., Path]) -> Path:
    """The data folder of one run on the samples, shared by all workers; look, do not touch."""
    from flows import universe
    from flows.job import Job
    from flows.pipeline import run
    from flows.runners import Plain

    path = ROOT / "samples" / "universe.toml"
    return made_once(
        "sample-data", lambda data: run(Job(universe.load(path), data, universe_path=path), Plain())
    )
