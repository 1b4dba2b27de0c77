"""What truncated sums lose on the chip, and what biases and input weights put back.

A block with a negative exponent delivers ⌊Σ weights · message · 2^exp⌋, in units of 2^6
of u: half a unit less, on average, in every step in which it is active. With a slow
current that decays by (du + 1)/4096 a step, such losses add up to millivolts.

Recurrent blocks are active always, and a bias makes up for them. Input blocks lose
nothing where nothing is shown: a bias that made up for what they lose on average would
push a network at rest. What they lose goes with what is shown, and into their weights.
"""

import dataclasses
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from isotau.convert.chip import arithmetic as chip
from isotau.convert.ground import validation
from isotau.convert.ground.sparse import SparseWeights, as_scipy
from isotau.convert.records.fixedpoint import FixedPointNetwork, WeightBlock
from isotau.convert.records.lif import LIFNetwork
from isotau.convert.records.spikes import Spikes, unpack
from isotau.convert.to_fixed.quantize import (
    QuantizeConfig,
    fit_bias,
    input_blocks,
    messages,
    weight_gain,
)

MOST_SAMPLES = 8192
"""Trial-steps that are looked at for what truncation takes; a mean needs no more."""
MOST_NUMBERS = 1 << 27
"""Of all neurons in all samples: a large network has fewer of them."""
CHUNK_NUMBERS = 1 << 23
"""Of all neurons in the samples that are looked at together."""


class LostDrive(NamedTuple):
    """What truncation takes from u in a step: (F32).

    Attributes:
        constant: whatever is shown, on average.
        shown: besides, for every 1 of a channel's message.
    """

    constant: Float64[np.ndarray, " n"]
    shown: Float64[np.ndarray, "n channels"]


def lost_drive(
    net: FixedPointNetwork,
    spikes: Spikes,
    inputs: Float64[np.ndarray, "steps batch n_in"],
) -> LostDrive:
    """Return what truncation takes from each neuron's u in a step: (F32).

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
    # Steps evenly apart, so that the start, the stimulus and the end all count.
    most = min(MOST_SAMPLES, max(1, MOST_NUMBERS // net.n))
    stride = max(1, -(-spikes.steps * spikes.batch // most))
    steps = range(0, spikes.steps, stride)
    # Fractions are multiples of 2^-8, so that their sums are exact in any order.
    recurrent, own = np.zeros(net.n), np.zeros(net.n)
    second, cross = np.zeros((net.n_in, net.n_in)), np.zeros((net.n_in, net.n))
    total, silent = np.zeros(net.n_in), 0
    binary = any(block.binary for block in net.blocks)
    together = max(1, CHUNK_NUMBERS // (net.n * spikes.batch))
    for first in range(0, len(steps), together):
        samples = list(steps[first : first + together])
        fired = unpack(spikes.bits[samples], net.n).reshape(-1, net.n)
        sent = messages(net, inputs[samples]).reshape(-1, net.n_in)
        recurrent += _fractions(net, "recurrent", fired).sum(axis=0)
        lost = _fractions(net, "input", sent)
        own += lost.sum(axis=0)
        heard = ((sent != 0) if binary else sent).astype(np.float64)
        second += heard.T @ heard
        cross += heard.T @ lost
        total += heard.sum(axis=0)
        silent += int((~sent.any(axis=1)).sum())
    unit, count = float(1 << chip.INPUT_SHIFT), len(steps) * spikes.batch
    if not own.any():
        return LostDrive(recurrent / count * unit, np.zeros((net.n, net.n_in)))
    if not silent:
        # Always on, as noise that neurons share: what is lost on average is constant.
        recurrent += own
        second -= np.outer(total, total) / count
        cross -= np.outer(total, own) / count
    shown = np.linalg.lstsq(second, cross, rcond=1e-9)[0].T
    constant = recurrent / count
    if not silent:
        constant = constant - shown @ (total / count)
    return LostDrive(constant * unit, shown * unit)


def restore_drive(
    net: FixedPointNetwork, lost: LostDrive, folded: LIFNetwork, config: QuantizeConfig
) -> FixedPointNetwork:
    """Return the network with what truncation takes put back: (F22).

    Args:
        net: the network.
        lost: from `lost_drive`.
        folded: what the network was made from, with the same in it: `fold_drive`.
        config: of its quantization.

    Raises:
        DoesNotFit: a bias leaves its register, or an input weight its exponents;
            quantize with more headroom.
    """
    if lost.constant.any():
        # Only then: exponents would be fitted anew, and to no other biases.
        bias = chip.effective_bias(net.bias_mant, net.bias_exp)
        mantissa, exponent = fit_bias(bias + _in_bias(net, lost))
        net = dataclasses.replace(net, bias_mant=mantissa, bias_exp=exponent)
    if lost.shown.any():
        inputs = input_blocks(folded, net.state_scale, net.input_scale, config)
        recurrent = (block for block in net.blocks if block.source == "recurrent")
        net = dataclasses.replace(net, blocks=(*inputs, *recurrent))
    return net


def fold_drive(
    net: LIFNetwork, fixed: FixedPointNetwork, lost: LostDrive
) -> LIFNetwork:
    """Return the LIF network with what truncation takes put back: (F23).

    In its v_leak and w_in: quantized again, it is what `restore_drive` makes, a point
    from which tuning with the chip's arithmetic can go on.

    Args:
        net: the network.
        fixed: what it was quantized to.
        lost: from `lost_drive`, of `fixed`.
    """
    volts = _in_bias(fixed, lost) / fixed.u_per_volt
    changed = dataclasses.replace(net, v_leak=net.v_leak + volts)
    if not lost.shown.any():
        return changed
    per_message = lost.shown / (1 << chip.INPUT_SHIFT)
    added = per_message * fixed.input_scale / weight_gain(net, fixed.state_scale)
    # What has no weight loses nothing, and is to stay without a synapse.
    w_in = net.w_in + np.where(net.w_in != 0, added, 0.0)
    return dataclasses.replace(changed, w_in=w_in)


def _in_bias(net: FixedPointNetwork, lost: LostDrive) -> np.ndarray:
    """Return by how much the bias must rise: u settles where it loses what comes in.

    A loss of a in every step leaves u lower by a · 4096/(du + 1).
    """
    per_step = chip.DECAY_UNITY / (net.du.astype(np.int64) + chip.DU_OFFSET)
    return np.asarray(lost.constant * per_step)


def _fractions(
    net: FixedPointNetwork, source: str, sent: np.ndarray
) -> Float64[np.ndarray, "samples n"]:
    """Return what the floors of a source's blocks take, in units of 2^6: (F21)."""
    lost = np.zeros((len(sent), net.n))
    for block in net.blocks:
        # Whole numbers: their floor takes nothing.
        if block.source == source and block.weight_exp < 0:
            exact = _sums(block, sent) * 2.0**block.weight_exp
            lost += exact - np.floor(exact)
    return lost


def _sums(block: WeightBlock, source: np.ndarray) -> np.ndarray:
    """Return a connection's sums of weights times messages, sample × post."""
    source = source != 0 if block.binary else source
    heard = source[:, block.pre].astype(np.float64)
    if isinstance(block.weights, SparseWeights):
        from scipy.sparse import csr_array

        # Few neurons spike: of both factors what is not 0 alone is looked at.
        return (csr_array(heard) @ as_scipy(block.weights, np.float64).T).toarray()
    return heard @ block.weights.T.astype(float)
