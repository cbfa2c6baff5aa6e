"""What the documents point at is there: pages, anchors, files, modules, tables and make targets."""

import re
from itertools import pairwise
from pathlib import Path
from pkgutil import resolve_name
from urllib.parse import unquote, urlsplit

import pytest
from documents import ROOT, blocks, inline, pages, tokens, tracked

from schemas import BY_NAME
from schemas.table import polars_schema
from warehouse.definitions import view_columns

PAGES = pages()
MADE = {"report/index.html"}  # in the data folder, by a run
ROOMS = {Path(name).parts[0] for name in tracked() if "/" in name}
CODE = r"(?:flows|report|schemas|transforms|warehouse|bench)(?:\.(?!duckdb)\w+)+"
KNOWN = {name: set(polars_schema(model)) for name, model in BY_NAME.items()} | {
    view: {column for column, _ in rows} for view, rows in view_columns().items()
}


def slug(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def anchors(page: str) -> set[str]:
    made: list[str] = []
    parts = tokens(page)
    for opening, text in pairwise(parts):
        if opening.type == "heading_open":
            name = slug("".join(part.content for part in text.children or ()))
            made.append(f"{name}-{made.count(name)}" if name in made else name)
    return set(made)


def targets(page: str) -> list[str]:
    links = [str(token.attrs["href"]) for token in inline(page, "link_open")]
    return links + [str(token.attrs["src"]) for token in inline(page, "image")]


def spoken(page: str) -> list[str]:
    """Every piece of code in the running text."""
    return [token.content for token in inline(page, "code_inline")]


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for target in targets(page):
        parts = urlsplit(target)
        if parts.scheme:
            assert parts.scheme == "https", target
            continue
        path = (ROOT / page).parent / unquote(parts.path) if parts.path else ROOT / page
        assert path.exists(), target
        assert path.resolve().is_relative_to(ROOT), target
        if parts.fragment:
            assert parts.fragment in anchors(str(path.resolve().relative_to(ROOT))), target


@pytest.mark.parametrize("page", PAGES)
def test_files_that_are_named_exist(page: str) -> None:
    for text in spoken(page):
        is_path = re.fullmatch(r"[\w.*-]+(/[\w.*-]*)+", text) and text.split("/")[0] in ROOMS
        if is_path and text not in MADE:
            assert list(ROOT.glob(text.rstrip("/"))), text


@pytest.mark.parametrize("page", PAGES)
def test_modules_and_functions_that_are_named_exist(page: str) -> None:
    for text in spoken(page):
        for name in re.findall(rf"^{CODE}", text) + re.findall(rf"-m ({CODE})", text):
            resolve_name(name)


@pytest.mark.parametrize("page", PAGES)
def test_tables_and_columns_that_are_named_exist(page: str) -> None:
    for text in spoken(page):
        for name, column in re.findall(r"^((?:raw|core|mart|ops)\.\w+)(?:\.(\w+))?$", text):
            assert name in KNOWN, text
            assert not column or column in KNOWN[name], text


@pytest.mark.parametrize("page", PAGES)
def test_make_targets_that_are_named_exist(page: str) -> None:
    known = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    told = [*spoken(page), *(line for block in blocks(page) for line in block.text.splitlines())]
    named = [re.match(r"make ([a-z-]+)(?: [A-Z_]+=\S+)*\s*(?:#.*)?$", text) for text in told]
    assert {found[1] for found in named if found} <= known


def test_every_page_of_docs_is_in_its_index() -> None:
    index = (ROOT / "docs").resolve()
    listed = {(index / urlsplit(target).path).resolve() for target in targets("docs/README.md")}
    covered = {path for path in listed if path.is_file()}
    covered |= {page for path in listed if path.is_dir() for page in path.rglob("*.md")}
    wanted = {ROOT / page for page in PAGES if page.startswith("docs/")} - {index / "README.md"}
    assert sorted(map(str, wanted - covered)) == []


def test_decisions_are_numbered_without_a_gap_and_titled_by_their_number() -> None:
    records = [page for page in PAGES if page.startswith("docs/decisions/")]
    assert [int(Path(page).name[:4]) for page in records] == list(range(1, len(records) + 1))
    for page in records:
        number = int(Path(page).name[:4])
        assert (ROOT / page).read_text().startswith(f"# {number}. "), page


@pytest.mark.parametrize(
    ("heading", "name"), [("Kill -9 at random", "kill--9-at-random"), ("What's `x`?", "whats-x")]
)
def test_anchors_are_those_of_github(heading: str, name: str) -> None:
    assert slug(heading.replace("`", "")) == name


def test_no_page_speaks_of_one_machine() -> None:
    for page in PAGES:
        text = (ROOT / page).read_text()
        found = re.findall(r"(?<![\w.])/(?:home|root|work|tmp|Users)/\S*", text)
        assert found == [], page


def test_the_diagram_names_files_of_each_room() -> None:
    (diagram,) = [block for block in blocks("docs/how-a-price-travels.md") if block.language == "mermaid"]
    rooms = re.findall(r"subgraph (\w+)\[.*?\n(.*?)\n  end\n", diagram.text, re.DOTALL)
    assert [room for room, _ in rooms] == ["flows", "warehouse", "transforms", "report"]
    for room, text in rooms:
        named = re.findall(r"[\w/]+\.py", text)
        assert named
        assert [file for file in named if not (ROOT / room / file).exists()] == []
