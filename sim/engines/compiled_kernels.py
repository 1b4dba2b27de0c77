"""The compiled engine's loops: one trial after another, one time step after another.

Everything here is numba and works on arrays padded to a multiple of `PAD` neurons, so
that it vectorizes. The rules are `isotau.convert.chip.arithmetic`'s, in this form:

- A decay is a product in float64 cut to int32: |u| · 4096 < 2^53 makes it exact, and
  the cut is toward zero.
- int32 sums wrap as they are; a shift applies to a connection's whole sum.
- Weights are bytes. An inhibitory block holds magnitudes, a mixed one w/2 + 128, so a
  sum of up to 128 rows fits 16 bits whatever the weights, and is then put right.
"""

import numpy as np
from numba import njit

from isotau.convert.chip.arithmetic import INPUT_SHIFT, STATE_LIMIT
from isotau.convert.chip.philox_kernels import draw_noise

PAD = 64
SPACE = 48
CHUNK = 128
"""Rows whose bytes add up to less than 2^15; a multiple of 4."""
SPIKES, GRADED, BINARY = 0, 1, 2
"""What a block listens to: spikes, messages as numbers, messages as spikes."""
GATHER = np.uint64(0x0102040810204080)
"""Times eight bytes of 0 or 1, as a word: the same as eight bits, in the top byte."""
BITS = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little")
ONES = BITS.sum(axis=1).astype(np.int64)
PLACES = np.argsort(1 - BITS, axis=1, kind="stable").astype(np.int64)
"""Where the ones of each byte are, in ascending order, before its zeros."""
inline = njit(nogil=True, cache=True, error_model="numpy", boundscheck=False)

M = STATE_LIMIT


@inline
def integrate(u, v, rest, a, drive, du, dv, threshold, refractory, fired):
    """Update every neuron by one step, given its input and its drive."""
    for j in range(u.shape[0]):
        x = np.int32(np.int32(u[j] * du[j]) + np.int32(a[j] << INPUT_SHIFT))
        x = np.int32(x - 2 * M) if x > M else x
        x = np.int32(x + 2 * M) if x <= -M else x
        y = np.int32(np.int32(np.int32(v[j] * dv[j]) + x) + drive[j])
        y = np.int32(min(max(y, 1 - M), M - 1))
        y = np.int32(0) if rest[j] > 0 else y
        spike = y > threshold[j]
        fired[j] = spike
        u[j] = x
        v[j] = np.int32(0) if spike else y
        rest[j] = refractory[j] if spike else np.int32(max(rest[j] - 1, 0))


@inline
def count_step(u, v, rest, a, drive, du, dv, counts):
    """Count what the coming `integrate` will wrap or cut: `Overflow`'s fields."""
    for j in range(u.shape[0]):
        shifted = np.int64(a[j]) << INPUT_SHIFT
        x = np.int32(np.int32(u[j] * du[j]) + np.int32(shifted))
        wrapped = np.int32(x - 2 * M) if x > M else x
        wrapped = np.int32(wrapped + 2 * M) if wrapped <= -M else wrapped
        y = np.int32(np.int32(np.int32(v[j] * dv[j]) + wrapped) + drive[j])
        awake = rest[j] <= 0
        counts[0, j] += shifted != np.int32(shifted)
        counts[1, j] += x != wrapped
        counts[2, j] += awake and y < 1 - M
        counts[3, j] += awake and y > M - 1


@inline
def add_rows(acc, rows, chosen, lo, hi):
    """Set the 16-bit sums to those of some rows of bytes, four at a time.

    `chosen` goes on for up to three rows after the last, with a row of zeros.
    """
    r0, r1 = rows[chosen[lo]], rows[chosen[lo + 1]]
    r2, r3 = rows[chosen[lo + 2]], rows[chosen[lo + 3]]
    for j in range(acc.shape[0]):
        acc[j] = np.int16(r0[j]) + np.int16(r1[j]) + np.int16(r2[j]) + np.int16(r3[j])
    for k in range(lo + 4, hi, 4):
        r0, r1 = rows[chosen[k]], rows[chosen[k + 1]]
        r2, r3 = rows[chosen[k + 2]], rows[chosen[k + 3]]
        for j in range(acc.shape[0]):
            acc[j] += (
                np.int16(r0[j]) + np.int16(r1[j]) + np.int16(r2[j]) + np.int16(r3[j])
            )


@inline
def deliver(ring, total, exponent):
    """Add a connection's sums, shifted, to what is under way."""
    up, down = np.int32(max(exponent, 0)), np.int32(max(-exponent, 0))
    for j in range(ring.shape[0]):
        ring[j] = np.int32(ring[j] + np.int32(np.int32(total[j] << up) >> down))


@inline
def send_spikes(ring, rows, chosen, many, offset, factor, exponent, acc, total):
    """Deliver the rows of the sources that spiked."""
    scale = np.int32(factor)
    if many <= CHUNK:
        add_rows(acc, rows, chosen, 0, many)
        less = np.int32(offset * many)
        up, down = np.int32(max(exponent, 0)), np.int32(max(-exponent, 0))
        for j in range(ring.shape[0]):
            sum_ = np.int32(scale * np.int32(np.int32(acc[j]) - less))
            ring[j] = np.int32(ring[j] + np.int32(np.int32(sum_ << up) >> down))
        return
    for j in range(total.shape[0]):
        total[j] = 0
    for lo in range(0, many, CHUNK):
        hi = min(lo + CHUNK, many)
        add_rows(acc, rows, chosen, lo, hi)
        less = np.int32(offset * (hi - lo))
        for j in range(total.shape[0]):
            total[j] = np.int32(total[j] + np.int32(scale * np.int32(acc[j] - less)))
    deliver(ring, total, exponent)


