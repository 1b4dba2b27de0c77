"""How a run is cut: steps into strides, a batch of trials into shares of threads."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise

import numpy as np

from isotau.convert.ground.progress import Progress
from isotau.convert.ground.validation import whole

STRIDE, TRIALS = 256, 100
"""Steps between two reports of progress, for as many trials or more; fewer trials take
more steps, since every report costs some 0.1 ms."""
LONGEST = 1 << 20
Share = Callable[[Callable[[int, int], None]], None]
"""What runs `work(first, last)` on shares of a batch, one thread each."""


def strides(
    start: int,
    stop: int,
    rows: int,
    what: str,
    progress: Progress,
    *,
    longest: int = LONGEST,
) -> Iterator[tuple[int, int]]:
    """Yield first and last steps of strides, between which a run can be interrupted.

    Args:
        start: first step; those before 0 are strides of their own.
        stop: last step, not included.
        rows: trials at once.
        what: the work, for `progress`.
        progress: is given the strides.
        longest: steps of a stride.
    """
    stride = min(max(STRIDE, STRIDE * TRIALS // max(rows, 1)), longest)
    edges = [*range(start, min(0, stop), stride), *range(max(start, 0), stop, stride)]
    spans = list(pairwise([*edges, stop]))
    for k in progress(range(len(spans)), what):
        yield spans[k]


@contextmanager
def share_trials(batch: int, threads: int | None) -> Iterator[Share]:
    """Give what runs `work(first, last)` on shares of a batch, one thread each.

    Args:
        batch: number of trials.
        threads: how many; as many as there are cores if None.
    """
    workers = whole("threads", threads or os.cpu_count() or 1, 1, 1024)
    # Neighbouring trials share a thread: what they read lies together.
    edges = np.linspace(0, batch, min(workers, batch) + 1).astype(int).tolist()
    spans = list(pairwise(edges))
    with ThreadPoolExecutor(len(spans)) as pool:

        def share(work: Callable[[int, int], None]) -> None:
            # This thread works too; the loops release the interpreter's lock.
            tasks = [pool.submit(work, *span) for span in spans[1:]]
            work(*spans[0])
            for task in tasks:
                task.result()

        yield share
