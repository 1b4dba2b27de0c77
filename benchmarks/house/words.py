"""Variables that are pronouns or participles, where a noun would say what they hold."""

import ast
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from benchmarks.house.tree import Module

EMPTY = frozenset(
    """
    all asked both chosen done drawn each every few found given got heard it kept known
    left made mine needed none one ones others ours own rest said seen shown some such
    taken that theirs them these this those told tried used wanted what which whose
    """.split()
)
"""Pronouns and participles without their noun. Those that the field uses as nouns, as
`held` of held-out trials or `sent` of messages, are not here."""


def bound_names(tree: ast.AST) -> Iterator[str]:
    """Yield every name that an assignment, loop, `with` or comprehension binds."""
    for node in ast.walk(tree):
        for target in _targets(node):
            yield from _names(target)


def measure_words(modules: Sequence[Module]) -> dict[str, Any]:
    """Return how many names are bound, and how many of them are empty words.

    An underscore behind a word, which tells it from a builtin, is passed over.
    """
    counts = Counter(name for module in modules for name in bound_names(module.tree))
    empty = Counter(
        {name: n for name, n in counts.items() if name.rstrip("_") in EMPTY}
    )
    return {
        "empty": empty.total(),
        "assignments": counts.total(),
        "words": dict(empty.most_common()),
    }


def _targets(node: ast.AST) -> list[ast.expr]:
    match node:
        case ast.Assign():
            return node.targets
        case ast.AnnAssign() | ast.AugAssign() | ast.NamedExpr():
            return [node.target]
        case ast.For() | ast.comprehension():
            return [node.target]
        case ast.withitem(optional_vars=ast.expr() as target):
            return [target]
    # Functions, imports and attributes bind names too, but are no variables.
    return []


def _names(target: ast.expr) -> Iterator[str]:
    match target:
        case ast.Name():
            yield target.id
        case ast.Tuple() | ast.List():
            for part in target.elts:
                yield from _names(part)
        case ast.Starred():
            yield from _names(target.value)
