"""What a fixed-point network loses to truncated inputs, put back into its biases.

A block with a negative exponent delivers ⌊Σ weights · message · 2^exp⌋, in units of 2^6
of u: half a unit less, on average, in every step in which it is active. With a slow
current that decays by (du + 1)/4096 a step, such losses add up to millivolts.
"""

import dataclasses

import numpy as np
from jaxtyping import Float64

from isotau.convert.chip import arithmetic as chip
from isotau.convert.ground import validation
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.convert.records.lif import LIFNetwork
from isotau.convert.records.spikes import Spikes, unpack
from isotau.convert.to_fixed.quantize import fit_bias, messages

MOST = 8192
"""Trial-steps that are looked at."""


def mean_loss(
    net: FixedPointNetwork,
    spikes: Spikes,
    inputs: Float64[np.ndarray, "steps batch n_in"],
) -> Float64[np.ndarray, " n"]:
    """Return what truncation takes from each neuron's u in a step, on average.

    Args:
        net: the network.
        spikes: typical ones, of the LIF network it was made from or of its own.
        inputs: that were shown at the same time, at the network's dt.

    Raises:
        ValueError: spikes of another number of neurons, inputs of another shape.
    """
    if spikes.n != net.n:
        raise ValueError(f"spikes: got {spikes.n} neurons, need {net.n}")
    shape = (spikes.steps, spikes.batch, net.n_in)
    inputs = validation.floats("inputs", inputs, shape, "steps × batch × channel")
    every = max(1, -(-spikes.steps * spikes.batch // MOST))
    shown = slice(0, None, every)
    fired = unpack(spikes.bits[shown], net.n).reshape(-1, net.n)
    sent = messages(net, inputs[shown]).reshape(-1, net.n_in)
    loss = np.zeros(net.n)
    for block in net.blocks:
        if block.weight_exp >= 0:
            continue
        source = fired if block.source == "recurrent" else sent
        source = source != 0 if block.binary else source
        total = source[:, block.pre].astype(np.float64) @ block.weights.T.astype(float)
        exact = total * 2.0**block.weight_exp
        loss += (exact - np.floor(exact)).mean(axis=0)
    return loss * (1 << chip.INPUT_SHIFT)


def fold_drive(
    net: LIFNetwork,
    fixed: FixedPointNetwork,
    spikes: Spikes,
    inputs: Float64[np.ndarray, "steps batch n_in"],
) -> LIFNetwork:
    """Return the LIF network with what `restore_drive` would add in its v_leak.

    Quantized again, its biases make up for `mean_loss`: a point from which tuning with
    the chip's arithmetic can go on.

    Args:
        net: the network.
        fixed: what it was quantized to.
        spikes: see `mean_loss`.
        inputs: see `mean_loss`.
    """
    gain = chip.DECAY_UNITY / (fixed.du.astype(np.int64) + chip.DU_OFFSET)
    lost = mean_loss(fixed, spikes, inputs) * gain
    per_volt = fixed.state_scale * fixed.dv / chip.DECAY_UNITY
    return dataclasses.replace(net, v_leak=net.v_leak + lost / per_volt)


def restore_drive(
    net: FixedPointNetwork,
    spikes: Spikes,
    inputs: Float64[np.ndarray, "steps batch n_in"],
) -> FixedPointNetwork:
    """Return the network with biases that make up for `mean_loss`.

    A loss of a in every step lowers u by a · 4096/(du + 1); the bias rises by as much.
    The arguments are those of `mean_loss`.

    Raises:
        DoesNotFit: a bias leaves its register; quantize with more headroom.
    """
    gain = chip.DECAY_UNITY / (net.du.astype(np.int64) + chip.DU_OFFSET)
    lost = mean_loss(net, spikes, inputs) * gain
    if not lost.any():
        return net
    bias = chip.effective_bias(net.bias_mant, net.bias_exp) + lost
    mantissa, exponent = fit_bias(bias)
    return dataclasses.replace(net, bias_mant=mantissa, bias_exp=exponent)
