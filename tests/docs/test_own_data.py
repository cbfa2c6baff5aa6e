"""A stranger's two CSV files become a correlation, a verdict and a page, by the very text of the page."""

import re
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from documents import OWN_DATA, ROOT, Tree, blocks
from follow import follow

from flows.universe import load
from warehouse.reader import connect


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder after the page was followed from its first to its last word."""
    tree = Tree(tmp_path_factory.mktemp("own") / "comove")
    follow(OWN_DATA, tree)
    return tree.path / "mine" / "data"


def one(home: Path, query: str) -> tuple[Any, ...]:
    with closing(connect(home)) as con:
        (row,) = con.execute(query).fetchall()
    found: tuple[Any, ...] = row
    return found


@pytest.mark.slow
def test_the_pair_has_a_correlation_with_a_verdict(home: Path) -> None:
    r, low, high, verdict = one(
        home,
        "SELECT r, lo95, hi95, verdict FROM mart.correlations WHERE asset = 'COIN' AND benchmark = 'BASKET' "
        "AND convention = 'session_close' AND window_sessions = 30 ORDER BY session DESC LIMIT 1",
    )
    assert low < r < high
    assert low > 0.5
    assert verdict == "strong"


@pytest.mark.slow
def test_regimes_signals_and_claims_speak_of_it(home: Path) -> None:
    for table in ("regimes", "signals"):
        where = "WHERE asset = 'COIN' AND benchmark = 'BASKET'"
        assert one(home, f"SELECT count(*) > 0 FROM mart.{table} {where}") == (True,)
    claim, verdict = one(
        home,
        "SELECT claim, verdict FROM mart.claims WHERE claim_id = 'strong_30' "
        "ORDER BY as_of_session DESC LIMIT 1",
    )
    assert claim == "The 30-session correlation of Coin of mine and Basket of mine is strong: above 0.5."
    assert verdict == "held"


@pytest.mark.slow
def test_the_page_is_about_it(home: Path) -> None:
    text = (home / "report" / "index.html").read_text()
    title = re.sub(r"<[^>]+>", "", text[text.index("<h1>") : text.index("</h1>")])
    assert " ".join(title.split()) == "Coin of mine and Basket of mine: strong"
    assert "files:coin.csv" in text


def test_no_python_was_written() -> None:
    assert {block.language for block in blocks(OWN_DATA)} == {"csv", "toml", "sh", "text"}


def test_the_two_blocks_also_go_to_the_end_of_the_samples(tmp_path: Path) -> None:
    texts = {block.file: block.text for block in blocks(OWN_DATA) if block.file}
    given = texts.pop("mine/universe.toml")
    samples = (ROOT / "samples" / "universe.toml").read_text()
    for path in (ROOT / "samples").iterdir():
        (tmp_path / path.name).symlink_to(path)
    for path, text in texts.items():
        (tmp_path / Path(path).name).write_text(text)
    (tmp_path / "universe.toml").unlink()
    (tmp_path / "universe.toml").write_text(samples + "\n" + given[given.index("[[asset]]") :])
    pairs = load(tmp_path / "universe.toml").pairs
    assert {("COIN", "BASKET"), ("COIN", "RUT"), ("ETH", "BASKET")} <= set(pairs)
