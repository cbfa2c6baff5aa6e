"""Do what a page says, in the order in which it says it.

A block whose info string names a file is written to that file, a diff is applied, commands, queries and
Python are run, and a `text` block behind them is compared with what they said.
"""

import io
from contextlib import closing, redirect_stdout
from pathlib import Path

import duckdb
from documents import Block, Tree, blocks, commands
from unlisted import NOT_RUN

from warehouse.reader import connect

RUN = {"sh", "sql", "python", "diff"}
SHOWN = {"text", "csv", "toml", "json", "yaml", "ini", "mermaid"}


def follow(page: str, tree: Tree) -> None:
    said = ""
    for block in blocks(page):
        if block.file:
            write(block, tree)
        elif block.language == "text":
            compare(block, said)
        if block.language in RUN:
            said = run(block, tree)


def write(block: Block, tree: Tree) -> None:
    path = tree.path / block.file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(block.text)


def wanted(block: Block) -> list[str]:
    """What a block has to run: each command of a shell block, or the whole of another."""
    pieces = commands(block) if block.language == "sh" else [block.text]
    return [piece for piece in pieces if piece.splitlines()[0] not in NOT_RUN]


def run(block: Block, tree: Tree) -> str:
    return "".join(once(block, piece, tree) for piece in wanted(block))


def once(block: Block, piece: str, tree: Tree) -> str:
    """What one command, query, program or diff says; it must succeed."""
    if block.language == "sql":
        return queried(block, tree.path / "data")
    if block.language == "diff":
        done = tree.apply(piece)
    elif block.language == "python":
        done = tree.sh(f"python - <<'END'\n{piece}\nEND")
    else:
        done = tree.sh(piece)
    shown = piece.splitlines()[0] if block.language in {"sh", "python"} else "the diff does not apply"
    assert done.returncode == 0, f"{block.place}: {shown}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.stdout + done.stderr


def queried(block: Block, data: Path) -> str:
    """What a query gives, as DuckDB prints it; one that gives no row answers nothing."""
    out = io.StringIO()
    with closing(connect(data)) as con, redirect_stdout(out):
        try:
            found = con.sql(block.text)
            rows = len(found)
            found.show(max_width=200)
        except duckdb.Error as error:
            raise AssertionError(f"{block.place}: {error}") from error
    assert rows, f"{block.place}: no row"
    return out.getvalue()


def compare(block: Block, said: str) -> None:
    """Each line that a page shows was said, white space apart; a line of dots stands for what is left out."""
    lines = [" ".join(line.split()) for line in said.splitlines()]
    shown = [" ".join(line.split()) for line in block.text.splitlines()]
    missing = [line for line in shown if line != "..." and not any(line in one for one in lines)]
    assert not missing, f"{block.place}: not what was said: {missing}\n{said[-6000:]}"
