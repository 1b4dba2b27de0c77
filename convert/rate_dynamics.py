"""Running a `RateRNN`: batches of trials in numpy, in the order of spikeRNN's step."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from isotau.convert import validation
from isotau.convert.rate import RateRNN, activate

INITIAL_STD = 0.01
"""Standard deviation of x before the first step."""


class RateRun(NamedTuple):
    """Rates r and outputs o of a run; index t is the state after input t was taken."""

    rates: Float64[np.ndarray, "steps batch n"]
    outputs: Float64[np.ndarray, "steps batch n_out"]


def simulate_rate(
    net: RateRNN,
    inputs: Float64[np.ndarray, "steps batch n_in"],
    *,
    rng: np.random.Generator,
    noise: bool = True,
    x0: Float64[np.ndarray, "batch n"] | None = None,
) -> RateRun:
    """Return the rates and outputs of a batch of trials.

    x_{t+1} = (1 − dt/τ) x_t + (dt/τ)(W_rec r_t + W_in u_t + b) + noise_std·ξ,
    r = σ(x), o = W_out r + b_o; noise is not scaled by dt/τ. Element t of the result is
    the state after input t was taken, x_{t+1}: the same alignment as the spikes of the
    other stages, and as spikeRNN's training, which compares it with target t. The state
    before the first step is not returned.
    Source: Kim, Li & Sejnowski 2019, doi:10.1073/pnas.1905926116, and their code.

    Args:
        net: the network.
        inputs: one per step of the network's own dt.
        rng: source of x_0 and of the noise.
        noise: whether the noise of the steps is added.
        x0: state before the first step; drawn from N(0, 0.01²) where None.

    Raises:
        ValueError: inputs or x0 of another shape, or not finite.
    """
    steps, batch = validation.length("inputs", inputs, ndim=3), np.shape(inputs)[1]
    inputs = validation.floats(
        "inputs", inputs, (steps, batch, net.n_in), "steps × batch × input"
    )
    if x0 is None:
        x = rng.normal(0.0, INITIAL_STD, (batch, net.n))
    else:
        x = validation.floats("x0", x0, (batch, net.n), "batch × unit")
    gain = net.dt / net.tau
    drive = inputs @ (net.w_in * gain[:, None]).T + net.bias * gain
    recurrent = np.ascontiguousarray((net.w_rec * gain[:, None]).T)
    amplitude = net.noise_std if noise else 0.0
    rates = np.empty((steps, batch, net.n))
    r = activate(x, net.activation)
    for t in range(steps):
        x = (1.0 - gain) * x + r @ recurrent + drive[t]
        if amplitude:
            x += amplitude * rng.standard_normal((batch, net.n))
        r = rates[t] = activate(x, net.activation)
    return RateRun(rates, rates @ net.w_out.T + net.b_out)
