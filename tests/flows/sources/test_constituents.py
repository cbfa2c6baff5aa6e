"""A fund's holdings file with all its oddities, and what is refused as a whole."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from flows.fetching import attempt
from flows.intake import RefusedError, take_in
from flows.ledger import land, load_landed
from flows.sources import Request, SourceError, fetch
from schemas import ops, raw
from warehouse.store import Store

SAMPLE = Path(__file__).parents[3] / "samples" / "iwm_constituents.parquet"
HEAD = """\ufeffiShares Russell 2000 ETF
Fund Holdings as of,"May 13, 2025"
Inception Date,"May 22, 2000"
Stock,"-"
\xa0
Ticker,Name,Sector,Asset Class,Market Value,Weight (%),Notional Value,Quantity,Price,Location,Exchange
"""
LINES = (
    '"SFM","SPROUTS","Staples","Equity","409,233,878.82","60.00","1","2,582,406.00","1","US","NASDAQ"',
    '"TRUE","TRUEBLUE INC","Industrials","Equity","9,876,543.21","20.00","1","1","9.88","US","NYSE"',
    '"MOGA","MOOG INC CLASS A","Industrials","Equity","170,000,000.00","19.50","1","1","178.90","US","NYSE"',
    '"P5N994","ESCROW PETROCORP","Energy","Equity","0","0.00","0","1","0","US","NO MARKET (E.G. UNLISTED)"',
    '"-","CASH COLLATERAL","Cash and/or Derivatives","Cash","1,000.00","0.40","1","1","100.00","US","-"',
    '"RTYM5","RUSSELL 2000","Cash and/or Derivatives","Futures","0.00","0.00","204,083","1","2","-","CME"',
)
FOOTER = '\xa0\n"The content contained herein is owned by BlackRock, Inc."\n'


def ask(path: Path) -> Request:
    now = datetime(2026, 6, 1, tzinfo=UTC)
    return Request(
        raw.Constituents, "files", "files:x.csv", "RUT", now, path=path, is_recorded=True, load_id="1"
    )


def write(folder: Path, text: str) -> Path:
    path = folder / "holdings.csv"
    path.write_text(text)
    return path


def test_shares_are_members_and_nothing_else_is(tmp_path: Path) -> None:
    path = write(tmp_path, HEAD + "\n".join(LINES) + "\n" + FOOTER)
    asked = ask(path)
    rows = take_in(asked, fetch(asked)).rows
    assert rows.select("index_id", "as_of_on", "symbol", "weight_pct").rows() == [
        ("RUT", date(2025, 5, 13), "SFM", 60.0),
        ("RUT", date(2025, 5, 13), "TRUE", 20.0),
        ("RUT", date(2025, 5, 13), "MOG-A", 19.5),
    ]


def test_line_that_breaks_off_is_quarantined(tmp_path: Path) -> None:
    asked = ask(write(tmp_path, HEAD + "\n".join([*LINES, '"UMBF']) + "\n" + FOOTER))
    batch = take_in(asked, fetch(asked))
    assert batch.rows.height == 3
    assert [r["check_name"][0] for r in batch.refused] == ["has_symbol"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (HEAD + LINES[0] + "\n" + FOOTER, "add up to 60.0 %"),
        (HEAD + "\n".join([*LINES, LINES[0]]) + "\n" + FOOTER, "add up to 159.5 %"),
        (HEAD + "\n".join(LINES[:3]) + "\n", "breaks off"),  # only a line without weight is missing
        (HEAD + "\n".join(LINES).replace('"19.50"', '"17.90"') + "\n" + FOOTER, "add up to 97.9 %"),
        (HEAD + "\n".join(LINES).replace('"19.50"', '"21.50"') + "\n" + FOOTER, "add up to 101.5 %"),
        (HEAD.replace("Fund Holdings as of", "Holdings"), 'lacks the line "Fund Holdings as of"'),
        ("<html>Please accept our terms</html>\n", "lacks the column"),
        ("", "is empty"),
    ],
)
def test_file_that_is_not_the_whole_fund_is_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(SourceError, match=words):
        fetch(ask(write(tmp_path, text)))


def test_sample_is_two_dated_lists() -> None:
    asked = ask(SAMPLE)
    rows = take_in(asked, fetch(asked)).rows
    assert dict(rows.group_by("as_of_on").len().iter_rows()) == {
        date(2025, 5, 13): 1932,
        date(2026, 5, 5): 1919,
    }
    assert not {"-", "P5N994", "MOGA"} & set(rows["symbol"])


DAY = datetime(2026, 6, 2, tzinfo=UTC)


class Lists:
    """A membership file that changes from run to run, and what is stored of it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.now, self.loads = folder, DAY, 0

    def learn(self, *lines: str) -> None:
        self.now, self.loads = self.now + timedelta(days=1), self.loads + 1
        path = self.folder / "members.csv"
        path.write_text("as_of_on,symbol,weight_pct\n" + "".join(f"2026-06-01,{line}\n" for line in lines))
        asked = replace(ask(path), now=self.now, load_id=str(self.loads))
        outcome = attempt(asked, self.folder / "landing")
        with Store(self.folder / "warehouse.duckdb") as store:
            land([outcome], store, self.folder / "landing", f"run{self.loads}", self.now)
            load_landed(store, self.folder / "landing")

    def members(self, as_of: datetime) -> set[str]:
        with Store(self.folder / "warehouse.duckdb") as store:
            rows = store.newest(raw.Constituents, as_of)
        return set(rows.filter(rows["weight_pct"].is_not_null())["symbol"])

    @property
    def versions(self) -> int:
        with Store(self.folder / "warehouse.duckdb") as store:
            return store.tables()["raw.constituents"]


