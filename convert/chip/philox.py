"""Counter-based noise: the same seed gives the same samples in any engine and batch.

Philox4x32-10 (Salmon, Moraes, Dror & Shaw 2011, doi:10.1145/2063384.2063405). The
counter is (neuron // 8, step, trial, stream), the key the two halves of the seed; each
of the four 32-bit words gives two samples of 16 bits, so a block serves eight neurons.
"""

import numpy as np
import numpy.typing as npt

MEMBRANE, SYNAPSE = 0, 5
"""Streams of the chip: noise that goes to v and to u. Float stages have 1 to 4."""
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
ROUNDS = 10
MASK = 0xFFFFFFFF
Words = npt.NDArray[np.uint64]


def noise_key(seed: int) -> tuple[int, int]:
    """Return the halves of a seed, the low one first: the key κ of (P1).

    Raises:
        ValueError: a seed that 64 bits do not hold.
    """
    if not 0 <= seed < 1 << 64:
        raise ValueError(f"seed: got {seed}, need 0 to 2^64 − 1")
    return seed & MASK, seed >> 32


def philox4x32(counter: tuple[Words, Words, Words, Words], seed: int) -> list[Words]:
    """Return the four output words for each counter; words are held in uint64."""
    c0, c1, c2, c3 = counter
    k0, k1 = noise_key(seed)
    low = np.uint64(MASK)
    bits = np.uint64(32)
    for _ in range(ROUNDS):
        # Words are held in 64 bits, which have room for the product of two.
        p0 = c0 * np.uint64(MULTIPLIERS[0])  # (P2)
        p1 = c2 * np.uint64(MULTIPLIERS[1])
        c0, c1, c2, c3 = (
            (p1 >> bits) ^ c1 ^ np.uint64(k0),
            p1 & low,
            (p0 >> bits) ^ c3 ^ np.uint64(k1),
            p0 & low,
        )
        k0, k1 = (k0 + WEYL[0]) & MASK, (k1 + WEYL[1]) & MASK  # (P3)
    return [c0, c1, c2, c3]


def noise_samples(
    seed: int, step: int, trials: npt.NDArray[np.int64], n: int, stream: int = MEMBRANE
) -> npt.NDArray[np.int64]:
    """Return uniform integers on −127 … 127, trial × neuron, for one time step.

    A sample is (255·h >> 16) − 127 for the 16-bit word h: every value has probability
    257/65536, one of them 258/65536.

    Args:
        seed: 0 ≤ seed < 2^64.
        step: number of the step since the trial began, 0 ≤ step < 2^32.
        trials: number of each trial, 0 ≤ trial < 2^32.
        n: number of neurons.
        stream: `MEMBRANE` or `SYNAPSE`.
    """
    if not 0 <= step <= MASK:
        raise ValueError(f"step: got {step}, need 0 to 2^32 − 1")
    if trials.min(initial=0) < 0 or trials.max(initial=0) > MASK:
        raise ValueError(
            f"trials: got {trials.min()} to {trials.max()}, need 0 to 2^32 − 1"
        )
    blocks = (n + 7) // 8
    shape = (len(trials), blocks)
    counter = (  # (P1)
        np.broadcast_to(np.arange(blocks, dtype=np.uint64), shape),
        np.full(shape, step, dtype=np.uint64),
        np.broadcast_to(trials.astype(np.uint64)[:, None], shape),
        np.full(shape, stream, dtype=np.uint64),
    )
    words = np.stack(philox4x32(counter, seed), axis=-1).astype(np.uint32)
    # Low half before high half, as (P4) numbers the neurons, whatever the byte order.
    halves = np.stack((words & np.uint32(0xFFFF), words >> np.uint32(16)), axis=-1)
    samples = ((halves.astype(np.int64) * 255) >> 16) - 127  # (P5)
    return samples.reshape(len(trials), 8 * blocks)[:, :n]
