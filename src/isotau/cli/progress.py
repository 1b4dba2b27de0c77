"""Progress bars for long computations, on standard error."""

from collections.abc import Iterable

from rich.console import Console
from rich.progress import track


def bars(steps: range, what: str) -> Iterable[int]:
    """Return the steps, drawing a bar while they are looped over.

    Draws nothing where standard error is no terminal.
    """
    # Standard output is for results: a bar there would end up in files and pipes.
    console = Console(stderr=True)
    return track(
        steps, description=what, console=console, disable=not console.is_terminal
    )
