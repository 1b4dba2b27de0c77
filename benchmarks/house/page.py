"""The table of the targets, printed and as a page."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich.table import Table

from benchmarks.house.targets import TARGETS, Measures

LISTED = 15
"""Places, at most, that the page lists of one kind."""
HEADINGS = ("", "before", "after", "goal", "")
INTRODUCTION = """\
Whether a stranger finds the way through the code, in figures of two commits: {before}
before and {after} after. Sources are `convert`, `targets`, `sim` and `src/isotau`.

- **Modules of a folder** are its Python files without `__init__.py`; those of
  `benchmarks` count too.
- **Comments** stand alone in a line or behind code; banners and words for tools
  (`noqa`, `type:`, `fmt:`) do not count. A line of code has a token that is neither a
  comment nor in a docstring. Compiled kernels are the modules that use numba's `njit`.
- **Public names** are those that isotau imports into its `__init__` or its stub, loads
  on first use, or that README, the manual and the examples use as `isotau.NAME`.
- **Chip networks of one LIF network**: how many different integers come of the same LIF
  network on the same input by README's Python, `isotau run`, `isotau quantize` and
  `isotau tune`, without and with `--quantized`, before its first update.
- **Rooms** are the files whose functions are given the network, in any stage or record,
  during `isotau run`; calls one after another in one file are one **stay**, and a
  **return** is a stay in a file that had one already.
- **Duplicates** are pairs of places that agree in six lines or more, exactly or but for
  names, strings and numbers; imports, decorators, docstrings and comments are passed
  over, as is what stands in more than eight places.
- **Questions**: a stranger follows the first path that comes to mind; the answer must
  be defined there.
"""


def rows(after: Measures, before: Measures) -> list[tuple[str, ...]]:
    """Return the table's rows: text, before, after, goal, and whether it is reached."""
    table: list[tuple[str, ...]] = []
    for target in TARGETS:
        now, then = target.read(after), target.read(before)
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


def page(after: Mapping[str, Any], before: Mapping[str, Any]) -> str:
    """Return the page of two measurements, each as `benchmarks.house` writes it."""
    commits = {"after": after["commit"], "before": before.get("commit", "none")}
    lines = ["# The house", "", INTRODUCTION.format(**commits)]
    lines.append("| | before | after | goal | |")
    lines.append("|---|---:|---:|---:|:---:|")
    lines += [
        f"| {' | '.join(row)} |"
        for row in rows(after["measures"], before.get("measures", {}))
    ]
    for heading, items in _details(after["measures"]):
        lines += ["", f"## {heading}", "", *(items or ["None."])]
    python = after["python"]
    return "\n".join(
        [
            *lines,
            "",
            f"Made by `python -m benchmarks.house`, commit {after['commit']}, "
            f"Python {python}.",
            "",
        ]
    )


def _details(measures: Measures) -> Iterator[tuple[str, list[str]]]:
    """Yield headings and lists of what the figures count in the tree as it is now."""
    if "folders" in measures:
        over = measures["folders"]["over"].items()
        yield "Folders with more than 15 modules", [f"- `{f}`: {n}" for f, n in over]
    if "comments" in measures:
        yield (
            "Files with the fewest comments",
            [
                f"- `{place}`: {part['density']:g} in 100 of {part['code']} lines"
                for place, part in measures["comments"]["poorest"].items()
            ],
        )
    if "equations" in measures:
        absent = measures["equations"]["absent"].items()
        yield (
            "Equations that are cited and are not there",
            [f"- ({number}): {', '.join(places)}" for number, places in absent],
        )
    if "classes" in measures:
        repeated = measures["classes"]["with_benchmarks"].items()
        yield (
            "Class names defined more than once",
            [f"- `{name}`: {', '.join(places)}" for name, places in repeated],
        )
    if "names" in measures:
        names = measures["names"]
        unseen = sorted({*names["not_in_dir"], *names["unknown_to_mypy"]})
        yield (
            "Public names that tools do not see",
            [", ".join(f"`{name}`" for name in unseen) + "."] if unseen else [],
        )
    if "chips" in measures:
        entries = measures["chips"]["entries"].items()
        yield (
            "Fingerprints of one LIF network on the chip",
            [f"- {name}: `{digest[:12]}`" for name, digest in entries],
        )
    if "walk" in measures:
        walk = [name.removeprefix("isotau.") for name in measures["walk"]["walk"]]
        yield "The walk", [" → ".join(walk) + "."] if walk else []
    if "duplicates" in measures:
        places = measures["duplicates"]["places"]
        pairs = sorted((*places["exact"], *places["shape"]), key=lambda pair: -pair[2])
        yield (
            "Longest duplicates",
            [f"- {one} and {other}: {n} lines" for one, other, n in pairs[:LISTED]],
        )
    if "words" in measures:
        words = measures["words"]["words"].items()
        yield (
            "Pronouns and participles",
            [", ".join(f"`{name}` {n}" for name, n in words) + "."] if words else [],
        )
    if "questions" in measures:
        yield (
            "Ten questions",
            [
                f"- {part['question']} `{part['guess']}`: "
                + (f"`{part['answer']}`" if part["answered"] else "no answer there")
                for part in measures["questions"]["questions"]
            ],
        )


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"
