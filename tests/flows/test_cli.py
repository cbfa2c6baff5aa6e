"""The command: what it exits with, and one line on stderr that says what to do."""

import errno
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest

from flows import backfill, maintain, refresh, replay
from flows.last import last
from flows.lock import one_writer
from warehouse import landing
from warehouse.reader import connect

ROOT = Path(__file__).parents[2]


@dataclass
class Said:
    """How a command ended."""

    code: int
    out: str
    err: str


Command = Callable[..., Said]


@pytest.fixture
def command(home: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs the command in this process on the universe of a folder, with further flags."""

    def call(*flags: str, at: Path = home, universe: str = "universe.toml") -> Said:
        given = ["--runner", "plain", "--universe", str(at / universe), "--data", str(at / "data"), *flags]
        try:
            code = refresh.main(given)
        except SystemExit as left:
            code = int(left.code or 0)
        said = capsys.readouterr()
        return Said(code, said.out, said.err)

    return call


def replaced(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


def assert_one_line(said: Said, code: int, *words: str) -> None:
    """That exit code, and one line that holds these words."""
    assert said.code == code, said.err
    assert said.err.startswith("comove: ")
    assert said.err.count("\n") == 1, said.err
    assert said.err.endswith("\n")
    for word in words:
        assert word in said.err
    assert said.out == ""


def failed(said: Said) -> list[str]:
    return re.findall(r"^failed: (.*)$", said.out, re.MULTILINE)


# --- what it says when all is well ---


def test_a_run_says_what_it_found_and_where_it_is(command: Command, home: Path) -> None:
    said = command()
    assert (said.code, said.err) == (0, "")
    for text in (
        "Ethereum and Russell 2000",
        "session_close",
        "utc_day",
        "20 sessions",
        "30 sessions",
        "2025-11-20",
        "raw.bars",
        "files:rut.csv",
        f"files:   {home / 'data' / 'published'}",
    ):
        assert text in said.out
    assert failed(said) == []
    assert "nothing new" not in said.out
    assert (
        max(len(line) for line in said.out.splitlines() if not line.startswith(("files:", "query:"))) <= 110
    )
    with closing(connect(home / "data")) as con:
        shown = con.execute(
            "SELECT format('{:.6f}', r), verdict FROM mart.correlations WHERE session = '2025-11-20' "
            "AND benchmark = 'RUT' AND convention = 'session_close' AND window_sessions = 20"
        ).fetchall()
    line = next(line for line in said.out.splitlines() if "session_close" in line and "20 sessions" in line)
    assert all(figure in line for figure in shown[0])


def test_a_second_run_says_that_nothing_is_new(command: Command, folder: Path) -> None:
    said = command(at=folder)
    assert said.code == 0
    assert "nothing new: not one row of raw, core or mart changed" in said.out


def test_a_source_that_is_behind_is_named(command: Command, home: Path) -> None:
    spy = pl.read_csv(home / "spy.csv")
    spy.head(-9).write_csv(home / "spy.csv")
    told = [line for line in command().out.splitlines() if line.startswith("stale: ")]
    last, expected = (spy["date"][at] for at in (-10, -1))
    assert told == [f"stale: SPY from files:spy.csv SPY ends on {last}, {expected} is expected"]


def test_a_source_that_failed_is_named_and_the_exit_is_zero(command: Command, home: Path) -> None:
    replaced(home / "universe.toml", 'symbol = "SPY"', 'symbol = "SPX"')
    said = command()
    assert said.code == 0
    (line,) = failed(said)
    assert "spy.csv: has no rows for SPX; check the symbol in the universe" in line
    assert line.endswith('; did you mean "SPY"? (known: SPY)')


@pytest.mark.slow
def test_names_and_files_with_brackets_are_shown_as_they_are(command: Command, home: Path) -> None:
    replaced(home / "universe.toml", 'name = "Ethereum"', 'name = "Ether [/b] [red]x"')
    (home / "spy.csv").rename(home / "[bold]spy.csv")
    replaced(home / "universe.toml", 'path = "spy.csv"', 'path = "[bold]spy.csv"')
    said = command()
    assert said.code == 0
    assert "Ether [/b] [red]x" in said.out
    assert "files:[bold]spy.csv" in said.out


@pytest.mark.slow
def test_a_folder_may_be_named_like_a_pattern(
    command: Command, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = home.rename(home.with_name("p[1] x=y *"))
    assert [command(at=odd).code, command(at=odd).code] == [0, 0]
    before = last(odd / "data").digests
    assert maintain.main(["rebuild", "--data", str(odd / "data")]) == 0
    assert maintain.main(["compact", "--data", str(odd / "data")]) == 0
    assert maintain.main(["verify", "--data", str(odd / "data")]) == 0
    capsys.readouterr()
    after = last(odd / "data").digests
    assert {table for table in after if before[table] != after[table]} <= {"ops.built", "ops.landed"}


@pytest.mark.slow
def test_two_assets_that_move_as_one_are_no_error(command: Command, home: Path) -> None:
    rut = pl.read_csv(home / "rut.csv", try_parse_dates=True)
    sessions = rut["date"].to_list()
    hourly = pl.read_parquet(home / "eth_1h.parquet")
    daily_close = dict(zip(sessions, rut["close"].to_list(), strict=True))
    step = pl.col("opened_at").dt.date().replace_strict(daily_close, default=None, return_dtype=pl.Float64)
    same = hourly.with_columns(close=step.forward_fill().backward_fill()).with_columns(
        open=pl.col("close"), high=pl.col("close"), low=pl.col("close")
    )
    same.write_parquet(home / "eth_1h.parquet")
    said = command()
    assert said.code == 0
    assert "1.000000" in said.out


def test_a_replay_in_any_zone_says_so_and_leaves_the_main_copy(command: Command, folder: Path) -> None:
    before = (folder / "data" / "published" / "latest.json").read_bytes()
    said = command("--as-of", "2025-10-08T19:00-04:00", at=folder)
    assert said.code == 0
    assert "as known at 2025-10-08 23:00 UTC" in said.out
    assert (folder / "data" / "as-of" / "2025-10-08T230000Z" / "published" / "latest.duckdb").exists()
    assert (folder / "data" / "published" / "latest.json").read_bytes() == before


# --- exit 2: the universe or a flag cannot be used ---


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("threshold = 0.5", "treshold = 0.5", ["[study]", "treshold"]),
        ("windows = [20, 30]", "windows = [5]", ["[study]", "windows"]),
        ('target = "ETH"', 'target = "EHT"', ["[study]", "target", "EHT"]),
        ('path = "rut.csv"', 'path = "nowhere.csv"', ['asset "RUT"', "path", "nowhere.csv"]),
        (
            'provider = "files"\npath = "spy.csv"',
            'provider = "filez"\npath = "spy.csv"',
            ["provider", "filez"],
        ),
        ("[study]", "[study", ["is not TOML"]),
        ('symbol = "SPY"', 'symbol = "\'; DROP TABLE x; --"', ['asset "SPY"', "symbol"]),
        ('symbol = "SPY"', 'symbol = "../../x"', ['asset "SPY"', "symbol"]),
        ('symbol = "SPY"', 'symbol = "<script>"', ['asset "SPY"', "symbol"]),
        ('id = "SPY"', 'id = "../../x"', ["id", "../../x"]),
        ('name = "Ethereum"', r'name = "Ether\u001b[31m\nred"', ["name"]),
    ],
)
def test_a_universe_that_cannot_be_used_is_one_line(
    command: Command, home: Path, old: str, new: str, words: list[str]
) -> None:
    replaced(home / "universe.toml", old, new)
    said = command()
    assert_one_line(said, 2, str(home / "universe.toml"), *words)
    assert "\x1b" not in said.err
    assert not (home / "data").exists()


def test_a_missing_universe_is_one_line(command: Command, home: Path) -> None:
    assert_one_line(command(universe="none.toml"), 2, "none.toml", "cannot be read")


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--frobnicate"], ["--frobnicate"]),
        (["--as-of", "2025-10-08T21:00"], ["--as-of", "has no time zone", "2025-10-08T21:00Z"]),
        (["--as-of", "yesterday"], ["--as-of", '"yesterday" is no ISO instant; write 2025-10-08T21:00Z']),
        (["--until", "2025-13-45"], ["--until", '"2025-13-45" is no ISO date; write 2025-10-08']),
        (["--since", "soon"], ["--since", '"soon" is no ISO date; write 2025-10-08']),
        (["--runner", "cron"], ["--runner", "cron"]),
        (["--until"], ["--until"]),
        (["--since", "2025-10-08", "--until", "2025-10-07"], ["since 2025-10-08 is after until 2025-10-07"]),
        (["--as-of", "2925-10-08T21:00Z"], ["as of 2925-10-08T21:00Z is still to come"]),
    ],
)
def test_a_bad_flag_is_one_line(command: Command, home: Path, flags: list[str], words: list[str]) -> None:
    assert_one_line(command(*flags), 2, *words)
    assert not (home / "data").exists()


# --- exit 1: nothing usable could be published ---


STOCK = """
[[asset]]
id = "{id}"
name = "{id}"
kind = "stock"
sources = [{{ provider = "files", path = "{path}", symbol = "X", interval = "1d" }}]
"""
SPOILED = {
    "empty.csv": (b"", "is empty"),
    "header.csv": (b"symbol,date,close\n", "has no rows for X"),
    "binary.csv": (bytes(range(256)) * 20, "binary.csv"),
    "columns.csv": (
        b"symbol,date,price\nX,2025-10-08,1\n",
        "lacks the column close (it has date, price, symbol)",
    ),
    "bad.csv": (
        b"symbol,date,close\nX,2025-10-08,-1\nX,2025-10-09,nan\nX,2025-10-12,1\n",
        "3 of 3 rows are bad",
    ),
    "semicolons.csv": (
        b"date;symbol;close\n2025-10-08;X5;1,5\n",
        "separated by semicolons: save it with commas",
    ),
    "name.parquet": (b"PAR1 and no more", "cannot be read as parquet"),
    "empty.parquet": (b"", "is empty"),
}


def test_files_that_cannot_be_used_are_named_and_the_rest_is_published(command: Command, home: Path) -> None:
    path = home / "universe.toml"
    for number, (name, (content, _)) in enumerate(SPOILED.items()):
        (home / name).write_bytes(content)
        path.write_text(path.read_text() + STOCK.format(id=f"X{number}", path=name))
    said = command()
    assert (said.code, said.err) == (0, "")
    lines = failed(said)
    assert len(lines) == len(SPOILED)
    for line, (name, (_, words)) in zip(lines, SPOILED.items(), strict=True):
        assert name in line
        assert words in line
    assert "raw.bars  " in said.out


def test_a_run_without_one_correlation_says_why(command: Command, home: Path) -> None:
    replaced(home / "universe.toml", 'symbol = "^RUT"', 'symbol = "^RUTX"')
    replaced(home / "universe.toml", 'symbol = "SPY"', 'symbol = "SPYX"')
    said = command()
    assert said.code == 1
    assert re.fullmatch(
        r"comove: .*has not one correlation: .*\^RUTX.* mean \"\^RUT\".*run again\n", said.err
    )
    assert "correlation of log returns (strong: 95 % interval above 0.5)\nnone\n" in said.out
    assert (home / "data" / "report" / "index.html").exists()


def test_a_run_of_too_few_sessions_says_so(command: Command, home: Path) -> None:
    for name in ("rut.csv", "spy.csv"):
        pl.read_csv(home / name).tail(15).write_csv(home / name)
    (home / "eth_1d.parquet").write_bytes(b"")  # which is not why: there are hourly candles
    said = command()
    assert said.code == 1
    assert "eth_1d.parquet" in failed(said)[0]
    assert said.err.endswith("not one correlation: ETH and RUT have fewer than 20 returns in common\n")


def test_a_coin_of_daily_candles_alone_is_told_as_such(command: Command, home: Path) -> None:
    path = home / "universe.toml"
    first, hourly, rest = path.read_text().partition('[[asset.sources]]\nprovider = "files"\npath = "eth_1h')
    path.write_text(first + (hourly + rest)[(hourly + rest).index("[[asset.sources]]", 1) :])
    said = command()
    assert (said.code, said.err) == (0, "")
    assert "too few prices at the exchange's close, which come of hourly candles" in said.out
    page = (home / "data" / "report" / "index.html").read_text()
    assert "By UTC days their correlation is known" in page
    assert "fewer joint sessions" not in page


def test_another_universe_does_not_publish_over_the_first(
    command: Command, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    published = folder / "data" / "published" / "latest.json"
    before = published.read_bytes()
    other = folder / "other.toml"
    other.write_text((folder / "universe.toml").read_text() + "# moved, which is no change\n")
    assert command(at=folder, universe="other.toml").code == 0
    moved = last(folder / "data")
    assert moved.universe == other.absolute()
    replaced(folder / "universe.toml", "threshold = 0.5", "threshold = 0.4")
    assert command(at=folder).code == 0  # another one, of the same pair
    assert command(at=folder, universe="other.toml").code == 0
    replaced(folder / "universe.toml", 'benchmark = "RUT"', 'benchmark = "SPY"')
    replaced(folder / "universe.toml", 'controls = ["SPY"]', 'controls = ["RUT"]')
    words = ["universe.toml", "holds what", "other.toml made", "--data", "--take-over"]
    now = published.read_bytes()
    assert_one_line(command(at=folder), 2, *words)
    assert_one_line(command("--runner", "prefect", at=folder), 2, *words)
    into = ["--universe", str(folder / "universe.toml"), "--data", str(folder / "data")]
    code = backfill.main(["--since", "2025-09-01", "--runner", "plain", *into])
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("comove: ")]
    assert (code, len(told)) == (2, 1)
    assert all(word in told[0] for word in words)
    assert published.read_bytes() == now != before
    assert command("--take-over", at=folder).code == 0
    assert last(folder / "data").universe == (folder / "universe.toml").absolute()
    replaced(folder / "universe.toml", "threshold = 0.4", "threshold = 0.3")  # edited in its place
    assert command(at=folder).code == 0


def test_without_the_pair_nothing_is_published(command: Command, home: Path) -> None:
    for name in ("rut.csv", "eth_1h.parquet", "eth_1d.parquet"):
        (home / name).write_bytes(b"")
    assert_one_line(command(), 1, "no source of ETH and RUT gave anything, nothing was changed", "is empty")
    assert not (home / "data" / "published").exists()


@pytest.mark.parametrize(
    ("writer", "cannot"), [(pl.DataFrame, "cannot keep"), (landing.pq.ParquetWriter, "cannot land")]
)
def test_a_disk_without_space_is_one_line_and_nothing_changes(
    writer: type, cannot: str, command: Command, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (folder / "rut.csv").open("a") as file:
        file.write("\n")  # other bytes, so that it is read again
    before = {p: p.stat().st_mtime_ns for p in (folder / "data" / "published").rglob("*")}
    landed = sorted((folder / "data" / "landing").rglob("*"))

    def refuse(*given: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(writer, "write_parquet" if writer is pl.DataFrame else "write_table", refuse)
    said = command(at=folder)
    assert_one_line(said, 1, cannot, "No space left on device", "make room and run again")
    assert {p: p.stat().st_mtime_ns for p in (folder / "data" / "published").rglob("*")} == before
    assert sorted((folder / "data" / "landing").rglob("*")) == landed


def test_a_warehouse_that_is_none_is_one_line(command: Command, home: Path) -> None:
    (home / "data").mkdir()
    (home / "data" / "warehouse.duckdb").write_bytes(b"not a database" * 500)
    assert_one_line(command(), 1, "warehouse.duckdb", "make rebuild")


def test_a_data_folder_that_is_a_file_is_one_line(command: Command, home: Path) -> None:
    (home / "data").write_text("a file")
    where = f"{home / 'data'}: is no folder to write to (File exists)"
    assert_one_line(command(), 1, where, "name another with --data")


def test_a_folder_that_another_run_writes_to_is_one_line(command: Command, home: Path) -> None:
    with one_writer(home / "data", 0):
        assert_one_line(command("--wait", "0"), 3, "another run is writing to it", "--wait")
    assert [path.name for path in (home / "data").iterdir()] == ["writer.lock"]


def test_a_locked_folder_and_a_bad_universe_are_told_before_prefect_starts(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refresh, "refresh", None)
    flags = ["--universe", str(home / "universe.toml"), "--data", str(home / "data")]
    with one_writer(home / "data", 0):
        assert refresh.main(flags) == 3
    said = capsys.readouterr()
    assert_one_line(Said(3, said.out, said.err), 3, "another run is writing to it", "--wait")
    assert refresh.main([*flags, "--universe", str(home / "none.toml")]) == 2
    assert "none.toml" in capsys.readouterr().err


def test_a_replay_of_no_instant_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        replay.main([])
    assert left.value.code == 2
    said = capsys.readouterr().err
    assert said == ("comove: as of when? name an instant: make replay AS_OF=2025-10-08T21:00Z; see --help\n")


# --- upkeep ---


def test_a_rebuild_of_a_folder_names_the_universe_of_its_publication_itself(
    folder: Path, once: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert last(folder / "data").universe == once / "universe.toml"
    assert maintain.main(["rebuild", "--data", str(folder / "data")]) == 0
    assert re.search(r"^raw\.bars +4,539$", capsys.readouterr().out, re.MULTILINE)


def test_a_rebuild_of_nothing_is_one_line(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["rebuild", "--data", str(home / "none"), "--universe", str(home / "universe.toml")]
    assert maintain.main(flags) == 1
    said = capsys.readouterr()
    assert_one_line(Said(1, said.out, said.err), 1, "there is no landing zone to rebuild from")
    assert maintain.main(["rebuild", "--data", str(home / "none")]) == 1
    assert "name it with --universe" in capsys.readouterr().err


# --- as a process ---


@pytest.mark.slow
def test_the_command_runs_as_a_process_and_exits_as_it_says(home: Path) -> None:
    replaced(home / "universe.toml", 'path = "rut.csv"', 'path = "nowhere.csv"')
    done = subprocess.run(
        [sys.executable, "-m", "flows.refresh", "--runner", "plain", "--universe", home / "universe.toml"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert_one_line(Said(done.returncode, done.stdout, done.stderr), 2, 'asset "RUT"', "nowhere.csv")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "orchestrator"), [("flows.pipeline", ["prefect"]), ("flows.refresh", []), ("flows.close", [])]
)
def test_a_run_starts_without_what_it_may_not_need(module: str, orchestrator: list[str]) -> None:
    heavy = ["yfinance", "ccxt", "exchange_calendars", "altair", "dask", *orchestrator]
    code = f"import sys, {module}; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr
