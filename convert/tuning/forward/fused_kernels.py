"""The compiled loops of the fused step, forward.

A call does the trials `first` … `last` − 1 of a batch, all steps, so that threads
share a batch. Rows are neurons, padded to whole vectors; loops are short and many
because LLVM vectorizes a loop only while few arrays may overlap in it.
"""

import numpy as np
from numba import njit

from isotau.convert.chip.compiled_step import bare

SPIKED, RESTED = 1, 2
"""Bits of a neuron's flags: it spiked; it was within its refractory period."""
exact = njit(nogil=True, cache=True, error_model="numpy")
"""Each operation rounds, as torch's do: a product and a sum are not made one."""


@exact
def list_spikes(z, chosen, n):
    """List the places that are not 0; return how many."""
    found = 0
    for j in range(n):
        chosen[found] = j
        found += z[j] != 0
    return found


@exact
def list_flagged(flags, chosen, n):
    """List who spiked; return how many."""
    found = 0
    for j in range(n):
        chosen[found] = j
        found += flags[j] & SPIKED
    return found


@exact
def add_rows(total, rows, chosen, many):
    """Set a row to the sum of some others."""
    for j in range(total.shape[0]):
        total[j] = 0
    whole = many - many % 4
    for k in range(0, whole, 4):
        r0, r1 = rows[chosen[k]], rows[chosen[k + 1]]
        r2, r3 = rows[chosen[k + 2]], rows[chosen[k + 3]]
        for j in range(total.shape[0]):
            total[j] = (((total[j] + r0[j]) + r1[j]) + r2[j]) + r3[j]
    for k in range(whole, many):
        row = rows[chosen[k]]
        for j in range(total.shape[0]):
            total[j] += row[j]


@exact
def add_scaled(total, rows, factors):
    """Set a row to the sum of some others, each times its factor."""
    for j in range(total.shape[0]):
        total[j] = 0
    for c in range(factors.shape[0]):
        factor, row = factors[c], rows[c]
        if factor != 0:
            for j in range(total.shape[0]):
                total[j] += factor * row[j]


@exact
def jump(i, arriving, returning):
    """Set i to J: what the step before left, inputs, spikes, in Norse's order."""
    for j in range(i.shape[0]):
        i[j] = (i[j] + arriving[j]) + returning[j]


@exact
def lift_leak(leak, noise, a_mem, lifted):
    """Set the resting potential that brings the noise along, as `LIFModule` does."""
    for j in range(noise.shape[0]):
        lifted[j] = leak[j] + noise[j] / a_mem[j]


@exact
def rise(v, i, leak, a_mem):
    """Set v to v′."""
    for j in range(v.shape[0]):
        v[j] = v[j] + a_mem[j] * ((leak[j] - v[j]) + i[j])


@exact
def decay(i, a_syn):
    """Let the current decay."""
    for j in range(i.shape[0]):
        i[j] = i[j] - a_syn[j] * i[j]


@exact
def compare(v, v_th, x, rest, flags):
    """Set v′ − v_th, and who spikes or rests."""
    for j in range(v.shape[0]):
        x[j] = v[j] - v_th[j]
    for j in range(v.shape[0]):
        rested = rest[j] > 0
        flags[j] = np.uint8(RESTED) if rested else np.uint8(x[j] > 0)


@exact
def reset(v, v_reset, rest, rest_steps, flags):
    """Put back who spiked or rests, and count the steps of rest."""
    for j in range(v.shape[0]):
        put, kept = v_reset[j], v[j]
        v[j] = put if flags[j] != 0 else kept
    for j in range(v.shape[0]):
        left = max(rest[j] - np.int32(1), np.int32(0))
        rest[j] = rest_steps[j] if flags[j] == SPIKED else left


@exact
def copy(source, target):
    """Copy as many as the target takes."""
    for j in range(target.shape[0]):
        target[j] = source[j]


@exact
def put_spikes(flags, spikes):
    """Write who spiked as numbers."""
    for j in range(spikes.shape[0]):
        spikes[j] = flags[j] & SPIKED


@exact
def forward(first, last, given, net, state, out, chosen):
    """Run some trials forward.

    Args:
        first: trial.
        last: trial, not included.
        given: inputs, steps × batch × channel; noise, the same × neuron or nothing.
        net: W_in and W_rec transposed, a_mem, a_syn, v_leak, v_reset, v_th, padded;
            steps of rest, int32, padded.
        state: z, v, i, rest, batch × padded; left as after the last step.
        out: spikes, x, flags, J, steps × batch × neuron; of x with the flags, and of
            J, there may be no steps.
        chosen: room for a list of neurons, batch × (neuron + 1).
    """
    inputs, noise = bare(given[0]), bare(given[1])
    w_in, w_rec = bare(net[0]), bare(net[1])
    _, _, a_mem, a_syn, v_leak, v_reset, v_th, rest_steps = net
    z, v, i, rest = bare(state[0]), bare(state[1]), bare(state[2]), bare(state[3])
    spikes, out_x, out_flags = bare(out[0]), bare(out[1]), bare(out[2])
    out_current, chosen = bare(out[3]), bare(chosen)
    steps, _, n = spikes.shape
    noisy, taped, kept = len(noise) > 0, len(out_x) > 0, len(out_current) > 0
    arriving, returning = np.empty_like(v_leak), np.empty_like(v_leak)
    lifted, x = v_leak.copy(), np.empty_like(v_leak)
    flags = np.zeros(len(v_leak), np.uint8)
    many = np.zeros(last, np.int64)
    for b in range(first, last):
        many[b] = list_spikes(z[b], chosen[b], n)
    for t in range(steps):
        for b in range(first, last):
            add_scaled(arriving, w_in, inputs[t, b])
            add_rows(returning, w_rec, chosen[b], many[b])
            jump(i[b], arriving, returning)
            if kept:
                copy(i[b], out_current[t, b])
            if noisy:
                lift_leak(v_leak, noise[t, b], a_mem, lifted)
            rise(v[b], i[b], lifted, a_mem)
            decay(i[b], a_syn)
            compare(v[b], v_th, x, rest[b], flags)
            reset(v[b], v_reset, rest[b], rest_steps, flags)
            many[b] = list_flagged(flags, chosen[b], n)
            put_spikes(flags, spikes[t, b])
            if taped:
                copy(x, out_x[t, b])
                copy(flags, out_flags[t, b])
    for b in range(first, last):
        copy(spikes[steps - 1, b], z[b, :n])
