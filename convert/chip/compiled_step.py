"""The chip's time step in compiled loops, as tuning runs it; lists for the engine too.

Each function does a part of the step for one trial; a caller's loop inlines them all.
The engine takes neurons and sums of rows in vectors, from `vector_step` and
`vector_rows`; tests hold both to the same rules.
The rules are those of `isotau.convert.chip.arithmetic`. Index j runs over neurons, and
a row is one number per neuron:

| array | holds | type |
|---|---|---|
| u, v | the state, integers of the chip | int32 |
| arriving | a, what connections hand over in this step, in units of 2^6 | int32 |
| peak | v′, v before spikes and reset | int32 |
| drive, bias | what is added to v, integers of v | int32 |
| keep_u, keep_v | what a decay leaves: 1 − (du + 1)/4096, 1 − dv/4096 | float64 |
| threshold | 2^6 · vth | int32 |
| refractory, refractory_left | steps at reset: of each spike, still to come | int32 |
| fired | 1 where a neuron spiked, else 0; the same bytes as words of eight | uint8 |
| rows | mantissas, one row per source, the last row all zeros | uint8, int32 |
| row_of | place in `rows` of each source, −1 where a block has none | int64 |
| total | sums of weights before the shift | int16, int32 |

A step is: `add_noise` (H6) of what `vector_noise` drew, `integrate` (H3 to H5, H7),
`fire` (H8 to H11), `list_spikes`; then for each block `list_rows` and `add_rows`, or
`sum_messages`, and `deliver` (H12, H13). numba types each function anew for every
caller: an argument that is None costs nothing.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from isotau.convert.chip.arithmetic import INPUT_SHIFT, STATE_LIMIT
from isotau.convert.chip.vector_noise import PAIR
from isotau.convert.ground.compilation import njit

GATHER = np.uint64(0x0102040810204080)
"""Times eight bytes of 0 or 1, as a word: the same as eight bits, in the top byte."""
SPARE_PLACES = 8
"""Places that a list of bits needs beyond the last."""
SPARE_ROWS = 3
"""Places that a list of rows needs beyond the last: `add_rows` takes four at a time."""
M = STATE_LIMIT
# numba's checks of bounds would double the time; every caller sizes its arrays itself
OPTIONS: dict[str, Any] = {
    "nogil": True,
    "error_model": "numpy",
    "boundscheck": False,
}
kernel = njit(cache=True, **OPTIONS)
inlined = njit(inline="always", **OPTIONS)
"""What a caller takes in whole, and is compiled with it, once: to hand over an array
would mean seven numbers."""


@intrinsic
def bare(typing, array):
    """Return an array, or a tuple of what may be arrays, without reference counts.

    The counters are shared between threads, and one would go up and down for each row
    that is taken: a third of the forward pass.
    """

    def codegen(context, builder, signature, args):
        return _bare(context, builder, signature.return_type, args[0])

    return array(array), codegen


def _bare(context, builder, kind, value):
    """Return a value of LLVM in which every array forgets who owns its memory."""
    if isinstance(kind, types.Array):
        view = context.make_array(kind)(context, builder, value)
        view.meminfo = view.meminfo.type(None)
        view.parent = view.parent.type(None)
        return view._getvalue()
    if isinstance(kind, types.BaseTuple):
        for k, part in enumerate(kind):
            inside = builder.extract_value(value, k)
            inside = _bare(context, builder, part, inside)
            value = builder.insert_value(value, inside, k)
    return value


@kernel
def unwrapped_u(u, keep, arriving, noise):
    """Return u after decay, input and noise, before its wrap: (H3), (H4).

    |u| · 4096 < 2^53, so the product in float64 is exact and its cut is (H4)'s.
    """
    # int32 sums wrap as they are: (H14)
    u = np.int32(np.int32(u * keep) + np.int32(arriving << INPUT_SHIFT))
    return np.int32(u + noise)


@kernel
def wrap_u(u):
    """Return u after one wrap into 24 bits: (H5)."""
    lowered = np.int32(u - 2 * M) if u > M else u
    return np.int32(lowered + 2 * M) if lowered <= -M else lowered


@kernel
def unclipped_v(v, keep, u, drive):
    """Return v after decay, current and drive, before its saturation: (H7)."""
    return np.int32(np.int32(np.int32(v * keep) + u) + drive)


@kernel
def integrate(u, v, peak, arriving, noise, drive, keep_u, keep_v):
    """Update every u, and set v before spikes and reset.

    Two loops of few arrays each: LLVM vectorizes a loop only while it can afford to
    check that none of its arrays overlap.
    """
    for j in range(u.shape[0]):
        u[j] = wrap_u(unwrapped_u(u[j], keep_u[j], arriving[j], noise[j]))  # (H5)
    for j in range(v.shape[0]):
        y = unclipped_v(v[j], keep_v[j], u[j], drive[j])
        peak[j] = min(max(y, np.int32(1 - M)), np.int32(M - 1))  # (H7)


@kernel
def fire(v, refractory_left, peak, fired, threshold, refractory):
    """Mark who spikes; update every v and the steps left at reset: (H8) to (H11)."""
    for j in range(v.shape[0]):
        # "&", not "and": both sides are computed, and no branch is in the way
        awake = refractory_left[j] <= 0
        fired[j] = awake & (peak[j] > threshold[j])
        v[j] = peak[j] if awake & (peak[j] <= threshold[j]) else np.int32(0)
    for j in range(v.shape[0]):
        less = max(np.int32(refractory_left[j] - 1), np.int32(0))
        refractory_left[j] = refractory[j] if fired[j] else less


@kernel
def add_noise(total, start, samples, step, scale):
    """Set a row to another and the noise of a step: (H6), (P6).

    Args:
        total: row.
        start: row.
        samples: pair of blocks × step × neuron of the pair, int8, from `vector_noise`.
        step: which of the steps that were drawn.
        scale: rows from `arithmetic.noise_scale`, int32.
    """
    factor, down = scale
    n = total.shape[0]
    for first in range(0, n, PAIR):
        pair = samples[first // PAIR, step]
        for k in range(min(PAIR, n - first)):
            j = first + k
            noise = np.int32(np.int32(pair[k]) * factor[j]) >> down[j]
            total[j] = np.int32(start[j] + noise)


@kernel
def list_spikes(words, fired, bits, spike_list):
    """List who fired, and pack it, eight neurons to a byte; return how many.

    Args:
        words: `fired`, eight bytes at a time.
        fired: bytes of 0 or 1.
        bits: a byte for each word that is looked at; None for all, not packed.
        spike_list: room for as many places as there are bytes.
    """
    count = 0
    for k in range(words.shape[0] if bits is None else bits.shape[0]):
        word = words[k]
        if bits is not None:
            bits[k] = (word * GATHER) >> np.uint64(56)
        # Few neurons spike: most words are 0 and need no look at their bytes.
        if word != 0:
            for j in range(8 * k, 8 * k + 8):
                # written always, counted where it holds: no branch to mispredict
                spike_list[count] = j
                count += fired[j]
    return count


@intrinsic
def copy_row(typing, target, source):
    """Copy a row, or the part of it that the target has room for."""

    # numba compiles `target[:] = source` with all that its error could say: 3 s
    def codegen(context, builder, signature, args):
        to, start = (
            context.make_array(kind)(context, builder, value)
            for kind, value in zip(signature.args, args, strict=True)
        )
        size = builder.mul(to.nitems, to.itemsize)
        cgutils.raw_memcpy(builder, to.data, start.data, size, 1)
        return context.get_dummy_value()

    return types.void(target, source), codegen


@intrinsic
def clear_row(typing, row):
    """Set a row to 0."""

    def codegen(context, builder, signature, args):
        to = context.make_array(signature.args[0])(context, builder, args[0])
        size = builder.mul(to.nitems, to.itemsize)
        cgutils.memset(builder, to.data, size, 0)
        return context.get_dummy_value()

    return types.void(row), codegen


@intrinsic
def count_ones(typing, word):
    """Return how many bits of a word are 1."""
    return types.int64(types.uint64), lambda c, builder, s, args: builder.ctpop(args[0])


@intrinsic
def lowest_one(typing, word):
    """Return the place of the lowest bit that is 1, 64 if none is."""

    def codegen(context, builder, signature, args):
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), codegen


@inlined
def list_bits(words, places, before):
    """List the places of the bits that are 1, 64 to a word; return how many.

    Args:
        words: of 64 bits; the last is 0.
        places: room for a place per bit and `SPARE_PLACES` more.
        before: how many are listed before each word; set.
    """
    count = 0
    for k in range(words.shape[0]):
        word = words[k]
        before[k] = count
        if word == 0:
            continue
        many = count_ones(word)
        # Written always, counted where they are: few words have more, so that the
        # processor seldom guesses wrong.
        for i in range(SPARE_PLACES):
            places[np.uint64(count + i)] = 64 * k + lowest_one(word)
            word &= word - np.uint64(1)
        for i in range(SPARE_PLACES, many):
            places[np.uint64(count + i)] = 64 * k + lowest_one(word)
            word &= word - np.uint64(1)
        count += many
    return count


@inlined
def listed_before(words, before, place):
    """Return how many bits of a list from `list_bits` lie before a place."""
    word, bit = place >> 6, np.uint64(place & 63)
    below = words[word] & ((np.uint64(1) << bit) - np.uint64(1))
    return before[word] + count_ones(below)


@inlined
def list_senders(messages, sender_list):
    """List the channels whose message is not 0; return how many: (H13)."""
    count = 0
    for c in range(messages.shape[0]):
        sender_list[count] = c
        count += messages[c] != 0
    return count


@kernel
def list_rows(source_list, sources, row_of, row_list, zeros):
    """List the rows of the sources that a block listens to; return how many.

    After them comes `SPARE_ROWS` times the row of zeros.
    """
    count = 0
    for k in range(sources):
        row = row_of[source_list[k]]
        row_list[count] = row
        count += row >= 0
    for k in range(count, count + SPARE_ROWS):
        row_list[k] = zeros
    return count


@kernel
def add_rows(total, rows, row_list, first, last):
    """Set the sums to those of some rows, four at a time.

    Four rows pass the registers for one read and write of `total`. Sums are those of
    `total`'s type: the caller sees to it that 16 bits hold them, 32 wrap as they must.
    """
    integer = total.dtype.type
    r0, r1 = rows[row_list[first]], rows[row_list[first + 1]]
    r2, r3 = rows[row_list[first + 2]], rows[row_list[first + 3]]
    for j in range(total.shape[0]):
        total[j] = integer(r0[j]) + integer(r1[j]) + integer(r2[j]) + integer(r3[j])
    for k in range(first + 4, last, 4):
        r0, r1 = rows[row_list[k]], rows[row_list[k + 1]]
        r2, r3 = rows[row_list[k + 2]], rows[row_list[k + 3]]
        for j in range(total.shape[0]):
            total[j] += (
                integer(r0[j]) + integer(r1[j]) + integer(r2[j]) + integer(r3[j])
            )


@kernel
def sum_messages(total, rows, row_of, messages):
    """Set the sums of weights times messages, int32; return whether there are any."""
    # Most channels are silent: the sums are cleared when the first one is not.
    empty = True
    for c in range(messages.shape[0]):
        if row_of[c] >= 0 and messages[c] != 0:
            if empty:
                for j in range(total.shape[0]):
                    total[j] = 0
                empty = False
            row, number = row_of[c], messages[c]
            for j in range(total.shape[0]):
                total[j] = np.int32(total[j] + np.int32(rows[row, j] * number))
    return not empty


@kernel
def shifted(total, up, down):
    """Return a connection's sum as it is handed over, shifted as a whole: (H12)."""
    return np.int32(np.int32(total << up) >> down)


@kernel
def deliver(arriving, total, exponent):
    """Add a connection's sums, each times 2^exponent, to what arrives: (H12)."""
    up, down = np.int32(max(exponent, 0)), np.int32(max(-exponent, 0))
    for j in range(arriving.shape[0]):
        arriving[j] = np.int32(arriving[j] + shifted(total[j], up, down))
