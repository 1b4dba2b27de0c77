"""Small trees of sources, and modules from text."""

import textwrap

import pytest

from benchmarks.house.tree import Module


@pytest.fixture
def tree(tmp_path):
    """Return a function that writes files by their places and returns the root."""

    def write(files):
        for place, text in files.items():
            path = tmp_path / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text), encoding="utf-8")
        return tmp_path

    return write


@pytest.fixture
def module():
    """Return a function that makes a module of a text."""

    def of_text(text, place="convert/a.py"):
        return Module(place, textwrap.dedent(text).lstrip("\n"))

    return of_text
