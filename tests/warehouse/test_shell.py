"""The shell answers, stays read-only, and its CSV holds no formula."""

import csv
import fcntl
import io
import os
import pty
import shutil
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import duckdb
import polars as pl
import pytest

from schemas import Table
from warehouse import shell
from warehouse.publish import publish
from warehouse.reader import connect, parquet
from warehouse.shell import main, statements
from warehouse.spreadsheet import safe, write_csv
from warehouse.store import Store

ROOT = Path(__file__).parents[2]
Tables = dict[type[Table], pl.DataFrame]


@pytest.fixture(scope="module")
def data(built: Path, whole: Callable[..., Tables], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a publication; look, do not touch."""
    home = tmp_path_factory.mktemp("shell")
    shutil.copy(built, home / "warehouse.duckdb")
    with Store(home / "warehouse.duckdb") as store:
        store.replace(whole(0.25, 0.5))
        publish(store, home / "published", "1", {})
    return home


def test_it_answers_one_query(data: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["--data", str(data), "-c", "SELECT sum(log_return) AS total FROM core.returns"]) == 0
    assert "0.75" in capfd.readouterr().out


def test_it_answers_what_is_piped_in(
    data: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = ".tables\nSELECT 40\n  + 2 AS answer;\nFROM nowhere;\n.describe core.returns\nSELECT 'last'"
    monkeypatch.setattr(shell.sys, "stdin", io.StringIO(lines))
    assert main(["--data", str(data)]) == 1  # one query failed, the others were answered
    told = capfd.readouterr()
    for word in ("core.returns", "42", "mart.link_today", "Log of the total return", "last"):
        assert word in told.out
    assert "nowhere does not exist" in told.err


@pytest.mark.parametrize("word", [".help", "help", "HELP;"])
def test_help_says_what_one_can_do_and_its_example_runs(
    data: Path, capfd: pytest.CaptureFixture[str], word: str
) -> None:
    assert main(["--data", str(data), "-c", word]) == 0
    told = capfd.readouterr()
    for one in (".tables", ".describe NAME", ".quit", "Statements end with ;"):
        assert one in told.out
    assert main(["--data", str(data), "-c", told.out.partition("For instance: ")[2]]) == 0
    assert "verdict" in capfd.readouterr().out


def test_a_person_is_welcomed_helped_and_can_leave(
    data: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = iter(["help", "SELECT", "  6 * 7;", "exit", "SELECT 'not read';"])
    monkeypatch.setattr("builtins.input", lambda _: next(lines))
    monkeypatch.setattr(shell.sys.stdin, "isatty", lambda: True, raising=False)
    assert main(["--data", str(data)]) == 0
    told = capfd.readouterr()
    assert told.out.count(shell.HELP) == 2  # at the beginning, and where it was asked for
    assert "42" in told.out
    assert list(lines) == ["SELECT 'not read';"]
    assert told.err == ""


def test_what_is_not_for_a_terminal_is_not_cut(data: Path, capfd: pytest.CaptureFixture[str]) -> None:
    query = "SELECT range AS n, repeat('x', 300) || 'end' AS wide, 1 AS a, 2 AS last FROM range(100)"
    assert main(["--data", str(data), "-c", query]) == 0
    told = capfd.readouterr().out
    assert told.count("xend") == 100
    assert "last" in told
    assert "…" not in told


@pytest.mark.parametrize("columns", [90, 130])
def test_a_terminal_is_filled_and_no_more(data: Path, columns: int) -> None:
    mine, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    command = [sys.executable, "-m", "warehouse.shell", "--data", str(data), "-c", ".tables"]
    env = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    with subprocess.Popen(command, cwd=ROOT, env=env, stdout=its):
        os.close(its)
        told = b""
        with suppress(OSError):  # how Linux says that it has ended
            while more := os.read(mine, 65536):
                told += more
    os.close(mine)
    assert max(len(line) for line in told.decode().splitlines()) == columns


def test_a_name_without_its_schema_is_enough_where_there_is_one_so_called(
    data: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["--data", str(data), "-c", ".describe link_today"]) == 0
    assert "Pearson correlation of log returns" in capfd.readouterr().out


def test_a_reader_that_has_seen_enough_is_no_error(data: Path) -> None:
    query = "SELECT * FROM range(100000)"
    with subprocess.Popen(
        [sys.executable, "-m", "warehouse.shell", "--data", str(data), "-c", query],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as shell:
        assert shell.stdout
        assert shell.stderr
        shell.stdout.read(10)
        shell.stdout.close()
        assert (shell.wait(60), shell.stderr.read()) == (0, b"")


def test_an_unknown_table_or_command_is_told_with_the_known_ones(
    data: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["--data", str(data), "-c", ".describe mart.link_todai"]) == 1
    assert (
        'unknown table "mart.link_todai"; did you mean "mart.link_today"? (known: ' in capfd.readouterr().err
    )
    assert main(["--data", str(data), "-c", ".describe market_snapshot"]) == 1  # raw has one too
    assert 'unknown table "market_snapshot"' in capfd.readouterr().err
    assert main(["--data", str(data), "-c", ".table"]) == 1
    said = capfd.readouterr().err
    assert said.startswith('unknown command ".table"; did you mean ".tables"? (known: .tables, .describe,')
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    "sql",
    [
        "FROM read_text('/etc/passwd')",
        "COPY core.returns TO '/tmp/x'",
        "ATTACH '/tmp/y'",
        "INSTALL httpfs",
        "SET threads = 9",
    ],
)
def test_it_refuses_what_is_not_reading(data: Path, capfd: pytest.CaptureFixture[str], sql: str) -> None:
    main(["--data", str(data), "-c", sql])
    told = capfd.readouterr()
    assert told.out == ""
    assert "disabled" in told.err or "locked" in told.err


def test_a_publication_that_cannot_be_opened_is_one_clear_line(
    data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(data, tmp_path / "data")
    (tmp_path / "data" / "published" / "latest.duckdb").write_bytes(b"no database" * 1000)
    assert main(["--data", str(tmp_path / "data"), "-c", "SELECT 1"]) == 1
    said = capfd.readouterr().err
    assert said.startswith("comove: what was published cannot be opened (")
    assert said.endswith("run again to publish anew\n")
    assert said.count("\n") == 1


def test_to_describe_nothing_in_particular_asks_for_a_name(
    data: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["--data", str(data), "-c", ".describe"]) == 1
    assert capfd.readouterr().err == "name a table, as in .describe mart.link_today; .tables lists them\n"


def test_nothing_published_is_one_clear_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["--data", str(tmp_path), "-c", "SELECT 1"]) == 1
    assert capfd.readouterr().err.count("\n") == 1


def test_statements_end_at_a_semicolon_and_dot_commands_at_their_line() -> None:
    assert list(statements(["", "SELECT 1", "+ 1;", ".tables", "help", "FROM x"])) == [
        "SELECT 1\n+ 1;",
        ".tables",
        "help",
        "FROM x",
    ]
    assert list(statements(["SELECT", "help", ";", "FROM", ".quit", "x;"])) == ["SELECT\nhelp\n;"]


def test_a_csv_cell_that_a_spreadsheet_would_run_is_text(data: Path, tmp_path: Path) -> None:
    cells = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "plain", "a=b", "", None]
    with connect(data) as con:
        con.execute("SET VARIABLE cells = $1", [cells])
        query = "SELECT unnest(getvariable('cells')) AS \"=cmd\", -1.5 AS figure"
        assert write_csv(con, query, tmp_path / "out.csv") == len(cells)
    with (tmp_path / "out.csv").open(newline="", encoding="utf-8-sig") as file:
        heading, *rows = list(csv.reader(file))
    assert heading == ["'=cmd", "figure"]
    assert [row[0] for row in rows] == [
        "'=1+1", "'+1", "'-1", "'@SUM(A1)", "'\t=1", "'\r=1", "plain", "a=b", "", ""
    ]  # fmt: skip
    assert {row[1] for row in rows} == {"-1.5"}


def test_a_number_is_never_quoted() -> None:
    assert safe(-1) == -1
    assert safe("-1") == "'-1"


def test_csv_from_the_command_line(data: Path, tmp_path: Path) -> None:
    path = tmp_path / "returns.csv"
    assert main(["--data", str(data), "-c", "FROM core.returns", "--csv", str(path)]) == 0
    assert path.read_text(encoding="utf-8-sig").startswith("asset,convention,session,log_return")


def test_the_parquet_files_of_the_newest_run_are_named(data: Path) -> None:
    paths = parquet(data)
    assert pl.read_parquet(paths["core.returns"])["log_return"].to_list() == [0.25, 0.5]


def test_a_new_connection_sees_the_new_copy_while_an_old_one_is_open(
    data: Path, built_store: Store, whole: Callable[..., Tables], tmp_path: Path
) -> None:
    home = shutil.copytree(data, tmp_path / "home")
    total = "SELECT sum(log_return) FROM core.returns"
    with connect(home) as old:
        built_store.replace(whole(4.0))
        publish(built_store, home / "published", "2", {})
        with connect(home) as new:
            assert (old.execute(total).fetchall(), new.execute(total).fetchall()) == ([(0.75,)], [(4.0,)])


def test_two_connections_are_hardened_alike(data: Path) -> None:
    with connect(data), connect(data) as second, pytest.raises(duckdb.Error, match="disabled"):
        second.execute("FROM read_text('/etc/passwd')")


def test_every_statement_of_a_line_is_answered(capsys: pytest.CaptureFixture[str]) -> None:
    with duckdb.connect() as con:
        assert shell.answer(con, "SELECT 11 AS a; SELECT 22 AS b; -- a note")
    printed = capsys.readouterr().out
    assert "11" in printed
    assert "22" in printed
