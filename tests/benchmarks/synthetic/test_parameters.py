import numpy as np
import pytest

from benchmarks.synthetic.parameters import (
    count_trials,
    count_units,
    fraction,
    per_unit,
    whole_bins,
)


def test_one_number_stands_for_all_units():
    assert count_units(None, 1.0, [1.0, 2.0, 3.0], 4) == 3
    assert count_units(7, 1.0, 2.0) == 7
    np.testing.assert_array_equal(per_unit("tau", 0.1, 3), [0.1, 0.1, 0.1])
    np.testing.assert_array_equal(per_unit("tau", [0.1, 0.2], 2), [0.1, 0.2])
    np.testing.assert_array_equal(fraction("share", 1, 2), [1.0, 1.0])


@pytest.mark.parametrize("bins", [1, 3, 7, 20, 1000])
def test_no_bin_is_lost_to_rounding(bins):
    width = 1.0 / bins
    assert whole_bins(1.0, width) == bins
    assert whole_bins(1.0 + width / 2, width) == bins


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: per_unit("tau", [1.0, 2.0], 3), r"tau: got shape \(2,\), need one"),
        (lambda: per_unit("tau", np.ones((1, 3)), 3), r"tau: got shape \(1, 3\)"),
        (lambda: per_unit("tau", 0, 2, positive=True), r"tau: got 0\.0 at \[0\]"),
        (lambda: fraction("share", [0.5, 1.5], 2), r"share: got 1\.5 at \[1\], need"),
        (lambda: fraction("share", -0.1, 1), r"share: got -0\.1 at \[0\], need"),
        (lambda: count_trials(0), "trials: got 0, need 1 to"),
        (lambda: count_units(0, 1.0), "units: got 0, need 1 to"),
        (lambda: whole_bins(1.0, 1.5), r"bin_width: got 1\.5 s, need at most 1\.0 s"),
        (lambda: whole_bins(1.0, 1.5, "dt"), r"dt: got 1\.5 s, need at most 1\.0 s"),
        (lambda: whole_bins(0.0, 0.1), r"duration: got 0\.0, need numbers greater"),
        (lambda: whole_bins(1.0, -0.1), r"bin_width: got -0\.1, need numbers greater"),
    ],
)
def test_impossible_parameters_are_refused(ask, message):
    with pytest.raises(ValueError, match=message):
        ask()
