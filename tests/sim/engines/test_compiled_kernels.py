"""The compiled engine's own loops: bytes become weights, whatever their number."""

import numpy as np
import pytest

from isotau.convert.chip.vector_rows import CHUNK, COLUMNS, in_lanes
from isotau.sim.engines import compiled_kernels as kernels


@pytest.mark.parametrize("count", [1, 5, CHUNK, CHUNK + 1, 300])
@pytest.mark.parametrize("offset", [0, 128, 255])
def test_spikes_deliver_weights_shifted_as_a_whole(count, offset):
    rng = np.random.default_rng(count)
    rows = rng.integers(0, 256, (400, COLUMNS)).astype(np.uint8)
    rows[:, 0] = 255
    places = rng.permutation(400)[:count]
    total = np.zeros(COLUMNS, np.int32)
    weights = rows[places].astype(int) - offset
    for exponent in (-5, 0, 3):
        target = np.full(COLUMNS, 10, np.int32)
        kernels.send_rows(
            *(target, total, in_lanes(rows).ravel(), places),
            *(0, count, 0, COLUMNS, offset, exponent),
        )
        exact = 10 + np.floor(weights.sum(axis=0) * 2.0**exponent)
        np.testing.assert_array_equal(target, exact)


def test_a_list_has_the_rows_that_a_block_has():
    row_of, row_list = np.array([64, -1, 0, -1]), np.full(5, 99)
    count = kernels.list_starts(np.array([0, 1, 2, 3]), 4, row_of, row_list)
    assert row_list[:count].tolist() == [64, 0]
