"""Autocovariances of states, by blocks of trials that are added up run by run.

The mean over the trials of a condition is taken out at every time: what is alike in all
of them is no memory. That takes a share of the variance with it, 1 in as many trials,
which is put back (A1). Samples may be left out, as those around a change of memory
state: products are divided by how many there were. Blocks of trials are independent, so
that leaving each out in turn tells how sure everything is that is made of them; and as
sums they take the same memory however long the network is watched.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int64
from scipy import fft

from isotau.convert.ground import validation
from isotau.convert.ground.representation import short_repr

BLOCKS = 20
"""Of trials; a run has as many trials at least."""


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class BlockedAutocovariance:
    """Autocovariances of all units, as sums over the trials of each block.

    Attributes:
        interval: seconds between two lags, and two samples.
        sums: over a block's trials and times, of products a lag apart; block × lag ×
            unit.
        pairs: how many products each of them has; block × lag.
        trials: of each block.
        samples: of all trials together.
        mean: of each unit's state.
    """

    interval: float
    sums: Float64[np.ndarray, "blocks lags n"]
    pairs: Float64[np.ndarray, "blocks lags"]
    trials: Int64[np.ndarray, " blocks"]
    samples: int
    mean: Float64[np.ndarray, " n"]

    def __post_init__(self) -> None:
        """Check and freeze every field."""
        validation.number("interval", self.interval, positive=True)
        sums = np.asarray(self.sums)
        blocks, lags, n = sums.shape
        fields: dict[str, Any] = {
            "sums": validation.floats(
                "sums", sums, (blocks, lags, n), "block × lag × n"
            ),
            "pairs": validation.floats(
                "pairs", self.pairs, (blocks, lags), "block × lag", minimum=0.0
            ),
            "trials": validation.integers(
                "trials",
                self.trials,
                (blocks,),
                "block",
                dtype=np.int64,
                low=1,
                high=1 << 40,
            ),
            "mean": validation.floats("mean", self.mean, (n,), "n"),
        }
        validation.freeze(self, fields)

    @property
    def lags(self) -> int:
        """How many lags, from 0."""
        return int(self.sums.shape[1])

    @property
    def n(self) -> int:
        """How many units."""
        return int(self.sums.shape[2])


def autocovariance_blocks(
    x: Float64[np.ndarray, "samples trials n"],
    interval: float,
    lags: int,
    *,
    conditions: Int64[np.ndarray, " trials"] | None = None,
    seen: Bool[np.ndarray, "samples trials"] | None = None,
) -> BlockedAutocovariance:
    """Return the autocovariances of one run about the mean of its trials: (A1).

    Args:
        x: the states.
        interval: seconds between two samples.
        lags: how many, from 0; fewer than samples.
        conditions: of the trials, each of which has a mean of its own; one if not
            given. Of a condition of a single trial nothing is left.
        seen: samples that count; all if not given.

    Raises:
        ValueError: fewer trials than `BLOCKS`, or as many lags as samples.
    """
    samples, trials, n = x.shape
    if trials < BLOCKS:
        raise ValueError(f"x: got {trials} trials, need at least {BLOCKS}, one a block")
    if not 0 < lags < samples:
        raise ValueError(
            f"lags: got {lags}, need 1 to {samples - 1} of as many samples"
        )
    about, counted = _about_the_mean(x, conditions, seen)
    # Silence behind the samples: no lag comes round to the other end.
    length = fft.next_fast_len(samples + lags, real=True)
    power = np.zeros((BLOCKS, length // 2 + 1, n))
    pairs = np.zeros((BLOCKS, lags))
    whole = (samples - np.arange(lags)).astype(np.float64)
    for k in range(trials):
        waves = fft.rfft(about[:, k], n=length, axis=0)
        power[k % BLOCKS] += waves.real**2 + waves.imag**2
        if counted[:, k].all():
            pairs[k % BLOCKS] += whole
        else:
            mask = counted[:, k].astype(np.float64)
            pairs[k % BLOCKS] += np.correlate(mask, mask, "full")[samples - 1 :][:lags]
    return BlockedAutocovariance(
        interval=interval,
        sums=fft.irfft(power, n=length, axis=1)[:, :lags],
        pairs=pairs,
        trials=np.bincount(np.arange(trials) % BLOCKS),
        samples=samples * trials,
        mean=x.mean(axis=(0, 1)),
    )


def added(
    first: BlockedAutocovariance, second: BlockedAutocovariance
) -> BlockedAutocovariance:
    """Return two runs of the same network as one, block by block.

    Raises:
        ValueError: runs of other intervals, lags or units.
    """
    for name in ("interval", "lags", "n"):
        ours, theirs = getattr(first, name), getattr(second, name)
        if ours != theirs:
            raise ValueError(f"{name}: got {theirs}, need {ours} as in the first run")
    samples = first.samples + second.samples
    share = first.samples / samples
    return BlockedAutocovariance(
        interval=first.interval,
        sums=first.sums + second.sums,
        pairs=first.pairs + second.pairs,
        trials=first.trials + second.trials,
        samples=samples,
        mean=share * first.mean + (1 - share) * second.mean,
    )


def together(blocked: BlockedAutocovariance) -> Float64[np.ndarray, "lags n"]:
    """Return the autocovariance of all trials; 0 at lags of which nothing was seen."""
    pairs = blocked.pairs.sum(axis=0)
    return _per_pair(blocked.sums.sum(axis=0), pairs)


def without_each(
    blocked: BlockedAutocovariance,
) -> Float64[np.ndarray, "blocks lags n"]:
    """Return the autocovariances of all trials but those of each block in turn."""
    rest = blocked.pairs.sum(axis=0) - blocked.pairs
    sums = blocked.sums.sum(axis=0) - blocked.sums
    return _per_pair(sums, rest)


def _per_pair(
    sums: Float64[np.ndarray, "*lead lags n"], pairs: Float64[np.ndarray, "*lead lags"]
) -> Float64[np.ndarray, "*lead lags n"]:
    """Return mean products; 0 where there is none."""
    # Counts are whole: half of one tells none from some.
    some = (pairs > 0.5)[..., None]
    return np.where(some, sums / np.maximum(pairs, 1.0)[..., None], 0.0)


def _about_the_mean(
    x: Float64[np.ndarray, "samples trials n"],
    conditions: Int64[np.ndarray, " trials"] | None,
    seen: Bool[np.ndarray, "samples trials"] | None,
) -> tuple[Float64[np.ndarray, "samples trials n"], Bool[np.ndarray, "samples trials"]]:
    """Return states about their condition's mean, its share put back: (A1).

    With them which samples count: others are 0.
    """
    samples, trials, _ = x.shape
    seen = np.ones((samples, trials), dtype=bool) if seen is None else seen
    about, counted = np.zeros(x.shape), np.zeros((samples, trials), dtype=bool)
    groups = np.zeros(trials) if conditions is None else conditions
    for group in np.unique(groups):
        mine = np.flatnonzero(groups == group)
        inside = seen[:, mine]
        # What is not seen is 0 already or counts as such: sums over trials leave it.
        parts = np.where(inside[..., None], x[:, mine], 0.0)
        count = inside.sum(axis=1)
        mean = parts.sum(axis=1) / np.maximum(count, 1)[:, None]
        # Of one trial alone nothing is left beside its mean.
        inside = inside & (count > 1)[:, None]
        put_back = np.sqrt(count / np.maximum(count - 1, 1))
        parts -= mean[:, None]
        parts *= inside[..., None] * put_back[:, None, None]
        about[:, mine], counted[:, mine] = parts, inside
    return about, counted
