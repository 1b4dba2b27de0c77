"""What the lines of the sources are, and how many of them explain the others."""

import re
import tokenize
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from benchmarks.house.tree import Module

FOR_TOOLS = re.compile(r"#\s*(noqa|type:|fmt:|ruff:|mypy:|pragma:)|#!")
BANNER = re.compile(r"#.*([-=#*~_])\1\1")
FEWEST = 40
"""Lines of code that a file needs to be listed among the poorest."""
POOREST = 10


class Lines(NamedTuple):
    """Numbers of lines of each kind, and of comments at whatever place in a line."""

    total: int
    code: int
    docstring: int
    comment: int
    blank: int
    explanations: int
    """Comments, alone in a line or behind code, without banners and words for tools."""

    @property
    def density(self) -> float:
        """Explanations in 100 lines of code."""
        return 100 * self.explanations / self.code if self.code else 0.0


def count_lines(module: Module) -> Lines:
    """Return the numbers of a module.

    A line with code and a comment is one of code; a blank one in a docstring is one of
    the docstring.
    """
    total = len(module.text.splitlines())
    # By tokens: a # within a string is none.
    comments = [t for t in module.tokens if t.type == tokenize.COMMENT]
    comment_lines = {token.start[0] for token in comments} - module.code_lines
    kinds = (len(module.code_lines), len(module.docstring_lines), len(comment_lines))
    return Lines(
        total,
        *kinds,
        blank=total - sum(kinds),
        explanations=sum(explains(token.string) for token in comments),
    )


def explains(comment: str) -> bool:
    """Return whether a comment is meant for readers and says something."""
    return not (
        FOR_TOOLS.match(comment) or BANNER.match(comment) or not comment.strip("# ")
    )


def add(parts: Iterable[Lines]) -> Lines:
    """Return the sums of numbers of lines."""
    return Lines(*map(sum, zip(Lines(*[0] * len(Lines._fields)), *parts, strict=True)))


def measure_lines(modules: Sequence[Module]) -> dict[str, int]:
    """Return the numbers of lines of each kind in all."""
    # A comment behind code is in a line of code: explanations are no kind of line.
    numbers = add(count_lines(module) for module in modules)._asdict()
    del numbers["explanations"]
    return numbers


def measure_comments(modules: Sequence[Module]) -> dict[str, Any]:
    """Return the comments in 100 lines of code: overall, in kernels and by folder.

    The poorest files are those that lack the most: they have the lowest density and,
    among equals, the most code.
    """
    lines = {module.place: count_lines(module) for module in modules}
    folders: dict[str, list[Lines]] = defaultdict(list)
    for module in modules:
        folders[module.folder].append(lines[module.place])
    # A short file may need no comment.
    long = [place for place, numbers in lines.items() if numbers.code >= FEWEST]
    long.sort(key=lambda place: (lines[place].density, -lines[place].code))
    kernels = [lines[module.place] for module in modules if module.is_kernel]
    return {
        "overall": round(add(lines.values()).density, 2),
        "kernels": round(add(kernels).density, 2),
        "comments": sum(numbers.explanations for numbers in lines.values()),
        "folders": {
            name: round(add(parts).density, 2)
            for name, parts in sorted(folders.items())
        },
        "poorest": {
            place: {
                "density": round(lines[place].density, 2),
                "code": lines[place].code,
            }
            for place in long[:POOREST]
        },
    }
