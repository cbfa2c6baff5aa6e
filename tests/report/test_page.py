"""The page is one small file that says what was published, and reaches nothing outside."""

import html
import json
import re
from collections.abc import Callable
from contextlib import closing
from datetime import date
from pathlib import Path

import altair as alt
import pytest

from flows import universe
from flows.job import Job
from flows.pipeline import run
from flows.runners import Plain
from flows.summary import closing_lines
from report import drawn
from report import page as pages
from warehouse.manifest import unsealed
from warehouse.reader import connect

LIMIT = 2_000_000


@pytest.fixture(scope="module")
def text(sample_page: Path) -> str:
    return sample_page.read_text()


def test_it_is_one_small_file(sample_page: Path) -> None:
    assert sample_page.stat().st_size < LIMIT
    assert [path.name for path in sample_page.parent.iterdir()] == ["index.html"]


def test_it_names_nothing_that_a_browser_would_fetch(text: str) -> None:
    outside = re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)
    assert not re.findall(r"""<(?:link|img|iframe|object|embed|base)\b""", outside)
    assert not re.findall(r"""(?:src|srcset|action|data)\s*=""", outside)
    links = set(re.findall(r'href="([^"]*)"', outside))
    assert links
    assert links <= {f"#{name}" for name in re.findall(r'id="([\w-]+)"', outside)}
    assert "url(" not in outside


def test_its_policy_lets_only_its_own_scripts_and_styles_run(text: str) -> None:
    policy = html.unescape(re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)[0])
    rules = {rule.split()[0]: rule.split()[1:] for rule in policy.split(";")}
    assert rules["default-src"] == ["'none'"]
    assert set(rules) == {"default-src", "script-src", "style-src", "base-uri", "form-action"}
    for name in ("script-src", "style-src"):
        assert rules[name]
        assert all(source.startswith("'sha256-") for source in rules[name])


def test_every_chart_is_one_by_its_schema(text: str) -> None:
    charts = re.findall(r'<script type="application/json">(.*?)</script>', text, flags=re.DOTALL)
    assert len(charts) > 10
    for chart in charts:
        alt.Chart.from_dict(json.loads(chart)["spec"], validate=True)


def test_the_scripts_of_the_page_before_are_taken_if_they_are_whole(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "bundle", lambda: "made anew")
    before = tmp_path / "index.html"
    assert pages.vega(None) == pages.vega(before) == "made anew"
    before.write_text(text)
    taken = pages.vega(before)
    assert len(taken) > 100_000
    assert f"<script>{taken}</script>" in text
    before.write_text(text.replace(taken, taken.replace("e", "x", 1)))
    assert pages.vega(before) == "made anew"
    before.write_text(text.replace('name="vega" content="', 'name="vega" content="0.'))
    assert pages.vega(before) == "made anew"
    before.write_bytes(b"\xff" + text.encode())
    assert pages.vega(before) == taken
    assert pages.vega(tmp_path) == "made anew"  # a folder cannot be read
    before.write_text(text)
    monkeypatch.setattr(pages, "SNIPPET", "another")
    assert pages.vega(before) == "made anew"


