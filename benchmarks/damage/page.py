"""The table of what came of damaged files, printed and as a page."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

GOOD = ("clear error", "read")
BAD = ("wrongly read", "unclear error", "crash", "hang", "more than 1 GiB")
Results = Sequence[dict[str, Any]]


def rows(results: Results) -> list[list[str]]:
    """Return the table: a row per format and damage, a row for each format in all."""
    found = [["format", "damage", "files", *GOOD, *BAD, "slowest", "most memory"]]
    for format_ in dict.fromkeys(result["format"] for result in results):
        of_format = [result for result in results if result["format"] == format_]
        for damage in sorted({result["damage"] for result in of_format}):
            some = [result for result in of_format if result["damage"] == damage]
            found.append([format_, damage, *figures(some)])
        found.append([format_, "all", *figures(of_format)])
    return [*found, ["all", "all", *figures(results)]]


def figures(results: Results) -> list[str]:
    """Return the numbers of a row."""
    counts = Counter(result["outcome"] for result in results)
    slowest = max(result["seconds"] for result in results)
    most = max(result["peak"] for result in results) / 2**20
    numbers = [str(counts[outcome] or "·") for outcome in (*GOOD, *BAD)]
    return [str(len(results)), *numbers, f"{slowest:.2f} s", f"{most:.0f} MiB"]


def table(results: Results) -> str:
    """Return the table as text."""
    lines = rows(results)
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        for line in lines
    )


def write_page(folder: Path, results: Results, made: dict[str, Any]) -> None:
    """Write the figures and the page with them."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = rows(results)
    figures_ = [dict(zip(lines[0], line, strict=True)) for line in lines[1:]]
    text = json.dumps({"made": made, "rows": figures_}, indent=1)
    (folder / "targets-damaged.json").write_text(text + "\n", encoding="utf-8")
    head, *body = (f"| {' | '.join(line)} |" for line in lines)
    page = "\n".join(
        [
            "# Damaged files",
            "",
            f"{len(results)} files, whole ones damaged by number (seed "
            f"{made['seed']}),",
            "each read in at most 20 s and 1 GiB beyond what the process had before.",
            "A clear error names the file: an `UnreadableFile`, or a `ValueError` that",
            "says what is needed. What was read in spite of its damage is a valid",
            "record. Warnings count as unclear.",
            "",
            head,
            "|" + "---|" * len(lines[0]),
            *body,
            "",
            f"Made by `{made['command']} --count {len(results)} --seed {made['seed']}`"
            f" in {made['seconds']:.0f} s, commit {made['commit']}, {made['machine']}.",
            "",
        ]
    )
    (folder / "targets-damaged.md").write_text(page, encoding="utf-8")