# more lines than a list may have of bad rows
CASH = ("-,0", "XTSLA 1,0", "P5N994,0", "--,0", "USD 1,0", "ESCROW 2,0")


def test_lines_without_a_ticker_are_set_aside_and_speak_against_no_list(tmp_path: Path) -> None:
    lists = Lists(tmp_path)
    lists.learn("AAA,60", "BBB,40", *CASH)
    assert lists.members(lists.now) == {"AAA", "BBB"}
    lists.learn("AAA,60", "CCC,40", *CASH)
    assert lists.members(lists.now) == {"AAA", "CCC"}  # the list is whole: who is not in it has left
    with Store(tmp_path / "warehouse.duckdb") as store:
        assert set(store.read(ops.Quarantine)["check_name"]) == {"is_ticker"}
        loads = store.read(ops.Loads)
    assert loads["rows_quarantined"].to_list() == [len(CASH)] * 2
    with pytest.raises(RefusedError, match="6 of 13 rows are bad"):  # here others are
        lists.learn("AAA,100", *(f"B{letter},x" for letter in "ABCDEF"), *CASH)
    assert lists.members(lists.now) == {"AAA", "CCC"}


def test_a_ticker_in_small_letters_may_be_a_member_so_nobody_is_taken_off(tmp_path: Path) -> None:
    lists = Lists(tmp_path)
    lists.learn("AAA,60", "BBB,40")
    lists.learn("AAA,60", "bbb,40")
    assert lists.members(lists.now) == {"AAA", "BBB"}
    with Store(tmp_path / "warehouse.duckdb") as store:
        assert store.read(ops.Quarantine)["check_name"].to_list() == ["is_upper_case"]


def test_refusal_of_a_list_counts_and_names_what_is_wrong_with_it(tmp_path: Path) -> None:
    path = tmp_path / "members.csv"
    rows = [*CASH, *(f"{line[:-2]}2,0" for line in CASH), *(f"B{letter},x" for letter in "ABCDEF"), "AAA,100"]
    path.write_text("as_of_on,symbol,weight_pct\n" + "".join(f"2026-06-01,{row}\n" for row in rows))
    asked = ask(path)
    with pytest.raises(
        RefusedError, match=r'6 of 19 rows are bad \(most fail is_a_number, such as weight_pct "x"'
    ):
        take_in(asked, fetch(asked))


def test_corrected_list_takes_a_member_off_and_may_bring_it_back(tmp_path: Path) -> None:
    lists = Lists(tmp_path)
    lists.learn("AAA,60", "BBB,40")
    first = lists.now
    lists.learn("AAA,60", "CCC,40")
    assert lists.members(lists.now) == {"AAA", "CCC"}
    assert lists.members(first) == {"AAA", "BBB"}  # what was believed then
    assert lists.versions == 4  # AAA, BBB, CCC, and BBB off
    second = lists.now
    lists.learn("AAA,60", "CCC,40")
    assert lists.versions == 4
    lists.learn("AAA,60", "BBB,40")
    assert lists.members(lists.now) == {"AAA", "BBB"}
    assert lists.members(second) == {"AAA", "CCC"}
    assert lists.versions == 6
    (tmp_path / "warehouse.duckdb").unlink()
    with Store(tmp_path / "warehouse.duckdb") as store:
        load_landed(store, tmp_path / "landing")
    assert lists.members(lists.now) == {"AAA", "BBB"}  # a rebuild agrees


def test_list_with_a_bad_line_takes_nobody_off(tmp_path: Path) -> None:
    lists = Lists(tmp_path)
    lists.learn("AAA,60", "BBB,40", "CCC,1")
    lists.learn("AAA,60", "BBB,40", "CCC,")
    assert lists.members(lists.now) == {"AAA", "BBB", "CCC"}
