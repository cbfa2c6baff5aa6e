"""The universe file: what is accepted, what follows from it, and one clear line for everything else."""

import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pandas.tseries.holiday import USFederalHolidayCalendar

from flows.universe import Universe, UniverseError, load
from flows.universe_blocks import AssetSource, Macro
from schemas import core, table
from transforms.study import Study

ROOT = Path(__file__).parents[2]
WATCHED = ["ETH", "BTC", "RUT", "IWM", "SPY", "QQQ", "RSP", "TLT", "HYG", "UUP", "GLD", "VIX"]
SHIPPED = [ROOT / "universe.toml", ROOT / "samples" / "universe.toml"]

FEED = {"provider", "path", "recorded_at"}
UNIVERSE = """\
[study]
target = "ETH"
benchmark = "RUT"
controls = ["SPY"]

[[asset]]
id = "ETH"
name = "Ethereum"
kind = "crypto"
sources = [
  { provider = "files", path = "hourly.csv", symbol = "ETHUSDT", interval = "1h", recorded_at = RECORDED },
  { provider = "ccxt", exchange = "kraken", symbol = "ETH/USD", interval = "1h" },
  { provider = "yahoo", symbol = "ETH-USD", interval = "1d", volume_unit = "quote" },
]

[[asset]]
id = "RUT"
name = "Russell 2000"
kind = "index"
volume_from = "SPY"
sources = [{ provider = "yahoo", symbol = "^RUT", interval = "1d" }]

[[asset]]
id = "SPY"
name = "SPDR S&P 500 <ETF>"
kind = "etf"
[[asset.sources]]
provider = "yahoo"
symbol = "SPY"
interval = "1d"

[[macro]]
id = "WALCL"
provider = "fred"
unit = "million USD"
sign = 1

[[breadth]]
index = "RUT"
provider = "files"
path = "members.csv"
members = "file"

[[events]]
provider = "fed"

[[snapshot]]
provider = "coingecko"
""".replace("RECORDED", '"2026-08-22T07:30:00+02:00"')
# Edits of UNIVERSE (what => by what; a pilcrow is a line break), each with the beginning of its refusal.
REFUSED = r"""
[[events]] => [[event]]
    top level: event: unknown key "event"; did you mean "events"? (known: study, asset, macro, breadth, events
name = "Ethereum" => nmae = "Ethereum"
    asset "ETH": nmae: unknown key "nmae"; did you mean "name"? (known: id, name, kind,
controls => control
    [study]: control: unknown key "control"; did you mean "controls"?
exchange = => exchnge =
    asset "ETH" source 2: exchnge: unknown key "exchnge"; did you mean "exchange"?

target = "ETH" => target = "eht"
    [study]: target: "eht" is not allowed; write it as [A-Z0-9][A-Z0-9._-]{0,31}, without ".."
target = "ETH" => target = "ETX"
    [study]: target: unknown asset "ETX"; did you mean "ETH"? (known: ETH, RUT, SPY)
benchmark = "RUT" => benchmark = "IWM"
    [study]: benchmark: unknown asset "IWM" (known: ETH, RUT, SPY)
["SPY"] => ["SPX"]
    [study]: controls: unknown asset "SPX"; did you mean "SPY"?
["SPY"] => ["SPY"] ¶ pairs = [["ETH", "QQQ"]]
    [study]: pairs: unknown asset "QQQ"
volume_from = "SPY" => volume_from = "IWM"
    asset "RUT": volume_from: unknown asset "IWM"
index = "RUT" => index = "RUX"
    breadth "RUX": index: unknown asset "RUX"; did you mean "RUT"?

id = "SPY" => id = "RUT"
    asset "RUT": id: "RUT" is there more than once; keep one
[[breadth]] => [[macro]] ¶ id = "WALCL" ¶ provider = "fred" ¶ unit = "x" ¶ sign = 1 ¶ [[breadth]]
    macro "WALCL": id: "WALCL" is there more than once
[[events]] => [[breadth]] ¶ index = "RUT" ¶ provider = "yahoo" ¶ constituents = "members.csv" ¶ [[events]]
    breadth "RUT": index: "RUT" is there more than once
interval = "1d" }] => interval = "1d" }, { provider = "yahoo", symbol = "^RUT", interval = "1d" }]
    asset "RUT": sources: "yahoo ^RUT 1d" is there more than once; keep one

["SPY"] => ["SPY"] ¶ windows = [30, 19]
    [study]: windows: should be greater than or equal to 20, not 19
["SPY"] => ["SPY"] ¶ windows = [30, 30]
    [study]: windows: 30 is there more than once; keep one
["SPY"] => ["SPY"] ¶ windows = [30.0]
    [study]: windows: should be a valid integer, not 30.0
["SPY"] => ["SPY"] ¶ windows = []
    [study]: windows: empty; give at least one
["SPY"] => ["SPY"] ¶ threshold = 0
    [study]: threshold: should be greater than 0, not 0
["SPY"] => ["SPY"] ¶ threshold = 1.0
    [study]: threshold: should be less than 1, not 1.0
["SPY"] => ["SPY"] ¶ threshold = nan
    [study]: threshold: should be less than 1, not NaN
["SPY"] => ["SPY"] ¶ threshold = "0.5"
    [study]: threshold: should be a valid number, not "0.5"
["SPY"] => ["SPY"] ¶ calendar = "XNYX"
    [study]: calendar: unknown calendar "XNYX"; did you mean "XNYS"? (known: XNYS, NYMEX,
benchmark = "RUT" => benchmark = "ETH"
    [study]: benchmark: "ETH" is the target; name another asset
["SPY"] => ["SPY", "RUT"]
    [study]: controls: "RUT" is the target or the benchmark; leave it out
["SPY"] => ["SPY", "SPY"]
    [study]: controls: "SPY" is there more than once
["SPY"] => ["SPY"] ¶ pairs = [["ETH"]]
    [study]: pairs: ["ETH"] is not a pair of two assets, as ["ETH", "RUT"]
["SPY"] => ["SPY"] ¶ pairs = [["SPY", "SPY"]]
    [study]: pairs: ["SPY", "SPY"] is not a pair of two assets
target = "ETH" => ¶
    [study]: target: missing; add it

kind = "crypto" => kind = "cripto"
    asset "ETH": kind: unknown value "cripto"; did you mean "crypto"? (known: crypto, index, etf, stock,
provider = "ccxt" => provider = "cctx"
    asset "ETH" source 2: provider: unknown value "cctx"; did you mean "ccxt"? (known: yahoo, ccxt, fred, fi
provider = "ccxt" => provider = "fread"
    asset "ETH" source 2: provider: unknown value "fread"; did you mean "fred"?
provider = "fred" => provider = "yahoo"
    macro "WALCL": provider: unknown value "yahoo" (known: fred, files)
provider = "files" ¶ path => provider = "fred" ¶ path
    breadth "RUT": provider: unknown value "fred" (known: yahoo, files)
provider = "fed" => provider = "yahoo"
    [[events]] 1: provider: unknown value "yahoo" (known: fed, files)
provider = "coingecko" => provider = "yahoo"
    [[snapshot]] 1: provider: unknown value "yahoo" (known: coingecko, files)
"^RUT", interval = "1d" => "^RUT", interval = "1w"
    asset "RUT" source 1: interval: unknown value "1w" (known: 1h, 1d)
"quote" => "usd"
    asset "ETH" source 3: volume_unit: unknown value "usd" (known: shares, base, quote, contracts)
"quote" => "quote", price_basis = "net"
    asset "ETH" source 3: price_basis: unknown value "net" (known: raw, split_adjusted,
"quote" => "quote", settle_minutes = -1
    asset "ETH" source 3: settle_minutes: should be greater than or equal to 0, not -1
"quote" => "quote", tolerance_pct = 0
    asset "ETH" source 3: tolerance_pct: should be greater than 0, not 0
sign = 1 => sign = 0
    macro "WALCL": sign: unknown value 0 (known: 1, -1)
sign = 1 => sign = 1 ¶ release_lag_days = -1
    macro "WALCL": release_lag_days: should be greater than or equal to 0, not -1

kind = "etf" => kind = "etf" ¶ calendar = "XNSY"
    asset "SPY": calendar: unknown calendar "XNSY"; did you mean "XNYS"?
kind = "crypto" => kind = "crypto" ¶ calendar = "XNYS"
    asset "ETH": calendar: "XNYS" has closing hours, crypto has none; use "24/7"
members = "file" => members = "file" ¶ calendar = ""
    breadth "RUT": calendar: unknown calendar ""

path = "hourly.csv", => ¶
    asset "ETH" source 1: path: missing; provider "files" needs it
"^RUT", => "^RUT", path = "hourly.csv",
    asset "RUT" source 1: path: is for provider "files" only; remove it
"^RUT", => "^RUT", recorded_at = "2026-08-22T00:00:00Z",
    asset "RUT" source 1: recorded_at: is for provider "files" only; remove it
exchange = "kraken", => ¶
    asset "ETH" source 2: exchange: missing; provider "ccxt" needs it
"^RUT", => "^RUT", exchange = "kraken",
    asset "RUT" source 1: exchange: is for provider "ccxt" only; remove it
members = "file" => ¶
    breadth "RUT": constituents: missing; breadth without members = "file" needs it
provider = "files" ¶ path = "members.csv" => provider = "yahoo"
    breadth "RUT": members: is for provider "files" only; remove it
provider = "files" ¶ path = "members.csv" ¶ members = "file" => provider = "yahoo"
    breadth "RUT": constituents: missing;

"hourly.csv" => "hourly.parquet"
    asset "ETH" source 1: path: cannot read FOLDER/hourly.parquet; name a file, relative to the folder of the
"members.csv" => "."
    breadth "RUT": path: cannot read FOLDER
"members.csv" => "members\u0000.csv"
    breadth "RUT": path: cannot read FOLDER/members\x00.csv
members = "file" => constituents = "none.csv"
    breadth "RUT": constituents: cannot read FOLDER/none.csv

T07:30:00+02:00 => T07:30:00
    asset "ETH" source 1: recorded_at: "2026-08-22T07:30:00" is not an instant with its time zone, as "2026-
"2026-08-22T07:30:00+02:00" => 1787376600
    asset "ETH" source 1: recorded_at: 1787376600 is not an instant
2026-08-22T07:30:00+02:00 => 1787376600
    asset "ETH" source 1: recorded_at: "1787376600" is not an instant
2026-08-22T07 => 0001-01-01T00
    asset "ETH" source 1: recorded_at: "0001-01-01T00:30:00+02:00" is not an instant

id = "SPY" => id = "spy"
    asset "spy": id: "spy" is not allowed; write it as [A-Z0-9][A-Z0-9._-]{0,31}, without ".."
id = "SPY" => id = "S..PY"
    asset "S..PY": id: "S..PY" is not allowed
id = "SPY" => id = "S23456789012345678901234567890123"
    asset "S23456789012345678901234567890123": id: "S23456789012345678901234567890123" is not allowed
id = "WALCL" => id = 1
    [[macro]] 1: id: should be a valid string, not 1
"Ethereum" => "Ether\neum"
    asset "ETH": name: "Ether\neum" is not allowed; use visible characters on one line
"Ethereum" => "Ether\u202Eeum"
    asset "ETH": name: "Ether\u202eeum" is not allowed
"Ethereum" => " "
    asset "ETH": name: " " is not allowed
kind = "etf" => kind = "etf" ¶ currency = "$"
    asset "SPY": currency: "$" is not allowed; write it as [A-Z]{3,5}
"kraken" => "__class__"
    asset "ETH" source 2: exchange: "__class__" is not allowed

sources = [{ provider = "yahoo", symbol = "^RUT", interval = "1d" }] => ¶
    asset "RUT": sources: missing; add it
[{ provider = "yahoo", symbol = "^RUT", interval = "1d" }] => []
    asset "RUT": sources: empty; give at least one
"^RUT", interval = "1d" => "^RUT", interval = "1h"
    asset "RUT": sources: none has interval = "1d"; every asset but crypto needs one
"^RUT", interval = "1d" } => "^RUT", interval = "1d" }, { provider = "yahoo", symbol = "X", interval = "1h" }
    asset "RUT": sources: Yahoo's hours of an exchange open at half past; use interval = "1d"
{ provider = "yahoo", symbol = "^RUT", interval = "1d" } => "yahoo"
    asset "RUT" source 1: should be a block, such as [study] or [[asset]]
[[macro]] => [macro]
    [[macro]]: should be a list; the name of a repeated block stands in double brackets, as [[asset]]
"""
EDIT = re.compile(r"^(\S.*) => (.*)\n    (.*)$", re.MULTILINE)

