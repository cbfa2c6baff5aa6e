"""Every reader that docs/bi.md calls tested opens a publication, and where people type SQL, no more."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from warehouse.reader import connect, parquet

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache" / "readers"
MATRIX = Path(__file__).with_name("reader_matrix.py")
ENVIRONMENTS = {
    "duckdb-1.4.4": ["duckdb==1.4.4"],
    "duckdb-1.5.6": ["duckdb==1.5.6"],
    "duckdb-2.0.0": ["duckdb==2.0.0"],
    "tools": [
        "duckdb==1.5.6", "duckdb-cli==1.5.6", "duckdb-engine==0.17.0", "sqlalchemy<2.1",
        "ibis-framework[duckdb]==12.0.0",
        "adbc-driver-manager==1.13.0", "pandas==3.1.1", "pyarrow==26.0.1", "polars==2.1.0",
    ],
}  # fmt: skip
WAYS = [
    *[(name, "duckdb") for name in ENVIRONMENTS if name != "tools"],
    *[("tools", way) for way in ("cli", "sqlalchemy", "ibis", "adbc", "pandas", "pyarrow", "polars")],
]


@pytest.fixture(scope="session")
def python_of() -> Callable[[str], Path]:
    """The interpreter of an environment, built once by uv and kept in the cache folder."""
    uv = Path(sys.executable).with_name("uv")
    found = str(uv) if uv.exists() else shutil.which("uv")

    def built(name: str) -> Path:
        folder = CACHE / name
        done = folder / "wanted.json"
        if not done.exists() or json.loads(done.read_text()) != ENVIRONMENTS[name]:
            if not found:
                raise FileNotFoundError("uv is not installed")
            shutil.rmtree(folder, ignore_errors=True)
            python = folder / "bin" / "python"
            for command in (
                ["venv", str(folder)],
                ["pip", "install", "--python", str(python), *ENVIRONMENTS[name]],
            ):
                subprocess.run([found, "--quiet", *command], check=True, capture_output=True, text=True)
            done.write_text(json.dumps(ENVIRONMENTS[name]))
        return folder / "bin" / "python"

    def offered(name: str) -> Path:
        try:
            return built(name)
        except (OSError, subprocess.CalledProcessError) as error:
            said = f"uv could not build the environment {name}: {getattr(error, 'stderr', '') or error}"
            if os.environ.get("COMOVE_REQUIRE_ALL"):
                pytest.fail(said)
            pytest.skip(said)

    return offered


@pytest.mark.parametrize(("environment", "way"), WAYS, ids=str)
def test_it_reads_what_was_published_and_nothing_else(
    python_of: Callable[[str], Path], sample_data: Path, environment: str, way: str
) -> None:
    python = python_of(environment)
    file, table = sample_data / "published" / "latest.duckdb", parquet(sample_data)["mart.claims"]
    before = sorted(path.name for path in file.parent.iterdir())
    ran = subprocess.run([python, MATRIX, way, file, table], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    count, refused = json.loads(ran.stdout)
    view = "mart.claims" if way in {"pandas", "pyarrow", "polars"} else "mart.link_today"
    with closing(connect(sample_data)) as con:
        assert count == con.execute(f"SELECT count(*) FROM {view}").fetchall()[0][0]
    assert all(refused.values()), refused
    assert len(refused) == (0 if view == "mart.claims" else 5)
    assert sorted(path.name for path in file.parent.iterdir()) == before


def test_the_settings_are_those_that_the_documentation_shows() -> None:
    from tests.warehouse.reader_matrix import SETTINGS

    page = (ROOT / "docs" / "bi.md").read_text()
    for name, value in SETTINGS.items():
        assert f"{name} = {value}" in page
        assert f'"{name}": "{value}"' in page
