"""The table of the targets, printed and as a page."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from rich.table import Table

from benchmarks.house.targets import TARGETS, Measures
from benchmarks.page import MISSING, Block, MarkdownTable, PageSection

LISTED = 15
"""Places, at most, that the page lists of one kind."""
HEADINGS = ("", "before", "after", "goal", "")
INTRODUCTION = """\
Whether a stranger finds the way through the code, in figures of two commits: {before}
before and {after} after. Sources are `convert`, `targets`, `sim` and `src/isotau`."""
TERMS = [
    "**Modules of a folder** are its Python files without `__init__.py`; those of"
    " `benchmarks` count too.",
    "**Comments** stand alone in a line or behind code; banners and words for "
    "tools (`noqa`, `type:`, `fmt:`) do not count. A line of code has a token "
    "that is neither a comment nor in a docstring. Compiled kernels are the "
    "modules that use numba's `njit`.",
    "**Public names** are those that isotau imports into its `__init__` or its "
    "stub, loads on first use, or that README, the manual and the examples use as"
    " `isotau.NAME`.",
    "**Chip networks of one LIF network**: how many different integers come of "
    "the same LIF network on the same input by README's Python, `isotau run`, "
    "`isotau quantize` and `isotau tune`, without and with `--quantized`, before "
    "its first update.",
    "**Rooms** are the files whose functions are given the network, in any stage "
    "or record, during `isotau run`; calls one after another in one file are one "
    "**stay**, and a **return** is a stay in a file that had one already.",
    "**Duplicates** are pairs of places that agree in six lines or more, exactly "
    "or but for names, strings and numbers; imports, decorators, docstrings and "
    "comments are passed over, as is what stands in more than eight places.",
    "**Questions**: a stranger follows the first path that comes to mind; the "
    "answer must be defined there.",
]
"""What the words of the table mean."""


def rows(after: Measures, before: Measures) -> list[tuple[str, ...]]:
    """Return the table's rows: text, before, after, goal, and whether it is reached."""
    table: list[tuple[str, ...]] = []
    for target in TARGETS:
        now, then = target.read(after), target.read(before)
        # What was not measured has missed no goal.
        reached = None if now is None else target.reached(now, then)
        mark = {True: "✓", False: "✗", None: ""}[reached]
        table.append((target.text, _number(then), _number(now), target.goal, mark))
    return table


def table_of(after: Measures, before: Measures) -> Table:
    """Return the table for a terminal."""
    table = Table(*HEADINGS, title="The house")
    for column in table.columns[1:]:
        column.justify = "right"
    for row in rows(after, before):
        table.add_row(*row)
    return table


def house_page(after: Mapping[str, Any], before: Mapping[str, Any]) -> PageSection:
    """Return the page of two measurements, each as `benchmarks.house` writes it."""
    commits = {"after": after["commit"], "before": before.get("commit", "none")}
    measures = after["measures"]
    return PageSection(
        "The house",
        [
            INTRODUCTION.format(**commits),
            TERMS,
            MarkdownTable(HEADINGS, rows(measures, before.get("measures", {}))),
            # What the figures count in the tree as it is now.
            *(
                PageSection(heading, [block_of(measures[name]) or "None."])
                for heading, (name, block_of) in DETAILS.items()
                if name in measures
            ),
            f"Made by `python -m benchmarks.house`, commit {after['commit']}, "
            f"Python {after['python']}.",
        ],
    )


def _folders(part: Measures) -> list[str]:
    return [f"`{folder}`: {count}" for folder, count in part["over"].items()]


def _poorest(part: Measures) -> list[str]:
    return [
        f"`{place}`: {file['density']:g} in 100 of {file['code']} lines"
        for place, file in part["poorest"].items()
    ]


def _absent(part: Measures) -> list[str]:
    return [f"({n}): {', '.join(places)}" for n, places in part["absent"].items()]


def _classes(part: Measures) -> list[str]:
    repeated = part["with_benchmarks"].items()
    return [f"`{name}`: {', '.join(places)}" for name, places in repeated]


def _unseen(part: Measures) -> str:
    names = sorted({*part["not_in_dir"], *part["unknown_to_mypy"]})
    return _in_one(f"`{name}`" for name in names)


def _fingerprints(part: Measures) -> list[str]:
    return [f"{way}: `{digest[:12]}`" for way, digest in part["entries"].items()]


def _walk(part: Measures) -> str:
    return _in_one((name.removeprefix("isotau.") for name in part["walk"]), " → ")


def _duplicates(part: Measures) -> list[str]:
    places = part["places"]
    pairs = sorted((*places["exact"], *places["shape"]), key=lambda pair: -pair[2])
    return [f"{first} and {second}: {n} lines" for first, second, n in pairs[:LISTED]]


def _words(part: Measures) -> str:
    return _in_one(f"`{word}` {count}" for word, count in part["words"].items())


def _questions(part: Measures) -> list[str]:
    return [
        f"{row['question']} `{row['guess']}`: "
        + (f"`{row['answer']}`" if row["answered"] else "no answer there")
        for row in part["questions"]
    ]


DETAILS: dict[str, tuple[str, Callable[[Measures], Block]]] = {
    "Folders with more than 15 modules": ("folders", _folders),
    "Files with the fewest comments": ("comments", _poorest),
    "Equations that are cited and are not there": ("equations", _absent),
    "Class names defined more than once": ("classes", _classes),
    "Public names that tools do not see": ("names", _unseen),
    "Fingerprints of one LIF network on the chip": ("chips", _fingerprints),
    "The walk": ("walk", _walk),
    "Longest duplicates": ("duplicates", _duplicates),
    "Pronouns and participles": ("words", _words),
    "Ten questions": ("questions", _questions),
}
"""Of what measure, and how, the lists below the table are made."""


def _in_one(parts: Iterable[str], between: str = ", ") -> str:
    """Return a sentence of all parts; nothing if there are none."""
    text = between.join(parts)
    return f"{text}." if text else ""


def _number(value: float | None) -> str:
    if value is None:
        return MISSING
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"
