"""The same run on a lake as on a file: the same tables, the same publication, the same upkeep."""

import shutil
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl
import pytest

from flows import maintain, refresh, universe
from flows.job import Job
from flows.lakes import VARIABLE
from flows.pipeline import run
from flows.runners import Plain
from tests.faults.compare import Digests, digests, published
from tests.servers import SECRET, Bucket, Postgres
from warehouse import extensions
from warehouse.lake import Lake
from warehouse.store import Store
from warehouse.verify import broken

NOW = datetime(2026, 1, 5, 6, tzinfo=UTC)  # of the run in the folder `once`


def stored(place: Path | Lake) -> Digests:
    with Store(place) as store:
        return digests(store.con)


def revise(folder: Path) -> None:
    """One close of October is another now, and there is one more day."""
    frame = pl.read_csv(folder / "rut.csv", try_parse_dates=True)
    changed = pl.when(pl.col("date").dt.to_string() == "2025-10-08").then(pl.col("close") + 0.25)
    frame.with_columns(close=changed.otherwise("close")).write_csv(folder / "rut.csv")


@pytest.fixture
def watched(once: Path, tmp_path: Path) -> Path:
    """The tiny universe without data."""
    shutil.copytree(once, tmp_path / "home", ignore=shutil.ignore_patterns("data"))
    return tmp_path / "home" / "universe.toml"


def job_on(lake: Lake | None, path: Path, now: datetime, data: str = "data") -> Job:
    return Job(universe.load(path), path.parent / data, now=now, universe_path=path, lake=lake)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", "postgres", "s3"])
def test_a_lake_holds_and_publishes_row_for_row_what_a_file_does(
    kind: str, lake_of: Callable[[str], Lake], once: Path, watched: Path
) -> None:
    lake = lake_of(kind)
    job = job_on(lake, watched, NOW)
    run(job, Plain())
    wanted = stored(once / "data" / "warehouse.duckdb")
    assert stored(lake) == wanted
    assert published(job.data) == published(once / "data") == wanted
    assert list(broken(job.data)) == []
    assert not job.file.exists()
    with closing(duckdb.connect(str(job.data / "published" / "latest.duckdb"), read_only=True)) as con:
        assert con.execute("SELECT count(*) FROM mart.link_today").fetchall()[0][0] > 0


@pytest.mark.slow
def test_later_runs_replays_and_rebuilds_are_the_same_too(
    lake_of: Callable[[str], Lake], once: Path, watched: Path
) -> None:
    lake = lake_of("sqlite")
    file = watched.parent / "on-file"
    shutil.copytree(once / "data", file)
    run(job_on(lake, watched, NOW), Plain())
    revise(watched.parent)
    later = NOW + timedelta(days=1)
    run(job_on(None, watched, later, "on-file"), Plain())
    run(job_on(lake, watched, later), Plain())
    wanted = stored(file / "warehouse.duckdb")
    assert stored(lake) == wanted
    then = NOW + timedelta(hours=1)
    past = [
        run(replace(job_on(where, watched, later, data), as_of=then), Plain()).after
        for where, data in ((None, "on-file"), (lake, "data"))
    ]
    same = [{t: d for t, d in one.items() if t.startswith(("core.", "mart."))} for one in past]
    assert same[0] == same[1]
    maintain.rebuild(job_on(lake, watched, later + timedelta(hours=1)))
    assert stored(lake) == wanted
    maintain.compacted(watched.parent / "data", later + timedelta(days=40), where=lake)
    assert stored(lake) == wanted
    assert maintain.rebuild_test(job_on(lake, watched, later + timedelta(hours=2))).differing == []


def said(capsys: pytest.CaptureFixture[str], path: Path, *flags: str) -> tuple[int, str, str]:
    """Exit code, output and errors of the command."""
    home = ["--runner", "plain", "--universe", str(path), "--data", str(path.parent / "data")]
    code = refresh.main([*home, *flags])
    told = capsys.readouterr()
    return code, told.out, told.err


@pytest.mark.usefixtures("extensions")
@pytest.mark.parametrize(
    ("words", "next_step"),
    [
        ("somewhere.duckdb", "write ducklake:sqlite:PATH"),
        ("ducklake:postgres:dbname=x", "data_path="),
        ("ducklake:postgres:dbname=x password=hush?data_path=/x", VARIABLE),
    ],
)
def test_a_warehouse_that_is_none_is_one_line(
    words: str, next_step: str, watched: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = said(capsys, watched, "--warehouse", words)
    assert code == 2
    assert err.count("\n") == 1
    assert next_step in err
    assert "hush" not in err
    assert not (watched.parent / "data").exists()


def test_without_its_extensions_a_lake_says_what_to_install(
    watched: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extensions, "find_spec", lambda _: None)
    code, _, err = said(capsys, watched, "--warehouse", "ducklake:sqlite:x")
    assert (code, err.count("\n")) == (2, 1)
    assert "pip install" in err


@pytest.mark.usefixtures("extensions")
def test_a_catalog_that_cannot_be_reached_changes_nothing(
    watched: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(
        VARIABLE, f"ducklake:postgres:host=127.0.0.1 port=9 password=hush?data_path={tmp_path}/f"
    )
    run(job_on(None, watched, NOW), Plain())
    before = published(watched.parent / "data")
    code, _, err = said(capsys, watched)
    assert (code, err.count("\n")) == (1, 1)
    assert "cannot be opened" in err
    assert "hush" not in err
    assert published(watched.parent / "data") == before


@pytest.mark.slow
@pytest.mark.usefixtures("extensions")
def test_a_run_on_postgres_and_s3_never_says_a_key(
    server: Postgres,
    object_store: Bucket,
    watched: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = server.url(server.database())
    monkeypatch.setenv(VARIABLE, f"ducklake:postgres:{url}?data_path={object_store.prefix()}")
    for name, value in object_store.environment.items():
        monkeypatch.setenv(name, value)
    code, out, err = said(capsys, watched)
    assert code == 0, err
    texts = [out, err, *(p.read_text() for p in watched.parent.rglob("*.json"))]
    with closing(duckdb.connect(str(watched.parent / "data" / "published" / "latest.duckdb"))) as con:
        tables = [
            row[0]
            for row in con.execute(
                "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'ops'"
            ).fetchall()
        ]
        texts += [str(con.execute(f"FROM ops.{table}").fetchall()) for table in tables]
    for key in (SECRET, object_store.environment["AWS_SECRET_ACCESS_KEY"]):
        assert not any(key in text for text in texts)
