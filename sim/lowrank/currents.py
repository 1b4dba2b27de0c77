"""The synaptic currents of a spiking network, recomputed from its spikes."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float64

from isotau.convert import arithmetic, validation
from isotau.convert.fixedpoint import FixedPointNetwork, WeightBlock, resets
from isotau.convert.lif import LIFNetwork, decay_fraction
from isotau.convert.spikes import Spikes, unpack


def currents(
    spikes: Spikes,
    net: LIFNetwork | FixedPointNetwork,
    drive: np.ndarray,
    *,
    i0: Float64[np.ndarray, "batch n"] | None = None,
) -> Iterator[Float64[np.ndarray, "batch n"]]:
    """Return an iterator over the steps that gives each synaptic current, in volts.

    It is the current that the membrane takes in that step: after its jump, before its
    decay. Of a fixed-point network u is recomputed in the chip's integers, bit for bit,
    and divided by what a volt is worth.

    Args:
        spikes: of the network, from its first step on: earlier ones are not known.
        net: the network.
        drive: steps × batch × channel: the inputs of a `LIFNetwork`, the messages of a
            `FixedPointNetwork`.
        i0: what is left of the current when the first step starts, in volts; None for
            the network's own start.

    Raises:
        ValueError: spikes, drive or i0 that do not fit the network.
    """
    if spikes.n != net.n or abs(spikes.dt - net.dt) > 1e-9 * net.dt:
        raise ValueError(
            f"spikes: got {spikes.n} neurons in steps of {spikes.dt} s, need {net.n} "
            f"in steps of {net.dt} s; give the network that made them"
        )
    need = spikes.steps, spikes.batch, net.n_in
    if np.shape(drive) != need:
        raise ValueError(
            f"drive: got shape {np.shape(drive)}, need {need} (steps × batch × channel)"
        )
    shape = spikes.batch, net.n
    if i0 is not None:
        i0 = validation.floats("i0", i0, shape, "batch × neuron")
    if isinstance(net, FixedPointNetwork) and not net.dv.all():
        raise ValueError(
            f"dv: got 0 for neuron {int(np.argmin(net.dv))}, need more: without leak "
            "no current is worth a volt; quantize with a shorter tau_mem"
        )
    if isinstance(net, LIFNetwork):
        return _of_lif(spikes, net, np.asarray(drive, np.float64), i0)
    return _of_chip(spikes, net, np.asarray(drive), i0)


def _of_lif(
    spikes: Spikes, net: LIFNetwork, inputs: np.ndarray, i0: np.ndarray | None
) -> Iterator[np.ndarray]:
    """Yield i ← i e^(−dt/τ_syn) + W_in x + W_rec z, with z the spikes before."""
    keep = 1 - decay_fraction(net.tau_syn, net.dt)
    i = np.tile(net.i0, (spikes.batch, 1)) if i0 is None else i0
    fired = np.zeros((spikes.batch, net.n))
    for t in range(spikes.steps):
        i = i + inputs[t] @ net.w_in.T + fired @ net.w_rec.T
        yield i
        i = i * keep
        fired = unpack(spikes.bits[t], net.n).astype(np.float64)


def _of_chip(
    spikes: Spikes, net: FixedPointNetwork, messages: np.ndarray, i0: np.ndarray | None
) -> Iterator[np.ndarray]:
    """Yield u / (state_scale · a_mem): dv/4096 of a volt's integers reach v a step."""
    du = net.du.astype(np.int64)
    volt = net.state_scale * net.dv / arithmetic.DECAY_UNITY
    u = np.tile(net.u0.astype(np.int64), (spikes.batch, 1))
    if i0 is not None:
        # The chip decays u before it adds; where du is full, nothing is left of it.
        keep = 1 - (du + arithmetic.DU_OFFSET) / arithmetic.DECAY_UNITY
        u = np.rint(i0 * volt / np.where(keep > 0, keep, 1.0)).astype(np.int64)
    weights = [np.ascontiguousarray(b.weights.T, np.float64) for b in net.blocks]
    ring = np.zeros((net.slots, spikes.batch, net.n), dtype=np.int64)
    for t in range(spikes.steps):
        slot = t % net.slots
        u = arithmetic.update_u(u * (not resets(net, t)), ring[slot], du)
        yield u / volt
        ring[slot] = 0
        fired = unpack(spikes.bits[t], net.n)
        for block, matrix in zip(net.blocks, weights, strict=True):
            arrival = (t + 1 + block.delay) % net.slots
            sent = _sent(block, matrix, fired, messages[t])
            ring[arrival] = arithmetic.wrap_int32(ring[arrival] + sent)


def _sent(
    block: WeightBlock, weights: np.ndarray, fired: np.ndarray, messages: np.ndarray
) -> np.ndarray:
    """Return what one connection hands over, as the reference engine has it."""
    source = fired if block.source == "recurrent" else messages
    source = source != 0 if block.binary else source
    total = source[:, block.pre].astype(np.float64) @ weights
    return arithmetic.delivered(total.astype(np.int64), block.weight_exp)
