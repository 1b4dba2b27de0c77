"""The compiled engine's loops: one trial after another, one time step after another.

The step is that of `isotau.convert.chip.compiled_step`, whose docstring says what its
rows hold. Rows are padded to a multiple of `PAD` neurons, so that they vectorize.
Weights are bytes (H16): an inhibitory block holds magnitudes, a mixed one w/2 + 128, so
a sum of up to `CHUNK` rows fits 16 bits whatever the weights, and is then put right.
"""

import numpy as np

from isotau.convert.chip import compiled_step as chip
from isotau.convert.chip.arithmetic import INPUT_SHIFT

PAD = 64
"""Neurons: bytes of a cache line, and of the widest vector."""
SPACE = 48
"""Neurons between the rows of a trial; see `run_trials`."""
CHUNK = 128
"""Rows whose bytes add up to less than 2^15; a multiple of 4."""
SPIKES, GRADED, BINARY = 0, 1, 2
"""What a block listens to: spikes, messages as numbers, messages as spikes: (H13)."""


@chip.kernel
def count_overflows(u, v, refractory_left, arriving, drive, keep_u, keep_v, counts):
    """Count what the coming `integrate` will wrap or cut: `Overflow`'s fields."""
    # A pass of its own, so that runs that count nothing pay nothing.
    for j in range(u.shape[0]):
        shifted_input = np.int64(arriving[j]) << INPUT_SHIFT
        x = chip.unwrapped_u(u[j], keep_u[j], arriving[j])
        wrapped = chip.wrap_u(x)
        y = chip.unclipped_v(v[j], keep_v[j], wrapped, drive[j])
        awake = refractory_left[j] <= 0
        # in 64 bits nothing wraps: the two differ where int32 did
        counts[0, j] += shifted_input != np.int32(shifted_input)
        counts[1, j] += x != wrapped
        counts[2, j] += awake and y < 1 - chip.M
        counts[3, j] += awake and y > chip.M - 1


@chip.kernel
def send_spikes(
    arriving, rows, row_list, count, offset, factor, exponent, sums16, total
):
    """Deliver the rows of the sources that spiked: weights = factor · (byte − offset).

    Args:
        arriving: the row that is added to.
        rows: bytes, the last row zeros.
        row_list: from `list_rows`.
        count: of rows in the list, 1 or more.
        offset: of the block's bytes: (H16).
        factor: of the block's bytes.
        exponent: of the block's weights.
        sums16: room for sums of up to `CHUNK` rows, int16.
        total: room for sums of more, int32.
    """
    scale = np.int32(factor)
    # Nearly always so few rows spike that 16 bits hold their sum: half the memory.
    if count <= CHUNK:
        chip.add_rows(sums16, rows, row_list, 0, count)
        less = np.int32(offset * count)  # all offsets at once: (H16)
        up, down = np.int32(max(exponent, 0)), np.int32(max(-exponent, 0))
        for j in range(arriving.shape[0]):
            weights = np.int32(scale * np.int32(np.int32(sums16[j]) - less))
            arriving[j] = np.int32(arriving[j] + chip.shifted(weights, up, down))
        return
    # Many: 16 bits hold the sums of `CHUNK` rows at a time, 32 bits those of all.
    for j in range(total.shape[0]):
        total[j] = 0
    for first in range(0, count, CHUNK):
        last = min(first + CHUNK, count)
        chip.add_rows(sums16, rows, row_list, first, last)
        less = np.int32(offset * (last - first))
        for j in range(total.shape[0]):
            total[j] = np.int32(total[j] + np.int32(scale * np.int32(sums16[j] - less)))
    chip.deliver(arriving, total, exponent)


@chip.kernel
def record(traces, t, trial, values, neurons):
    """Keep some neurons' u or v after a step, if they are to be kept."""
    if traces.shape[0] > 0:
        for k in range(neurons.shape[0]):
            traces[t, trial, k] = values[neurons[k]]


