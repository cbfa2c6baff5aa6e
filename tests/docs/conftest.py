"""Copies of the tree, each with the data that the commands of a page are about."""

import shutil
from pathlib import Path

import pytest
from documents import OWN_DATA, Tree, blocks
from follow import write


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path / "comove")


@pytest.fixture
def with_own_data(tree: Tree) -> Tree:
    """The tree of someone who has followed the page about a CSV of his own up to its universe."""
    for block in blocks(OWN_DATA):
        if block.file:
            write(block, tree)
    return tree


@pytest.fixture
def with_samples(tree: Tree, sample_data: Path) -> Tree:
    """The tree after a first `make demo`."""
    shutil.copytree(sample_data, tree.path / "data")
    return tree


@pytest.fixture
def with_tiny_data(tree: Tree, once: Path) -> Tree:
    """The tree of someone who watches the tiny universe, after a first run."""
    shutil.copytree(once, tree.path, dirs_exist_ok=True)
    return tree
