"""Running a `RateRNN`: batches of trials in numpy, in the order of spikeRNN's step."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from isotau.convert.ground import validation
from isotau.convert.ground.representation import short_repr
from isotau.convert.neuron.activation import activate
from isotau.convert.records.rate import RateRNN


@short_repr
class RateRun(NamedTuple):
    """Rates r and outputs o of a run; index t is the state after input t was taken.

    `x` holds the states themselves if they were asked for.
    """

    rates: Float64[np.ndarray, "steps batch n"]
    outputs: Float64[np.ndarray, "steps batch n_out"]
    x: Float64[np.ndarray, "steps batch n"] | None = None


def simulate_rate(
    net: RateRNN,
    inputs: Float64[np.ndarray, "steps batch n_in"],
    *,
    rng: np.random.Generator,
    noise: bool = True,
    x0: Float64[np.ndarray, "batch n"] | None = None,
    keep_x: bool = False,
) -> RateRun:
    """Return the rates and outputs of a batch of trials, by equations (R2) to (R5).

    Element t of the result is the state after input t was taken, x_{t+1}: as for the
    spikes of the other stages, and as in spikeRNN's training, which compares it with
    target t. The state before the first step is not returned.
    Source: Kim, Li & Sejnowski 2019, doi:10.1073/pnas.1905926116, and their code.

    Args:
        net: the network.
        inputs: one per step of the network's own dt.
        rng: source of x_0 and of the noise.
        noise: whether the noise of the steps is added.
        x0: state before the first step; drawn from N(net.x0, net.x0_std²) where None.
        keep_x: whether the states are kept, too.

    Raises:
        ValueError: inputs or x0 of another shape, or not finite.
    """
    steps, batch = validation.length("inputs", inputs, ndim=3), np.shape(inputs)[1]
    inputs = validation.floats(
        "inputs", inputs, (steps, batch, net.n_in), "steps × batch × input"
    )
    if x0 is None:
        # (R5)
        x = rng.normal(net.x0, net.x0_std, (batch, net.n))
    else:
        x = validation.floats("x0", x0, (batch, net.n), "batch × unit")
    # dt/τ goes into the weights once; what depends on inputs alone is one product.
    gain = net.dt / net.tau
    drive = inputs @ (net.w_in * gain[:, None]).T + net.bias * gain
    recurrent = np.ascontiguousarray((net.w_rec * gain[:, None]).T)
    amplitude = net.noise_std if noise else 0.0
    rates = np.empty((steps, batch, net.n))
    shifted = net.readout_bias.any()
    states = np.empty((steps, batch, net.n)) if keep_x or shifted else None
    r = activate(x, net.activation, net.ceiling)
    for t in range(steps):
        # (R2), its noise last, then (R3)
        x = (1.0 - gain) * x + r @ recurrent + drive[t]
        if amplitude:
            x += amplitude * rng.standard_normal((batch, net.n))
        r = rates[t] = activate(x, net.activation, net.ceiling)
        if states is not None:
            states[t] = x
    # (R4); without a readout bias the rates that recur are the rates that are read.
    readable = rates
    if states is not None and shifted:
        readable = activate(states + net.readout_bias, net.activation, net.ceiling)
    outputs = readable @ net.w_out.T + net.b_out
    return RateRun(rates, outputs, states if keep_x else None)
