"""Pages of results in Markdown: a subject says what a page holds, this how it looks.

Nothing of isotau is imported, so that a benchmark that runs in the environment of
another framework prints its table in the same way.
"""

import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

WIDTH = 88
MISSING = "–"
"""In place of a number that does not exist."""
_CODE = re.compile(r"`[^`]*`")
_NUMBER = re.compile(r"\**[+−-]?\d(?!.*, [^\W\d])")
"""The begin of a cell that is a number with its unit and interval, and no sentence."""


@dataclass(frozen=True)
class MarkdownTable:
    """A table of text; columns of numbers are set flush right.

    Attributes:
        head: the columns' names.
        rows: a cell for each column.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class PageSection:
    """A heading and what stands below it; the outermost one is a page.

    Attributes:
        title: the heading.
        blocks: paragraphs, lists (of strings), tables and sections, in order.
    """

    title: str
    blocks: Sequence["Block"]


Block: TypeAlias = str | list[str] | MarkdownTable | PageSection


def render(page: PageSection) -> str:
    """Return a page as the text of its file."""
    return "\n\n".join(_section(page, level=1)) + "\n"


def render_table(table: MarkdownTable) -> str:
    """Return a table in Markdown."""
    head, *rows = (f"| {' | '.join(cells)} |" for cells in (table.head, *table.rows))
    marks = ("---:|" if right else "---|" for right in _flush_right(table))
    return "\n".join([head, "|" + "".join(marks), *rows])


def plain_table(table: MarkdownTable) -> str:
    """Return a table for a terminal, in columns."""
    lines = [table.head, *table.rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    sides = [str.rjust if right else str.ljust for right in _flush_right(table)]
    return "\n".join(
        "  ".join(
            side(cell, width)
            for side, cell, width in zip(sides, line, widths, strict=True)
        ).rstrip()
        for line in lines
    )


def made_by(
    provenance: Mapping[str, Any],
    module: str,
    figures: str,
    *,
    options: str = "",
    notes: Sequence[str] = (),
    packages: Sequence[str] = (),
) -> str:
    """Return the paragraph that says where the figures of a page come from.

    Args:
        provenance: what `benchmarks.provenance` recorded when they were measured.
        module: that measures them today.
        figures: name of their file.
        options: that the command was given.
        notes: phrases more, as a seed.
        packages: whose versions are named beside those of Python, torch and numpy.
    """
    recorded, command = provenance["command"], f"python -m {module}"
    parts = [f"Every figure stands in `{figures}` too. Made by `{command}{options}`"]
    if provenance["in_parts"]:
        parts.append("in parts (`--only`)")
    commit = f"at commit {provenance['commit']}"
    # The benchmarks have moved; the commit named knows them by their old command.
    if recorded != command:
        commit += f" (there `{recorded}`)"
    if provenance["uncommitted"]:
        commit += " with uncommitted changes"
    versions = provenance["versions"]
    named = [f"{name} {versions[name]}" for name in ("torch", "numpy", *packages)]
    machine = f"on {provenance['machine']}"
    parts += [commit, *notes, machine, f"Python {versions['python']}", *named]
    return ", ".join(parts) + "."


def number(value: float | None, form: str = ".2f") -> str:
    """Return a number, or a dash where there is none."""
    return MISSING if value is None else f"{value:{form}}"


def percent(share: float | None, form: str = ".1f") -> str:
    """Return a share in per cent, without the sign."""
    return MISSING if share is None else f"{100 * share:{form}}"


def ends(low: float, high: float, form: str = ".2f") -> str:
    """Return an interval; with signs, where a dash could be taken for one, in words."""
    between = " to " if form.startswith("+") else "–"
    return f"({low:{form}}{between}{high:{form}})"


def interval(
    value: float | None,
    low: float | None,
    high: float | None,
    form: str = ".2f",
    unit: str = "",
) -> str:
    """Return a number with its interval, as far as there are any."""
    if value is None:
        return MISSING
    if low is None or high is None:
        return f"{value:{form}}{unit}"
    return f"{value:{form}}{unit} {ends(low, high, form)}"


def three_digits(value: float) -> str:
    """Return a number with three digits, thousands grouped."""
    if value >= 100:
        return f"{float(f'{value:.3g}'):,.0f}"
    return f"{value:.3g}"


def _section(section: PageSection, level: int) -> list[str]:
    """Return a heading and its blocks, a string each."""
    texts = [f"{'#' * level} {section.title}"]
    for block in section.blocks:
        if isinstance(block, PageSection):
            texts += _section(block, level + 1)
        elif isinstance(block, MarkdownTable):
            texts.append(render_table(block))
        elif isinstance(block, str):
            texts.append(_wrap(block))
        else:
            texts.append("\n".join(_wrap(f"- {entry}", "  ") for entry in block))
    return texts


def _wrap(text: str, indent: str = "") -> str:
    # Paths and commands must stay whole to be copied and searched for: spaces within
    # code are out of the wrapper's sight until it is done.
    text = _CODE.sub(lambda code: code.group().replace(" ", "\0"), text)
    lines = textwrap.fill(
        text,
        WIDTH,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return lines.replace("\0", " ")


def _flush_right(table: MarkdownTable) -> list[bool]:
    """Return for each column whether it holds numbers; the first names the rows."""
    columns = [
        [cell for cell in column if cell not in ("", MISSING, "·")]
        for column in zip(*table.rows, strict=True)
    ] or [[] for _ in table.head]
    return [
        place > 0 and bool(cells) and all(map(_NUMBER.match, cells))
        for place, cells in enumerate(columns)
    ]
