"""The compiled loops of the fused step, forward.

A call does the trials `first` … `last` − 1 of a batch, all steps, so that threads
share a batch. Rows are neurons, padded to whole vectors; loops are short and many
because LLVM vectorizes a loop only while few arrays may overlap in it.

Indices are b trial, t step, j neuron, c channel. Voltages are in the module's units;
all is of the module's type, but flags (uint8) and steps of rest (int32). i is the
synaptic current, v the potential, z spikes, `arriving` the inputs' part of the jump,
`returning` that of the spikes of the step before, `lifted` v_leak with the noise, and x
stands for v′ − v_th. A step is `add_scaled`, `add_rows`, `jump` (L1), `lift_leak` (L9),
`rise` (L2), `decay` (L3), `compare` (L4), `reset` (L5, L6): Norse's order, since in
floats the order decides the bits.
"""

import numpy as np
from numba import njit

from isotau.convert.chip.compiled_step import bare

SPIKED, RESTED = 1, 2
"""Bits of a neuron's flags: it spiked; it was within its refractory period."""
exact = njit(nogil=True, cache=True, error_model="numpy")
"""Each operation rounds, as torch's do: a product and a sum are not made one."""


@exact
def list_spikes(z, spike_list, n):
    """List the places that are not 0; return how many."""
    count = 0
    for j in range(n):
        # written always, counted where it holds: no branch to mispredict
        spike_list[count] = j
        count += z[j] != 0
    return count


@exact
def list_flagged(flags, spike_list, n):
    """List who spiked; return how many."""
    count = 0
    for j in range(n):
        spike_list[count] = j
        count += flags[j] & SPIKED
    return count


@exact
def add_rows(total, rows, row_list, count):
    """Set a row to the sum of some others, one after another."""
    for j in range(total.shape[0]):
        total[j] = 0
    # Four at a time, for one read and write of the sums; the order stays.
    whole = count - count % 4
    for k in range(0, whole, 4):
        r0, r1 = rows[row_list[k]], rows[row_list[k + 1]]
        r2, r3 = rows[row_list[k + 2]], rows[row_list[k + 3]]
        for j in range(total.shape[0]):
            total[j] = (((total[j] + r0[j]) + r1[j]) + r2[j]) + r3[j]
    for k in range(whole, count):
        row = rows[row_list[k]]
        for j in range(total.shape[0]):
            total[j] += row[j]


@exact
def add_scaled(total, rows, factors):
    """Set a row to the sum of some others, each times its factor."""
    for j in range(total.shape[0]):
        total[j] = 0
    for c in range(factors.shape[0]):
        # adding 0 · w would change no bit, but take as long
        factor, row = factors[c], rows[c]
        if factor != 0:
            for j in range(total.shape[0]):
                total[j] += factor * row[j]


@exact
def jump(i, arriving, returning):
    """Set i to J: what the step before left, inputs, spikes, in Norse's order."""
    for j in range(i.shape[0]):
        i[j] = (i[j] + arriving[j]) + returning[j]  # (L1)


@exact
def lift_leak(leak, noise, a_mem, lifted):
    """Set the resting potential that brings the noise along, as `LIFModule` does."""
    for j in range(noise.shape[0]):
        lifted[j] = leak[j] + noise[j] / a_mem[j]  # (L9)


@exact
def rise(v, i, leak, a_mem):
    """Set v to v′."""
    for j in range(v.shape[0]):
        v[j] = v[j] + a_mem[j] * ((leak[j] - v[j]) + i[j])  # (L2)


@exact
def decay(i, a_syn):
    """Let the current decay."""
    for j in range(i.shape[0]):
        i[j] = i[j] - a_syn[j] * i[j]  # (L3), not (1 − a_syn) i: other bits


@exact
def compare(v, v_th, x, refractory_left, flags):
    """Set v′ − v_th, and who spikes or rests: (L4)."""
    for j in range(v.shape[0]):
        x[j] = v[j] - v_th[j]
    for j in range(v.shape[0]):
        resting = refractory_left[j] > 0
        flags[j] = np.uint8(RESTED) if resting else np.uint8(x[j] > 0)


@exact
def reset(v, v_reset, refractory_left, rest_steps, flags):
    """Put back who spiked or rests (L5), and count the steps of rest (L6)."""
    for j in range(v.shape[0]):
        # Both are read before the choice, so that it needs no branch.
        start, before = v_reset[j], v[j]
        v[j] = start if flags[j] != 0 else before
    for j in range(v.shape[0]):
        less = max(refractory_left[j] - np.int32(1), np.int32(0))
        refractory_left[j] = rest_steps[j] if flags[j] == SPIKED else less


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
def forward(first, last, drives, net, state, records, room):
    """Run some trials forward.

    Args:
        first: trial.
        last: trial, not included.
        drives: inputs, steps × batch × channel; noise, steps × batch × neuron or no
            steps.
        net: W_in and W_rec transposed, a_mem, a_syn, v_leak, v_reset, v_th, padded;
            steps of rest, int32, padded.
        state: z, v, i, rest, batch × padded; left as after the last step.
        records: spikes, x, flags, J, steps × batch × neuron, filled; of x with the
            flags, and of J, there may be no steps.
        room: for a list of neurons, batch × (neuron + 1).
    """
    inputs, noise = bare(drives[0]), bare(drives[1])
    w_in, w_rec = bare(net[0]), bare(net[1])
    _, _, a_mem, a_syn, v_leak, v_reset, v_th, rest_steps = net
    z, v, i, pauses = bare(state[0]), bare(state[1]), bare(state[2]), bare(state[3])
    spikes, tape_x, tape_flags = bare(records[0]), bare(records[1]), bare(records[2])
    tape_current, spike_lists = bare(records[3]), bare(room)
    steps, _, n = spikes.shape
    noisy, taped, with_current = len(noise) > 0, len(tape_x) > 0, len(tape_current) > 0
    arriving, returning = np.empty_like(v_leak), np.empty_like(v_leak)
    lifted, x = v_leak.copy(), np.empty_like(v_leak)
    flags = np.zeros(len(v_leak), np.uint8)
    counts = np.zeros(last, np.int64)
    for b in range(first, last):
        counts[b] = list_spikes(z[b], spike_lists[b], n)
    # Trials inside, steps outside: a row of weights that several trials need is still
    # in the cache.
    for t in range(steps):
        for b in range(first, last):
            add_scaled(arriving, w_in, inputs[t, b])
            add_rows(returning, w_rec, spike_lists[b], counts[b])
            jump(i[b], arriving, returning)
            if with_current:
                copy(i[b], tape_current[t, b])
            if noisy:  # else `lifted` stays v_leak
                lift_leak(v_leak, noise[t, b], a_mem, lifted)
            rise(v[b], i[b], lifted, a_mem)
            decay(i[b], a_syn)
            compare(v[b], v_th, x, pauses[b], flags)
            reset(v[b], v_reset, pauses[b], rest_steps, flags)
            counts[b] = list_flagged(flags, spike_lists[b], n)
            put_spikes(flags, spikes[t, b])
            if taped:
                copy(x, tape_x[t, b])
                copy(flags, tape_flags[t, b])
    # Spikes are the one part of the state that is not updated in place.
    for b in range(first, last):
        copy(spikes[steps - 1, b], z[b, :n])
