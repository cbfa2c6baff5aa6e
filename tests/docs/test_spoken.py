"""Commands, options and queries that stand in the running text are run, or listed with the reason why not."""

import ast
import re
import shutil
from contextlib import closing
from pathlib import Path

import pytest
from documents import ROOT, Tree, blocks, commands, inline, pages
from follow import RUN, wanted
from unlisted import NOT_RUN

from tests.servers import missing
from warehouse.reader import connect

TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
PROGRAMS = {"python", "pip", "prefect", "docker", "duckdb", "git", "createdb", "export", "pre-commit"}
PLACE = re.compile(r"(?:[A-Z_]+=\S+ )*(?:\.venv/bin/)?")  # what may stand before a program
QUERY = re.compile(r"(?:SELECT|FROM) (?!.*\.\.\.)")  # dots stand for what the reader fills in


def spoken() -> list[str]:
    """Every piece of code in the running text of a page, once."""
    told = [" ".join(part.content.split()) for page in pages() for part in inline(page, "code_inline")]
    return list(dict.fromkeys(told))


def is_command(text: str) -> bool:
    program, *words = PLACE.sub("", text, count=1).split() or [""]
    if program == "make":
        return all(word in TARGETS or "=" in word for word in words)
    return program in PROGRAMS and bool(words)


def bare(command: str) -> str:
    return command.replace(".venv/bin/", "")


FENCED = [block for page in pages() for block in blocks(page) if block.language in RUN]
FOLLOWED = {bare(piece) for block in FENCED if block.language == "sh" for piece in wanted(block)}
COMMANDS = [text for text in spoken() if is_command(text)]
LEFT = [text for text in COMMANDS if bare(text) not in FOLLOWED and text not in NOT_RUN]
QUERIES = [text for text in spoken() if QUERY.match(text) and text not in NOT_RUN]


@pytest.fixture(scope="module")
def home(once: Path, tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """The tree of someone who watches the tiny universe, after a first run."""
    made = Tree(tmp_path_factory.mktemp("spoken") / "comove")
    shutil.copytree(once, made.path, dirs_exist_ok=True)
    return made


def test_what_is_not_run_is_shown_and_has_a_reason() -> None:
    shown = {command for block in FENCED if block.language == "sh" for command in commands(block)}
    shown |= {block.text.splitlines()[0] for block in FENCED if block.language in {"sql", "python"}}
    assert sorted(set(NOT_RUN) - shown - set(spoken())) == []
    for reason in NOT_RUN.values():
        assert len(reason.split()) > 3
        assert [path for path in re.findall(r"tests/[\w./]*\w", reason) if not (ROOT / path).exists()] == []


@pytest.mark.slow
@pytest.mark.parametrize("command", LEFT)
def test_a_command_in_the_text_works(command: str, home: Tree) -> None:
    done = home.sh(f"{command} </dev/null")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


@pytest.mark.slow
def test_the_picture_is_drawn_of_the_page(with_samples: Tree) -> None:
    if not shutil.which("chromium"):
        missing("chromium is not installed; apt-get install chromium")
    picture = with_samples.path / "docs" / "page.png"
    picture.unlink()
    assert with_samples.sh("make picture").returncode == 0
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_in_the_text_is_one(query: str, sample_data: Path) -> None:
    with closing(connect(sample_data)) as con:
        con.execute(query).fetchall()


def test_options_in_the_text_are_those_of_a_command() -> None:
    known = set()
    for room in ("flows", "warehouse", "bench"):
        for path in (ROOT / room).glob("*.py"):
            calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
            for call in calls:
                if isinstance(call.func, ast.Attribute) and call.func.attr == "add_argument":
                    known |= {arg.value for arg in call.args if isinstance(arg, ast.Constant)}
    named = {word for text in spoken() for word in re.findall(r"(?:^|\[)(--[a-z][a-z-]*)", text)}
    assert "--warehouse" in named
    assert sorted(named - known) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("make verify", True),
        ("make lock UPGRADE=1", True),
        ("COMOVE_PORT=4201 make serve", True),
        (".venv/bin/python -m x", True),
        ("make room and run again", False),
        ("duckdb", False),
        ("ops.loads", False),
    ],
)
def test_a_command_is_told_from_other_code(text: str, expected: bool) -> None:
    assert is_command(text) is expected
