"""How long the stages of a job take, and how much memory they reach."""

import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from isotau.convert.ground.representation import short_repr


class StageCost(NamedTuple):
    """What one stage took.

    Attributes:
        stage: its name.
        wall_s: time that passed, in seconds.
        cpu_s: of all threads of this process, without its children.
        peak_mb: largest resident set of the process so far, in MB.
    """

    stage: str
    wall_s: float
    cpu_s: float
    peak_mb: float


@short_repr
class StageClock:
    """Notes what the stages of one job cost, in the order in which they end.

    Attributes:
        costs: of the stages so far.
    """

    def __init__(self) -> None:
        """Begin without any."""
        self.costs: list[StageCost] = []

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Time what is done in the context."""
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        # Linux counts kilobytes.
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
        self.costs.append(
            StageCost(
                stage, time.perf_counter() - wall, time.process_time() - cpu, peak
            )
        )
