"""What long computations tell of their progress, without knowing who listens."""

from collections.abc import Iterable
from typing import Protocol


class Progress(Protocol):
    """Wraps the steps of a long loop, as `rich.progress.track` does."""

    def __call__(self, steps: range, what: str) -> Iterable[int]:
        """Return the steps, to be looped over; `what` names the work."""


def silent(steps: range, what: str) -> Iterable[int]:
    """Return the steps and tell nobody."""
    return steps
