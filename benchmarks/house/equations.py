"""Which equations of docs/equations.md the code cites, and whether they are there."""

import re
import tokenize
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.house.tree import Module

PAGE = "docs/equations.md"
HEAD = re.compile(r"\*\*\(([A-Z]\d+)\)\*\*")
CITATION = re.compile(r"\(([A-Z]\d+)\)")


def citations(module: Module) -> Iterator[tuple[int, str]]:
    """Yield the line and the number of every equation in comments and docstrings."""
    for token in module.tokens:
        if token.type in (tokenize.COMMENT, tokenize.STRING):
            line = token.start[0]
            # Texts that the program prints cite nothing.
            if token.type == tokenize.STRING and line not in module.docstring_lines:
                continue
            for match in CITATION.finditer(token.string):
                yield line + token.string.count("\n", 0, match.start()), match[1]


def measure_equations(root: Path, modules: Sequence[Module]) -> dict[str, Any]:
    """Return how many citations there are, and where equations are not on the page.

    Args:
        root: of the checkout.
        modules: that cite.
    """
    page = root / PAGE
    text = page.read_text(encoding="utf-8") if page.is_file() else ""
    equations = set(HEAD.findall(text))
    places: dict[str, list[str]] = defaultdict(list)
    for module in modules:
        for line, number in citations(module):
            places[number].append(f"{module.place}:{line}")
    return {
        "equations": len(equations),
        "citations": sum(map(len, places.values())),
        "cited": len(equations & set(places)),
        "absent": {
            number: where
            for number, where in sorted(places.items())
            if number not in equations
        },
    }
