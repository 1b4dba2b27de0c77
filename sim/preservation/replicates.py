"""Replicates: how other trials would have moved all of a network's τ together."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float64

from isotau.convert import validation
from isotau.sim.timescales.record import Timescales
from isotau.sim.timescales.series import Series


def trial_replicates(
    series: Series, estimate: Callable[[Series], Timescales], groups: int = 10
) -> Float64[np.ndarray, "groups n"]:
    """Return log τ (τ in seconds) as other trials might have made it, for `Pair`.

    Trials are left out in groups, and what that changes is scaled up by √(groups − 1),
    so that the rows vary as much as runs of other trials do (the grouped jackknife,
    Efron & Stein 1981, doi:10.1214/aos/1176345462). NaN where a neuron is not
    identified without some group.

    Args:
        series: of one run.
        estimate: the estimator.
        groups: how many, and how often the estimator is called.

    Raises:
        ValueError: fewer than two trials a group.
    """
    groups = validation.whole("groups", groups, 2, 10_000)
    if series.batch < 2 * groups:
        raise ValueError(
            f"groups: got {groups} for {series.batch} trials, need two trials a group; "
            "take fewer groups or run more trials"
        )
    assert series.observed is not None
    group = np.arange(series.batch) % groups
    rows = []
    for k in range(groups):
        some = group != k
        rows.append(
            estimate(
                Series(
                    values=series.values[:, some],
                    bin_width=series.bin_width,
                    kind=series.kind,
                    observed=series.observed[some],
                )
            ).tau
        )
    left = np.log(np.stack(rows))
    centre = left.mean(axis=0)
    return centre + np.sqrt(groups - 1) * (left - centre)
