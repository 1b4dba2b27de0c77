"""Compiled loops of the counter-based normal numbers: `normals`, bit for bit.

A row is one number per neuron, padded to whole groups of 64; words are held in 64 bits,
of which the upper half is 0: products of two 32-bit words then need no other type.
"""

import numpy as np
from jaxtyping import Float32
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from isotau.convert.chip.compiled_step import bare
from isotau.convert.chip.philox import MASK, MULTIPLIERS, WEYL, noise_key
from isotau.convert.simulate import normals

LANES, GROUP = normals.LANES, normals.GROUP
M0, M1 = np.uint64(MULTIPLIERS[0]), np.uint64(MULTIPLIERS[1])
W0, W1 = np.uint64(WEYL[0]), np.uint64(WEYL[1])
LOW, HIGH = np.uint64(MASK), np.uint64(32)
ONE, TWO, LN2, PER_WORD = np.float32(1), np.float32(2), normals.LN2, normals.PER_WORD
SQRT_HALF_BITS, MANTISSA = normals.SQRT_HALF_BITS, normals.MANTISSA
OCTAVES = np.int32(127 + 32)
LIFT = np.int32(normals.ONE_BITS - normals.SQRT_HALF_BITS)
L0, L1, L2, L3, L4, L5, L6, L7, L8 = normals.LOG
S0, S1, S2, S3 = normals.SINE
C0, C1, C2, C3 = normals.COSINE
exact = njit(nogil=True, cache=True, error_model="numpy")
"""Each operation rounds: a product and a sum are not made one."""


@intrinsic
def bits_of(typing, x):
    """Return a float read as an integer of its width."""

    def codegen(context, builder, signature, args):
        return builder.bitcast(args[0], ir.IntType(x.bitwidth))

    return (types.int32 if x == types.float32 else types.int64)(x), codegen


@intrinsic
def float_of(typing, bits):
    """Return an integer read as a float of its width."""
    kind, real = (
        (ir.FloatType(), types.float32)
        if bits == types.int32
        else (ir.DoubleType(), types.float64)
    )

    def codegen(context, builder, signature, args):
        return builder.bitcast(args[0], kind)

    return real(bits), codegen


@exact
def turn(c0, c1, c2, c3, k0, k1):
    """Return the words after one round of Philox: (P2)."""
    p0, p1 = c0 * M0, c2 * M1
    return (p1 >> HIGH) ^ c1 ^ k0, p1 & LOW, (p0 >> HIGH) ^ c3 ^ k1, p0 & LOW


@exact
def next_key(low, high):
    """Return the halves of the key for the next round: (P3)."""
    return (low + W0) & LOW, (high + W1) & LOW


@exact
def fill_words(w0, w1, w2, w3, key, step, trial, stream):
    """Set the four words of each block.

    Args:
        w0: word 0 of each block, uint32; and so on.
        w1: word 1.
        w2: word 2.
        w3: word 3.
        key: the halves of the seed, uint64.
        step: word of the counter.
        trial: as well.
        stream: as well.
    """
    # Keys are computed once, and rounds are no loop: only then is the one over blocks
    # vectorized.
    k0, h0 = key
    k1, h1 = next_key(k0, h0)
    k2, h2 = next_key(k1, h1)
    k3, h3 = next_key(k2, h2)
    k4, h4 = next_key(k3, h3)
    k5, h5 = next_key(k4, h4)
    k6, h6 = next_key(k5, h5)
    k7, h7 = next_key(k6, h6)
    k8, h8 = next_key(k7, h7)
    k9, h9 = next_key(k8, h8)
    for block in range(w0.shape[0]):
        c0, c1 = np.uint64(block), np.uint64(step)  # (P8)
        c2, c3 = np.uint64(trial), np.uint64(stream)
        c0, c1, c2, c3 = turn(c0, c1, c2, c3, k0, h0)
        c0, c1, c2, c3 = turn(c0, c1, c2, c3, k1, h1)
        c0, c1, c2, c3 = turn(c0, c1, c2, c3, k2, h2)
        c0, c1, c2, c3 = turn(c0, c1, c2, c3, k3, h3)
        c0, c1, c2, c3 = turn(c0, c1, c2, c3, k4, h4)
        c0, c1, c2, c3 = turn(c0, c1, c2, c3, k5, h5)
        c0, c1, c2, c3 = turn(c0, c1, c2, c3, k6, h6)
        c0, c1, c2, c3 = turn(c0, c1, c2, c3, k7, h7)
        c0, c1, c2, c3 = turn(c0, c1, c2, c3, k8, h8)
        c0, c1, c2, c3 = turn(c0, c1, c2, c3, k9, h9)
        w0[block], w1[block] = np.uint32(c0), np.uint32(c1)
        w2[block], w3[block] = np.uint32(c2), np.uint32(c3)


