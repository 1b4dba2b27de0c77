"""Trimming: synapses a little faster or slower, until states remember as long.

What a spiking neuron hears from others is never quite what the unit heard, and its
state forgets earlier or later than the unit's. Both are looked at without input; the
synapse of a neuron whose state forgets too early is made slower by as much, weights and
noise such that a constant rate still gives the same current, and noise the same SD.
"""

import dataclasses

import numpy as np
from jaxtyping import Float64

from isotau.convert.ground.progress import Progress
from isotau.convert.neuron.lif_constants import LIFConstants
from isotau.convert.records.lif import LIFNetwork, decay_fraction
from isotau.convert.records.rate import RateRNN
from isotau.convert.to_lif.state_match import (
    RestingState,
    rest_of_lif,
    rest_of_rate,
)

STRENGTHS = (1.0, 0.5, 0.5)
"""Powers of the ratio of τ by which one trim follows another."""
KNOWN = 0.8
"""Share of the units whose τ has to be known."""
MOST = 2.0
"""Factor that a synapse's τ changes by at most."""


def trim_tau(
    net: LIFNetwork,
    rate: RateRNN,
    *,
    constants: LIFConstants,
    copies: int,
    seed: int,
    progress: Progress,
) -> LIFNetwork:
    """Return a LIF network whose states at rest remember as long as a rate network's.

    Where the τ of too few units are known it is the network itself.

    Args:
        net: the network.
        rate: what it stands for, of one unit for all copies.
        constants: of its neurons.
        copies: neurons for each unit.
        seed: of the noise in which both are looked at.
        progress: is given the steps as they pass.
    """
    wanted = rest_of_rate(rate, seed=seed)
    factors = np.ones(rate.n)
    trimmed = net
    for turn, strength in enumerate(STRENGTHS):
        found = rest_of_lif(
            trimmed,
            constants=constants,
            dt=rate.dt,
            copies=copies,
            seed=seed + turn,
            progress=progress,
        )
        if (lack := lacking(wanted, found)) is None:
            return trimmed
        factors = np.clip(factors * lack**strength, 1 / MOST, MOST)
        trimmed = with_tau(net, np.repeat(factors, copies))
    return trimmed


def lacking(
    wanted: RestingState, found: RestingState
) -> Float64[np.ndarray, " units"] | None:
    """Return what every unit's τ lacks, a factor; 1 where either is not known.

    Where few are known, as in a network that goes from one memory state to another,
    those are no measure of what a synapse does: None.
    """
    known = np.isfinite(wanted.tau) & np.isfinite(found.tau)
    if known.mean() < KNOWN:
        return None
    return np.divide(wanted.tau, found.tau, out=np.ones(len(known)), where=known)


def with_tau(net: LIFNetwork, factors: Float64[np.ndarray, " n"]) -> LIFNetwork:
    """Return the network with τ_syn times factors (C36).

    Args:
        net: the network.
        factors: of every neuron's τ_syn, which stays a step or more.
    """
    tau = np.maximum(net.tau_syn * factors, net.dt)
    before, after = (decay_fraction(each, net.dt) for each in (net.tau_syn, tau))
    constant = (after / before)[:, None]
    # noise arrives in every step anew, and adds up by its squares
    noise = np.sqrt(after * (2 - after) / (before * (2 - before)))[:, None]
    assert isinstance(net.w_rec, np.ndarray)  # calibrations are dense
    shown = net.n_shown
    w_in = np.hstack([net.w_in[:, :shown] * constant, net.w_in[:, shown:] * noise])
    return dataclasses.replace(net, tau_syn=tau, w_in=w_in, w_rec=net.w_rec * constant)
