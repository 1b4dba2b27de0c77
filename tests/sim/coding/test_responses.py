"""Smoothed rates: the window, the past alone, and which trials count."""

import numpy as np
import pytest
from scipy.signal import lfilter

from isotau.convert.records.spikes import Spikes, pack
from isotau.sim.coding.responses import (
    FIRST_STIMULUS,
    MATCHES,
    Contrast,
    Responses,
    balance,
    between,
    choose,
    mean_rates,
    respond,
    smooth,
    take,
)

RNG = np.random.default_rng(0)


def spikes(raster, dt=1e-3):
    return Spikes(bits=pack(raster), n=raster.shape[2], dt=dt, engine="recorded")


def test_one_spike_is_seen_for_50_ms_as_a_gaussian():
    raster = np.zeros((200, 1, 1), dtype=bool)
    raster[60] = True
    rates = smooth(spikes(raster), every=1e-3)[:, 0, 0]
    assert not rates[:60].any() and not rates[110:].any()
    x = np.linspace(-1, 1, 50)
    window = np.exp(-0.5 * (2.5 * x) ** 2)
    np.testing.assert_allclose(rates[60:110], 1e3 * window / window.sum(), rtol=1e-5)
    assert rates.sum() * 1e-3 == pytest.approx(1, rel=1e-5)


def test_smoothing_is_a_causal_filter_sampled_every_5_ms():
    """MATLAB's filter(gausswin(1000), 1, x)(1:100:end), by another library."""
    raster = RNG.random((4100, 3, 5)) < 2e-3
    x = np.arange(1000) - 999 / 2
    window = np.exp(-0.5 * (2.5 * x / (999 / 2)) ** 2)
    window /= window.sum() * 5e-5
    want = lfilter(window, 1, raster.astype(float), axis=0)[::100]
    got = smooth(spikes(raster, dt=5e-5))
    assert got.dtype == np.float32 and got.shape == (41, 3, 5)
    np.testing.assert_allclose(got, want, atol=1e-3)


def test_many_trials_are_smoothed_a_few_at_a_time(monkeypatch):
    raster = RNG.random((40, 7, 3)) < 0.1
    whole = smooth(spikes(raster))
    monkeypatch.setattr("isotau.sim.coding.responses.MOST_CELLS", 2 * 40 * 3)
    np.testing.assert_array_equal(smooth(spikes(raster)), whole)


def test_a_window_of_one_step_gives_spikes_in_hz():
    raster = RNG.random((12, 2, 3)) < 0.5
    got = smooth(spikes(raster), width=1e-3, every=1e-3)
    np.testing.assert_allclose(got, 1e3 * raster, rtol=1e-6)


def test_samples_lie_on_steps():
    with pytest.raises(ValueError, match=r"every: got 0.0015 s, need a whole multiple"):
        smooth(spikes(np.zeros((9, 1, 1), dtype=bool)), every=1.5e-3)


def test_the_contrast_chooses_trials():
    raster = RNG.random((20, 8, 3)) < 0.1
    labels = np.array([0, 1, 2, 3, 3, 0, 2, 1])
    found = respond(spikes(raster), labels)
    assert found.condition.tolist() == [0, 1, 1, 0]
    assert found.labels.tolist() == [0, 3, 3, 0]
    whole = smooth(spikes(raster))
    np.testing.assert_array_equal(found.rates, whole[:, [0, 3, 4, 5]])
    np.testing.assert_allclose(found.times, [0, 0.005, 0.01, 0.015])
    every = respond(spikes(raster), labels, FIRST_STIMULUS)
    assert every.condition.tolist() == [0, 0, 1, 1, 1, 0, 1, 0]
    assert MATCHES == ((0,), (3,))


def test_a_contrast_that_cannot_be_made_is_refused():
    some = spikes(np.zeros((20, 4, 3), dtype=bool))
    with pytest.raises(ValueError, match=r"labels: got shape \(3,\), need \(4,\)"):
        respond(some, np.zeros(3))
    with pytest.raises(ValueError, match="contrast: got label 1 in both conditions"):
        respond(some, np.arange(4), Contrast((0, 1), (1, 2)))
    with pytest.raises(ValueError, match=r"labels: got none of \(0, 3\), need trials"):
        respond(some, np.ones(4))
    with pytest.raises(ValueError, match=r"condition: got 1 trials of one of the two"):
        respond(some, np.array([0, 0, 0, 3]))


def responses(labels=(0, 0, 1, 2, 3, 3, 3, 1)):
    labels = np.array(labels)
    return Responses(
        rates=RNG.random((10, labels.size, 4)),
        condition=labels // 2,
        labels=labels,
        dt=0.02,
        start=-0.1,
    )


def test_records_are_checked_and_frozen():
    found = responses()
    assert (found.n, found.rates.dtype) == (4, np.float32)
    with pytest.raises(ValueError, match="read-only"):
        found.rates[0] = 0
    rates = np.ones((3, 4, 2))
    rates[1, 2, 0] = np.nan
    with pytest.raises(ValueError, match=r"rates: got no finite number at \[1, 2, 0\]"):
        Responses(rates=rates, condition=[0, 0, 1, 1], dt=0.1)
    with pytest.raises(ValueError, match=r"condition: got 2 at \[3\], need 0 to 1"):
        Responses(rates=np.ones((3, 4, 2)), condition=[0, 0, 1, 2], dt=0.1)
    plain = Responses(rates=np.ones((3, 4, 2)), condition=[0, 0, 1, 1], dt=0.1)
    assert plain.labels.tolist() == [0, 0, 1, 1]
    np.testing.assert_array_equal(mean_rates(plain), [1, 1])


def test_a_window_and_a_coarser_step():
    found = responses()
    some = between(found, -0.06, 0.06, every=0.04)
    np.testing.assert_allclose(some.times, [-0.06, -0.02, 0.02])
    np.testing.assert_array_equal(some.rates, found.rates[[2, 4, 6]])
    with pytest.raises(ValueError, match=r"start, stop: got 1 to 2 s, need some of"):
        between(found, 1, 2)
    with pytest.raises(ValueError, match=r"every: got 0.03 s, need a whole multiple"):
        between(found, -1, 1, every=0.03)


def test_balance_keeps_as_many_of_every_label():
    found = balance(responses((0, 0, 1, 2, 3, 3, 3, 1, 2, 2)), np.random.default_rng(1))
    assert np.bincount(found.labels).tolist() == [2, 2, 2, 2]
    assert np.bincount(found.condition).tolist() == [4, 4]


def test_take_keeps_the_order_given():
    found = responses()
    some = take(found, [5, 0, 3, 1])
    np.testing.assert_array_equal(some.rates, found.rates[:, [5, 0, 3, 1]])
    assert some.labels.tolist() == [3, 0, 2, 0]


def test_a_choice_of_units_is_a_mask():
    assert choose(3, None).tolist() == [True] * 3
    with pytest.raises(
        ValueError, match=r"chosen: got int64 of shape \(2,\), need bool"
    ):
        choose(3, np.array([0, 1]))
