"""Rows begin at cache lines and hold what they were given."""

import numpy as np
import pytest

from isotau.convert.simulate.vectors.rows import LINE, blank, filled_up, tiled


@pytest.mark.parametrize("shape", [(1,), (3, 16), (2, 1, 7)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_blank_rows_begin_at_a_cache_line(shape, dtype):
    for _ in range(8):  # numpy's own would do so now and then
        rows = blank(shape, dtype)
        assert rows.ctypes.data % LINE == 0
        assert (rows.shape, rows.dtype) == (shape, dtype)
        assert rows.flags.c_contiguous and rows.flags.writeable and not rows.any()


def test_rows_are_filled_up_and_repeated():
    x = np.arange(6.0).reshape(2, 3)
    assert filled_up(x, 5, 7.0).tolist() == [[0, 1, 2, 7, 7], [3, 4, 5, 7, 7]]
    assert tiled(x[0], 2).tolist() == [[0, 1, 2], [0, 1, 2]]
