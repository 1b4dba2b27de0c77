"""Differences between two accuracies on the same trials."""

from typing import NamedTuple

import numpy as np

Z = 1.959963984540054
"""Standard normal quantile of a two-sided 95 % interval."""


class PairedDifference(NamedTuple):
    """A difference of shares of right trials, with its 95 % interval."""

    value: float
    low: float
    high: float


def paired_difference(right: np.ndarray, before: np.ndarray) -> PairedDifference:
    """Return how much more of the trials are right than before (Wald's interval).

    Args:
        right: whether each trial is right.
        before: whether the same trial was.
    """
    # By trial, so that what makes a trial hard for both does not widen the interval.
    change = right.astype(float) - before
    mean, error = change.mean(), Z * change.std() / np.sqrt(len(change))
    return PairedDifference(float(mean), float(mean - error), float(mean + error))
