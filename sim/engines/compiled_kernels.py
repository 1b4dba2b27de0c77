"""The compiled engine's loops: one trial after another, one time step after another.

The neurons' part of a step is `isotau.convert.chip.vector_step`, sums of weights are
`isotau.convert.chip.vector_rows`: both in vector registers. What is left is who spiked,
which rows that makes, and where they go. numba compiles a function once for every set
of types, so that what is None in the arguments costs neither time nor compilation.
"""

from isotau.convert.chip import compiled_step as chip
from isotau.convert.chip import philox, vector_noise, vector_rows, vector_step
from isotau.convert.chip.vector_rows import CHUNK
from isotau.sim.engines import recording_kernels, sparse_kernels

TURN = 32
"""Steps of a trial before the next has its turn."""
SPIKES, NEIGHBOURS, GRADED, BINARY, SYNAPSES = 0, 1, 2, 3, 4
"""What a block listens to: spikes, spikes of neurons without a gap between them,
messages as numbers, messages as spikes, (H13); and spikes again where its weights are
sparse."""

KIND, OFFSET, EXPONENT, DELAY, BASE, FIRST, LAST = range(7)
"""Columns of `CompiledNetwork.blocks`: one array, since each takes time to compile."""


@chip.inlined
def list_starts(source_list, sources, row_of, row_list):
    """List where the rows of some sources begin; return how many a block has."""
    count = 0
    for k in range(sources):
        row = row_of[source_list[k]]
        # written always, counted where there is one: no branch to mispredict
        row_list[count] = row
        count += row >= 0
    return count


@chip.inlined
def send_rows(target, total, rows, places, low, high, start, step, offset, exponent):
    """Deliver the rows of the sources that spiked: (H12), (H16).

    Args:
        target: the row of the ring that is added to.
        total: room for sums of more than `CHUNK` rows, int32.
        rows: bytes, see `vector_rows.in_lanes`.
        places: list of rows.
        low: first in the list.
        high: one beyond the last, and beyond the first.
        start: where the row of place 0 begins.
        step: how far it is to the next.
        offset: of the block's bytes.
        exponent: of the block's bytes.
    """
    panels = total.shape[0] // vector_rows.COLUMNS
    up = exponent if exponent > 0 else 0
    down = up - exponent
    # Nearly always so few rows spike that 16 bits hold their sum.
    whole = high - low <= CHUNK
    if not whole:
        chip.clear_row(total)
    # written once for both cases: compiling it takes longer than all else
    for first in range(low, high, CHUNK):
        last = first + CHUNK if first + CHUNK < high else high
        vector_rows.add_rows(
            panels,
            target if whole else total,
            rows,
            places,
            (first, last),
            (start, step),
            offset * (last - first),
            (down if whole else 0, up if whole else 0),
        )
    if not whole:
        vector_rows.add_total(panels, target, total, (up, down))


@chip.inlined
def send_messages(
    target, wide, row_of, sender_list, senders, sent, row_list, numbers, exponent
):
    """Deliver weights times messages, summed as int32: (H12)."""
    count = 0
    for k in range(senders):
        row = row_of[sender_list[k]]
        row_list[count] = row
        numbers[count] = sent[sender_list[k]]
        count += row >= 0
    panels = target.shape[0] // vector_rows.COLUMNS
    up = exponent if exponent > 0 else 0
    vector_rows.add_messages(
        panels, target, wide, row_list, numbers, count, (up, up - exponent)
    )