@chip.kernel
def run_trials(
    lo, hi, net, messages, state, step, bits, traces, key, first_trial, counts
):
    """Run the trials from `lo` to `hi`, each through all steps.

    Args:
        lo: first trial.
        hi: one beyond the last.
        net: a `compiled.CompiledNetwork`.
        messages: steps × trial × channel, int32.
        state: u, v, steps left at reset, trial × padded, and the ring, slot × trial ×
            padded, int32; changed in place.
        step: number of the first step since power-up.
        bits: spikes, steps × trial × byte; filled.
        traces: u and v, steps × trial × recorded neuron, filled, each without steps
            where it is not recorded; places of the recorded neurons.
        key: the two halves of the noise's seed.
        first_trial: number of the noise's first trial.
        counts: trial × kind of overflow × padded, added to; no trials where nothing is
            to be counted.
    """
    # Rows are taken in every step: bare arrays save counting references, atomically.
    rows, wide, row_of = chip.bare(net.rows), chip.bare(net.wide), chip.bare(net.row_of)
    messages, bits, counts = chip.bare(messages), chip.bare(bits), chip.bare(counts)
    kinds, delays, exponents = net.kinds, net.delays, net.exponents
    offsets, factors, noise_exp, n = net.offsets, net.factors, net.noise_exp, net.n
    keep_u, keep_v, bias = net.keep_u, net.keep_v, net.bias
    threshold, refractory = net.threshold, net.refractory
    us, vs, pauses, rings = state
    u_traces, v_traces, neurons = traces
    padded, slots = us.shape[1], rings.shape[0]
    # What one trial works on, each array a little more than a power of two after the
    # other: addresses that agree in their last 12 bits make loads wait for stores.
    width = padded + SPACE
    flat = np.zeros((7 + slots) * width, np.int32)
    u, v = flat[:padded], flat[width:][:padded]
    refractory_left = flat[2 * width :][:padded]
    drive, noise = flat[3 * width :][:padded], flat[4 * width :][:padded]
    total, peak = flat[5 * width :][:padded], flat[6 * width :][:padded]
    ring = flat[7 * width :]
    drive[:] = bias
    sums16 = np.zeros(padded, np.int16)
    fired = np.zeros(padded, np.uint8)
    words = fired.view(np.uint64)
    channels = messages.shape[2]
    spike_list, sender_list = np.zeros(padded, np.int64), np.zeros(channels, np.int64)
    row_list = np.zeros(max(padded, channels) + chip.SPARE_ROWS, np.int64)
    zeros = rows.shape[0] - 1  # the last row
    # A trial goes through all steps before the next begins: its state stays in cache.
    for trial in range(lo, hi):
        u[:], v[:], refractory_left[:] = us[trial], vs[trial], pauses[trial]
        for k in range(slots):
            ring[k * width :][:padded] = rings[k, trial]
        for t in range(messages.shape[0]):
            now = step + t
            slot = now % slots
            if net.interval > 0 and (now + 1) % net.interval == net.offset:  # (H2)
                u[:] = 0
                v[:] = 0
            if noise_exp > 0:
                chip.fill_noise(
                    noise, key, now, first_trial + trial, (n + 7) // 8, noise_exp
                )
                chip.add_noise(drive, bias, noise, n)
            arriving = ring[slot * width :][:padded]  # (H1)
            if counts.shape[0] > 0:
                count_overflows(
                    u,
                    v,
                    refractory_left,
                    arriving,
                    drive,
                    keep_u,
                    keep_v,
                    counts[trial],
                )
            chip.integrate(u, v, peak, arriving, drive, keep_u, keep_v)
            chip.fire(v, refractory_left, peak, fired, threshold, refractory)
            # From the next step on this slot is the last of the ring, and empty.
            for j in range(arriving.shape[0]):
                arriving[j] = 0
            spikes = chip.list_spikes(words, fired, bits[t, trial], spike_list)
            # What was sent and who spiked in this step arrives later: (H12), (H13).
            sent = messages[t, trial]
            senders = chip.list_senders(sent, sender_list)
            for b in range(kinds.shape[0]):
                slot = (now + 1 + delays[b]) % slots
                arriving = ring[slot * width :][:padded]
                if kinds[b] == GRADED:
                    if chip.sum_messages(total, wide, row_of[b], sent):
                        chip.deliver(arriving, total, exponents[b])
                    continue
                if kinds[b] == SPIKES:
                    count = chip.list_rows(
                        spike_list, spikes, row_of[b], row_list, zeros
                    )
                else:
                    count = chip.list_rows(
                        sender_list, senders, row_of[b], row_list, zeros
                    )
                if count > 0:
                    send_spikes(
                        arriving,
                        rows,
                        row_list,
                        count,
                        offsets[b],
                        factors[b],
                        exponents[b],
                        sums16,
                        total,
                    )
            record(u_traces, t, trial, u, neurons)
            record(v_traces, t, trial, v, neurons)
        us[trial], vs[trial], pauses[trial] = u, v, refractory_left
        for k in range(slots):
            rings[k, trial] = ring[k * width :][:padded]
