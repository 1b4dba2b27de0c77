"""Counter-based normal numbers: the same seed gives the same bits on every machine.

Philox4x32-10 gives words of 32 bits (`isotau.convert.chip.philox`), the method of Box &
Muller (1958, doi:10.1214/aoms/1177706645) makes normal numbers of them, in float32 and
by +, −, × and √ alone: IEEE 754 rounds these, and the conversion of a whole number, in
one way only, and no library's logarithm or sine is asked. So samples do not depend on
machine, batch, chunk or thread: each has a counter of its own.

This module has the rule in numpy, `normal_kernels` the same in compiled loops.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from jaxtyping import Float32, Int64

from isotau.convert.chip.philox import MASK, philox4x32

MEMBRANE, SYNAPSE, RATE, RATE_START, SHARED, RATE_SHARED = 1, 2, 3, 4, 6, 7
"""Streams, the counter's fourth word: noise of LIF membranes and of their synaptic
currents, noise and start of rate networks, noise that neurons or that rate units share.
The chip has streams 0 and 5."""
LANES = 16
"""Blocks of a group, so that a vector register holds one word of each."""
GROUP = 4 * LANES
"""Neurons of a group: a block serves four."""
MAX_STEPS = 1 << 31
"""Steps before the first have the upper half of the counter's words: (P8)."""

SQRT_HALF_BITS = np.int32(0x3F3504F3)
"""√½ as float32 has it, read as an integer."""
ONE_BITS = np.int32(0x3F800000)
MANTISSA = np.int32(0x007FFFFF)
LN2 = np.float32(0.6931471805599453)
LOG = tuple(
    np.float32(c)
    for c in (
        *(-0.49999988079071045, 0.33333325386047363, -0.25001582503318787),
        *(0.20001976191997528, -0.16609077155590057, 0.14181779325008392),
        *(-0.13242976367473602, 0.12904691696166992, -0.07622110098600388),
    )
)
"""(ln(1 + x) − x)/x² for √½ ≤ 1 + x ≤ √2, to a relative 4e-9 of ln(1 + x); least powers
first, as in `SINE` and `COSINE`."""
SINE = tuple(
    np.float32(c)
    for c in (
        *(1.5707963705062866, -0.6459634900093079),
        *(0.07968003302812576, -0.00460165785625577),
    )
)
"""sin(πy/2)/y in y², for |y| ≤ ½, to a relative 3e-9."""
COSINE = tuple(
    np.float32(c)
    for c in (
        *(-1.2337005138397217, 0.25366923213005066),
        *(-0.02086028829216957, 0.0009040216682478786),
    )
)
"""(cos(πy/2) − 1)/y² in y², for |y| ≤ ½, to 5e-11 of a cosine."""
PER_WORD = np.float32(2.0**-32)
Words = npt.NDArray[np.uint32]


class Place(NamedTuple):
    """Where a sample comes from.

    Attributes:
        seed: 0 ≤ seed < 2^64.
        stream: what the samples are for: `MEMBRANE` …
        step: number of the step; steps before a trial are negative.
    """

    seed: int
    stream: int
    step: int


def normals(
    place: Place, trials: Int64[np.ndarray, " batch"], n: int
) -> Float32[np.ndarray, "batch n"]:
    """Return standard normal numbers of one step, by (P8) to (P11), in numpy.

    Args:
        place: seed, stream and step.
        trials: number of each trial, 0 ≤ trial < 2^32.
        n: number of neurons.
    """
    steps = np.array([place.step])
    return normals_of_steps(place.seed, place.stream, steps, trials, n)[0]


def normals_of_steps(
    seed: int,
    stream: int,
    steps: Int64[np.ndarray, " steps"],
    trials: Int64[np.ndarray, " batch"],
    n: int,
) -> Float32[np.ndarray, "steps batch n"]:
    """Return standard normal numbers of several steps, as `normals` does of one.

    Args:
        seed: of all.
        stream: what they are for.
        steps: number of each step.
        trials: number of each trial.
        n: how many of each.
    """
    groups, lanes = -(-n // GROUP), min(n, LANES)
    # Up to `LANES` samples are the first of as many blocks; no others are needed.
    block = np.arange(groups * lanes, dtype=np.uint64)
    shape = (len(steps), len(trials), groups * lanes)
    counter = (  # (P8)
        np.broadcast_to(block, shape),
        np.broadcast_to((steps & MASK).astype(np.uint64)[:, None, None], shape),
        np.broadcast_to(trials.astype(np.uint64)[:, None], shape),
        np.full(shape, stream, dtype=np.uint64),
    )
    words = [word.astype(np.uint32) for word in philox4x32(counter, seed)]
    # Sample k of block 16g + l belongs to neuron 64g + 16k + l: (P9).
    four = np.stack([*_pair(*words[:2]), *_pair(*words[2:])])
    samples = four.reshape(4, *shape[:2], groups, lanes).transpose(1, 2, 3, 0, 4)
    return samples.reshape(*shape[:2], -1)[..., :n]


def _pair(radius: Words, angle: Words) -> tuple[np.ndarray, np.ndarray]:
    """Return the two samples that two words give, each operation rounded."""
    length, (sine, cosine) = _radius(radius), _circle(angle)
    # The angle covers a quarter; two bits reflect it onto the whole circle: (P11).
    length = np.where(angle >> np.uint32(31), -length, length)
    swapped = (angle >> np.uint32(30)) & np.uint32(1)
    return (
        length * np.where(swapped, sine, cosine),
        length * np.where(swapped, cosine, sine),
    )


def _radius(word: Words) -> np.ndarray:
    """Return √(−2 ln((w + 1)/2³²)): (P10)."""
    bits = (word.astype(np.float32) + np.float32(1)).view(np.int32)
    # The number is 2^e (1 + x), with 1 + x between √½ and √2.
    bits = bits + (ONE_BITS - SQRT_HALF_BITS)
    exponent = (bits >> np.int32(23)) - np.int32(127)
    x = ((bits & MANTISSA) + SQRT_HALF_BITS).view(np.float32) - np.float32(1)
    log = x + (x * x) * _polynomial(LOG, x)
    return np.sqrt(
        np.float32(2) * ((np.int32(32) - exponent).astype(np.float32) * LN2 - log)
    )


def _circle(word: Words) -> tuple[np.ndarray, np.ndarray]:
    """Return sine and cosine of the lower 30 bits, from −1/8 to 1/8 of a circle."""
    y = (word << np.uint32(2)).view(np.int32).astype(np.float32) * PER_WORD
    square = y * y
    return (
        y * _polynomial(SINE, square),
        np.float32(1) + square * _polynomial(COSINE, square),
    )


def _polynomial(coefficients: tuple[np.float32, ...], x: np.ndarray) -> np.ndarray:
    value = np.full_like(x, coefficients[-1])
    for c in coefficients[-2::-1]:
        value = value * x + c
    return value
