"""Moments of recorded states, summed up while a network runs: no trace is kept."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from isotau.convert.ground.representation import short_repr
from isotau.convert.ground.validation import integers
from isotau.convert.simulate.moment_kernels import add_samples
from isotau.convert.simulate.shares import Share


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Moments:
    """Moments of a signal over the samples of all trials, for each recorded neuron.

    Attributes:
        mean: over samples and trials.
        variance: mean square about that mean.
        autocovariance: mean product, about that mean, of samples that are `lags` apart
            within a trial (L18), lag × neuron.
        lags: in samples.
        samples: of a trial.
        trials: how many.
    """

    mean: Float64[np.ndarray, " n"]
    variance: Float64[np.ndarray, " n"]
    autocovariance: Float64[np.ndarray, "lags n"]
    lags: Int64[np.ndarray, " lags"]
    samples: int
    trials: int


class MomentSums:
    """Sums over the samples so far; memory does not grow with their number."""

    def __init__(self, trials: int, places: int, lags: Sequence[int]) -> None:
        """Begin with no sample.

        Args:
            trials: how many.
            places: recorded neurons.
            lags: in samples, from 1 on.
        """
        # Lag 0 goes first: it is the variance.
        self.lags = np.array([0, *lags], dtype=np.int64)
        shape = (trials, len(self.lags), places)
        self.total = np.zeros((trials, places))
        self.products, self.heads = np.zeros(shape), np.zeros(shape)
        self.history = np.zeros((int(self.lags.max()), trials, places))
        self.seen = 0

    def add(self, share: Share, chunk: np.ndarray) -> None:
        """Add some samples, samples × trial × place."""
        chunk, sums = np.ascontiguousarray(chunk), (self.products, self.heads)
        # Of the samples' type, so that the loops are compiled for one.
        history = self.history.astype(chunk.dtype)
        share(
            lambda first, last: add_samples(
                *(first, last, chunk, history, self.seen, self.lags),
                *(self.total, *sums),
            )
        )
        self.seen += len(chunk)
        length = len(self.history)
        latest = [self.history[len(chunk) :], chunk[max(0, len(chunk) - length) :]]
        self.history = np.concatenate(latest)

    def moments(self) -> Moments:
        """Return the moments of all samples."""
        trials, samples = len(self.total), self.seen
        mean = self.total.sum(axis=0) / (trials * samples)
        # (L18): a pair lacks the first samples on one side, the last on the other.
        pairs = (trials * (samples - self.lags))[:, None]
        length = len(self.history)
        tails = [self.history[length - lag :].sum(axis=(0, 1)) for lag in self.lags]
        sums = 2 * self.total.sum(axis=0) - self.heads.sum(axis=0) - np.stack(tails)
        products = self.products.sum(axis=0)
        covariance = (products - mean * sums) / pairs + mean**2
        return Moments(
            mean=mean,
            variance=np.maximum(covariance[0], 0.0),
            autocovariance=covariance[1:],
            lags=self.lags[1:],
            samples=samples,
            trials=trials,
        )


def check_lags(lags: Sequence[int], samples: int) -> list[int]:
    """Return lags after checking that each has pairs of samples.

    Raises:
        ValueError: a lag below 1, or that no two samples are apart.
    """
    checked = integers(
        "lags",
        lags,
        (len(lags),),
        "lag",
        dtype=np.int64,
        low=1,
        high=samples - 1,
        remedy="run more steps",
    )
    return [int(lag) for lag in checked]
