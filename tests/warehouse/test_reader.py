"""A reader can look at everything that was published, and touch nothing."""

from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import duckdb
import polars as pl
import pytest

from schemas import BY_NAME, Table
from warehouse.publish import publish
from warehouse.reader import connect
from warehouse.store import Store

Tables = dict[type[Table], pl.DataFrame]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, whole: Callable[..., Tables]) -> Path:
    folder = tmp_path_factory.mktemp("reader")
    with Store(folder / "warehouse.duckdb") as store:
        store.replace(whole(0.25, 0.5))
        publish(store, folder / "published", "1", {})
    (folder / "secret.csv").write_text("a,b\n1,2\n")
    pl.DataFrame({"a": [1]}).write_parquet(folder / "secret.parquet")
    return folder


@pytest.fixture
def reader(data: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    con = connect(data)
    yield con
    con.close()


def test_every_table_can_be_read(reader: duckdb.DuckDBPyConnection) -> None:
    for label in BY_NAME:
        reader.execute(f"FROM {label}").fetchall()
    assert reader.execute("SELECT session, log_return FROM core.returns ORDER BY session").fetchall() == [
        (date(2025, 10, 1), 0.25),
        (date(2025, 10, 2), 0.5),
    ]


def test_instants_are_told_in_utc(reader: duckdb.DuckDBPyConnection) -> None:
    assert reader.execute("SELECT current_setting('TimeZone')").fetchall() == [("UTC",)]
    told = reader.execute("SELECT TIMESTAMPTZ '2025-10-08 16:00:00-04:00' :: VARCHAR").fetchall()
    assert told == [("2025-10-08 20:00:00+00",)]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM read_blob('/etc/passwd')",
        "SELECT * FROM read_csv('/etc/passwd')",
        "FROM '/etc/passwd'",
        "FROM glob('/etc/*')",
        "FROM '{data}/secret.csv'",
        "FROM '{data}/secret.parquet'",
        "FROM read_parquet('{data}/secret.parquet')",
        "COPY core.returns TO '{data}/stolen.csv'",
        "COPY (SELECT 1) TO '/tmp/stolen.csv'",
        "EXPORT DATABASE '{data}/stolen'",
        "ATTACH '{data}/other.duckdb'",
        "ATTACH '{data}/warehouse.duckdb' AS w (READ_ONLY)",
        "INSTALL httpfs",
        "INSTALL sqlite FROM 'http://localhost'",
        "LOAD httpfs",
        "LOAD '{data}/evil.duckdb_extension'",
        "FROM 'https://localhost/x.parquet'",
    ],
)
def test_files_and_extensions_are_out_of_reach(
    reader: duckdb.DuckDBPyConnection, data: Path, sql: str
) -> None:
    before = sorted(data.iterdir())
    with pytest.raises(duckdb.Error):
        reader.execute(sql.format(data=data)).fetchall()
    assert sorted(data.iterdir()) == before


@pytest.mark.parametrize(
    "sql",
    [
        "SET enable_external_access = true",
        "SET TimeZone = 'America/New_York'",
        "SET GLOBAL memory_limit = '100GB'",
        "SET python_enable_replacements = true",
        "SET lock_configuration = false",
        "RESET enable_external_access",
        "PRAGMA memory_limit = '100GB'",
        "SET allowed_directories = ['/']",
    ],
)
def test_settings_are_locked(reader: duckdb.DuckDBPyConnection, sql: str) -> None:
    with pytest.raises(duckdb.Error):
        reader.execute(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM core.returns",
        "UPDATE core.returns SET log_return = 0",
        "INSERT INTO core.returns SELECT * FROM core.returns",
        "DROP TABLE core.returns",
        "CREATE TABLE mart.mine AS SELECT 1",
        "CREATE OR REPLACE VIEW mart.indicators_wide AS SELECT 1",
        "COMMENT ON TABLE core.returns IS 'mine'",
    ],
)
def test_nothing_can_be_changed(reader: duckdb.DuckDBPyConnection, sql: str) -> None:
    with pytest.raises(duckdb.Error):
        reader.execute(sql)


def test_variables_of_the_program_are_not_tables(reader: duckdb.DuckDBPyConnection) -> None:
    private = pl.DataFrame({"secret": [1]})
    assert private.height == 1
    with pytest.raises(duckdb.CatalogException, match="private"):
        reader.execute("FROM private")


def test_a_folder_without_a_publication_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nothing is published there; run `make demo DATA="):
        connect(tmp_path)
    assert list(tmp_path.iterdir()) == []
