"""The compiled forward pass of tuning: the LIF stage's step, with a tape.

A call does the trials `first` … `last` − 1 of a batch, all steps, so that threads
share a batch. The step and its rows are those of `isotau.convert.simulate.lif_kernels`;
voltages are in the module's units. Indices are b trial, t step, c channel.
"""

import numpy as np

from isotau.convert.chip.compiled_step import bare, copy_row, list_bits, list_senders
from isotau.convert.chip.vector_step import LANES
from isotau.convert.simulate.lif_kernels import exact, list_spikes, settle
from isotau.convert.simulate.vectors.normals import GROUP, MEMBRANE, SYNAPSE
from isotau.convert.simulate.vectors.vector_lif import (
    SPIKED,
    stir,
)
from isotau.convert.simulate.vectors.vector_normals import fill_normals
from isotau.convert.simulate.vectors.vector_sums import jump, weigh


@exact
def put_spikes(flags, spikes):
    """Write who spiked as numbers."""
    for j in range(spikes.shape[0]):
        spikes[j] = flags[j] & SPIKED


@exact
def put_products(factor, row, out):
    """Write what noise adds: SD times sample."""
    real = out.dtype.type
    for j in range(out.shape[0]):
        out[j] = factor[j] * real(row[j])


@exact
def forward(first, last, drives, net, state, records, room):
    """Run some trials forward.

    Args:
        first: trial.
        last: trial, not included.
        drives: inputs, steps × batch × channel; SD of the noise in a step in v and in
            i, padded, or of length 0 for none; the halves of the seed; number of the
            first step; steps between two samples of J, 0 for none.
        net: W_in and W_rec transposed, a_mem, a_syn, v_reset, v_th, padded; steps of
            rest, int32, padded; v_leak, padded.
        state: z, v, i, rest, batch × padded; left as after the last step.
        records: spikes, x, flags, J, what noise added to J, steps × batch × neuron,
            and samples of J; filled. Of all but the spikes there may be none, x and
            flags together.
        room: for a list of neurons, batch × (padded + `SPARE_PLACES`).
    """
    inputs, per_step, i_per_step = bare(drives[0]), drives[1], drives[2]
    key, step, every = drives[3], drives[4], drives[5]
    net = bare(net)
    w_in, w_rec = net[0], net[1]
    v_leak = net[7]
    z, v, i, pauses = bare(state[0]), bare(state[1]), bare(state[2]), bare(state[3])
    spikes, tape_x, tape_flags = bare(records[0]), bare(records[1]), bare(records[2])
    tape_current, spike_lists = bare(records[3]), bare(room)
    tape_noise, samples = bare(records[4]), bare(records[5])
    steps, _, n = spikes.shape
    noisy, taped, with_current, with_noise = (
        len(per_step) > 0,
        len(tape_x) > 0,
        len(tape_current) > 0,
        len(tape_noise) > 0,
    )
    arriving, x = np.empty_like(v_leak), np.empty_like(v_leak)
    vectors, flags = len(v_leak) // LANES, np.zeros(len(v_leak), np.uint8)
    channels = np.empty(len(w_in) + 1, np.int64)
    groups = -(-len(v_leak) // GROUP)
    normal = np.empty(groups * GROUP, np.float32)
    normal_i = np.empty(groups * GROUP, np.float32)
    noises, tape = (per_step, normal), (x, flags)
    fired, before = np.zeros(groups, np.uint64), np.empty(groups, np.int64)
    counts = np.zeros(last, np.int64)
    for b in range(first, last):
        counts[b] = list_spikes(z[b], spike_lists[b], n)
    # Trials inside, steps outside: a row of weights that several trials need is still
    # in the cache.
    for t in range(steps):
        for b in range(first, last):
            shown = inputs[t, b]
            weigh(
                *(vectors, arriving, w_in),
                *(channels, list_senders(shown, channels), shown),
            )
            if len(i_per_step) > 0:  # before the jump, as Norse's state has it
                fill_normals(vectors, normal_i, key, step + t, b, SYNAPSE)
                stir(vectors, i[b], i_per_step, normal_i)
                if with_noise:
                    put_products(i_per_step, normal_i, tape_noise[t, b])
            jump(vectors, i[b], w_rec, spike_lists[b], counts[b], arriving, 1.0)
            if with_current:
                copy_row(tape_current[t, b], i[b])
            if every > 0 and (step + t + 1) % every == 0:
                copy_row(samples[(step + t) // every - step // every, b], i[b])
            if noisy:
                fill_normals(vectors, normal, key, step + t, b, MEMBRANE)
            neurons = (v[b], i[b], pauses[b])
            settle(vectors, neurons, net, v_leak, noises, noisy, fired, None, tape)
            counts[b] = list_bits(fired, spike_lists[b], before)
            put_spikes(flags, spikes[t, b])
            if taped:
                copy_row(tape_x[t, b], x)
                copy_row(tape_flags[t, b], flags)
    # Spikes are the one part of the state that is not updated in place.
    for b in range(first, last):
        copy_row(z[b, :n], spikes[steps - 1, b])
