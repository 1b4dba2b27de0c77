"""Pairs of places in the sources that say the same, line by line.

Two places are a pair if six or more of their lines agree in a row. Lines without code,
docstrings, imports and decorators are passed over. Lines agree exactly if their tokens
do; they are of one shape if their tokens do once every name, string and number is one
like any other. Runs that stand in more than eight places are a pattern of the language
or the style and no pair; so are, unless they agree exactly, lists of fields or
arguments and runs of brackets and lone strings.
"""

import ast
import keyword
import tokenize
from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any, NamedTuple

from benchmarks.house.tree import NO_CODE, Module

FEWEST = 6
"""Lines of a pair."""
MOST_PLACES = 8
"""Places in which a run may stand to count."""
TOKENS = 5
"""In a line of a pair of one shape, on average: lone strings and brackets have less."""
KINDS = 3
"""Different lines in a pair of one shape: a list of fields has fewer."""


class Line(NamedTuple):
    """A line of code: its number in the file and what is compared of it."""

    number: int
    key: tuple[str, ...]


class Stretch(NamedTuple):
    """Lines that agree: from where in which two modules, counted in their `Line`s."""

    one: int
    other: int
    begin: int
    shift: int
    """From a line in `one` to that in `other`."""
    length: int


def exact(token: tokenize.TokenInfo) -> str:
    """Return a token as it stands."""
    return token.string


def shape(token: tokenize.TokenInfo) -> str:
    """Return what kind of token it is; keywords and operators as they stand."""
    if token.type == tokenize.NAME and not keyword.iskeyword(token.string):
        return "name"
    return {tokenize.STRING: "string", tokenize.NUMBER: "number"}.get(
        token.type, token.string
    )


def code_of(module: Module, key: Callable[[tokenize.TokenInfo], str]) -> list[Line]:
    """Return the lines of a module that are compared.

    Args:
        module: to read.
        key: of a token, equal where tokens are to count as equal.
    """
    heads = {
        line
        for node in ast.walk(module.tree)
        for part in _heads(node)
        for line in range(part.lineno, (part.end_lineno or part.lineno) + 1)
    }
    skipped = heads | module.docstring_lines
    keys: dict[int, list[str]] = defaultdict(list)
    for token in module.tokens:
        # A string of many lines counts where it begins.
        if token.type not in NO_CODE and token.start[0] not in skipped:
            keys[token.start[0]].append(key(token))
    return [Line(number, tuple(parts)) for number, parts in sorted(keys.items())]


def find_runs(code: Sequence[Sequence[Line]]) -> list[Stretch]:
    """Return the runs of lines that agree in two places, each as long as it goes.

    Args:
        code: the lines of every module.
    """
    windows: dict[tuple[Any, ...], list[tuple[int, int]]] = defaultdict(list)
    for k, lines in enumerate(code):
        for start in range(len(lines) - FEWEST + 1):
            window = tuple(line.key for line in lines[start : start + FEWEST])
            windows[window].append((k, start))
    seeds = sorted(
        pair
        for places in windows.values()
        if len(places) <= MOST_PLACES
        for pair in combinations(places, 2)
    )
    runs = []
    # The windows of one run follow each other on one diagonal of two files: the first
    # of them finds it whole.
    ends: dict[tuple[int, int, int], int] = defaultdict(int)
    for (one, i), (other, j) in seeds:
        diagonal = (one, other, j - i)
        if i < ends[diagonal]:
            continue
        # Within a file, lines that repeat themselves would pair with their successors.
        most = j - i if one == other else len(code[one])
        begin, end = _extent(code[one], code[other], i, j - i, ends[diagonal], most)
        ends[diagonal] = end
        if end - begin >= FEWEST:
            runs.append(Stretch(one, other, begin, j - i, end - begin))
    return runs


def measure_duplicates(modules: Sequence[Module]) -> dict[str, Any]:
    """Return the pairs, exact ones and others, the longest first, and their numbers.

    A pair of one shape in which six lines agree exactly counts as exact alone.
    """
    lines = [code_of(module, exact) for module in modules]
    shapes = [code_of(module, shape) for module in modules]
    same = find_runs(lines)
    alike = [
        run
        for run in find_runs(shapes)
        if _says_something(shapes[run.one][run.begin : run.begin + run.length])
        and not any(_overlap(run, twin) for twin in same)
    ]
    listed = {
        kind: [
            [
                f"{modules[run.one].place}:{lines[run.one][run.begin].number}",
                f"{modules[run.other].place}:"
                f"{lines[run.other][run.begin + run.shift].number}",
                run.length,
            ]
            for run in sorted(runs, key=lambda run: -run.length)
        ]
        for kind, runs in (("exact", same), ("shape", alike))
    }
    numbers = {kind: len(pairs) for kind, pairs in listed.items()}
    return {"pairs": sum(numbers.values()), **numbers, "places": listed}


def _heads(node: ast.AST) -> Sequence[ast.expr | ast.stmt]:
    """Return what stands alike before much code: an import, decorators."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        return [node]
    return getattr(node, "decorator_list", [])


def _extent(
    one: Sequence[Line],
    other: Sequence[Line],
    i: int,
    shift: int,
    least: int,
    most: int,
) -> tuple[int, int]:
    """Return where in `one` the run through line i begins and ends.

    Args:
        one: lines of a module.
        other: lines of the same or another.
        i: a line of `one` that agrees with that `shift` further in `other`.
        shift: see `i`.
        least: line of `one` before which it does not begin.
        most: lines that it may have, so that it does not overlap with its twin.
    """
    begin = i
    least = max(least, -shift)
    while begin > least and one[begin - 1].key == other[begin + shift - 1].key:
        begin -= 1
    end, stop = begin, min(len(one), len(other) - shift, begin + most)
    while end < stop and one[end].key == other[end + shift].key:
        end += 1
    return begin, end


def _says_something(lines: Sequence[Line]) -> bool:
    """Return whether lines are more than a list, or brackets and strings."""
    keys = [line.key for line in lines]
    return len(set(keys)) >= KINDS and sum(map(len, keys)) >= TOKENS * len(keys)


def _overlap(run: Stretch, twin: Stretch) -> bool:
    """Return whether two runs pair the same lines of the same files."""
    return (
        run[:2] == twin[:2]
        and run.shift == twin.shift
        and run.begin < twin.begin + twin.length
        and twin.begin < run.begin + run.length
    )
