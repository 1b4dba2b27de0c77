"""How alike two rasters of one network are: by spike, by rate, and at which lag."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from isotau.convert.ground import validation
from isotau.convert.records.spikes import Spikes, unpack, window

LAGS = (-4, -3, -2, -1, 0, 1, 2, 3, 4)
SPIKES_OF_BYTE = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).sum(
    axis=1
)
"""Spikes in each value of a byte."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RasterAgreement:
    """Two runs of the same trials, `b` shifted back to where they agree best.

    Attributes:
        identical: every spike of every neuron and trial is the same at that lag.
        lag: steps by which `b` comes later.
        cosine: of the two rasters as vectors; 1 where identical, NaN without spikes.
        rate_cosine: of the spike counts of every trial and neuron: what is left when
            timing is ignored.
        coincident: 2 × spikes with a partner of the same neuron within `tolerance`
            steps, each used once, over the spikes of both runs.
        tolerance: in steps.
        spikes: of the first and the second run.
    """

    identical: bool
    lag: int
    cosine: float
    rate_cosine: float
    coincident: float
    tolerance: int
    spikes: tuple[int, int]


def compare_rasters(
    a: Spikes, b: Spikes, *, lags: Sequence[int] | None = None, tolerance: int = 1
) -> RasterAgreement:
    """Return how alike two runs of the same trials are.

    Args:
        a: the first run.
        b: the second: the same neurons, trials and steps.
        lags: steps by which `b` may come later; those of `LAGS` that are shorter than
            the runs if not given. The one of the largest cosine is taken, the smallest
            |lag| among equals. The edges that one run lacks are left out.
        tolerance: steps within which two spikes coincide.

    Raises:
        ValueError: runs of different shape, no lag, or one as long as the run.
    """
    if (a.steps, a.batch, a.n) != (b.steps, b.batch, b.n):
        raise ValueError(
            f"spikes: got {(a.steps, a.batch, a.n)} and {(b.steps, b.batch, b.n)}, "
            "need runs of the same steps × trials × neurons"
        )
    if lags is None:
        lags = [lag for lag in LAGS if abs(lag) < a.steps]
    if not lags or max(abs(lag) for lag in lags) >= a.steps:
        raise ValueError(
            f"lags: got {list(lags)}, need at least one, each below {a.steps} steps"
        )
    allowed = validation.whole("tolerance", tolerance, 0, a.steps)
    # argmax takes the first of equals: the smallest |lag|.
    ordered = sorted(lags, key=abs)
    shared = [_shared(*_overlap(a, b, lag)) for lag in ordered]
    lag = ordered[int(np.argmax(shared))]
    first, second = _overlap(a, b, lag)
    counts = _per_neuron(first), _per_neuron(second)
    total = int(counts[0].sum()), int(counts[1].sum())
    spikes = sum(total)
    return RasterAgreement(
        identical=bool((first.bits == second.bits).all()),
        lag=lag,
        cosine=_cosine(max(shared), *total),
        rate_cosine=_cosine(
            float((counts[0] * counts[1]).sum()),
            float((counts[0] ** 2).sum()),
            float((counts[1] ** 2).sum()),
        ),
        coincident=2 * _pairs(first, second, allowed) / spikes if spikes else np.nan,
        tolerance=allowed,
        spikes=total,
    )


def _overlap(a: Spikes, b: Spikes, lag: int) -> tuple[Spikes, Spikes]:
    """Return the steps that both runs have when `b` is shifted back by `lag`."""
    steps = a.steps - abs(lag)
    start_a, start_b = max(-lag, 0), max(lag, 0)
    return window(a, start_a, start_a + steps), window(b, start_b, start_b + steps)


def _shared(a: Spikes, b: Spikes) -> float:
    """Return the number of spikes that both rasters have at the same place."""
    # Packed: eight neurons at a time, and nothing is unpacked.
    return float(SPIKES_OF_BYTE[a.bits & b.bits].sum(dtype=np.int64))


def _per_neuron(spikes: Spikes) -> np.ndarray:
    # Step by step: a raster unpacked at once takes eight times its memory.
    counts = np.zeros((spikes.batch, spikes.n), dtype=np.int64)
    for bits in spikes.bits:
        counts += unpack(bits, spikes.n)
    return counts


def _cosine(product: float, square_a: float, square_b: float) -> float:
    if not square_a * square_b:  # silence has no direction
        return float("nan")
    return float(product / np.sqrt(square_a * square_b))


def _pairs(a: Spikes, b: Spikes, tolerance: int) -> int:
    """Return how many pairs of spikes lie within the tolerance, each spike used once.

    Going through time, a spike of one run takes the oldest spike of the other that is
    still free and near enough, which gives the most pairs.
    """
    pairs = 0
    # Of the last steps which spikes are free, in a ring: step t is slot t mod its size.
    free_a = np.zeros((tolerance + 1, a.batch, a.n), dtype=bool)
    free_b = free_a.copy()
    for t in range(a.steps):
        slot = t % (tolerance + 1)
        free_a[slot], free_b[slot] = unpack(a.bits[t], a.n), unpack(b.bits[t], b.n)
        for back in range(tolerance, -1, -1):
            old = (t - back) % (tolerance + 1)
            for new_free, old_free in ((free_a, free_b), (free_b, free_a)):
                pair = new_free[slot] & old_free[old]
                pairs += int(pair.sum())
                new_free[slot] &= ~pair
                old_free[old] &= ~pair
    return pairs
