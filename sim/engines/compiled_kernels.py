"""The compiled engine's loops: one trial after another, one time step after another.

The neurons' part of a step is `isotau.convert.chip.vector_step`, sums of weights are
`isotau.convert.chip.vector_rows`: both in vector registers. What is left is who spiked,
which rows that makes, and where they go. numba compiles a function once for every set
of types, so that what is None in the arguments costs neither time nor compilation.
"""

from isotau.convert.chip import compiled_step as chip
from isotau.convert.chip import vector_rows, vector_step
from isotau.convert.chip.vector_rows import CHUNK
from isotau.sim.engines import sparse_kernels

SPIKES, GRADED, BINARY, SYNAPSES = 0, 1, 2, 3
"""What a block listens to: spikes, messages as numbers, messages as spikes, (H13); and
spikes again where its weights are sparse."""


@chip.kernel
def copy(target, source):
    """Copy a row, or the part of it that the target has room for."""
    # numba compiles `target[:] = source` with all that its error could say: 3 s
    for j in range(target.shape[0]):
        target[j] = source[j]


@chip.kernel
def clear(row):
    """Set a row to 0."""
    for j in range(row.shape[0]):
        row[j] = 0


@chip.kernel
def record(traces, t, trial, values, neurons):
    """Keep some neurons' u or v after a step, if they are to be kept."""
    if traces.shape[0] > 0:
        for k in range(neurons.shape[0]):
            traces[t, trial, k] = values[neurons[k]]


@chip.kernel
def send_rows(target, total, rows, row_list, count, offset, exponent, panels):
    """Deliver the rows of the sources that spiked: (H12), (H16).

    Args:
        target: the row of the ring that is added to.
        total: room for sums of more than `CHUNK` rows, int32.
        rows: bytes, see `vector_rows.in_lanes`.
        row_list: from `list_rows`.
        count: of rows in the list, 1 or more.
        offset: of the block's bytes.
        exponent: of the block's bytes.
        panels: of `vector_rows.COLUMNS` neurons.
    """
    down, up = max(-exponent, 0), max(exponent, 0)
    # Nearly always so few rows spike that 16 bits hold their sum.
    if count <= CHUNK:
        vector_rows.add_rows(
            panels, target, rows, row_list, 0, count, offset * count, down, up
        )
        return
    clear(total)
    for first in range(0, count, CHUNK):
        last = min(first + CHUNK, count)
        vector_rows.add_rows(
            panels, total, rows, row_list, first, last, offset * (last - first), 0, 0
        )
    chip.deliver(target, total, exponent)


@chip.kernel
def send_messages(target, wide, row_of, senders, sent, room, exponent, panels):
    """Deliver weights times messages, summed as int32: (H12)."""
    # None for a network that hears no numbers: nothing is compiled.
    if wide is None:
        return
    count = 0
    for k in range(senders):
        row = row_of[room.sender_list[k]]
        room.row_list[count] = row
        room.numbers[count] = sent[room.sender_list[k]]
        count += row >= 0
    shifts = (max(exponent, 0), max(-exponent, 0))
    vector_rows.add_messages(
        panels, target, wide, room.row_list, room.numbers, count, shifts
    )


@chip.kernel
def run_trials(
    first, last, net, messages, state, step, bits, traces, noise, counts, room
):
    """Run some trials, each through all steps.

    Args:
        first: trial.
        last: trial, not included.
        net: a `compiled_network.CompiledNetwork`.
        messages: steps × trial × channel, int32.
        state: u, v, steps left at reset, trial × padded, and the ring, slot × trial ×
            padded, int32; changed in place.
        step: number of the first step since power-up.
        bits: spikes, steps × trial × byte; filled.
        traces: u and v, steps × trial × recorded neuron, filled, each without steps
            where it is not recorded; places of the recorded neurons.
        noise: the two halves of the seed, uint64, and number of the first trial; None
            for no noise.
        counts: kind of overflow × padded, int64, added to; None to count nothing.
        room: a `compiled_network.Room`, of these trials alone.
    """
    # Arrays are taken in every step: bare ones save counting references, atomically.
    net, room, state = chip.bare(net), chip.bare(room), chip.bare(state)
    messages, bits, traces = chip.bare(messages), chip.bare(bits), chip.bare(traces)
    us, vs, lefts, rings = state
    u_traces, v_traces, neurons = traces
    row_of, rows, wide, delays = net.row_of, net.rows, net.wide, net.delays
    kinds, offsets, exponents = net.kinds, net.offsets, net.exponents
    u, v, left, drive, total, ring = room[:6]
    fired, fired_bytes, fired_words, spike_list, sender_list, row_list = room[6:12]
    slots, panels = ring.shape[0], u.shape[0] // vector_rows.COLUMNS
    vectors = (net.n + vector_step.LANES - 1) // vector_step.LANES
    copy(drive, net.bias)
    vector_step.round_toward_zero()
    # A trial goes through all steps before the next begins: its state stays in cache.
    for trial in range(first, last):
        copy(u, us[trial])
        copy(v, vs[trial])
        copy(left, lefts[trial])
        for k in range(slots):
            copy(ring[k], rings[k, trial])
        slot = step % slots
        for t in range(messages.shape[0]):
            now = step + t
            if net.interval > 0 and (now + 1) % net.interval == net.offset:  # (H2)
                clear(u)
                clear(v)
            if noise is not None:
                vector_step.draw_drive(
                    drive, net.bias, noise[0], now, noise[1] + trial, net.noise_exp
                )
            vector_step.advance(
                vectors,
                u,
                v,
                ring[slot],  # (H1)
                drive,
                net.keep_u,
                net.keep_v,
                net.threshold,
                left,
                net.refractory,
                fired,
                counts,
            )
            copy(bits[t, trial], fired_bytes)
            spikes = chip.list_bits(fired_words, spike_list)
            # What was sent and who spiked in this step arrives later: (H12), (H13).
            sent = messages[t, trial]
            senders = chip.list_senders(sent, sender_list)
            slot = slot + 1 if slot + 1 < slots else 0
            for b in range(kinds.shape[0]):
                later = slot + delays[b]
                target = ring[later - slots if later >= slots else later]
                kind, exponent = kinds[b], exponents[b]
                if kind == GRADED:
                    send_messages(
                        target, wide, row_of[b], senders, sent, room, exponent, panels
                    )
                    continue
                if kind == SYNAPSES:
                    # The offset of such a block is its place among its like.
                    sparse_kernels.send_synapses(
                        target,
                        room.sums,
                        net.words,
                        net.starts,
                        offsets[b],
                        spike_list,
                        spikes,
                        exponent,
                    )
                    continue
                places = spike_list if kind == SPIKES else sender_list
                many = spikes if kind == SPIKES else senders
                count = chip.list_rows(places, many, row_of[b], row_list, None)
                if count > 0:
                    send_rows(
                        target,
                        total,
                        rows,
                        row_list,
                        count,
                        offsets[b],
                        exponent,
                        panels,
                    )
            record(u_traces, t, trial, u, neurons)
            record(v_traces, t, trial, v, neurons)
        copy(us[trial], u)
        copy(vs[trial], v)
        copy(lefts[trial], left)
        for k in range(slots):
            copy(rings[k, trial], ring[k])
    vector_step.round_to_nearest()
