"""States of a network at every stage: x of rate units, i of neurons, u on the chip.

All in units of x, of every unit, the mean over a unit's copies, in the rate network's
steps: what is compared is the same quantity wherever it is read.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float64

from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.convert.records.rate import RateRNN
from isotau.convert.records.spikes import Spikes
from isotau.convert.simulate.lif_dynamics import simulate_lif
from isotau.convert.simulate.rate_dynamics import simulate_rate
from isotau.convert.to_fixed.quantize import messages
from isotau.convert.to_lif.conversion import Conversion
from isotau.convert.to_lif.state_match import unit_states
from isotau.sim.engines.state_at_rest import sampled_currents
from isotau.sim.states.sequence import StateSource, StateTrials

SETTLE = 2.0
"""Seconds in which networks come to rest."""
States = Float64[np.ndarray, "samples trials n"]
Inputs = Float64[np.ndarray, "steps trials n_in"]


def resting_sources(
    rate: RateRNN, conversion: Conversion, fixed: FixedPointNetwork
) -> tuple[StateSource, ...]:
    """Return where the states of a network without input come from, stage by stage.

    Args:
        rate: the network that was converted.
        conversion: of it.
        fixed: what that became on the chip.
    """
    before = round(SETTLE / rate.dt)

    def source(
        name: str, states: Callable[[np.ndarray, int, int], States]
    ) -> StateSource:
        def draw(trials: int, first: int, length: float, seed: int) -> StateTrials:
            steps = before + round(length / rate.dt)
            silence = np.zeros((steps, trials, rate.n_in))
            return StateTrials(states(silence, seed, first)[before:])

        return StateSource(name=name, interval=rate.dt, n=rate.n, draw=draw)

    return (
        source(
            "rate", lambda inputs, seed, first: rate_states(rate, inputs, seed, first)
        ),
        source(
            "lif",
            lambda inputs, seed, first: lif_states(
                rate, conversion, inputs, seed, first, spikes=False
            )[0],
        ),
        source(
            "fixed",
            lambda inputs, seed, first: chip_states(
                rate, conversion, fixed, inputs, seed, first
            )[0],
        ),
    )


def rate_states(rate: RateRNN, inputs: Inputs, seed: int, first: int = 0) -> States:
    """Return x of a rate network.

    Args:
        rate: the network.
        inputs: in its steps.
        seed: of its start and noise.
        first: number of the first trial.
    """
    run = simulate_rate(rate, inputs, seed=seed, first_trial=first, keep_x=True)
    assert run.x is not None
    return run.x


def lif_states(
    rate: RateRNN,
    conversion: Conversion,
    inputs: Inputs,
    seed: int,
    first: int = 0,
    *,
    spikes: bool = True,
) -> tuple[States, Spikes]:
    """Return i of the neurons of each unit, in units of x, and the spikes.

    Args:
        rate: the network that was converted.
        conversion: of it; says what stands for 1.
        inputs: in its steps.
        seed: of the noise.
        first: number of the first trial.
        spikes: whether they are kept.
    """
    net = conversion.network
    every = round(rate.dt / net.dt)
    run = simulate_lif(
        net,
        np.repeat(inputs, every, axis=0),
        seed=seed,
        first_trial=first,
        record=("i",),
        every=every,
        keep_spikes=spikes,
    )
    assert run.i is not None
    copies = net.n // rate.n
    return unit_states(run.i, net, conversion.constants, copies), run.spikes


def chip_states(
    rate: RateRNN,
    conversion: Conversion,
    fixed: FixedPointNetwork,
    inputs: Inputs,
    seed: int,
    first: int = 0,
) -> tuple[States, Spikes]:
    """Return u of the neurons of each unit, in units of x, and the spikes.

    Args:
        rate: the network that was converted.
        conversion: of it.
        fixed: what that became on the chip.
        inputs: in the rate network's steps.
        seed: of the noise.
        first: number of the first trial.
    """
    every = round(rate.dt / fixed.dt)
    fine = np.repeat(inputs, every, axis=0)
    sent = messages(fixed, fine, seed=seed, first_trial=first)
    u, spikes = sampled_currents(fixed, sent, seed=seed, first_trial=first, every=every)
    lif, copies = conversion.network, fixed.n // rate.n
    return unit_states(u, lif, conversion.constants, copies), spikes
