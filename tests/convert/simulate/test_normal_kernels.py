"""Compiled normal numbers against their twin in numpy."""

import numpy as np
import pytest

from isotau.convert.simulate.normal_kernels import draw
from isotau.convert.simulate.vectors.normals import RATE, Place, normals

SEED = (1 << 63) + 12345


@pytest.mark.parametrize("n", [1, 63, 64, 65, 200])
def test_compiled_samples_have_the_bits_of_numpys(n):
    drawn = draw(Place(SEED, RATE, -2), (9, 5, n), first_trial=2**32 - 5)
    trials = np.arange(2**32 - 5, 2**32)
    for t in range(9):
        expected = normals(Place(SEED, RATE, t - 2), trials, n)
        np.testing.assert_array_equal(
            drawn[t].view(np.int32), expected.view(np.int32), err_msg=str(t)
        )
