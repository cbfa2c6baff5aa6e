"""The words that name a lake: what they mean, and one line for what they cannot mean."""

from pathlib import Path

import pytest

from warehouse import extensions
from warehouse.address import parse
from warehouse.extensions import LakeError

HERE = Path.cwd()
FILES = "?data_path=s3://bucket/lake"


@pytest.mark.usefixtures("extensions")
def test_a_sqlite_lake_keeps_its_files_beside_its_catalog() -> None:
    lake = parse("ducklake:sqlite:data/lake.sqlite")
    assert (lake.kind, lake.catalog, lake.data_path) == (
        "sqlite",
        f"{HERE}/data/lake.sqlite",
        f"{HERE}/data/lake.sqlite.files",
    )
    assert str(lake) == f"ducklake:sqlite:{HERE}/data/lake.sqlite"


@pytest.mark.usefixtures("extensions")
@pytest.mark.parametrize(
    ("words", "place"), [("s3://bucket/a/b/", "s3://bucket/a/b"), ("files", f"{HERE}/files"), ("/x", "/x")]
)
def test_files_may_be_elsewhere(words: str, place: str) -> None:
    assert parse(f"ducklake:sqlite:/l.sqlite?data_path={words}").data_path == place


@pytest.mark.usefixtures("extensions")
@pytest.mark.parametrize(
    ("connection", "catalog", "password"),
    [
        ("dbname=lake host=db", "dbname=lake host=db", None),
        ("dbname=lake password=abc host=db", "dbname=lake host=db", "abc"),
        (r"password='it\'s \\ x' dbname=lake", "dbname=lake", "it's \\ x"),
        ("postgresql://me@db/lake", "host='db' user='me' dbname='lake'", None),
        (
            "//me:a%40b%20c@db:5433/lake?sslmode=require",
            "host='db' port='5433' user='me' dbname='lake' sslmode='require'",
            "a@b c",
        ),
    ],
)
def test_a_connection_is_kept_without_its_password(
    connection: str, catalog: str, password: str | None
) -> None:
    sign = "&" if "?" in connection else "?"
    lake = parse(f"ducklake:postgres:{connection}{sign}{FILES[1:]}")
    assert (lake.catalog, lake.password, lake.data_path) == (catalog, password, "s3://bucket/lake")
    assert not password or password not in f"{lake} {lake!r}"


@pytest.mark.parametrize(
    "words",
    [
        "warehouse.duckdb",
        "ducklake:",
        "ducklake:sqlite:",
        "ducklake:mysql:x",
        "ducklake:postgres:dbname=lake password=hush",
        "ducklake:postgres://me:hush@db:port/lake?data_path=/x",
        "ducklake:sqlite:/l.sqlite?data_path=gs://bucket/x",
        "ducklake:sqlite:/l.sqlite?data_path=/x&more=hush",
    ],
)
def test_what_names_no_lake_is_one_line_without_a_password(words: str) -> None:
    with pytest.raises(LakeError) as caught:
        parse(words)
    assert "\n" not in str(caught.value)
    assert "hush" not in str(caught.value)


def test_an_extension_that_is_not_installed_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extensions, "find_spec", lambda _: None)
    with pytest.raises(LakeError, match=r"ducklake, which is not installed; .*pip install"):
        parse("ducklake:sqlite:/l.sqlite")


@pytest.mark.usefixtures("extensions")
def test_a_bucket_without_keys_says_which(tmp_path: Path) -> None:
    lake = parse(f"ducklake:sqlite:{tmp_path / 'l.sqlite'}{FILES}", {}.get)
    with pytest.raises(LakeError, match="AWS_ACCESS_KEY_ID"):
        lake.connect(read_only=False)
