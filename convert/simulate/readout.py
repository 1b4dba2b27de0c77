"""The readout: from spikes to outputs, the same for every stage."""

from typing import Any

import numpy as np
from jaxtyping import Float32, Float64, Int64

from isotau.convert.ground import validation
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.convert.records.lif import LIFNetwork, decay_fraction
from isotau.convert.records.spikes import Spikes
from isotau.convert.simulate import filter_kernels as kernels


def read_out(
    spikes: Spikes,
    *,
    w_out: Float64[np.ndarray, "n_out n"],
    b_out: Float64[np.ndarray, " n_out"],
    tau: Float64[np.ndarray, " n"],
    f0: Float64[np.ndarray, " n"] | float = 0.0,
) -> Float64[np.ndarray, "steps batch n_out"]:
    """Return o = W_out f + b_out, f being each spike train filtered by exp(−t/τ)/τ.

    f ← f·e^(−dt/τ) + z·(1 − e^(−dt/τ))/dt: a neuron that fires at a constant rate has
    f equal to that rate in Hz.

    Args:
        spikes: of `n` neurons.
        w_out: output per Hz.
        b_out: constant part of each output.
        tau: time constant of each neuron's filter, in seconds.
        f0: f before the first step, in Hz.
    """
    n_out = validation.length("w_out", w_out)
    w_out = validation.floats("w_out", w_out, (n_out, spikes.n), "output × neuron")
    tau = validation.floats("tau", tau, (spikes.n,), "neuron", positive=True)
    outputs = np.empty((spikes.steps, spikes.batch, n_out))
    kernels.read_trials(
        np.ascontiguousarray(spikes.bits),
        *_filter(spikes, tau, f0, np.float64),
        np.ascontiguousarray(w_out),
        np.array(np.broadcast_to(b_out, n_out), dtype=np.float64),
        outputs,
    )
    return outputs


def network_outputs(
    net: LIFNetwork | FixedPointNetwork, spikes: Spikes, *, biased: bool = True
) -> Float64[np.ndarray, "steps batch n_out"]:
    """Return a network's outputs for spikes of its own, by `read_out`.

    Args:
        net: whose output weights, filters and start they are.
        spikes: from the first step of its trials.
        biased: whether b_out is added.
    """
    b_out = net.b_out if biased else np.zeros(net.n_out)
    return read_out(spikes, w_out=net.w_out, b_out=b_out, tau=net.tau_out, f0=net.f0)


def classify(
    net: LIFNetwork | FixedPointNetwork, spikes: Spikes
) -> Int64[np.ndarray, " batch"]:
    """Return each trial's class: the output with the largest mean."""
    return network_outputs(net, spikes).mean(axis=0).argmax(axis=1)


def filter_spikes(
    spikes: Spikes,
    *,
    tau: Float64[np.ndarray, " n"] | float,
    every: int = 1,
    f0: Float64[np.ndarray, " n"] | float = 0.0,
) -> Float32[np.ndarray, "samples batch n"]:
    """Return spike trains filtered by exp(−t/τ)/τ, in Hz, after every so many steps.

    Args:
        spikes: of `n` neurons.
        tau: of the filter, one for all neurons or one each, in seconds; `read_out` has
            the equation.
        every: steps between two samples; the first is taken after so many steps.
        f0: before the first step, in Hz.
    """
    # One τ may stand for all neurons.
    taus = np.broadcast_to(np.asarray(tau, dtype=np.float64), (spikes.n,))
    taus = validation.floats("tau", taus, (spikes.n,), "neuron", positive=True)
    interval = validation.whole("every", every, 1, spikes.steps)
    samples = np.empty(
        (spikes.steps // interval, spikes.batch, spikes.n), dtype=np.float32
    )
    # float32 halves what thousands of neurons and samples take.
    start = _filter(spikes, taus, f0, np.float32)
    kernels.sample_trials(np.ascontiguousarray(spikes.bits), *start, interval, samples)
    return samples


def _filter(
    spikes: Spikes,
    tau: Float64[np.ndarray, " n"],
    f0: Float64[np.ndarray, " n"] | float,
    dtype: type[np.floating[Any]],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what a step keeps of f, what a spike adds to it, and f at the start."""
    loss = decay_fraction(tau, spikes.dt)
    start = np.array(np.broadcast_to(np.asarray(f0, dtype), (spikes.n,)))
    return (1 - loss).astype(dtype), (loss / spikes.dt).astype(dtype), start
