"""Autocovariances of states, by blocks of trials that are added up run by run.

The mean over the trials of a run is taken out at every time: what is alike in all
trials is no memory. That takes a share of the variance with it, 1 in as many trials,
which is put back (A1). Blocks of trials are independent, so that leaving each out in
turn tells how sure everything is that is made of them; and as sums they take the same
memory however long the network is watched.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64
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
        sums: over a block's trials, of products a lag apart; block × lag × unit.
        trials: of each block.
        samples: of all trials together.
        mean: of each unit's state.
    """

    interval: float
    sums: Float64[np.ndarray, "blocks lags n"]
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
    x: Float64[np.ndarray, "samples trials n"], interval: float, lags: int
) -> BlockedAutocovariance:
    """Return the autocovariances of one run about the mean of its trials: (A1).

    Args:
        x: the states.
        interval: seconds between two samples.
        lags: how many, from 0; fewer than samples.

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
    mean = x.mean(axis=1)
    put_back = np.sqrt(trials / (trials - 1))
    # Silence behind the samples: no lag comes round to the other end.
    length = fft.next_fast_len(samples + lags, real=True)
    power = np.zeros((BLOCKS, length // 2 + 1, n))
    for k in range(trials):
        waves = fft.rfft((x[:, k] - mean) * put_back, n=length, axis=0)
        power[k % BLOCKS] += waves.real**2 + waves.imag**2
    products = fft.irfft(power, n=length, axis=1)[:, :lags]
    pairs = samples - np.arange(lags)
    return BlockedAutocovariance(
        interval=interval,
        sums=products / pairs[:, None],
        trials=np.bincount(np.arange(trials) % BLOCKS),
        samples=samples * trials,
        mean=mean.mean(axis=0),
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
        trials=first.trials + second.trials,
        samples=samples,
        mean=share * first.mean + (1 - share) * second.mean,
    )


def together(blocked: BlockedAutocovariance) -> Float64[np.ndarray, "lags n"]:
    """Return the autocovariance of all trials."""
    return np.asarray(blocked.sums.sum(axis=0) / blocked.trials.sum())


def without_each(
    blocked: BlockedAutocovariance,
) -> Float64[np.ndarray, "blocks lags n"]:
    """Return the autocovariances of all trials but those of each block in turn."""
    rest = blocked.trials.sum() - blocked.trials
    return np.asarray((blocked.sums.sum(axis=0) - blocked.sums) / rest[:, None, None])
