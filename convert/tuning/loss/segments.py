"""`Segments`: how trials are cut for the backward pass; without torch."""

from typing import NamedTuple


class Segments(NamedTuple):
    """How a long trial is cut for the backward pass.

    Attributes:
        truncate: steps after which no gradient goes further back; 0 for never.
        recompute: steps of which only the first state is kept, and the rest computed
            again in the backward pass; 0 to keep everything.
    """

    truncate: int = 0
    recompute: int = 0


WHOLE = Segments()
"""Nothing is cut."""