@exact
def fill_pairs(radius, angle, first, second):
    """Set 16 samples and 16 more from the words of 16 blocks: (P10), (P11)."""
    for lane in range(LANES):
        bits = np.int32(bits_of(np.float32(radius[lane]) + ONE) + LIFT)
        # (P10): the exponent of the radius' word, and its mantissa about 1.
        left = np.int32(OCTAVES - np.int32(bits >> np.int32(23)))
        mantissa = np.int32(np.int32(bits & MANTISSA) + SQRT_HALF_BITS)
        x = float_of(mantissa) - ONE
        p = ((((L8 * x + L7) * x + L6) * x + L5) * x + L4) * x + L3
        p = ((p * x + L2) * x + L1) * x + L0
        # x itself is added last: near 1 its digits are the logarithm's.
        log = x + (x * x) * p
        length = np.sqrt(TWO * (np.float32(left) * LN2 - log))
        # (P11): two bits of the word choose sign and order, the others an angle.
        word = angle[lane]
        y = np.float32(np.int32(np.uint32(word << np.uint32(2)))) * PER_WORD
        square = y * y
        sine = y * (((S3 * square + S2) * square + S1) * square + S0)
        cosine = ONE + square * (((C3 * square + C2) * square + C1) * square + C0)
        length = -length if np.int32(word) < 0 else length
        # A choice of numbers, no branch: 16 lanes go together.
        swapped = np.int32(np.uint32(word << np.uint32(1))) < 0
        first[lane] = length * (sine if swapped else cosine)
        second[lane] = length * (cosine if swapped else sine)


@exact
def fill_normals(row, words, key, step, trial, stream):
    """Set a padded row to the standard normal numbers of a step and trial.

    Args:
        row: float32, whole groups.
        words: room, word × block, uint32.
        key: the halves of the seed, uint64.
        step: of the trial.
        trial: its number.
        stream: of `normals`.
    """
    # Rows are taken for every group, without counting references.
    row, words = bare(row), bare(words)
    w0, w1, w2, w3 = words[0], words[1], words[2], words[3]
    fill_words(w0, w1, w2, w3, key, step & MASK, trial, stream)
    for g in range(row.shape[0] // GROUP):
        at, b = g * GROUP, g * LANES
        r0, r1 = row[at : at + LANES], row[at + LANES : at + 2 * LANES]
        fill_pairs(w0[b : b + LANES], w1[b : b + LANES], r0, r1)
        # Words 2 and 3 make the other half of the group.
        at += 2 * LANES
        r0, r1 = row[at : at + LANES], row[at + LANES : at + 2 * LANES]
        fill_pairs(w2[b : b + LANES], w3[b : b + LANES], r0, r1)


@exact
def noise_room(padded):
    """Return room for the samples of so many neurons, and for the words behind."""
    groups = -(-padded // GROUP)
    return np.empty(groups * GROUP, np.float32), np.empty(
        (4, groups * LANES), np.uint32
    )


def draw(
    place: normals.Place, shape: tuple[int, int, int], first_trial: int = 0
) -> Float32[np.ndarray, "steps batch n"]:
    """Return standard normal numbers of some steps and trials, as `normals` has them.

    Args:
        place: seed, stream and number of the first step.
        shape: steps × batch × neuron.
        first_trial: number of the first trial.
    """
    key = tuple(np.uint64(half) for half in noise_key(place.seed))
    out = np.empty(shape, np.float32)
    fill_steps(0, shape[1], out, key, place.stream, place.step, first_trial)
    return out


@exact
def fill_steps(first, last, out, key, stream, step, first_trial):
    """Set the samples of some steps of the trials `first` … `last` − 1.

    Args:
        first: trial of `out`.
        last: trial, not included.
        out: steps × batch × neuron, float32.
        key: the halves of the seed, uint64.
        stream: of `normals`.
        step: number of the first.
        first_trial: number of trial 0 of `out`.
    """
    steps, _, n = out.shape
    samples = bare(out)
    row, words = noise_room(n)
    for t in range(steps):
        for b in range(first, last):
            fill_normals(row, words, key, step + t, first_trial + b, stream)
            for j in range(n):
                samples[t, b, j] = row[j]
