"""The chip's time step compiled, which leaves what the backward pass needs.

One trial after another, one time step after another; a spike adds one row of weights.
The rules are `isotau.convert.chip.arithmetic`'s, in this form:

- A decay is a product in float64 cut to int32: |u| · 4096 < 2^53 makes it exact, and
  the cut is toward zero.
- int32 sums wrap as they are; a shift to the right applies to a layer's whole sum
  (`chip_pass.Layers`).
"""

import numpy as np
from numba import njit

from isotau.convert.chip.arithmetic import INPUT_SHIFT, STATE_LIMIT
from isotau.convert.chip.philox_kernels import draw_noise
from isotau.convert.tuning.forward.fused_kernels import RESTED, SPIKED

TURN = 16
"""Steps of a trial before the next has its turn: what is written stays in the cache."""
inline = njit(nogil=True, cache=True, error_model="numpy", boundscheck=False)

M = STATE_LIMIT


@inline
def add_rows(arriving, rows, down, layer, chosen, many, total):
    """Deliver the sum of some rows of a layer."""
    for j in range(total.shape[0]):
        total[j] = 0
    full = many - many % 4
    for k in range(0, full, 4):
        a, b, c, d = chosen[k], chosen[k + 1], chosen[k + 2], chosen[k + 3]
        for j in range(total.shape[0]):
            total[j] += np.int32(
                np.int32(rows[layer, a, j] + rows[layer, b, j])
                + np.int32(rows[layer, c, j] + rows[layer, d, j])
            )
    for k in range(full, many):
        a = chosen[k]
        for j in range(total.shape[0]):
            total[j] = np.int32(total[j] + rows[layer, a, j])
    deliver(arriving, total, down, layer)


@inline
def deliver(arriving, total, down, layer):
    """Add a layer's sums, each shifted right by its own number of bits."""
    for j in range(arriving.shape[0]):
        arriving[j] = np.int32(arriving[j] + np.int32(total[j] >> down[layer, j]))


@inline
def send_spikes(arriving, rows, down, used, spiking, many, chosen, total):
    """Deliver what the spikes of some sources add."""
    for layer in range(rows.shape[0]):
        found = 0
        for s in range(many):
            chosen[found] = spiking[s]
            found += used[layer, spiking[s]]
        if found > 0:
            add_rows(arriving, rows, down, layer, chosen, found, total)


@inline
def send_numbers(arriving, rows, down, used, sent, t, trial, total):
    """Deliver weights times messages, summed as int32."""
    for layer in range(rows.shape[0]):
        some = False
        for c in range(sent.shape[2]):
            number = sent[t, trial, c]
            if number == 0 or not used[layer, c]:
                continue
            if not some:
                for j in range(total.shape[0]):
                    total[j] = 0
                some = True
            for j in range(total.shape[0]):
                total[j] = np.int32(total[j] + np.int32(rows[layer, c, j] * number))
        if some:
            deliver(arriving, total, down, layer)


@inline
def list_fired(words, fired, marked):
    """List where bytes are not 0, eight at a time as words; return how many."""
    many = 0
    for k in range(words.shape[0]):
        if words[k] != 0:
            for j in range(8 * k, 8 * k + 8):
                marked[many] = j
                many += fired[j] != 0
    return many


@inline
def list_sent(sent, t, trial, marked):
    """List the channels that sent anything; return how many."""
    many = 0
    for c in range(sent.shape[2]):
        marked[many] = c
        many += sent[t, trial, c] != 0
    return many


@inline
def integrate(u, v, before, arriving, drive, keep_u, keep_v):
    """Update every u, and set v before its reset.

    Each loop has few arrays: these vectorize, where one loop over all would not.
    """
    for j in range(u.shape[0]):
        i = np.int32(np.int32(u[j] * keep_u[j]) + np.int32(arriving[j] << INPUT_SHIFT))
        i = np.int32(i - 2 * M) if i > M else i
        u[j] = np.int32(i + 2 * M) if i <= -M else i
    for j in range(v.shape[0]):
        y = np.int32(np.int32(np.int32(v[j] * keep_v[j]) + u[j]) + drive[j])
        before[j] = min(max(y, np.int32(1 - M)), np.int32(M - 1))


