"""How sure an accuracy is: 95 % intervals of shares of right trials and of changes.

One kind for both: the normal interval after a few imaginary trials were added, which
has a width also where every trial was right or none changed, and covers the truth as
often as it says.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool

NORMAL_95 = 1.959963984540054
"""Standard deviations from the mean within which a normal variable is in 95 %."""


class AccuracyChange(NamedTuple):
    """Difference of two accuracies on the same trials, and its 95 % interval."""

    difference: float
    low: float
    high: float


def compare_accuracies(
    before: Bool[np.ndarray, " batch"], after: Bool[np.ndarray, " batch"]
) -> AccuracyChange:
    """Return how accuracy changed on the same trials, with a 95 % interval.

    d = (gained − lost)/n; the interval is Wald's after half a trial was added to each
    of the four kinds of trials. Source: Agresti & Min 2005, doi:10.1002/sim.1781.

    Args:
        before: which trials were right.
        after: the same trials.
    """
    n = len(before) + 2  # (S34)
    gained, lost = (~before & after).sum() + 0.5, (before & ~after).sum() + 0.5
    middle = (gained - lost) / n
    reach = NORMAL_95 * np.sqrt(gained + lost - (gained - lost) ** 2 / n) / n
    difference = float(after.mean() - before.mean())
    return AccuracyChange(difference, float(middle - reach), float(middle + reach))


def accuracy_reach(right: Bool[np.ndarray, " batch"]) -> float:
    """Return half the width of the 95 % interval of a share of right trials.

    Wald's, after two trials were added that were right and two that were not.
    Source: Agresti & Coull 1998, doi:10.1080/00031305.1998.10480550.
    """
    n = len(right) + 4  # (S35)
    share = (right.sum() + 2) / n
    return float(NORMAL_95 * np.sqrt(share * (1 - share) / n))
