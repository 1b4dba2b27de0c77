"""The networks' answers are what is said of them."""

import numpy as np
import pytest

from benchmarks.equal_tau.slow_networks import (
    BEFORE,
    CUE,
    DT,
    agrees,
    cued,
    mode_network,
    ring,
    slow_units,
)
from isotau.convert.simulate.rate_dynamics import simulate_rate


def states(net, inputs, seed=0):
    return simulate_rate(net.rate, inputs, seed=seed, keep_x=True).x @ net.patterns.T


@pytest.mark.parametrize("make", [mode_network, slow_units])
def test_patterns_at_rest_have_their_time_constants(make):
    net = make((0.1, 0.4), n=64)
    inputs = np.zeros((4000, 40, 2))
    kappa = states(net, inputs)[400:]
    for k, tau in enumerate((0.1, 0.4)):
        assert net.tau[k] == pytest.approx(tau, rel=0.03)
        z, lag = kappa[..., k] - kappa[..., k].mean(), round(tau / DT)
        correlation = (z[lag:] * z[:-lag]).mean() / (z * z).mean()
        assert correlation == pytest.approx(np.exp(-1), abs=0.04)


def test_eigenvalues_stand_in_the_weights():
    net = mode_network((0.1, 3.0))
    values = np.sort(np.linalg.eigvalsh(net.rate.w_rec))[-2:]
    # A little above 1 − 30 ms/τ, for what noise takes from the gain.
    np.testing.assert_allclose(values, [0.7, 0.99], atol=0.02)
    assert np.linalg.matrix_rank(net.rate.w_rec) == 2


def test_the_ring_diffuses_as_its_closed_form_says():
    net = ring(n=24)
    trials = cued(net, 300, 2.5, seed=1)
    kappa = states(net, trials.inputs)[200:]
    angle = np.unwrap(np.angle(kappa[..., 0] + 1j * kappa[..., 1]), axis=0)
    moved = angle[100:] - angle[:-100]
    assert (moved**2).mean() / (100 * DT) == pytest.approx(net.diffusion, rel=0.12)
    # It stays where the cue put it.
    cue = trials.inputs[round(BEFORE / DT)]
    off = np.angle(np.exp(1j * (angle[0] - np.arctan2(cue[:, 1], cue[:, 0]))))
    assert np.abs(off).max() < 0.3


def test_a_cue_moves_its_pattern_by_one():
    net = mode_network((1.0, 3.0))
    trials = cued(net, 50, 1.0, seed=2)
    quiet = simulate_rate(net.rate, trials.inputs, seed=0, noise=False, keep_x=True)
    end = round((BEFORE + CUE) / DT)
    reached = np.linalg.norm(quiet.x[end] @ net.patterns.T, axis=1)
    np.testing.assert_allclose(reached, 0.93, atol=0.06)
    assert agrees(quiet.outputs, trials).all()
    assert not agrees(-quiet.outputs, trials).any()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: mode_network((0.02,)), "taus: got 0.02"),
        (lambda: slow_units((0.0,)), "taus: got 0.0"),
        (lambda: ring(strength=1.0), "strength: got 1.0, need more than 1"),
    ],
)
def test_what_has_no_answer_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
