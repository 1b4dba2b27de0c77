"""Noise that neurons share: one draw for the LIF stage, the chip and who sends it."""

import dataclasses

import numpy as np
import pytest

from isotau.convert.simulate.lif_dynamics import simulate_lif
from isotau.convert.simulate.vectors.normals import SHARED, Place, normals
from isotau.convert.simulate.vectors.shared_noise import (
    fill_channels,
    findings_of_channels,
    shared_normals,
)
from isotau.convert.to_fixed.quantize import messages, quantize

STEPS, BATCH = 50, 6


@pytest.fixture
def noisy(lif_net):
    """A network with two channels that are shown and three of noise."""
    rng = np.random.default_rng(0)
    more = 1e-3 * rng.standard_normal((lif_net.n, 3))
    return dataclasses.replace(
        lif_net,
        w_in=np.hstack([lif_net.w_in, more]),
        input_noise_std=np.array([0.1, 0.5, 2.0]),
    )


@pytest.fixture
def shown():
    return np.random.default_rng(1).standard_normal((STEPS, BATCH, 2))


def test_channels_behind_what_is_shown_are_filled(noisy, shown):
    filled = fill_channels(noisy, shown, seed=3)
    np.testing.assert_array_equal(filled[..., :2], shown)
    drawn = shared_normals(3, SHARED, (STEPS, BATCH, 3), 0)
    np.testing.assert_array_equal(filled[..., 2:], noisy.input_noise_std * drawn)
    assert not fill_channels(noisy, shown, seed=None)[..., 2:].any()


def test_what_is_whole_or_has_no_such_channels_is_left_as_it_is(noisy, lif_net, shown):
    whole = fill_channels(noisy, shown, seed=3)
    assert fill_channels(noisy, whole, seed=4) is whole
    assert fill_channels(lif_net, shown, seed=3) is shown


def test_samples_are_those_of_the_generator_step_by_step(monkeypatch):
    """Whatever is drawn at a time, of however many sources."""
    monkeypatch.setattr("isotau.convert.simulate.vectors.shared_noise.CHUNK", 64)
    for sources in (1, 3, 16, 17, 70):
        drawn = shared_normals(9, SHARED, (5, 4, sources), 2)
        for step in range(5):
            place = Place(9, SHARED, step)
            expected = normals(place, 2 + np.arange(4), max(sources, 64))[:, :sources]
            np.testing.assert_array_equal(drawn[step], expected)


def test_sources_are_white_independent_and_of_unit_variance():
    drawn = shared_normals(1, SHARED, (4000, 8, 2), 0)
    assert drawn.std() == pytest.approx(1, abs=0.01)
    assert abs((drawn[1:] * drawn[:-1]).mean()) < 0.02
    assert abs((drawn[..., 0] * drawn[..., 1]).mean()) < 0.02
    assert abs((drawn[:, 0] * drawn[:, 1]).mean()) < 0.03


def test_a_trial_has_its_noise_whatever_the_batch(noisy, shown):
    whole = fill_channels(noisy, shown, seed=5)
    part = fill_channels(noisy, shown[:, 2:4], seed=5, first_trial=2)
    np.testing.assert_array_equal(part, whole[:, 2:4])
    assert (fill_channels(noisy, shown, seed=6) != whole).any()


def test_a_seed_that_the_noise_has_not_is_refused(noisy, shown):
    with pytest.raises(ValueError, match="seed: got"):
        fill_channels(noisy, shown, seed=-1)


def test_the_lif_stage_fills_them_itself(noisy, shown):
    whole = fill_channels(noisy, shown, seed=7)
    ours, theirs = (
        simulate_lif(noisy, inputs, seed=7).spikes.bits for inputs in (shown, whole)
    )
    np.testing.assert_array_equal(ours, theirs)
    with pytest.raises(ValueError, match="inputs: got shape"):
        simulate_lif(noisy, shown[..., :1], seed=7)


def test_the_chip_is_sent_the_same_noise(noisy, shown):
    """Up to the fineness of messages; their weights have blocks of their own."""
    whole = fill_channels(noisy, shown, seed=7)
    ranges = simulate_lif(noisy, shown, seed=7).ranges
    fixed = quantize(noisy, ranges, input_peak=4.0)
    np.testing.assert_array_equal(fixed.input_noise_std, noisy.input_noise_std)
    assert (fixed.n_in, fixed.n_shown) == (5, 2)
    sent = messages(fixed, shown, seed=7)
    np.testing.assert_array_equal(sent, np.rint(whole * fixed.input_scale))
    np.testing.assert_array_equal(sent, messages(fixed, whole))
    inputs = [block.pre for block in fixed.blocks if block.source == "input"]
    assert all((pre < 2).all() or (pre >= 2).all() for pre in inputs)


def test_whoever_runs_it_is_told(noisy, lif_net):
    assert findings_of_channels(lif_net) == []
    (finding,) = findings_of_channels(noisy)
    assert "noise in the last 3 of 5 input channels" in finding.message
