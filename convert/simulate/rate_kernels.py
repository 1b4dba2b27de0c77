"""The rate network's step in compiled loops, by (R2) to (R5).

Threads share the trials of a batch; a trial's numbers do not depend on its neighbours.
Rows are units, padded to whole vectors, float64:

| array | holds |
|---|---|
| x, r | states and rates |
| total | what recurrence sends, dt/τ included |
| drive | (dt/τ)(W_in u + b) |

What is done with each unit is in vectors of LLVM (`vectors.vector_rates`). The products
(`tile_kernels`) may round a product and its sum once, as the machine does.
"""

import numpy as np

from isotau.convert.chip.compiled_step import bare, copy_row, inlined, list_senders
from isotau.convert.chip.vector_step import LANES
from isotau.convert.neuron.activation import ACTIVATIONS
from isotau.convert.neuron.interpolation_kernels import interpolate
from isotau.convert.simulate.lif_kernels import exact
from isotau.convert.simulate.tile_kernels import TRIALS, multiply
from isotau.convert.simulate.vectors.normals import GROUP, RATE
from isotau.convert.simulate.vectors.vector_normals import fill_normals
from isotau.convert.simulate.vectors.vector_rates import fill_activations, move
from isotau.convert.simulate.vectors.vector_sums import project, weigh

LIF = ACTIVATIONS.index("lif")
TOGETHER = 8 * TRIALS
"""Trials that pass some steps before the next ones do: their state fits the cache."""


@exact
def fill_rates(x, kind, ceiling, table, row):
    """Set rates, whole vectors of them: (R3), (R6), (R8)."""
    if kind == LIF:
        interpolate(x, table[0], table[1], table[2], row)
    else:
        fill_activations(x.shape[0] // LANES, x, kind, row)
    if ceiling < np.inf:
        for j in range(row.shape[0]):
            row[j] = min(row[j], ceiling)


@inlined
def fill_drive(vectors, inputs, shown, channels, w_in, drive):
    """Set what bias and inputs add, dt/τ included.

    Args:
        vectors: of units.
        inputs: of a step and trial.
        shown: room for a 1, which the bias is multiplied by, and the inputs.
        channels: room for a list of them, and one more.
        w_in: the bias and, as further rows, the weights of the inputs.
        drive: row, set.
    """
    shown[0] = 1
    for c in range(inputs.shape[0]):
        shown[c + 1] = inputs[c]
    weigh(vectors, drive, w_in, channels, list_senders(shown, channels), shown)


@inlined
def send(vectors, r, factors, every, between, total):
    """Set what the factors of the weights send: (R9)."""
    # 2·N·rank products in the place of N²
    project(vectors, r, factors[0], between)
    weigh(vectors, total, factors[1], every, len(every), between)


@exact
def shifted_rates(x, shift, curve, row):
    """Set the rates that are read out: (R4)."""
    for j in range(row.shape[0]):
        row[j] = x[j] + shift[j]
    fill_rates(row, curve[0], curve[1], curve[2], row)


@inlined
def read_out(vectors, r, w_out, b_out, outputs):
    """Set the outputs: (R4)."""
    project(vectors, r, w_out, outputs)
    for q in range(outputs.shape[0]):
        outputs[q] += b_out[q]


@exact
def run_trials(first, last, inputs, net, curve, noise, states, records):
    """Run the trials `first` … `last` − 1, some steps.

    Args:
        first: trial.
        last: trial, not included.
        inputs: steps × batch × channel.
        net: bias and, below it, W_in transposed, both times dt/τ; 1 − dt/τ; W_rec,
            times dt/τ, in panels, or none; its factors, rank × padded, the one times
            dt/τ last, of length 0 beside panels; W_out, padded; b_out; shift of the
            states that are read out, of length 0 for none.
        curve: place of the activation; ceiling; table of the last one: start, points a
            unit, values.
        noise: SD of a step; the halves of the seed; number of the first step; number of
            trial 0.
        states: trial × padded; left as after the last step.
        records: rates, steps × batch × unit; states, as well or no steps; outputs.
    """
    net, inputs, x = bare(net), bare(inputs), bare(states)
    weights, keep, panels, factors, w_out, b_out, shift = net
    amplitude, key, step, first_trial = noise
    rates, traces, outputs = bare(records[0]), bare(records[1]), bare(records[2])
    padded = x.shape[1]
    whole, shifted = len(panels) > 0, len(shift) > 0
    r, total = np.zeros((TOGETHER, padded)), np.zeros((TOGETHER, padded))
    drive, read = np.empty(padded), np.empty(padded)
    every, between = np.arange(len(factors[0])), np.empty(len(factors[0]))
    # Without noise the samples are zeros.
    normal = np.zeros(-(-padded // GROUP) * GROUP, np.float32)
    vectors, shown = padded // LANES, np.empty(len(weights))
    channels = np.empty(len(weights) + 1, np.int64)
    for start in range(first, last, TOGETHER):
        count = min(TOGETHER, last - start)
        # The product takes whole tiles of trials; what is beyond the last is not read.
        tiles = -(-count // TRIALS) * TRIALS
        # Rates are no part of the state: they follow from it, by (R3).
        for b in range(count):
            fill_rates(x[start + b], curve[0], curve[1], curve[2], bare(r)[b])
        for t in range(inputs.shape[0]):
            if whole:
                multiply(r[:tiles], panels, total[:tiles])
            for b in range(count):
                k = start + b
                state, rate, sent = x[k], bare(r)[b], bare(total)[b]
                if not whole:
                    send(vectors, rate, factors, every, between, sent)
                fill_drive(vectors, inputs[t, k], shown, channels, weights, drive)
                # Samples depend on the trial's number, not on its place here.
                if amplitude > 0:
                    fill_normals(vectors, normal, key, step + t, first_trial + k, RATE)
                move(vectors, state, keep, sent, drive, amplitude, normal)
                fill_rates(state, curve[0], curve[1], curve[2], rate)
                copy_row(rates[t, k], rate)
                if len(traces) > 0:
                    copy_row(traces[t, k], state)
                heard = rate
                # Read apart from r, which recurrence goes on with.
                if shifted:
                    shifted_rates(state, shift, curve, read)
                    heard = bare(read)
                read_out(vectors, heard, w_out, b_out, outputs[t, k])
