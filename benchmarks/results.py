"""Figures and pages of docs/results, as files."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from benchmarks.page import PageSection, render
from benchmarks.repository import RESULTS
from isotau.convert.ground.files import write_text

PageOf: TypeAlias = Callable[[Mapping[str, Any]], PageSection]
"""What makes a page of the figures in its .json, and of nothing else."""


def read_figures(path: Path) -> Any:
    """Return what `write_figures` wrote."""
    return json.loads(path.read_text(encoding="utf-8"))


def write_figures(path: Path, figures: Any) -> None:
    """Write figures to a file, whole or not at all.

    Raises:
        ValueError: a figure is not finite.
    """
    text = json.dumps(figures, indent=1, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n")


def write_results(folder: Path, name: str, figures: Any, page_of: PageOf) -> None:
    """Write figures, and the page that is made of them, side by side."""
    write_figures(folder / f"{name}.json", figures)
    write_page(folder, name, page_of)


def write_page(folder: Path | None, name: str, page_of: PageOf) -> None:
    """Write a page from the figures that lie in its folder.

    Args:
        folder: of both; docs/results if None.
        name: of both files.
        page_of: what makes the one of the other.
    """
    place = folder or RESULTS
    # From the file, not from memory: what the page says stands in it, number by number.
    page = page_of(read_figures(place / f"{name}.json"))
    write_text(place / f"{name}.md", render(page))
