"""The documents of the tree, their code blocks, and a copy of the tree in which what a page says is done."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[2]
GIT = ("git", "-c", "safe.directory=*")
OWN_DATA = "docs/extending/own-data.md"
SAYS = 300  # seconds that a command may take


@dataclass(frozen=True)
class Block:
    """A fenced block: its page, first line, language, the file that its info string names, and its text."""

    page: str
    line: int
    language: str
    file: str
    text: str

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"


@cache
def tracked() -> tuple[str, ...]:
    """The files of the tree: those that git tracks, and new ones that it does not ignore."""
    listed = subprocess.run(
        [*GIT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return tuple(sorted(name for name in set(listed.split("\0")) if name and (ROOT / name).exists()))


def pages() -> tuple[str, ...]:
    return tuple(name for name in tracked() if name.endswith(".md"))


@cache
def tokens(page: str) -> tuple[Token, ...]:
    return tuple(MarkdownIt("commonmark").enable("table").parse((ROOT / page).read_text()))


def blocks(page: str) -> list[Block]:
    made = []
    for token in tokens(page):
        if token.type in {"fence", "code_block"}:
            language, _, file = token.info.strip().partition(" ")
            made.append(Block(page, (token.map or [0])[0] + 1, language, file.strip(), token.content))
    return made


def inline(page: str, kind: str) -> list[Token]:
    """Every link, image or piece of code in the running text."""
    return [part for token in tokens(page) for part in token.children or () if part.type == kind]


def commands(block: Block) -> list[str]:
    """The commands of a shell block, one a line; comments are left out, a backslash continues a line."""
    lines = block.text.replace("\\\n", " ").splitlines()
    return [line for raw in lines if (line := raw.partition("  #")[0].strip()) and not line.startswith("#")]


class Tree:
    """A copy of the tree with a `.venv` of its own, which is made of links to the one that runs this."""

    def __init__(self, path: Path) -> None:
        self.path = path
        for name in tracked():
            target = path / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target)
        (path / ".cache").mkdir()
        (path / ".venv").mkdir()
        for entry in Path(sys.prefix).iterdir():
            if entry.name not in {".core", ".test", ".explore"}:
                (path / ".venv" / entry.name).symlink_to(entry)
        for stamp in (".core", ".test", ".explore"):  # make takes what is there for installed
            (path / ".venv" / stamp).touch()

    def sh(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run a command as a reader would, in the folder of the tree; its output, whatever it exits with."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("COMOVE_")}
        path = f"{self.path / '.venv' / 'bin'}{os.pathsep}{kept['PATH']}"
        own = {"PATH": path, "PREFECT_HOME": str(self.path / ".cache" / "prefect"), "MAKEFLAGS": ""}
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=self.path,
            env={**kept, **own},
            capture_output=True,
            text=True,
            timeout=SAYS,
            check=False,
        )

    def apply(self, diff: str) -> subprocess.CompletedProcess[str]:
        """What `git apply` says to a diff; the copy is no repository, nor a part of one."""
        outside = {**os.environ, "GIT_CEILING_DIRECTORIES": str(self.path.parent)}
        return subprocess.run(
            ["git", "apply", "--whitespace=error-all", "-"],
            cwd=self.path,
            env=outside,
            input=diff,
            capture_output=True,
            text=True,
            check=False,
        )
