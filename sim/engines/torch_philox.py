"""The membrane noise of `isotau.convert.philox` on tensors, many steps at once."""

import torch
from torch import Tensor

from isotau.convert.philox import MASK, MULTIPLIERS, ROUNDS, WEYL


def membrane_samples(seed: int, steps: range, trials: Tensor, n: int) -> Tensor:
    """Return uniform integers on −127 … 127, step × trial × neuron, int64.

    The samples are those of `isotau.convert.philox.membrane_samples`. torch has no
    unsigned 64-bit product; int64 holds the same 64 bits, of which masks take the
    halves. The first rounds act on parts of the counter that many steps, trials or
    neurons share, and broadcasting leaves them small.

    Args:
        seed: 0 ≤ seed < 2^64.
        steps: successive numbers of steps since power-up, each below 2^32.
        trials: number of each trial, int64, 0 ≤ trial < 2^32; its device computes.
        n: number of neurons.
    """
    if steps.start < 0 or steps.stop - 1 > MASK:
        raise ValueError(
            f"steps: got {steps.start} to {steps.stop - 1}, need 0 to 2^32 − 1"
        )
    blocks = (n + 7) // 8
    device = trials.device
    c0 = torch.arange(blocks, device=device).view(1, 1, -1)
    c1 = torch.arange(steps.start, steps.stop, device=device).view(-1, 1, 1)
    c2 = trials.view(1, -1, 1)
    c3 = torch.zeros_like(c0)
    k0, k1 = seed & MASK, (seed >> 32) & MASK
    for _ in range(ROUNDS):
        p0, p1 = c0 * MULTIPLIERS[0], c2 * MULTIPLIERS[1]
        c0, c1 = (p1 >> 32).bitwise_and_(MASK) ^ c1 ^ k0, p1.bitwise_and_(MASK)
        c2, c3 = (p0 >> 32).bitwise_and_(MASK) ^ c3 ^ k1, p0.bitwise_and_(MASK)
        k0, k1 = (k0 + WEYL[0]) & MASK, (k1 + WEYL[1]) & MASK
    halves = torch.stack(
        [half for c in (c0, c1, c2, c3) for half in (c & 0xFFFF, c >> 16)], dim=-1
    )
    samples = halves.mul_(255).bitwise_right_shift_(16).sub_(127)
    return samples.view(len(steps), len(trials), 8 * blocks)[..., :n]