HOSTILE_SYMBOLS = [
    "", " ", "^", "SPY ", "SP Y", "S\\tY", "S\\u0000", "'; DROP TABLE raw.bars; --", 'S\\"Y', "S'Y", "S`Y",
    "S\\\\Y", "../../etc/passwd", "A..B", "<script>", "S&Y", "S%2e", "S?a=1", "S#a", "S{0}", "$(id)", "S|Y",
    "=1+1", "-rf", "S\\u00e9", "\\uff33PY", "S\\u200bY", "S" * 65,
]  # fmt: skip
PROVIDER_SYMBOLS = ["^RUT", "BTC-USD", "ETH/USD", "EURUSD=X", "GC=F", "MOWI.OL", "XBTUSDT", "BTC/USD:USD"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the two files that `UNIVERSE` names."""
    for name in ("hourly.csv", "members.csv"):
        (tmp_path / name).touch()
    return tmp_path


def read(folder: Path, *edits: tuple[str, str]) -> Universe:
    """`UNIVERSE` after the edits (old text, new text), loaded from a file in `folder`."""
    text = UNIVERSE
    for old, new in edits:
        assert old in text
        text = text.replace(old, new, 1)
    (folder / "universe.toml").write_text(text, "utf-8")
    return load(folder / "universe.toml")


def refusal(folder: Path, *edits: tuple[str, str]) -> str:
    """The text of the error, after checking that it is one line that names the file."""
    with pytest.raises(UniverseError) as caught:
        read(folder, *edits)
    line = str(caught.value)
    assert line.isprintable()
    assert line.startswith(f"{folder / 'universe.toml'}: ")
    return line.removeprefix(f"{folder / 'universe.toml'}: ")


@pytest.mark.parametrize(("old", "new", "beginning"), EDIT.findall(REFUSED))
def test_a_mistake_is_named_by_block_and_key(folder: Path, old: str, new: str, beginning: str) -> None:
    broken, fixed = (re.sub(" ?¶ ?", "\n" if text != "¶" else "", text) for text in (old, new))
    assert refusal(folder, (broken, fixed)).startswith(beginning.replace("FOLDER", str(folder)))


def test_every_edit_is_tested() -> None:
    assert len(EDIT.findall(REFUSED)) == REFUSED.count("=>")


@pytest.mark.parametrize("symbol", HOSTILE_SYMBOLS)
def test_a_symbol_cannot_carry_anything_but_a_name(folder: Path, symbol: str) -> None:
    assert refusal(folder, ('"^RUT"', f'"{symbol}"')).startswith('asset "RUT" source 1: symbol: ')


@pytest.mark.parametrize("symbol", PROVIDER_SYMBOLS)
def test_symbols_that_providers_use(folder: Path, symbol: str) -> None:
    universe = read(folder, ('"^RUT"', f'"{symbol}"'))
    assert universe.assets_by_id["RUT"].sources[0].symbol == symbol


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"[study]\ntarget = \n", "line 2"),
        (b"[study]\n[study]\n", "is not TOML"),
        (b"\xff\xfe", "is not TOML"),
        (b"a = " + b"[" * 5_000, "is not TOML"),
        (b"a = " + b"1" * 5_000, "is not TOML"),
        (b"", "[study]: missing; add it"),
        (b"study = 3\n", "[study]: should be a block"),
        (b"study = { target = 0x" + b"f" * 5_000 + b" }\n", "[study]: target"),
    ],
)
def test_what_is_not_a_universe(tmp_path: Path, content: bytes, text: str) -> None:
    path = tmp_path / "universe.toml"
    path.write_bytes(content)
    with pytest.raises(UniverseError) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert text in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(("name", "text"), [("none.toml", "No such file"), ("", "directory")])
def test_a_universe_that_cannot_be_read(tmp_path: Path, name: str, text: str) -> None:
    with pytest.raises(UniverseError, match=text):
        load(tmp_path / name)


def test_a_byte_order_mark_is_no_mistake(folder: Path) -> None:
    (folder / "universe.toml").write_text(UNIVERSE, "utf-8-sig")
    assert load(folder / "universe.toml").study.target == "ETH"


@pytest.mark.parametrize("value", ["[]", "{}", "0", "1e400", "false", '""', "2026-08-22", "[[1]]", '["\\n"]'])
def test_a_value_of_another_type_is_refused_like_any_other(folder: Path, value: str) -> None:
    for line in filter(re.compile(r"\w+ = .*[^\[]$").match, UNIVERSE.splitlines()):
        key = line.partition(" = ")[0]
        if (key, value) != ("controls", "[]"):  # a study may do without controls
            assert refusal(folder, (line, f"{key} = {value}"))


def test_a_name_has_a_limit(folder: Path) -> None:
    assert read(folder, ("Ethereum", "E" * 100)).asset[0].name == "E" * 100
    assert refusal(folder, ("Ethereum", "E" * 101)).startswith('asset "ETH": name: ')


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.text(st.characters(codec="utf-8"), max_size=40))
def test_any_name_is_kept_or_refused_on_one_line(folder: Path, name: str) -> None:
    escaped = "".join(f"\\U{ord(character):08x}" for character in name)
    if name.strip() and name.isprintable():
        assert read(folder, ("Ethereum", escaped)).asset[0].name == name
    else:
        assert refusal(folder, ("Ethereum", escaped)).startswith('asset "ETH": name: ')


@pytest.mark.parametrize("path", SHIPPED, ids=["live", "samples"])
def test_the_shipped_universes(path: Path) -> None:
    universe = load(path)
    assert set(universe.assets_by_id) >= set(WATCHED)  # who works here may watch more, live
    assert universe.assets_by_id["RUT"].volume_from == "IWM"
    assert len(universe.study_parameters.pairs) >= 20
    assert table.validate(universe.listings(), core.Listings).height >= 14


def test_the_samples_are_watched_live_too_from_other_sources() -> None:
    live, samples = (load(path) for path in SHIPPED)
    assert samples.study == live.study
    assert list(samples.assets_by_id) == WATCHED
    assert len(samples.pairs) == 20
    for asset in samples.asset:
        theirs = live.assets_by_id[asset.id]
        assert asset.model_dump(exclude={"sources"}) == theirs.model_dump(exclude={"sources"})
    live_macro = {one.id: one for one in live.macro}
    for ours in samples.macro:
        assert ours.model_dump(exclude=FEED) == live_macro[ours.id].model_dump(exclude=FEED)
    assert {source.provider for asset in samples.asset for source in asset.sources} == {"files"}
    adjusted = samples.listings().filter(pl.col("price_basis") == "adjusted")
    assert sorted(adjusted["asset"]) == ["HYG", "RSP", "UUP"]


def test_the_samples_hold_what_their_universe_names() -> None:
    samples = load(SHIPPED[1])
    feeds: list[Macro | AssetSource] = [*samples.macro]
    feeds += [source for asset in samples.asset for source in asset.sources]
    for feed in feeds:
        names = pl.read_parquet(samples.resolve(feed.path or "")).select(pl.col("^symbol|series_id$"))
        assert feed.symbol in names.to_series()


def test_defaults(folder: Path) -> None:
    universe = read(folder)
    eth, rut, spy = universe.asset
    assert universe.study_parameters.windows == (30, 60, 90)
    assert (eth.calendar, rut.calendar, universe.breadth[0].calendar) == ("24/7", "XNYS", "XNYS")
    assert (eth.volume_from, rut.volume_from, spy.currency) == ("ETH", "SPY", "USD")
    assert [source.volume_unit for source in eth.sources] == ["base", "base", "quote"]
    assert (universe.macro[0].symbol, universe.macro[0].release_lag_days) == ("WALCL", 1)


def test_defaults_of_a_source(folder: Path) -> None:
    source = read(folder).assets_by_id["SPY"].sources[0]
    assert (source.volume_unit, source.price_basis) == ("shares", "split_adjusted")
    assert (source.settle_minutes, source.tolerance_pct) == (30, 1.0)


def test_optional_blocks_may_be_left_out(folder: Path) -> None:
    universe = read(folder, (UNIVERSE[UNIVERSE.index("[[macro]]") :], ""))
    assert (universe.macro, universe.breadth, universe.events, universe.snapshot) == ((), (), (), ())


def test_an_omitted_calendar_follows_the_study(folder: Path) -> None:
    universe = read(
        folder, ("[study]", '[study]\ncalendar = "XLON"'), ('kind = "etf"', 'kind = "etf"\ncalendar = "XNYS"')
    )
    assert [asset.calendar for asset in universe.asset] == ["24/7", "XLON", "XNYS"]
    assert universe.breadth[0].calendar == "XLON"


def test_an_instant_is_kept_in_utc(folder: Path) -> None:
    expected = datetime(2026, 8, 22, 5, 30, tzinfo=UTC)
    assert read(folder).asset[0].sources[0].recorded_at == expected
    bare = read(folder, ('"2026-08-22T07:30:00+02:00"', "2026-08-22T05:30:00Z"))
    assert bare.asset[0].sources[0].recorded_at == expected


def test_names_of_sources(folder: Path) -> None:
    universe = read(folder)
    names = [source.source for source in universe.asset[0].sources]
    assert names == ["files:hourly.csv", "ccxt:kraken", "yahoo"]
    assert (universe.macro[0].source, universe.breadth[0].source) == ("fred", "files:members.csv")
    assert (universe.events[0].source, universe.snapshot[0].source) == ("fed", "coingecko")


def test_paths_start_at_the_universe_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read(folder)
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    universe = load("../universe.toml")
    assert universe.resolve("hourly.csv").samefile(folder / "hourly.csv")


def test_study_parameters(folder: Path) -> None:
    assert read(folder).study_parameters == Study(
        target="ETH",
        benchmark="RUT",
        controls=("SPY",),
        calendar="XNYS",
        windows=(30, 60, 90),
        threshold=0.5,
        pairs=(("ETH", "RUT"), ("ETH", "SPY")),
    )


@pytest.mark.parametrize(
    ("edits", "pairs"),
    [
        (
            [('["SPY"]', '["SPY"]\npairs = [["ETH", "RUT"], ["SPY", "RUT"]]')],
            (("ETH", "RUT"), ("SPY", "RUT")),
        ),
        ([('["SPY"]', '["SPY"]\npairs = [["ETH", "SPY"]]')], (("ETH", "RUT"), ("ETH", "SPY"))),
        ([('["SPY"]', '["SPY"]\npairs = []')], (("ETH", "RUT"),)),
        (
            [('target = "ETH"', 'target = "SPY"'), ('controls = ["SPY"]', "")],
            (("SPY", "RUT"), ("ETH", "RUT"), ("ETH", "SPY")),
        ),
    ],
    ids=["given", "without the study's own", "empty", "target that is no crypto"],
)
def test_pairs_always_hold_the_study_s_own(
    folder: Path, edits: list[tuple[str, str]], pairs: tuple[tuple[str, str], ...]
) -> None:
    assert read(folder, *edits).study_parameters.pairs == pairs


def test_listings(folder: Path) -> None:
    listings = table.validate(read(folder).listings(), core.Listings)
    columns = ["asset", "source", "symbol", "interval", "rank", "volume_from", "volume_unit", "calendar"]
    assert listings.select(columns).rows() == [
        ("ETH", "files:hourly.csv", "ETHUSDT", "1h", 0, "ETH", "base", "24/7"),
        ("ETH", "ccxt:kraken", "ETH/USD", "1h", 1, "ETH", "base", "24/7"),
        ("ETH", "yahoo", "ETH-USD", "1d", 0, "ETH", "quote", "24/7"),
        ("RUT", "yahoo", "^RUT", "1d", 0, "SPY", "shares", "XNYS"),
        ("SPY", "yahoo", "SPY", "1d", 0, "SPY", "shares", "XNYS"),
    ]
    assert listings["name"].to_list()[-1] == "SPDR S&P 500 <ETF>"


def test_the_fingerprint_is_that_of_the_content(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = tmp_path_factory.mktemp("other")
    for name in ("hourly.csv", "members.csv"):
        (other / name).write_text("later")
    fingerprint = read(folder).fingerprint
    assert len(bytes.fromhex(fingerprint)) == 32
    assert read(other, ("[study]", "# a note\n[study]\nthreshold = 0.5")).fingerprint == fingerprint
    assert read(folder, ("[study]", "[study]\nthreshold = 0.6")).fingerprint != fingerprint


def test_a_universe_cannot_be_changed(folder: Path) -> None:
    with pytest.raises(ValueError, match="frozen"):
        read(folder).study.target = "RUT"


def test_importing_is_quick() -> None:
    code = "import sys, flows.universe; print({'exchange_calendars', 'pandera', 'ccxt'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True) == "set()\n"


@pytest.mark.parametrize("path", ["universe.toml", "samples/universe.toml"])
def test_a_yield_counts_from_the_evening_on_which_it_is_published(path: str) -> None:
    """H.15 posts a day's yields at 16:15 New York on the next day on which the Federal Reserve is open."""
    universe = load(ROOT / path)
    (lag,) = (macro.release_lag_days for macro in universe.macro if macro.id == "DGS2")
    open_days = pd.offsets.CustomBusinessDay(calendar=USFederalHolidayCalendar())
    days = pd.date_range("2018-01-01", "2026-12-31", freq=open_days)
    posted = (days + open_days + pd.Timedelta(hours=16, minutes=15)).tz_localize("America/New_York")
    counts_from = (days + pd.Timedelta(days=lag + 1)).tz_localize("UTC")  # the end of that day
    assert (counts_from >= posted).all()
