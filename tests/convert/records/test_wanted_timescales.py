"""Wanted timescales: curves between lags, gaps, and what is refused."""

import numpy as np
import pytest

from isotau.convert.records.wanted_timescales import WantedTimescales

LAGS = np.array([0.0, 0.01, 0.03])
CURVES = np.array([[1.0, 1.0], [0.5, -0.2], [0.1, np.nan]])


def test_tau_makes_exponentials():
    wanted = WantedTimescales(tau=[0.01, np.nan, 0.1], variance=[1.0, 2.0, np.nan])
    assert wanted.n == 3
    curves = wanted.curves(LAGS)
    np.testing.assert_allclose(curves[:, 0], np.exp([0, -1, -3]))
    np.testing.assert_allclose(curves[:, 2], np.exp([0, -0.1, -0.3]))
    assert np.isnan(curves[1:, 1]).all() and not wanted.tau.flags.writeable


def test_curves_are_lines_between_their_lags():
    wanted = WantedTimescales(correlation=CURVES[:, :1], lags=LAGS)
    curves = wanted.curves(np.array([0.0, 0.005, 0.02, 0.03]))
    np.testing.assert_allclose(curves[:, 0], [1, 0.75, 0.3, 0.1])
    with pytest.raises(ValueError, match=r"lags: got 0.04 s, need at most 0.03 s, the"):
        wanted.curves(np.array([0.0, 0.04]))


def test_lag_0_may_be_left_out():
    wanted = WantedTimescales(correlation=CURVES[1:], lags=LAGS[1:])
    assert wanted.n == 2
    np.testing.assert_array_equal(wanted.lags, LAGS)
    np.testing.assert_array_equal(wanted.correlation[:, 0], CURVES[:, 0])
    assert np.isnan(wanted.correlation[2, 1]) and wanted.correlation[0, 1] == 1


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({}, "timescales: got none or both of tau and correlation, need one of them"),
        ({"tau": [0.1], "correlation": CURVES}, "got none or both of tau and corr"),
        ({"tau": [0.1, 0.0]}, r"tau: got 0.0 at \[1\], need numbers greater than 0"),
        ({"tau": [0.1, np.inf]}, "tau: got inf at"),
        ({"tau": [2e4]}, r"tau: got 20000 s, need at most 10000 s; is it in millise"),
        ({"tau": [np.nan]}, "timescales: got NaN for every neuron, need a number"),
        ({"tau": [[0.1]]}, r"tau: got shape \(1, 1\), need 1 axes"),
        ({"tau": ["x"]}, "tau: got "),
        ({"tau": [0.1], "variance": [0.1, 1]}, r"variance: got shape \(2,\), need \(1"),
        ({"correlation": CURVES}, "lags: got none, need those of the correlation"),
        ({"correlation": CURVES, "lags": LAGS[:2]}, r"lags: got shape \(2,\), need \("),
        ({"correlation": CURVES, "lags": LAGS[::-1]}, "lags: got .* need a rising row"),
        ({"correlation": 2 * CURVES, "lags": LAGS}, "correlation: got other numbers t"),
    ],
)
def test_what_cannot_be_is_refused(fields, match):
    with pytest.raises((ValueError, TypeError), match=match):
        WantedTimescales(**fields)
