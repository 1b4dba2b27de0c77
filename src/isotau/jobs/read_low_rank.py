"""A low-rank network read through κ at every stage, and what its dynamics predict."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from isotau.convert.ground.progress import Progress, silent
from isotau.convert.ground.representation import short_repr
from isotau.convert.records.rate import RateRNN
from isotau.jobs.compare_stages import KappaReading
from isotau.jobs.pipeline import Result, carry
from isotau.jobs.run_config import RunConfig
from isotau.sim.lowrank.dynamics import (
    FixedPoint,
    Modes,
    Reduced,
    exact,
    fixed_points,
    full_modes,
    in_steps,
)
from isotau.sim.lowrank.factors import Factors, factors
from isotau.sim.lowrank.overlaps import Overlaps, overlaps

STARTS = 40
"""From which fixed points are looked for."""
BEYOND = 1.5
"""Starts lie as far out as this times the largest |κ| of the task's trials."""


@short_repr
class Rest(NamedTuple):
    """A fixed point without input, and what decays around it.

    Attributes:
        point: κ and its own modes.
        in_steps: these modes as the network's steps show them.
        all_units: modes of all units there, also of those that κ leaves out.
    """

    point: FixedPoint
    in_steps: Modes
    all_units: Modes


@short_repr
class LowRankReading(NamedTuple):
    """What a low-rank network does along its modes.

    Attributes:
        result: the network, carried to the chip.
        factors: of the rate network, canonical.
        overlaps: of its vectors.
        kappa: of every stage in the same trials.
        reduced: the dynamics of κ alone, without input; of units with several τ under
            their median.
        rests: its fixed points, sorted by κ.
        reach: largest |κ| from which they were looked for.
    """

    result: Result
    factors: Factors
    overlaps: Overlaps
    kappa: KappaReading
    reduced: Reduced
    rests: Sequence[Rest]
    reach: float


def read_low_rank(
    rate: RateRNN, config: RunConfig, *, progress: Progress = silent
) -> LowRankReading:
    """Return κ of a low-rank network at every stage, and its fixed points.

    Args:
        rate: the network.
        config: how it is converted, and in how many trials κ is read.
        progress: is given the steps as they pass.

    Raises:
        ValueError: a network without factors, or one that does not fit the task.
        DoesNotFit: it does not fit the chip.
    """
    # Before the network is carried, which takes most of the time.
    if not rate.rank:
        raise ValueError(
            f"network: got {rate.n} units without low-rank factors, need m and n, as "
            "files of the low-rank papers and `isotau train --task romo` have them; "
            "measure it with `isotau preserve`"
        )
    result = carry(rate, config, progress=progress)
    assert result.kappa is not None  # the network has a rank
    modes = factors(rate)
    reach = BEYOND * float(np.abs(result.kappa.traces["rate"][0]).max())
    # Fixed points are those of any τ; only how fast κ nears them hangs on it.
    reduced = exact(rate, modes, tau=float(np.median(rate.tau)))
    starts = np.random.default_rng(config.seed).uniform(
        -reach, reach, (STARTS, modes.rank)
    )
    return LowRankReading(
        result=result,
        factors=modes,
        overlaps=overlaps(rate, modes),
        kappa=result.kappa,
        reduced=reduced,
        rests=[
            Rest(
                point=point,
                in_steps=in_steps(point.modes, rate.dt),
                all_units=full_modes(rate, modes.m_vectors @ point.kappa + rate.bias),
            )
            for point in fixed_points(reduced, starts)
        ],
        reach=reach,
    )