@inline
def send_numbers(ring, wide, row_of, messages, exponent, total):
    """Deliver graded messages: weights times numbers, summed as int32."""
    some = False
    for c in range(messages.shape[0]):
        if row_of[c] >= 0 and messages[c] != 0:
            if not some:
                for j in range(total.shape[0]):
                    total[j] = 0
                some = True
            row, number = row_of[c], messages[c]
            for j in range(total.shape[0]):
                total[j] = np.int32(total[j] + np.int32(wide[row, j] * number))
    if some:
        deliver(ring, total, exponent)


@inline
def list_rows(spiking, many, row_of, chosen, zeros):
    """List the rows of a block whose sources spiked; return how many.

    After them come three times the row of zeros.
    """
    found = 0
    for k in range(many):
        row = row_of[spiking[k]]
        chosen[found] = row
        found += row >= 0
    for k in range(found, found + 3):
        chosen[k] = zeros
    return found


@inline
def pack_and_list(words, bits, spiking):
    """Pack who fired, eight neurons to a byte, and list them; return how many."""
    many = 0
    for k in range(bits.shape[0]):
        word = words[k]
        if word == 0:
            bits[k] = 0
            continue
        byte = (word * GATHER) >> np.uint64(56)
        bits[k] = byte
        for i in range(ONES[byte]):
            spiking[many] = 8 * k + PLACES[byte, i]
            many += 1
    return many


@inline
def run_trials(
    lo, hi, net, messages, state, step, bits, kept, key, first_trial, counts
):
    """Run the trials from `lo` to `hi`, each through all steps.

    `net`, `state` and `kept` are the tuples that `compiled` makes; the state is changed
    in place. `counts` has no trials where nothing is to be counted.
    """
    (n, blocks, row_of, kinds, offsets, factors, exponents, delays, rows, wide) = net[
        :10
    ]
    du, dv, bias, threshold, refractory, interval, offset, noise_exp = net[10:]
    us, vs, rests, rings = state
    kept_u, kept_v, neurons = kept
    padded, slots = us.shape[1], rings.shape[0]
    # What one trial works on, each array a little more than a power of two after the
    # other: addresses that agree in their last 12 bits make loads wait for stores.
    width = padded + SPACE
    flat = np.zeros((6 + slots) * width, np.int32)
    u, v, rest = flat[:padded], flat[width:][:padded], flat[2 * width :][:padded]
    drive, noise = flat[3 * width :][:padded], flat[4 * width :][:padded]
    total, ring = flat[5 * width :][:padded], flat[6 * width :]
    drive[:] = bias
    acc = np.zeros(padded, np.int16)
    fired = np.zeros(padded, np.uint8)
    words = fired.view(np.uint64)
    spiking, sending = np.zeros(padded, np.int64), np.zeros(messages.shape[2], np.int64)
    chosen = np.zeros(max(padded, messages.shape[2]) + 3, np.int64)
    zeros = rows.shape[0] - 1
    for trial in range(lo, hi):
        u[:], v[:], rest[:] = us[trial], vs[trial], rests[trial]
        for k in range(slots):
            ring[k * width :][:padded] = rings[k, trial]
        for t in range(messages.shape[0]):
            now = step + t
            slot = now % slots
            if interval > 0 and (now + 1) % interval == offset:
                u[:] = 0
                v[:] = 0
            if noise_exp > 0:
                draw_noise(
                    noise, key, now, first_trial + trial, (n + 7) // 8, noise_exp
                )
                for j in range(n):
                    drive[j] = np.int32(bias[j] + noise[j])
            a = ring[slot * width :][:padded]
            if counts.shape[0] > 0:
                count_step(u, v, rest, a, drive, du, dv, counts[trial])
            integrate(u, v, rest, a, drive, du, dv, threshold, refractory, fired)
            for j in range(a.shape[0]):
                a[j] = 0
            many = pack_and_list(words, bits[t, trial], spiking)
            sent = messages[t, trial]
            binary = 0
            for c in range(sent.shape[0]):
                sending[binary] = c
                binary += sent[c] != 0
            for b in range(blocks):
                slot = (now + 1 + delays[b]) % slots
                arriving = ring[slot * width :][:padded]
                if kinds[b] == GRADED:
                    send_numbers(arriving, wide, row_of[b], sent, exponents[b], total)
                    continue
                if kinds[b] == SPIKES:
                    found = list_rows(spiking, many, row_of[b], chosen, zeros)
                else:
                    found = list_rows(sending, binary, row_of[b], chosen, zeros)
                if found > 0:
                    send_spikes(
                        arriving,
                        rows,
                        chosen,
                        found,
                        offsets[b],
                        factors[b],
                        exponents[b],
                        acc,
                        total,
                    )
            if kept_u.shape[0] > 0:
                for k in range(neurons.shape[0]):
                    kept_u[t, trial, k] = u[neurons[k]]
            if kept_v.shape[0] > 0:
                for k in range(neurons.shape[0]):
                    kept_v[t, trial, k] = v[neurons[k]]
        us[trial], vs[trial], rests[trial] = u, v, rest
        for k in range(slots):
            rings[k, trial] = ring[k * width :][:padded]
