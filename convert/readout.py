"""The readout: from spikes to outputs, the same for every stage."""

import numpy as np
from jaxtyping import Float64

from isotau.convert import validation
from isotau.convert.lif import decay_fraction
from isotau.convert.spikes import Spikes, unpack


def read_out(
    spikes: Spikes,
    *,
    w_out: Float64[np.ndarray, "n_out n"],
    b_out: Float64[np.ndarray, " n_out"],
    tau: Float64[np.ndarray, " n"],
) -> Float64[np.ndarray, "steps batch n_out"]:
    """Return o = W_out f + b_out, f being each spike train filtered by exp(−t/τ)/τ.

    f ← f·e^(−dt/τ) + z·(1 − e^(−dt/τ))/dt: a neuron that fires at a constant rate has
    f equal to that rate in Hz. f starts at zero.

    Args:
        spikes: of `n` neurons.
        w_out: output per Hz.
        b_out: constant part of each output.
        tau: time constant of each neuron's filter, in seconds.
    """
    n_out = validation.length("w_out", w_out)
    w_out = validation.floats("w_out", w_out, (n_out, spikes.n), "output × neuron")
    tau = validation.floats("tau", tau, (spikes.n,), "neuron", positive=True)
    loss = decay_fraction(tau, spikes.dt)
    keep, jump = 1 - loss, loss / spikes.dt
    filtered = np.zeros((spikes.batch, spikes.n))
    outputs = np.empty((spikes.steps, spikes.batch, n_out))
    for t in range(spikes.steps):
        filtered *= keep
        filtered += unpack(spikes.bits[t], spikes.n) * jump
        outputs[t] = filtered @ w_out.T + b_out
    return outputs
