"""States of every stage in one situation: x, i in units of x, u in the same units."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int64

from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.convert.records.rate import RateRNN
from isotau.convert.records.spikes import Spikes, window
from isotau.convert.records.trials import refine
from isotau.convert.simulate.rate_dynamics import simulate_rate
from isotau.convert.to_lif.conversion import Conversion, unit_rates
from isotau.sim.spikes.poisson import observe
from isotau.sim.states import network_states
from isotau.sim.tasks import Task, lead_in


class Situation(NamedTuple):
    """What a network is shown while its state is looked at.

    Attributes:
        inputs: in steps of the rate network.
        before: steps of them that are not looked at.
        conditions: of the trials, each of which has a mean of its own.
    """

    inputs: Float64[np.ndarray, "steps trials n_in"]
    before: int
    conditions: Int64[np.ndarray, " trials"]


def rest(rate: RateRNN, *, trials: int, settle: float, length: float) -> Situation:
    """Return nothing at all, for `length` seconds after `settle` of the same."""
    before, steps = round(settle / rate.dt), round(length / rate.dt)
    inputs = np.zeros((before + steps, trials, rate.n_in))
    return Situation(inputs, before, np.zeros(trials, dtype=np.int64))


def epoch(
    task: Task, rate: RateRNN, *, trials: int, settle: float, length: float, seed: int
) -> Situation:
    """Return the task's delay, its fixation, or what follows its cue, lengthened.

    The delay of a task that has one, held from the first stimulus on; else the fixation
    in which the task's held channels stand; else the silence after the last input.
    Conditions are what the trial has shown until then.

    Args:
        task: what the network was trained on.
        rate: the network.
        trials: how many.
        settle: seconds before a fixation that are not looked at.
        length: seconds that are.
        seed: of the trials.
    """
    drawn = refine(task.draw(trials, np.random.default_rng(seed)), rate.dt)
    shown, labels = drawn.inputs, np.asarray(drawn.labels)
    steps = round(length / rate.dt)
    silent = np.zeros((steps, trials, rate.n_in))
    for channel in task.held:
        silent[:, :, channel] = shown[0, :, channel]
    if task.delay is not None:
        before = round(task.delay.start / rate.dt)
        conditions = np.isin(labels, task.delay.labels[1]).astype(np.int64)
        return Situation(np.concatenate([shown[:before], silent]), before, conditions)
    if task.held:
        before = round(settle / rate.dt)
        _, conditions = np.unique(
            shown[0][:, list(task.held)], axis=0, return_inverse=True
        )
        return Situation(lead_in(task, silent, before), before, conditions.reshape(-1))
    before = int(np.flatnonzero(shown.any(axis=(1, 2))).max()) + 1
    return Situation(np.concatenate([shown[:before], silent]), before, labels)


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
    x, spikes = network_states.lif_states(rate, conversion, shown.inputs, seed)
    every = round(rate.dt / conversion.network.dt)
    return x[shown.before :], window(spikes, shown.before * every)


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
    x, spikes = network_states.chip_states(rate, conversion, net, shown.inputs, seed)
    every = round(rate.dt / net.dt)
    return x[shown.before :], window(spikes, shown.before * every)
