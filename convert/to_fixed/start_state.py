"""Start states, set back in time: so that some steps without input lead to them."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int64

from isotau.convert.ground.representation import short_repr
from isotau.convert.records.lif import LIFNetwork, decay_fraction

Floats = Float64[np.ndarray, " n"]


@short_repr
class StartState(NamedTuple):
    """State before the first step, in volts."""

    i0: Floats
    v0: Floats
    early: np.ndarray
    """Neurons whose state cannot be set back: they would spike before their start."""


def set_back(
    i0: Floats,
    v0: Floats,
    lag: Int64[np.ndarray, " n"],
    *,
    a_syn: Floats,
    a_mem: Floats,
    v_leak: Floats,
    v_th: Floats,
) -> StartState:
    """Return the state from which `lag` steps without input lead to (i0, v0).

    The step, with i ← (1 − a_syn) i after v ← v + a_mem (v_leak − v + i), is inverted,
    (L15); where a fraction is 1 the state before does not matter.

    Args:
        i0: synaptic current of each neuron, in volts.
        v0: membrane potential, in volts.
        lag: steps.
        a_syn: share of i that a step takes.
        a_mem: share of v − v_leak that a step takes.
        v_leak: resting potential, in volts.
        v_th: threshold, in volts.
    """
    i, v = np.array(i0), np.array(v0)
    early = np.zeros(len(i), dtype=bool)
    keep_i, keep_v = 1 - a_syn, 1 - a_mem
    for k in range(int(lag.max(initial=0))):
        behind = lag > k
        # No state of a step that ended in a spike: reset has forgotten it.
        early |= behind & (v > v_th)
        before = np.divide(i, keep_i, out=np.zeros_like(i), where=keep_i > 0)
        i = np.where(behind, before, i)
        drive = a_mem * (v_leak + i)
        before = np.divide(v - drive, keep_v, out=np.array(v), where=keep_v > 0)
        v = np.where(behind, before, v)
    # A small share kept, step after step, leads beyond what floats hold.
    early |= ~(np.isfinite(i) & np.isfinite(v))
    return StartState(np.where(early, i0, i), np.where(early, v0, v), early)


def await_input(net: LIFNetwork) -> LIFNetwork:
    """Return the network with its start state one step earlier.

    The chip takes a message a step after it was sent, while biases and start state act
    from the first step on. Quantized from here, everything that the float network does
    comes one step later on the chip, and not its input alone. A neuron that would have
    to spike before its start keeps its state.
    """
    start = set_back(
        net.i0,
        net.v0,
        np.ones(net.n, dtype=np.int64),
        a_syn=decay_fraction(net.tau_syn, net.dt),
        a_mem=decay_fraction(net.tau_mem, net.dt),
        v_leak=net.v_leak,
        v_th=net.v_th,
    )
    # The readout's filter decays before the first spike is added to it.
    keep_f = 1 - decay_fraction(net.tau_out, net.dt)
    f0 = np.divide(net.f0, keep_f, out=np.zeros(net.n), where=keep_f > 0)
    return replace(net, i0=start.i0, v0=start.v0, f0=f0)
