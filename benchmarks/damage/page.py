"""The table of what came of damaged files, printed and on its page."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.page import MarkdownTable, PageSection, made_by

GOOD = ("clear error", "read")
BAD = ("wrongly read", "unclear error", "crash", "hang", "more than 1 GiB")
HEAD = ("format", "damage", "files", *GOOD, *BAD, "slowest", "most memory")
Results = Sequence[dict[str, Any]]


def damage_page(figures: Mapping[str, Any]) -> PageSection:
    """Return the page targets-damaged.md, from the figures in its .json."""
    origin, rows = figures["made"], figures["rows"]
    count, seed = rows[-1]["files"], origin["seed"]
    return PageSection(
        "Damaged files",
        [
            made_by(
                origin,
                "benchmarks.damage",
                "targets-damaged.json",
                options=f" --count {count} --seed {seed}",
                notes=[f"in {origin['seconds']:.0f} s"],
            ),
            f"{count} files, whole ones damaged by number (seed {seed}), each read in "
            "at most 20 s and 1 GiB beyond what the process had before. A clear error "
            "names the file: an `UnreadableFile`, or a `ValueError` that says what is "
            "needed. What was read in spite of its damage is a valid record. Warnings "
            "count as unclear.",
            MarkdownTable(HEAD, [[row[name] for name in HEAD] for row in rows]),
        ],
    )


def damage_table(results: Results) -> MarkdownTable:
    """Return a row per format and damage, one for each format and one for all files."""
    rows = []
    for format_ in dict.fromkeys(result["format"] for result in results):
        of_format = [result for result in results if result["format"] == format_]
        for damage in sorted({result["damage"] for result in of_format}):
            of_damage = [result for result in of_format if result["damage"] == damage]
            rows.append([format_, damage, *_figures(of_damage)])
        rows.append([format_, "all", *_figures(of_format)])
    return MarkdownTable(HEAD, [*rows, ["all", "all", *_figures(results)]])


def table_rows(table: MarkdownTable) -> list[dict[str, str]]:
    """Return a table's rows as the .json has them."""
    return [dict(zip(table.head, row, strict=True)) for row in table.rows]


def _figures(results: Results) -> list[str]:
    """Return the numbers of a row."""
    counts = Counter(result["outcome"] for result in results)
    slowest = max(result["seconds"] for result in results)
    most = max(result["peak"] for result in results) / 2**20
    # A dot for none: what did happen is to catch the eye in some hundred rows.
    numbers = [str(counts[outcome] or "·") for outcome in (*GOOD, *BAD)]
    return [str(len(results)), *numbers, f"{slowest:.2f} s", f"{most:.0f} MiB"]
