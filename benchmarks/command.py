"""The command line that the benchmarks have in common."""

import argparse
from pathlib import Path

from benchmarks.repository import RESULTS


def command_parser(module: str, doc: str) -> argparse.ArgumentParser:
    """Return a parser of a module's arguments, described by its docstring's first line.

    Args:
        module: what stands behind `python -m`.
        doc: the module's docstring.
    """
    return argparse.ArgumentParser(
        prog=f"python -m {module}", description=doc.partition("\n")[0]
    )


def add_page_options(
    parser: argparse.ArgumentParser, default: Path | None = RESULTS
) -> None:
    """Add the options of a benchmark that has a page in docs/results.

    Args:
        parser: to extend.
        default: folder of the page; None for no page unless it is asked for.
    """
    parser.add_argument(
        "--page", type=Path, default=default, help="folder for the page and its .json"
    )
    parser.add_argument(
        "--render",
        action="store_true",
        help="make the page again from its .json; measure nothing",
    )
