"""Measure the structure of the code in a checkout of the repository.

    python -m benchmarks.house [--root PATH] [--python PATH] [--only NAME …]
        [--before FILE] [--after FILE] [--json FILE] [--page FILE]

Prints the table, beside the figures of an earlier commit. What is read from the text
works in a checkout of whatever commit; the names, the walk and the chip networks are
measured by running that checkout's isotau, with the interpreter given by --python.
"""

import json
import platform
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.command import command_parser
from benchmarks.house.checkout import Checkout
from benchmarks.house.chips import measure_chips
from benchmarks.house.classes import measure_classes
from benchmarks.house.duplicates import measure_duplicates
from benchmarks.house.equations import measure_equations
from benchmarks.house.folders import measure_folders
from benchmarks.house.lines import measure_comments, measure_lines
from benchmarks.house.names import measure_names
from benchmarks.house.page import house_page, table_of
from benchmarks.house.questions import measure_questions
from benchmarks.house.tree import BENCHMARKS, ROOMS, Module, read_modules
from benchmarks.house.walk import measure_walk
from benchmarks.house.words import measure_words
from benchmarks.page import render
from benchmarks.repository import RESULTS, ROOT

BEFORE = RESULTS / "house-before.json"
OF_SOURCES: dict[str, Callable[[Sequence[Module]], dict[str, Any]]] = {
    "comments": measure_comments,
    "lines": measure_lines,
    "duplicates": measure_duplicates,
    "words": measure_words,
}
OF_ALL: dict[str, Callable[[Sequence[Module]], dict[str, Any]]] = {
    "folders": measure_folders,
    "classes": measure_classes,
}
BY_RUNNING: dict[str, Callable[[Checkout], dict[str, Any]]] = {
    "names": measure_names,
    "chips": measure_chips,
    "walk": measure_walk,
}
NAMES = (*OF_ALL, *OF_SOURCES, *BY_RUNNING, "equations", "questions")


def measure(checkout: Checkout, only: Sequence[str] = NAMES) -> dict[str, Any]:
    """Return the measures of a checkout, and of which commit they are.

    Args:
        checkout: to measure.
        only: names of the measures, from `NAMES`.

    Raises:
        RuntimeError: the checkout's isotau or mypy did not run.
    """
    sources = read_modules(checkout.root, ROOMS)
    everything = read_modules(checkout.root, (*ROOMS, BENCHMARKS))
    measures: dict[str, Any] = {}
    for name in only:
        if name in OF_SOURCES:
            measures[name] = OF_SOURCES[name](sources)
        elif name in OF_ALL:
            measures[name] = OF_ALL[name](everything)
        elif name in BY_RUNNING:
            measures[name] = BY_RUNNING[name](checkout)
        elif name == "equations":
            measures[name] = measure_equations(checkout.root, sources)
        else:
            measures[name] = measure_questions(checkout.root)
    return {
        "commit": checkout.commit(),
        "python": platform.python_version(),
        "measures": measures,
    }


def main(words: Sequence[str] | None = None) -> None:
    """Read the arguments, measure, and write what is options for."""
    parser = command_parser("benchmarks.house", __doc__)
    parser.add_argument("--root", type=Path, default=ROOT, help="checkout to measure")
    parser.add_argument("--python", default=sys.executable, help="runs its isotau")
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES)
    parser.add_argument("--before", type=Path, default=BEFORE, help="earlier figures")
    parser.add_argument(
        "--after", type=Path, help="figures to show; nothing is measured"
    )
    parser.add_argument("--json", type=Path, help="file for the figures")
    parser.add_argument("--page", type=Path, help="file for the page")
    options = parser.parse_args(words)
    if options.after:
        after = json.loads(options.after.read_text(encoding="utf-8"))
    else:
        after = measure(Checkout(options.root.resolve(), options.python), options.only)
    before: dict[str, Any] = {}
    if options.before.is_file():
        before = json.loads(options.before.read_text(encoding="utf-8"))
    if options.json:
        text = json.dumps(after, indent=1, ensure_ascii=False)
        options.json.write_text(text + "\n", encoding="utf-8")
    if options.page:
        options.page.write_text(render(house_page(after, before)), encoding="utf-8")
    Console().print(table_of(after["measures"], before.get("measures", {})))


if __name__ == "__main__":
    main()