@inline
def fire(v, rest, before, fired, threshold, refractory):
    """Update every v and the steps left at reset; mark who spikes."""
    for j in range(v.shape[0]):
        awake = rest[j] <= 0
        fired[j] = awake & (before[j] > threshold[j])
        v[j] = before[j] if awake & (before[j] <= threshold[j]) else np.int32(0)
    for j in range(v.shape[0]):
        less = max(np.int32(rest[j] - 1), np.int32(0))
        rest[j] = refractory[j] if fired[j] else less


@inline
def tape_step(flags, x, t, trial, rest, before, threshold, unit):
    """Keep who rests, and how far v was above threshold."""
    for j in range(rest.shape[0]):
        flags[t, trial, j] = RESTED * np.uint8(rest[j] > 0)
    for j in range(rest.shape[0]):
        x[t, trial, j] = x.dtype.type(np.int32(before[j] - threshold[j])) * unit[j]


@inline
def run_trials(lo, hi, program, sent, state, left, noise_of, out):
    """Run the trials from `lo` to `hi`, each some steps at a time.

    Args:
        lo: first trial.
        hi: one beyond the last.
        program: from `program_of`.
        sent: steps × trial × channel, int32: messages that arrive in each step.
        state: z (uint8, filled up with zeros to whole words), u, v and rest (int32),
            trial × neuron; changed.
        left: units per integer of v and of u, per neuron.
        noise_of: key, number of the first step, and exponent, 0 for no noise.
        out: steps × trial × neuron, filled: spikes; flags, x and current of a tape,
            each of them without steps where it is not kept.
    """
    # Arrays are taken out of tuples once: each time counts a reference, atomically.
    recurrent, graded, binary, keep_u, keep_v, bias, threshold, refractory = program
    (rows, down, used), (rows_g, down_g, used_g) = recurrent, graded
    rows_b, down_b, used_b = binary
    zs, us, vs, rests = state
    (per_v, per_u), (key, step, exponent) = left, noise_of
    spikes, flags, x, current = out
    n, wide = us.shape[1], max(us.shape[1], sent.shape[2]) + 8
    spiking, chosen = np.zeros(wide, np.int64), np.zeros(wide, np.int64)
    arriving, total = np.zeros(n, np.int32), np.zeros(n, np.int32)
    drive, before = bias.copy(), np.zeros(n, np.int32)
    noise = np.zeros(zs.shape[1], np.int32)
    for start in range(0, sent.shape[0], TURN):
        for trial in range(lo, hi):
            u, v, rest, fired = us[trial], vs[trial], rests[trial], zs[trial]
            words = fired.view(np.uint64)
            for t in range(start, min(start + TURN, sent.shape[0])):
                for j in range(n):
                    arriving[j] = 0
                many = list_fired(words, fired, spiking)
                send_spikes(arriving, rows, down, used, spiking, many, chosen, total)
                send_numbers(arriving, rows_g, down_g, used_g, sent, t, trial, total)
                many = list_sent(sent, t, trial, spiking)
                send_spikes(
                    arriving, rows_b, down_b, used_b, spiking, many, chosen, total
                )
                if exponent > 0:
                    draw_noise(
                        noise, key, step + t, trial, noise.shape[0] // 8, exponent
                    )
                    for j in range(n):
                        drive[j] = np.int32(bias[j] + noise[j])
                integrate(u, v, before, arriving, drive, keep_u, keep_v)
                if x.shape[0] > 0:
                    tape_step(flags, x, t, trial, rest, before, threshold, per_v)
                fire(v, rest, before, fired, threshold, refractory)
                for j in range(n):
                    spikes[t, trial, j] = fired[j]
                if x.shape[0] > 0:
                    for j in range(n):
                        flags[t, trial, j] |= SPIKED * fired[j]
                if current.shape[0] > 0:
                    for j in range(n):
                        current[t, trial, j] = current.dtype.type(u[j]) * per_u[j]
