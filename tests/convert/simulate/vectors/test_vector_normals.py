"""Normal numbers in vectors against their twin in numpy, for any number of vectors."""

import numpy as np
import pytest
from numba import njit

from isotau.convert.simulate.vectors import vector_normals
from isotau.convert.simulate.vectors.normals import GROUP, LANES, RATE, Place, normals

SEED = (1 << 63) + 12345
KEY = (np.uint64(SEED & 0xFFFFFFFF), np.uint64(SEED >> 32))


@njit
def fill_normals(vectors, row, key, step, trial, stream):
    vector_normals.fill_normals(vectors, row, key, step, trial, stream)


@pytest.mark.parametrize("vectors", [*range(1, 14)])
def test_samples_have_the_bits_of_numpys(vectors):
    row = np.zeros(-(-vectors * LANES // GROUP) * GROUP, np.float32)
    for step, trial in ((0, 0), (-1, 7), (2**31 - 1, 2**32 - 1)):
        fill_normals(vectors, row, KEY, step, trial, RATE)
        expected = normals(Place(SEED, RATE, step), np.array([trial]), vectors * LANES)
        got = row[: vectors * LANES].view(np.int32)
        np.testing.assert_array_equal(got, expected[0].view(np.int32))
