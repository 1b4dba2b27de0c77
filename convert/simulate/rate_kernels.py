"""The rate network's step in compiled loops, by (R2) to (R5).

Threads share the trials of a batch; a trial's numbers do not depend on its neighbours.
Rows are units, padded to whole panels of `tile_kernels`, float64:

| array | holds |
|---|---|
| x, r | states and rates |
| total | what recurrence sends, dt/τ included |
| drive | (dt/τ)(W_in u + b) |

Exponentials and logarithms are polynomials that are right to some 1e-16: a call for
every number would keep the loops from being vectorized. The products may round a
product and its sum once, as the machine does.
"""

import numpy as np

from isotau.convert.chip.compiled_step import bare
from isotau.convert.neuron.activation import ACTIVATIONS
from isotau.convert.neuron.interpolation_kernels import interpolate
from isotau.convert.simulate.lif_kernels import copy, exact
from isotau.convert.simulate.normal_kernels import bits_of, float_of
from isotau.convert.simulate.tile_kernels import TRIALS, multiply
from isotau.convert.simulate.vectors.normals import GROUP, LANES, RATE
from isotau.convert.simulate.vectors.vector_normals import fill_normals

SIGMOID, TANH, RELU, SOFTPLUS, LIF = range(len(ACTIVATIONS))
"""Places in `ACTIVATIONS`."""
TOGETHER = 8 * TRIALS
"""Trials that pass some steps before the next ones do: their state fits the cache."""
ROUNDER = 1.5 * 2.0**52
"""A float64 plus this number has its nearest whole number in its last bits."""
ONE_BITS = 1023 << 52
PER_OCTAVE, OCTAVE_HIGH, OCTAVE_LOW = (
    *(1 / np.log(2), 0.693147180369123816490),
    1.90821492927058770002e-10,
)
"""1/ln 2, and ln 2 in two parts, of which whole multiples of the first are exact."""
E2, E3, E4, E5, E6, E7 = 1 / 2, 1 / 6, 1 / 24, 1 / 120, 1 / 720, 1 / 5040
E8, E9, E10, E11 = 1 / 40320, 1 / 362880, 1 / 3628800, 1 / 39916800
E12, E13 = 1 / 479001600, 1 / 6227020800


@exact
def exponential(y):
    """Return e^y − 1 and e^y for y ≤ 0, right to a few roundings.

    y is a whole number of octaves and a rest of half of one at most, for which the
    series is short.
    """
    # e^−50 is nothing beside 1; NaN stays.
    y = -50.0 if y < -50.0 else y
    shifted = y * PER_OCTAVE + ROUNDER
    octaves = shifted - ROUNDER
    z = (y - octaves * OCTAVE_HIGH) - octaves * OCTAVE_LOW
    p = (((((E13 * z + E12) * z + E11) * z + E10) * z + E9) * z + E8) * z + E7
    p = (((((p * z + E6) * z + E5) * z + E4) * z + E3) * z + E2) * (z * z) + z
    scale = float_of((bits_of(shifted) << 52) + ONE_BITS)
    return p * scale + (scale - 1.0), p * scale + scale


@exact
def hyperbolic_tangent(x, row):
    """Set tanh x."""
    for j in range(row.shape[0]):
        less, _ = exponential(-2.0 * abs(x[j]))
        size = -less / (2.0 + less)
        row[j] = -size if x[j] < 0 else size


@exact
def sigmoid(x, row):
    """Set ½ (1 + tanh ½x)."""
    for j in range(row.shape[0]):
        less, _ = exponential(-abs(x[j]))
        size = -less / (2.0 + less)
        row[j] = 0.5 * (1.0 + (-size if x[j] < 0 else size))


@exact
def softplus(x, row):
    """Set ln(1 + e^x): max(x, 0) + 2 artanh(w/(2 + w)) with w = e^−|x|."""
    for j in range(row.shape[0]):
        _, w = exponential(-abs(x[j]))
        z = w / (2.0 + w)
        s = z * z
        p = ((s / 33 + 1 / 31) * s + 1 / 29) * s + 1 / 27
        p = (((p * s + 1 / 25) * s + 1 / 23) * s + 1 / 21) * s + 1 / 19
        p = (((p * s + 1 / 17) * s + 1 / 15) * s + 1 / 13) * s + 1 / 11
        p = ((((p * s + 1 / 9) * s + 1 / 7) * s + 1 / 5) * s + 1 / 3) * s + 1.0
        row[j] = max(x[j], 0.0) + 2.0 * z * p


