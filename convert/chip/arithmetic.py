"""The integer rules of Loihi's current-based LIF, as Lava 0.10.0 computes them.

The only place where widths, shifts, rounding and overflow are written down: the
quantizer, every engine and every exporter import them from here. Functions take and
return int64 arrays that hold what the chip model keeps in int32; they never change
their arguments.
"""

from enum import Enum

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]

STATE_LIMIT = 1 << 23
"""M: u and v are 24-bit signed numbers."""
DECAY_SHIFT = 12
DECAY_UNITY = 1 << DECAY_SHIFT
DU_OFFSET = 1
"""The chip adds 1 to the register du, and nothing to dv."""
INPUT_SHIFT = 6
"""Synaptic input, and the threshold, are aligned to the state by six bits."""
DECAY_MAX = DECAY_UNITY - 1
VTH_MAX = (1 << 17) - 1
BIAS_MANT_MIN, BIAS_MANT_MAX = -(1 << 12), (1 << 12) - 1
BIAS_EXP_MIN, BIAS_EXP_MAX = -16, 7
"""The chip holds bias exponents 0 to 7; Lava also computes negative ones."""
WEIGHT_EXP_MIN, WEIGHT_EXP_MAX = -8, 7
WEIGHT_BITS_MAX = 8
REFRACTORY_MAX = 63
"""Steps at reset after a spike; the chip's own register counts one more."""
DELAY_MAX = 62
"""Steps by which a connection may delay, beyond the one that every connection takes."""
NOISE_EXP_MIN, NOISE_EXP_MAX = 1, 23
NOISE_MAX = 127
"""A noise sample is uniform on −127 … 127, scaled by 2^(noise_exp − 7)."""


class SignMode(str, Enum):
    """Which signs the weights of one connection may have."""

    MIXED = "mixed"
    EXCITATORY = "excitatory"
    INHIBITORY = "inhibitory"


def wrap_int32(x: Integers) -> Integers:
    """Return x as int32 keeps it, modulo 2^32, from −2^31 to 2^31 − 1: (H14)."""
    return ((x + (1 << 31)) & 0xFFFFFFFF) - (1 << 31)


def wrap_u(u: Integers) -> Integers:
    """Return u after one wrap into 24 bits (H5): u > M loses 2M, u ≤ −M gains 2M.

    One wrap, not a modulo: beyond ±3M the result stays out of range, and +M itself
    stays while −M becomes +M.
    """
    lowered = np.where(u > STATE_LIMIT, u - 2 * STATE_LIMIT, u)
    return np.where(u <= -STATE_LIMIT, u + 2 * STATE_LIMIT, lowered)


def clip_v(v: Integers) -> Integers:
    """Return v saturated at ±(2^23 − 1)."""
    return np.clip(v, 1 - STATE_LIMIT, STATE_LIMIT - 1)


def decay(x: Integers, fraction: Integers | int) -> Integers:
    """Return x·(4096 − fraction)/4096, truncated toward zero: (H4)."""
    product = x * (DECAY_UNITY - fraction)
    # A shift floors: of the magnitude it is the cut toward zero.
    return np.sign(product) * (np.abs(product) >> DECAY_SHIFT)


def shift(x: Integers, exponent: Integers | int) -> Integers:
    """Return x·2^exponent in int32: left shifts wrap, right shifts floor."""
    # numpy's shifts by negative numbers are undefined: one of the two is by 0.
    up = np.maximum(exponent, 0)
    down = np.maximum(np.negative(exponent), 0)
    return wrap_int32((x << up) >> down)


def effective_bias(bias_mant: npt.ArrayLike, bias_exp: npt.ArrayLike) -> Integers:
    """Return bias_mant·2^bias_exp, floored for a negative exponent: (H6)."""
    return shift(
        np.asarray(bias_mant, dtype=np.int64), np.asarray(bias_exp, dtype=np.int64)
    )


def update_u_unwrapped(
    u: Integers, a: Integers, du: Integers, noise: Integers | int = 0
) -> Integers:
    """Return decay(u, du + 1) + (a << 6) + noise as int32 holds it, before its wrap."""
    # (H3): a << 6 wraps by itself before the sum does
    arriving = wrap_int32(a << INPUT_SHIFT)
    return wrap_int32(decay(u, du + DU_OFFSET) + arriving + noise)


def update_u(
    u: Integers, a: Integers, du: Integers, noise: Integers | int = 0
) -> Integers:
    """Return decay(u, du + 1) + (a << 6) + noise, as int32, wrapped once at 2^23."""
    return wrap_u(update_u_unwrapped(u, a, du, noise))


def update_v_unclipped(
    v: Integers, u: Integers, dv: Integers, drive: Integers
) -> Integers:
    """Return decay(v, dv) + u + drive as int32 holds it, before saturation: (H7).

    `drive` is the effective bias plus the membrane noise of the step.
    """
    return wrap_int32(decay(v, dv) + u + drive)


def delivered(total: Integers, weight_exp: int) -> Integers:
    """Return what a connection hands over for a sum of weights: shifted (H12)."""
    return shift(wrap_int32(total), weight_exp)


def on_grid(
    weights: npt.ArrayLike, num_weight_bits: int, sign_mode: SignMode
) -> Integers:
    """Return weights as the synapse memory keeps them: clipped, low bits cleared.

    The rounding is a floor, for an inhibitory block on the magnitude; a mixed block
    loses one bit to the sign.
    """
    w = np.asarray(weights, dtype=np.int64)
    negate = -1 if sign_mode is SignMode.INHIBITORY else 1
    mixed = sign_mode is SignMode.MIXED
    low, high = (-256 if mixed else 0), 255
    cleared = WEIGHT_BITS_MAX - num_weight_bits + int(mixed)
    # the shift floors, so that clearing low bits rounds down
    return negate * ((np.clip(negate * w, low, high) >> cleared) << cleared)


def grid_step(num_weight_bits: int, sign_mode: SignMode) -> int:
    """Return the distance between neighbouring weights of a block."""
    return 1 << (WEIGHT_BITS_MAX - num_weight_bits + int(sign_mode is SignMode.MIXED))


def noise_scale(noise_exp: npt.ArrayLike) -> tuple[Integers, Integers]:
    """Return what a sample is multiplied with, and by how much then shifted right.

    Of `noise_exp` 0, which is no noise, the factor is 0: (P6).
    """
    exponent = np.asarray(noise_exp, dtype=np.int64)
    up, down = np.maximum(exponent - 7, 0), np.maximum(7 - exponent, 0)
    none = exponent == 0
    return np.where(none, 0, 1 << up), np.where(none, 0, down)


def scale_noise(sample: Integers, noise_exp: npt.ArrayLike) -> Integers:
    """Return sample·2^(noise_exp − 7) for a sample in −127 … 127, floored: (P6).

    0 where `noise_exp` is 0.
    """
    factor, down = noise_scale(noise_exp)
    return (sample * factor) >> down
