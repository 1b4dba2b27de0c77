"""The torch step's rules against `arithmetic`, on the edges of every range."""

import numpy as np
import torch

from isotau.convert.chip import arithmetic as chip
from isotau.convert.tuning.forward import chip_loop

EDGES = np.concatenate(
    [
        centre + np.arange(-3, 4)
        for centre in (0, 2**23, -(2**23), 3 * 2**23, 2**31, -(2**31), 2**40, 2**24)
    ]
)


def tensor(x):
    return torch.tensor(np.asarray(x, dtype=np.float64))


def test_wraps_are_the_chips():
    np.testing.assert_array_equal(
        chip_loop._wrap(tensor(EDGES)).numpy(), chip.wrap_int32(EDGES)
    )
    inside = chip.wrap_int32(EDGES)
    np.testing.assert_array_equal(
        chip_loop._wrap_u(tensor(inside)).numpy(), chip.wrap_u(inside)
    )


def test_decays_truncate_toward_zero():
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.integers(-(2**31), 2**31, 500), np.arange(-9, 10)])
    for fraction in (0, 1, 17, 2048, 4095, 4096):
        have = chip_loop._decay(tensor(x), tensor(4096 - fraction)).numpy()
        np.testing.assert_array_equal(have, chip.decay(x, fraction))