@exact
def fill_rates(x, kind, ceiling, table, row):
    """Set rates: (R3), (R6), (R8)."""
    if kind == SIGMOID:
        sigmoid(x, row)
    elif kind == TANH:
        hyperbolic_tangent(x, row)
    elif kind == RELU:
        for j in range(row.shape[0]):
            row[j] = max(x[j], 0.0)
    elif kind == SOFTPLUS:
        softplus(x, row)
    else:
        interpolate(x, table[0], table[1], table[2], row)
    if ceiling < np.inf:
        for j in range(row.shape[0]):
            row[j] = min(row[j], ceiling)


@exact
def fill_drive(inputs, w_in, bias, row):
    """Set what inputs and bias add, dt/τ included."""
    copy(bias, row)
    for c in range(inputs.shape[0]):
        factor, weights = inputs[c], w_in[c]
        if factor != 0:
            for j in range(row.shape[0]):
                row[j] += factor * weights[j]


@exact
def move(x, keep, total, drive):
    """Set the states to those one step later, without noise: (R2)."""
    for j in range(x.shape[0]):
        # (R2); in this order, which decides the last bit
        x[j] = (keep[j] * x[j] + total[j]) + drive[j]


@exact
def add_noise(x, amplitude, normal):
    """Add the noise of a step: (R2)."""
    for j in range(x.shape[0]):
        x[j] += amplitude * normal[j]


@exact
def send(r, factors, between, total):
    """Set what recurrence sends: by the weights, or by their factors (R9)."""
    # 2·N·rank products in the place of N²
    if factors[1].shape[0] > 0:
        multiply(r, factors[0], between)
        multiply(between, factors[1], total)
    else:
        multiply(r, factors[0], total)


@exact
def shifted_rates(x, shift, curve, row):
    """Set the rates that are read out: (R4)."""
    for j in range(row.shape[0]):
        row[j] = x[j] + shift[j]
    fill_rates(row, curve[0], curve[1], curve[2], row)


@exact
def run_trials(first, last, inputs, net, curve, noise, states, records):
    """Run the trials `first` … `last` − 1, some steps.

    Args:
        first: trial.
        last: trial, not included.
        inputs: steps × batch × channel.
        net: W_in transposed and bias, both times dt/τ; 1 − dt/τ; W_rec, times dt/τ, in
            panels and none, or its factors in panels; W_out in panels; b_out; shift of
            the states that are read out, of length 0 for none.
        curve: place of the activation; ceiling; table of the last one: start, points a
            unit, values.
        noise: SD of a step; the halves of the seed; number of the first step; number of
            trial 0.
        states: trial × padded; left as after the last step.
        records: rates, steps × batch × unit; states, as well or no steps; outputs.
    """
    w_in, bias, keep, factors, readout, b_out, shift = net
    amplitude, key, step, first_trial = noise
    shown, weights, x = bare(inputs), bare(w_in), bare(states)
    rates, traces, outputs = bare(records[0]), bare(records[1]), bare(records[2])
    padded = x.shape[1]
    width = readout.shape[0] * readout.shape[2]
    shape = (TOGETHER, padded)
    r, read, total = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    between = np.zeros((TOGETHER, factors[0].shape[0] * factors[0].shape[2]))
    answers, drive = np.zeros((TOGETHER, width)), np.empty(padded)
    normal = np.empty(-(-padded // GROUP) * GROUP, np.float32)
    vectors = padded // LANES
    for start in range(first, last, TOGETHER):
        count = min(TOGETHER, last - start)
        # The product takes whole tiles of trials; what is beyond the last is not read.
        tiles = -(-count // TRIALS) * TRIALS
        # Rates are no part of the state: they follow from it, by (R3).
        for b in range(count):
            fill_rates(x[start + b], curve[0], curve[1], curve[2], bare(r)[b])
        for t in range(shown.shape[0]):
            send(r[:tiles], factors, between[:tiles], total[:tiles])
            for b in range(count):
                k = start + b
                state, rate = x[k], bare(r)[b]
                fill_drive(shown[t, k], weights, bias, drive)
                move(state, keep, bare(total)[b], drive)
                # Samples depend on the trial's number, not on its place here.
                if amplitude > 0:
                    fill_normals(vectors, normal, key, step + t, first_trial + k, RATE)
                    add_noise(state, amplitude, normal)
                fill_rates(state, curve[0], curve[1], curve[2], rate)
                copy(rate, rates[t, k])
                if len(traces) > 0:
                    copy(state, traces[t, k])
                # Read apart from r, which recurrence goes on with.
                if len(shift) > 0:
                    shifted_rates(state, shift, curve, bare(read)[b])
            heard = read if len(shift) > 0 else r
            multiply(heard[:tiles], readout, answers[:tiles])
            for b in range(count):
                row, answer = outputs[t, start + b], bare(answers)[b]
                for q in range(row.shape[0]):
                    row[q] = answer[q] + b_out[q]  # (R4)
