"""States of every stage in one situation: x, i in units of x, u in the same units."""

import numpy as np

from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.convert.records.rate import RateRNN
from isotau.convert.records.spikes import Spikes, window
from isotau.convert.simulate.lif_dynamics import simulate_lif
from isotau.convert.simulate.rate_dynamics import simulate_rate
from isotau.convert.to_fixed.quantize import messages
from isotau.convert.to_lif.conversion import Conversion, unit_rates
from isotau.convert.to_lif.state_match import unit_states
from isotau.sim.engines.state_at_rest import sampled_currents
from isotau.sim.spikes.poisson import observe
from isotau.sim.states.epochs import Situation, resting, task_epoch
from isotau.sim.tasks import Task


def rest(rate: RateRNN, *, trials: int, settle: float, length: float) -> Situation:
    """Return nothing at all, for `length` seconds after `settle` of the same."""
    shown = resting(rate.n_in, rate.dt, settle=settle)(trials, 0, length, 0)
    return shown._replace(conditions=np.zeros(trials, dtype=np.int64))


def epoch(
    task: Task, rate: RateRNN, *, trials: int, settle: float, length: float, seed: int
) -> Situation:
    """Return the task's delay, its fixation, or what follows its cue, lengthened.

    The delay of a task that has one; else the fixation in which its held channels
    stand; else the silence after the last input.

    Args:
        task: what the network was trained on.
        rate: the network.
        trials: how many.
        settle: seconds before a fixation that are not looked at.
        length: seconds that are.
        seed: of the trials.
    """
    name = "delay" if task.delay else "fixation" if task.held else "after"
    return task_epoch(name, task, rate.dt, settle=settle)(trials, 0, length, seed)


def rate_states(
    rate: RateRNN,
    shown: Situation,
    conversion: Conversion,
    *,
    seed: int,
    observed: bool,
) -> tuple[np.ndarray, Spikes | None]:
    """Return x, and the spikes that a Poisson observer of the rates sees, if asked."""
    run = simulate_rate(rate, shown.inputs, seed=seed, keep_x=True)
    assert run.x is not None
    if not observed:
        return run.x[shown.before :], None
    spikes = observe(
        unit_rates(rate, conversion, run)[shown.before :],
        dt_rates=rate.dt,
        inverse_lambda=1.0,
        dt=conversion.constants.dt,
        rng=np.random.default_rng([seed, 1]),
        network=rate.fingerprint,
    )
    return run.x[shown.before :], spikes


def lif_states(
    rate: RateRNN, shown: Situation, conversion: Conversion, *, seed: int
) -> tuple[np.ndarray, Spikes]:
    """Return i of the neurons of each unit, in units of x, and the spikes.

    Args:
        rate: the network that was converted.
        shown: in its steps.
        conversion: of it; says what stands for 1.
        seed: of the noise.
    """
    net = conversion.network
    every = round(rate.dt / net.dt)
    run = simulate_lif(
        net,
        np.repeat(shown.inputs, every, axis=0),
        seed=seed,
        record=("i",),
        every=every,
    )
    assert run.i is not None
    x = unit_states(run.i, net, conversion.constants, net.n // rate.n)
    return x[shown.before :], window(run.spikes, shown.before * every)


def chip_states(
    rate: RateRNN,
    shown: Situation,
    conversion: Conversion,
    net: FixedPointNetwork,
    *,
    seed: int,
) -> tuple[np.ndarray, Spikes]:
    """Return u of the neurons of each unit, in units of x, and the spikes.

    Args:
        rate: the network that was converted.
        shown: in its steps.
        conversion: of it.
        net: what that became on the chip.
        seed: of the noise.
    """
    every = round(rate.dt / net.dt)
    sent = messages(net, np.repeat(shown.inputs, every, axis=0), seed=seed)
    u, spikes = sampled_currents(net, sent, seed=seed, first_trial=0, every=every)
    lif, copies = conversion.network, net.n // rate.n
    x = unit_states(u, lif, conversion.constants, copies)
    return x[shown.before :], window(spikes, shown.before * every)
