"""The readout against a direct convolution, filtered spikes against scipy."""

import numpy as np
import pytest
from scipy.signal import lfilter

from isotau.convert.records.spikes import Spikes, pack
from isotau.convert.simulate.readout import filter_spikes, read_out


def test_output_is_the_convolution_with_the_kernel():
    rng = np.random.default_rng(0)
    raster = rng.random((120, 3, 11)) < 0.1
    tau, w_out = rng.uniform(0.01, 0.1, 11), rng.standard_normal((2, 11))
    spikes = Spikes(bits=pack(raster), n=11, dt=1e-3, engine="test")
    outputs = read_out(spikes, w_out=w_out, b_out=np.array([1.0, -1.0]), tau=tau)
    lags = np.arange(120)
    for trial in range(3):
        filtered = np.zeros((120, 11))
        for k in range(11):
            q = 1 - np.exp(-1e-3 / tau[k])
            kernel = q / 1e-3 * np.exp(-lags * 1e-3 / tau[k])
            filtered[:, k] = np.convolve(raster[:, trial, k], kernel)[:120]
        expected = filtered @ w_out.T + [1.0, -1.0]
        np.testing.assert_allclose(outputs[:, trial], expected, atol=1e-10)


def test_wrong_shapes_are_named():
    spikes = Spikes(bits=np.zeros((5, 1, 1), np.uint8), n=3, dt=1e-3, engine="test")
    with pytest.raises(ValueError, match=r"w_out: got shape \(1, 4\), need \(1, 3\)"):
        read_out(spikes, w_out=np.ones((1, 4)), b_out=np.zeros(1), tau=np.ones(3))
    with pytest.raises(ValueError, match=r"tau: got 0\.0 at"):
        read_out(spikes, w_out=np.ones((1, 3)), b_out=np.zeros(1), tau=np.zeros(3))


def some_spikes(steps=120, n=11):
    raster = np.random.default_rng(1).random((steps, 3, n)) < 0.1
    return raster, Spikes(bits=pack(raster), n=n, dt=1e-3, engine="test")


def filtered_by_scipy(raster, tau, f0):
    """Single-pole filters; f0 is what each holds before the first step."""
    f = np.empty(raster.shape)
    for k in range(raster.shape[2]):
        keep = np.exp(-1e-3 / tau[k])
        b, a = [(1 - keep) / 1e-3], [1.0, -keep]
        for trial in range(raster.shape[1]):
            start = np.array([keep * f0[k]])
            train = raster[:, trial, k].astype(float)
            f[:, trial, k], _ = lfilter(b, a, train, zi=start)
    return f


@pytest.mark.parametrize("every", [1, 5, 7, 120])
def test_filtered_spikes_are_scipys(every):
    raster, spikes = some_spikes()
    rng = np.random.default_rng(2)
    tau, f0 = rng.uniform(0.005, 0.1, 11), rng.uniform(0, 80, 11)
    f = filter_spikes(spikes, tau=tau, every=every, f0=f0)
    expected = filtered_by_scipy(raster, tau, f0)[every - 1 :: every]
    assert f.dtype == np.float32
    np.testing.assert_allclose(f, expected, rtol=1e-5, atol=1e-4)


def test_one_time_constant_serves_all_and_nothing_is_the_usual_start():
    raster, spikes = some_spikes()
    f = filter_spikes(spikes, tau=0.03)
    expected = filtered_by_scipy(raster, np.full(11, 0.03), np.zeros(11))
    np.testing.assert_allclose(f, expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("f0", [0.0, 25.0])
def test_the_readout_is_linear_in_filtered_spikes(f0):
    _, spikes = some_spikes()
    tau = np.linspace(0.01, 0.1, 11)
    f = filter_spikes(spikes, tau=tau, f0=f0)
    w_out, b_out = np.random.default_rng(3).standard_normal((2, 11)), np.ones(2)
    outputs = read_out(spikes, w_out=w_out, b_out=b_out, tau=tau, f0=f0)
    np.testing.assert_allclose(f @ w_out.T + 1, outputs, rtol=1e-5, atol=1e-3)


def test_a_silent_readout_forgets_its_start():
    silent = Spikes(bits=np.zeros((50, 1, 1), np.uint8), n=2, dt=1e-3, engine="test")
    f0, tau = np.array([10.0, 40.0]), np.array([0.01, 0.02])
    given = {"w_out": np.eye(2), "b_out": np.zeros(2), "tau": tau}
    outputs = read_out(silent, **given, f0=f0)[:, 0]
    t = 1e-3 * np.arange(1, 51)[:, None]
    np.testing.assert_allclose(outputs, f0 * np.exp(-t / tau), rtol=1e-12)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"tau": np.zeros(11)}, r"tau: got 0\.0 at \[0\], need numbers greater than 0"),
        ({"tau": 0.02, "every": 0}, "every: got 0, need 1 to 120"),
        ({"tau": 0.02, "every": 121}, "every: got 121, need 1 to 120"),
    ],
)
def test_wrong_filters_are_named(change, said):
    with pytest.raises(ValueError, match=said):
        filter_spikes(some_spikes()[1], **change)
