"""The Python files of a checkout, read and parsed once each."""

import ast
import io
import os
import tokenize
from functools import cached_property
from pathlib import Path

ROOMS = ("convert", "targets", "sim", "src/isotau")
"""Folders of the sources."""
BENCHMARKS = "benchmarks"
NO_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
}
"""Tokens that make no line one of code."""


class Module:
    """A Python file.

    Attributes:
        place: its path from the root of the checkout, with slashes.
        text: its content.
    """

    def __init__(self, place: str, text: str) -> None:
        """Keep where the file is and what it says."""
        self.place = place
        self.text = text

    @property
    def folder(self) -> str:
        """The folder that the file is in, from the root of the checkout."""
        return self.place.rpartition("/")[0]

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree."""
        return ast.parse(self.text)

    @cached_property
    def tokens(self) -> list[tokenize.TokenInfo]:
        """The tokens, comments among them."""
        return list(tokenize.generate_tokens(io.StringIO(self.text).readline))

    @cached_property
    def docstring_lines(self) -> set[int]:
        """Numbers of the lines of docstrings, and of strings below an attribute."""
        return {
            line
            for node in ast.walk(self.tree)
            if isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
            for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
        }

    @cached_property
    def code_lines(self) -> set[int]:
        """Numbers of the lines with a token that is no comment and in no docstring."""
        # A token may span lines, such as a text between triple quotes.
        lines = {
            line
            for token in self.tokens
            if token.type not in NO_CODE
            for line in range(token.start[0], token.end[0] + 1)
        }
        return lines - self.docstring_lines

    @property
    def is_kernel(self) -> bool:
        """Whether numba compiles something in it."""
        return any(t.type == tokenize.NAME and t.string == "njit" for t in self.tokens)


def read_modules(root: Path, folders: tuple[str, ...] = ROOMS) -> list[Module]:
    """Return the modules below some folders of a checkout, in order of their places.

    Links are passed over: `src/isotau` has some to the other rooms.

    Args:
        root: of the checkout.
        folders: below it; one that is not there has no modules.
    """
    # os.walk does not follow links to folders; those to files are left out below.
    places = [
        Path(parent, name).relative_to(root).as_posix()
        for folder in folders
        for parent, _, names in os.walk(root / folder)
        for name in names
        if name.endswith(".py") and not Path(parent, name).is_symlink()
    ]
    return [
        Module(place, (root / place).read_text(encoding="utf-8"))
        for place in sorted(places)
    ]
