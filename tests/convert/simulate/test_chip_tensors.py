"""What is taken for granted where a network's sums are made on a device."""

import numpy as np
import pytest
import torch

from isotau.convert.simulate.chip_tensors import exact_in_float32, pick

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("weights", "exact"),
    [
        ([[255.0], [-253.0]], True),
        ([[255.0 / 256], [253.0 * 64]], True),
        ([[257.0], [0.0]], False),
        ([[0.0], [-511.0]], False),
        (np.full((65_793, 2), 255.0), True),
        (np.full((65_794, 2), -255.0), False),
    ],
)
def test_float32_keeps_24_bits_and_bfloat16_eight(weights, exact):
    assert exact_in_float32(np.array(weights)) == exact


@pytest.mark.parametrize("indices", [[], [0], [3, 4, 5], [3, 5], [4, 3], [2, 2]])
def test_pick_selects_the_same(indices):
    chosen = np.array(indices, dtype=np.int64)
    rows = torch.arange(20).reshape(2, 10)
    picked = rows[:, pick(chosen, CPU)]
    np.testing.assert_array_equal(picked.numpy(), rows.numpy()[:, chosen])
