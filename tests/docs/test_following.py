"""Every page can be followed: what it says to write, apply and run works, and says what the page shows."""

import pytest
from documents import OWN_DATA, Block, Tree, blocks, pages
from follow import RUN, SHOWN, compare, follow, run, wanted

ALL = [block for page in pages() for block in blocks(page)]
FOLLOWED = sorted({block.page for block in ALL if block.language in RUN and wanted(block)} - {OWN_DATA})
QUERIES = [page for page in FOLLOWED if {b.language for b in blocks(page)} & RUN == {"sql"}]


def prepared(page: str, request: pytest.FixtureRequest) -> Tree:
    """The tree that a page starts from."""
    if page == "docs/scaling.md":
        request.getfixturevalue("extensions")
    if page == "README.md":
        name = "with_samples"
    elif page.startswith("docs/extending/"):
        name = "with_own_data"
    else:
        name = "with_tiny_data"
    tree: Tree = request.getfixturevalue(name)
    return tree


@pytest.mark.parametrize("block", ALL, ids=lambda block: block.place)
def test_a_block_says_what_it_is(block: Block) -> None:
    known = ", ".join(sorted(RUN | SHOWN))
    assert block.language in RUN | SHOWN, f"{block.place}: fence it, with one of the languages {known}"


@pytest.mark.parametrize("page", sorted({block.page for block in ALL if block.language == "diff"}))
def test_a_diff_applies(page: str, tree: Tree) -> None:
    for block in blocks(page):
        if block.language == "diff":
            run(block, tree)


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in FOLLOWED if page not in QUERIES])
def test_a_page_can_be_followed(page: str, request: pytest.FixtureRequest) -> None:
    follow(page, prepared(page, request))


@pytest.mark.parametrize("page", QUERIES)
def test_a_page_of_queries_is_answered_by_the_samples(page: str, with_samples: Tree) -> None:
    follow(page, with_samples)


@pytest.mark.parametrize(
    ("language", "text"), [("sh", "false"), ("python", "raise SystemExit(1)"), ("diff", "--- a/x\n+++ b/x\n")]
)
def test_what_fails_is_told_with_its_place(language: str, text: str, tree: Tree) -> None:
    with pytest.raises(AssertionError, match=r"page\.md:7"):
        run(Block("page.md", 7, language, "", text), tree)


def test_output_that_was_not_said_is_told() -> None:
    shown = Block("page.md", 7, "text", "", "one  two\n...\nthree\n")
    compare(shown, "one two and more\nthree\n")
    with pytest.raises(AssertionError, match="three"):
        compare(shown, "one two\n")
