"""The compiled engine's own loops: bytes become weights, whatever their number."""

import numpy as np
import pytest

from isotau.convert.chip.compiled_step import SPARE_ROWS
from isotau.sim.engines import compiled_kernels as kernels


@pytest.mark.parametrize("count", [1, 5, kernels.CHUNK, kernels.CHUNK + 1, 300])
@pytest.mark.parametrize(("offset", "factor"), [(0, 1), (0, -1), (128, 2)])
def test_spikes_deliver_weights_shifted_as_a_whole(count, offset, factor):
    rng = np.random.default_rng(count)
    rows = rng.integers(0, 256, (400, 64)).astype(np.uint8)
    rows[:, 0], rows[-1] = 255, 0
    row_list = np.full(count + SPARE_ROWS, 399)
    row_list[:count] = rng.permutation(399)[:count]
    sums16, total = np.zeros(64, np.int16), np.zeros(64, np.int32)
    weights = factor * (rows[row_list[:count]].astype(int) - offset)
    for exponent in (-5, 0, 3):
        arriving = np.full(64, 10, np.int32)
        kernels.send_spikes(
            arriving, rows, row_list, count, offset, factor, exponent, sums16, total
        )
        exact = 10 + np.floor(weights.sum(axis=0) * 2.0**exponent)
        np.testing.assert_array_equal(arriving, exact)