def test_the_charts_of_the_page_before_are_taken_if_they_are_whole(
    sample_page: Path, sample_data: Path, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def made(before: Path | None) -> tuple[str, int]:
        asked: list[str] = []
        draw = drawn.draw
        with monkeypatch.context() as patch, closing(connect(sample_data)) as con:
            patch.setattr(drawn, "draw", lambda one: asked.append(one) or draw(one))
            return pages.page(con, unsealed(sample_data / "published" / "latest.json"), before), len(asked)

    anew, every = made(None)
    assert every > 10
    assert made(sample_page) == (anew, 0)
    before = tmp_path / "index.html"
    for spoilt in (
        text.replace('"strokeWidth":1.3', '"strokeWidth":1.4', 1),
        text.replace('"asked":"', '"asked":"x', 1),
        text.replace('<script type="application/json">{', '<script type="application/json">', 1),
        text.replace('name="charts" content="', 'name="charts" content="0', 1),
    ):
        assert spoilt != text
        before.write_text(spoilt)
        assert made(before) == (anew, every)
    assert made(tmp_path) == (anew, every)  # a folder cannot be read
    monkeypatch.setattr(drawn, "version", lambda _: "another")
    assert made(sample_page)[1] == every


def test_the_close_is_that_of_the_exchange_of_the_study(once: Path) -> None:
    """Only the words change here: nothing is measured anew."""
    pointer = unsealed(once / "data" / "published" / "latest.json")
    with closing(connect(once / "data")) as con:
        told = [
            re.sub(r"<script>.*?</script>", "", pages.page(con, {**pointer, "study": study}), flags=re.DOTALL)
            for study in ({**pointer["study"], "calendar": calendar} for calendar in ("XNYS", "XLON", "XOSL"))
        ]
    assert ["New York close" in text for text in told] == [True, False, False]
    assert ["London close" in text for text in told] == [False, True, False]
    assert ["XOSL close" in text for text in told] == [False, False, True]
    assert all("New York" not in text for text in told[1:])


def test_the_headline_is_the_newest_reading_of_the_main_window(text: str, sample_data: Path) -> None:
    with closing(connect(sample_data)) as con:
        r, low, high, verdict, session = con.execute(
            "SELECT r, lo95, hi95, verdict, session FROM mart.correlations "
            "WHERE asset = 'ETH' AND benchmark = 'RUT' AND convention = 'session_close' "
            "AND window_sessions = 60 AND r IS NOT NULL ORDER BY session DESC LIMIT 1"
        ).fetchall()[0]
    said = re.sub(r"<[^>]+>", "", text[text.index("<h1>") : text.index('<p class="deck">')])
    assert " ".join(said.replace("\N{NO-BREAK SPACE}", " ").split()) == (
        f"Ethereum and the Russell 2000: {verdict} r60 = {r:.2f} [{low:.2f}, {high:.2f}]"
    )
    assert session == date(2026, 8, 21)
    assert "21 August 2026" in text


def test_every_query_shown_runs_as_it_stands(text: str, sample_data: Path) -> None:
    shown = [
        html.unescape(query)
        for query in re.findall(r"<pre tabindex=\"0\"><code>(.*?)</code></pre>", text, re.DOTALL)
    ]
    assert len(shown) > 25
    with closing(connect(sample_data)) as con:
        for query in shown:
            con.execute(query).fetchall()


def test_every_panel_has_words_a_table_and_its_query(text: str) -> None:
    for section in re.findall(r'<section id="([\w-]+)" class="panel.*?</section>', text, re.DOTALL):
        body = text[text.index(f'<section id="{section}"') :].split("</section>", 1)[0]
        assert "The SQL behind this" in body
        assert "<h2" in body
        for described in re.findall(r'class="chart" role="img" aria-label="([^"]*)"', body):
            assert len(described) > 20
            assert "The figures as a table" in body


def test_every_claim_and_every_source_is_there(text: str, sample_data: Path) -> None:
    with closing(connect(sample_data)) as con:
        claims = con.execute("SELECT DISTINCT claim FROM mart.claims").fetchall()
        sources = con.execute("SELECT source, symbol FROM ops.freshness").fetchall()
    for (claim,) in claims:
        assert html.escape(claim, quote=True).replace("&#x27;", "&#39;") in text
    for source, symbol in sources:
        assert f"<td>{source}</td><td>{symbol}</td>" in text


def test_hostile_text_stays_text(hostile_page: Path) -> None:
    text = hostile_page.read_text()
    assert "&lt;script&gt;alert(1)" in text
    assert "<script>alert" not in text
    assert "<img" not in re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)
    assert "49<svg" not in html.unescape(text)


def test_a_universe_with_little_in_it_has_a_page_too(once: Path) -> None:
    assert "No figures yet" in (once / "data" / "report" / "index.html").read_text()


@pytest.mark.parametrize(
    ("symbol", "name", "headline"),
    [
        ("SPY", "SPDR S&P 500", "Ethereum and the Russell 2000: "),
        ("^RUT", "the Russell 2000", "Ethereum and the Russell 2000: not known yet"),
    ],
)
def test_an_asset_of_which_nothing_is_stored_is_named_too(
    home: Path, symbol: str, name: str, headline: str
) -> None:
    path = home / "universe.toml"
    path.write_text(path.read_text().replace(f'symbol = "{symbol}"', 'symbol = "NONE"'))
    done = run(Job(universe.load(path), home / "data", universe_path=path), Plain())
    assert done.page
    text = html.unescape(re.sub(r"<script>.*?</script>", "", done.page.read_text(), flags=re.DOTALL))
    assert f">Of 4 sources, 1 has brought nothing yet: {name}</h2>" in text
    (row,) = re.findall(r"<tr>((?:(?!<tr>).)*NONE.*?)</tr>", text, re.DOTALL)
    assert f'<th scope="row">{name[0].upper()}{name[1:]}</th>' in row
    assert '<span class="mark empty">empty</span>' in row
    told = text[text.index("<h1>") : text.index("</h1>")].replace("\N{NO-BREAK SPACE}", " ")
    assert headline in told
    assert (f"No price of {name} was stored yet." in text) == headline.endswith("yet")


def test_a_page_that_cannot_be_rendered_does_not_fail_the_run(
    tiny_universe: Callable[[Path], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(home: Path) -> Path:
        raise ValueError(f"no room\nin {home}")

    monkeypatch.setattr(pages, "render", refuse)
    path = tiny_universe(tmp_path)
    done = run(Job(universe.load(path), tmp_path / "data", universe_path=path), Plain())
    assert done.page is None
    assert (tmp_path / "data" / "published" / "latest.json").exists()
    told = [line for line in closing_lines(done) if line.startswith("trouble: ")]
    assert len(told) == 1
    assert "no room in" in told[0]
    assert "published is whole" in told[0]


def test_a_condition_that_is_known_shows_the_figures_that_decided_it(text: str) -> None:
    listed = text[text.index('class="checklist"') :]
    found = re.findall(r'<li>\s*<span class="mark ([\w-]+)">(.*?)</li>', listed, re.DOTALL)
    assert len(found) == 6
    for mark, body in found:
        assert mark == "unknown" or "ot known" not in body