@chip.kernel
def run_trials(
    first,
    last,
    net,
    synapses,
    messages,
    state,
    step,
    bits,
    traces,
    noise,
    to_v,
    to_u,
    counts,
    room,
):
    """Run some trials, each through all steps.

    Args:
        first: trial.
        last: trial, not included.
        net: a `compiled_network.CompiledNetwork`.
        synapses: its `words` and `starts`; None if no block is sparse.
        messages: steps × trial × channel, int32.
        state: u, v, steps left at reset, trial × padded, and the ring, slot × trial ×
            padded, int32; changed in place.
        step: number of the first step since power-up.
        bits: spikes, steps × trial × byte; filled.
        traces: u and v, steps × trial × recorded neuron, filled, each without steps
            where it is not recorded; places of the recorded neurons; and a page for
            each of both, `TURN` × trial of these × recorded neuron, both without steps
            where rows are written in place.
        noise: the two halves of the seed, uint64, and number of the first trial.
        to_v: noise in v as `vector_step.advance` takes it: room for its samples, of
            these trials alone, and its scale; None for no noise.
        to_u: noise in u.
        counts: kind of overflow × padded, int64, added to; None to count nothing.
        room: a `compiled_network.Room`, of these trials alone.
    """
    # Arrays are taken in every step: bare ones save counting references, atomically.
    net, room, state = chip.bare(net), chip.bare(room), chip.bare(state)
    messages, bits, traces = chip.bare(messages), chip.bare(bits), chip.bare(traces)
    us, vs, lefts, rings = state
    u_traces, v_traces, neurons, u_page, v_page = traces
    paged = u_page.shape[0] > 0 or v_page.shape[0] > 0
    u_kept, v_kept = (u_page, v_page) if paged else (u_traces, v_traces)
    blocks, row_of, rows, wide = net.blocks, net.row_of, net.rows, net.wide
    keep_u, keep_v, bias, threshold = net.keep_u, net.keep_v, net.bias, net.threshold
    refractory, interval, offset = net.refractory, net.interval, net.offset
    u, v, left, total = room.u, room.v, room.left, room.total
    fired, fired_bytes, before = room.fired, room.fired_bytes, room.before
    spike_list, sender_list = room.spike_list, room.sender_list
    row_list, numbers = room.row_list, room.numbers
    vectors = (net.n + vector_step.LANES - 1) // vector_step.LANES
    width, slots = total.shape[0], rings.shape[0]
    pairs = (net.n + vector_noise.PAIR - 1) // vector_noise.PAIR
    vector_step.round_toward_zero()
    # What some trials write lies together: it is written before it leaves the cache.
    for start in range(0, messages.shape[0], TURN):
        end = start + TURN if start + TURN < messages.shape[0] else messages.shape[0]
        step_0, row_0 = (start, first) if paged else (0, 0)
        for trial in range(first, last):
            chip.copy_row(u, us[trial])
            chip.copy_row(v, vs[trial])
            chip.copy_row(left, lefts[trial])
            slot = (step + start) % slots
            for t in range(start, end):
                now = step + t
                if interval > 0 and (now + 1) % interval == offset:  # (H2)
                    chip.clear_row(u)
                    chip.clear_row(v)
                drawn = (t - start) % vector_noise.STEPS
                # Of an argument that is None numba leaves the branch out.
                if to_v is not None:
                    if drawn == 0:
                        vector_noise.draw_samples(
                            *(to_v[0], pairs, noise[0], now, noise[1] + trial),
                            philox.MEMBRANE,
                        )
                if to_u is not None:
                    if drawn == 0:
                        vector_noise.draw_samples(
                            *(to_u[0], pairs, noise[0], now, noise[1] + trial),
                            philox.SYNAPSE,
                        )
                vector_step.advance(
                    *(vectors, u, v, rings[slot, trial], bias),  # (H1)
                    *(drawn, to_v, to_u, keep_u, keep_v, threshold),
                    *(left, refractory, fired, counts),
                )
                chip.copy_row(bits[t, trial], fired_bytes)
                row = trial - row_0
                recording_kernels.record(u_kept, t - step_0, row, u, neurons)
                recording_kernels.record(v_kept, t - step_0, row, v, neurons)
                # What was sent and who spiked in this step arrives later: (H12), (H13).
                spikes = chip.list_bits(fired, spike_list, before)
                sent = messages[t, trial]
                senders = chip.list_senders(sent, sender_list)
                slot = slot + 1 if slot + 1 < slots else 0
                for b in range(blocks.shape[0]):
                    kind, exponent = blocks[b, KIND], blocks[b, EXPONENT]
                    later = slot + blocks[b, DELAY]
                    target = rings[later - slots if later >= slots else later, trial]
                    sources = row_of[b]
                    if kind == GRADED:
                        send_messages(
                            target,
                            wide,
                            sources,
                            sender_list,
                            senders,
                            sent,
                            row_list,
                            numbers,
                            exponent,
                        )
                        continue
                    if synapses is not None:
                        if kind == SYNAPSES:
                            # The offset of such a block is its place among its like.
                            sparse_kernels.send_synapses(
                                *(target, room.sums, synapses[0], synapses[1]),
                                *(blocks[b, OFFSET], spike_list, spikes, exponent),
                            )
                            continue
                    places, low, row_size = row_list, 0, 1
                    if kind == NEIGHBOURS:
                        # Their rows need no list but that of the spikes.
                        places, row_size = spike_list, width
                        low = chip.listed_before(fired, before, blocks[b, FIRST])
                        high = chip.listed_before(fired, before, blocks[b, LAST])
                    else:
                        # one call for both, which is compiled into its place
                        listed = spike_list if kind == SPIKES else sender_list
                        count = spikes if kind == SPIKES else senders
                        high = list_starts(listed, count, sources, row_list)
                    if low < high:
                        send_rows(
                            target,
                            total,
                            rows,
                            places,
                            low,
                            high,
                            blocks[b, BASE],
                            row_size,
                            blocks[b, OFFSET],
                            exponent,
                        )
            chip.copy_row(us[trial], u)
            chip.copy_row(vs[trial], v)
            chip.copy_row(lefts[trial], left)
        if paged:
            for t in range(start, end):
                recording_kernels.move_rows(u_traces, t, first, u_page, t - start)
                recording_kernels.move_rows(v_traces, t, first, v_page, t - start)
    vector_step.round_to_nearest()
