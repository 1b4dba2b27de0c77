"""The words of the noise's generator, `philox`, in vectors of LLVM."""

from llvmlite import ir

from isotau.convert.chip.lanes import Lanes
from isotau.convert.chip.philox import MASK, MULTIPLIERS, ROUNDS, WEYL

BLOCKS = 8
"""Counters in a vector: as many lanes of 64 bits as 64 bytes have."""


def philox4x32(counters: list[list[Lanes]], key: list[Lanes]) -> list[list[Lanes]]:
    """Return the four output words of some counters, as `philox.philox4x32` does.

    Words are the lower halves of lanes of 64 bits, which have room for the product of
    two; what the upper halves hold does not count. What is the same for all blocks of
    a step LLVM takes out of the caller's loop: it is in two rounds.

    Args:
        counters: their four words; the rounds of one counter alternate with another's.
        key: its two halves.
    """
    states, (k0, k1) = counters, key
    for _ in range(ROUNDS):
        products = [
            ((c0 & MASK) * MULTIPLIERS[0], (c2 & MASK) * MULTIPLIERS[1])
            for c0, _, c2, _ in states
        ]  # (P2)
        states = [
            [_upper(p1) ^ c1 ^ k0, p1, _upper(p0) ^ c3 ^ k1, p0]
            for (p0, p1), (_, c1, _, c3) in zip(products, states, strict=True)
        ]
        # Sums may carry beyond 32 bits.
        k0, k1 = k0 + WEYL[0], k1 + WEYL[1]  # (P3)
    return states


def _upper(product: Lanes) -> Lanes:
    """Return the upper half of every lane in its lower half.

    By moving, not by shifting: a processor that multiplies vectors of 64 bytes and
    shifts them in one unit alone moves halves in the other.
    """
    count = product.value.type.count
    if count == 1:
        return product.unsigned_shift(32)
    thin = ir.VectorType(ir.IntType(32), 2 * count)
    halves = Lanes(product.builder, product.bits(thin))
    moved = halves.shuffled(halves, [k | 1 for k in range(2 * count)])
    return Lanes(product.builder, moved.bits(product.value.type))
