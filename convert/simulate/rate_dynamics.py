"""Running a `RateRNN`: batches of trials in compiled loops, in spikeRNN's order."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from jaxtyping import Float64

from isotau.convert.chip.philox import noise_key
from isotau.convert.chip.vector_step import LANES
from isotau.convert.ground import validation
from isotau.convert.ground.progress import silent
from isotau.convert.ground.representation import short_repr
from isotau.convert.neuron.activation import ACTIVATIONS
from isotau.convert.records.rate import RateRNN
from isotau.convert.simulate import rate_kernels as kernels
from isotau.convert.simulate.shares import share_trials, strides
from isotau.convert.simulate.tile_kernels import in_panels
from isotau.convert.simulate.vectors.normals import (
    RATE_SHARED,
    RATE_START,
    Place,
    normals,
)
from isotau.convert.simulate.vectors.rows import filled_up
from isotau.convert.simulate.vectors.shared_noise import shared_normals

FEW = 8
"""Units for every rank at least, where factors are run in the place of W_rec."""
SAME = 1e-12
"""Relative difference to W_rec up to which its factors are run in its place."""


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
    seed: int,
    first_trial: int = 0,
    noise: bool = True,
    x0: Float64[np.ndarray, "batch n"] | None = None,
    keep_x: bool = False,
    threads: int | None = None,
) -> RateRun:
    """Return the rates and outputs of a batch of trials, by equations (R2) to (R5).

    Element t of the result is the state after input t was taken, x_{t+1}: as for the
    spikes of the other stages, and as in spikeRNN's training, which compares it with
    target t. The state before the first step is not returned. What is drawn is decided
    by the seed and a trial's number alone: (P8) to (P11), float32 numbers in float64.
    A network whose factors give its weights (to `SAME`) runs without the N × N product.
    Source: Kim, Li & Sejnowski 2019, doi:10.1073/pnas.1905926116, and their code.

    Args:
        net: the network.
        inputs: one per step of the network's own dt.
        seed: of x_0 and of the noise, 0 ≤ seed < 2^64.
        first_trial: number of the first trial: a run of trials 5 to 9 has the start
            states and the noise that these have in a run of trials 0 to 9.
        noise: whether the noise of the steps is added.
        x0: state before the first step; that of `draw_start` where None.
        keep_x: whether the states are kept, too.
        threads: how many share the trials; as many as there are cores if None.

    Raises:
        ValueError: inputs or x0 of another shape, or not finite; numbers out of range.
    """
    steps, batch = validation.length("inputs", inputs, ndim=3), np.shape(inputs)[1]
    inputs = validation.floats(
        "inputs", inputs, (steps, batch, net.n_in), "steps × batch × input"
    )
    seed, first_trial = validation.noise_counter(seed, first_trial, batch)
    if x0 is None:
        x0 = draw_start(net, seed, batch, first_trial)
    else:
        x0 = validation.floats("x0", x0, (batch, net.n), "batch × unit")
    # Copies: the loops are compiled for one kind of array, contiguous and writable.
    shown, states = np.array(inputs, order="C"), _rows(x0)
    if sources := net.shared_noise.shape[1]:
        # (R15): channels more, whose weights are not scaled by dt/τ.
        size = (steps, batch, sources)
        drawn_for_all = np.zeros(size)
        if noise:
            drawn_for_all = shared_normals(seed, RATE_SHARED, size, first_trial)
        shown = np.concatenate([shown, drawn_for_all], axis=2)
    arrays, curve = _arrange(net), _curve(net)
    key = tuple(np.uint64(half) for half in noise_key(seed))
    amplitude = net.noise_std if noise else 0.0
    rates = np.empty((steps, batch, net.n))
    traces = np.empty((steps * keep_x, batch, net.n))
    outputs = np.empty((steps, batch, net.n_out))
    with share_trials(batch, threads) as share:
        for lo, hi in strides(0, steps, batch, "rate network", silent):
            records = tuple(part[lo:hi] for part in (rates, traces, outputs))
            drawn = (amplitude, key, lo, first_trial)
            arguments = (shown[lo:hi], arrays, curve, drawn, states, records)
            share(lambda first, last: kernels.run_trials(first, last, *arguments))  # noqa: B023
    return RateRun(rates, outputs, traces if keep_x else None)


def draw_start(
    net: RateRNN, seed: int, batch: int, first_trial: int = 0
) -> Float64[np.ndarray, "batch n"]:
    """Return the states that `simulate_rate` starts trials from: (R5).

    Args:
        net: the network.
        seed: 0 ≤ seed < 2^64.
        batch: number of trials.
        first_trial: number of the first.
    """
    # In numpy: for one step of the samples a loop of its own would be compiled.
    trials = first_trial + np.arange(batch)
    normal = normals(Place(seed, RATE_START, 0), trials, net.n)
    return net.x0 + net.x0_std * normal.astype(np.float64)


def _arrange(net: RateRNN) -> tuple[Any, ...]:
    """Return a network's numbers as the loops take them."""
    # dt/τ goes into the weights once.
    gain = net.dt / net.tau
    product = net.m_vectors @ net.n_vectors.T / net.n
    error, size = np.abs(product - net.w_rec).max(), np.abs(net.w_rec).max()
    rank = net.rank or 0
    # Beyond that the product of N × N weights is faster, which takes trials in tiles.
    if 0 < FEW * rank <= net.n and error <= SAME * size:
        towards = (net.m_vectors * gain[:, None]).T
        factors = _rows(net.n_vectors.T / net.n), _rows(towards)
        panels = np.zeros((0, 0, 1))
    else:
        panels = in_panels(net.w_rec.T * gain)
        factors = _rows(np.zeros((0, net.n))), _rows(np.zeros((0, net.n)))
    return (
        _rows(
            np.vstack(
                [net.bias * gain, (net.w_in * gain[:, None]).T, net.shared_noise.T]
            )
        ),
        _rows(1.0 - gain),
        panels,
        factors,
        _rows(net.w_out),
        net.b_out.copy(),
        _rows(net.readout_bias) if net.readout_bias.any() else np.empty(0),
    )


def _rows(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return numbers of units, filled up to whole vectors."""
    return filled_up(x, -(-x.shape[-1] // LANES) * LANES)


def _curve(
    net: RateRNN,
) -> tuple[int, float, tuple[float, float, npt.NDArray[np.float64]]]:
    """Return the activation as the loops take it."""
    table = (0.0, 1.0, np.zeros(2))
    if net.activation == "lif":
        # scipy, which the curve needs, is for those that use it
        from isotau.convert.neuron.fi_curve import lif_table

        lif = lif_table()
        table = (float(lif.start), 1 / float(lif.step), lif.values.copy())
    ceiling = np.inf if net.ceiling is None else float(net.ceiling)
    return ACTIVATIONS.index(net.activation), ceiling, table
