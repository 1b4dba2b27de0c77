"""The analytic 1/λ against the published table, planted answers and identities."""

import dataclasses

import numpy as np
import pytest

from isotau.convert.neuron.activation import activate
from isotau.convert.neuron.fi_curve import firing_rate
from isotau.convert.neuron.lif_constants import PUBLISHED, LIFConstants
from isotau.convert.simulate.rate_dynamics import simulate_rate
from isotau.convert.to_lif.analytic_lambda import (
    LambdaMatch,
    analytic_inverse_lambda,
    candidate_constants,
    match_constants,
    matched_constants,
)
from isotau.convert.to_lif.search_lambda import rate_to_lif

CONTINUOUS = LIFConstants(dt=1e-8)


@pytest.fixture
def net(rate_net):
    def with_activation(name, ceiling=None):
        return dataclasses.replace(rate_net, activation=name, ceiling=ceiling)

    return with_activation


@pytest.mark.parametrize(
    ("reach", "inverse_lambda"),
    [(2, 45.6), (3, 44.5), (5, 46.1), (8, 51.4), (10, 55.4)],
)
def test_published_table(net, reach, inverse_lambda):
    """Least squares over |x| ≤ reach, as others computed it for the logistic."""
    x = np.linspace(-reach, reach, 4001)
    match = analytic_inverse_lambda(net("sigmoid"), x, CONTINUOUS)
    assert match.inverse_lambda == pytest.approx(inverse_lambda, abs=0.35)
    known = {5: 0.052, 10: 0.107}
    if reach in known:
        assert match.misfit == pytest.approx(known[reach], abs=0.002)
    assert (match.gain, match.offset, match.floor) == (1, 0, 0)


def test_at_zero_drive_half_is_half_of_1_over_lambda(net):
    """f(0) = 24.7 Hz stands for logistic(0) = ½: 1/λ = 49.3, the paper's λ = 1/50."""
    match = analytic_inverse_lambda(net("sigmoid"), np.zeros(3), CONTINUOUS)
    assert match.inverse_lambda == pytest.approx(49.3, abs=0.1)
    assert match.misfit == pytest.approx(0, abs=1e-12)


def test_each_visited_state_counts_once(net):
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(-1, 0.5, 500), rng.normal(4, 1, 99), [60.0]])
    match = analytic_inverse_lambda(net("sigmoid"), x.reshape(-1, 3), PUBLISHED)
    f = firing_rate(1e-3 * x, PUBLISHED)
    logistic = 1 / (1 + np.exp(-x))
    (scale,), (left,), *_ = np.linalg.lstsq(f[:, None], logistic, rcond=None)
    assert match.inverse_lambda == pytest.approx(1 / scale, rel=1e-3)
    assert match.misfit == pytest.approx(np.sqrt(left / x.size), rel=2e-3)


def test_planted_gain_and_offset_are_found(net):
    """The "lif" unit is the published neuron: 50 Hz at 1 mV per unit, no misfit."""
    x = np.random.default_rng(1).normal(1, 4, 20_000)
    skewed = LIFConstants(unit=0.25e-3, v_leak=-43e-3)
    match = analytic_inverse_lambda(
        net("lif"), x, skewed, fit_gain=True, fit_offset=True
    )
    assert match.inverse_lambda == pytest.approx(50, rel=1e-3)
    assert match.gain == pytest.approx(4, rel=1e-3)
    assert match.offset == pytest.approx(3e-3, abs=1e-5)
    assert match.misfit < 1e-3
    fitted = matched_constants(match)
    assert fitted.unit == pytest.approx(1e-3, rel=1e-3)
    assert fitted.v_leak == pytest.approx(-40e-3, abs=1e-5)
    again = analytic_inverse_lambda(net("lif"), x, fitted)
    assert again.misfit == pytest.approx(match.misfit, abs=1e-9)


@pytest.mark.parametrize("which", ["fit_gain", "fit_offset"])
def test_each_freedom_alone_helps(net, which):
    x = np.random.default_rng(2).normal(0, 3, 5000)
    neuron = LIFConstants(tau_mem=5e-3, refractory=5e-3, noise_std=3e-3)
    plain = analytic_inverse_lambda(net("sigmoid"), x, neuron)
    free = analytic_inverse_lambda(net("sigmoid"), x, neuron, **{which: True})
    assert free.misfit < plain.misfit
    assert (free.gain == 1) == (which != "fit_gain")
    assert (free.offset == 0) == (which != "fit_offset")


def test_tanh_is_its_sigmoid_twin(net):
    """tanh x + 1 = 2 σ(2x): the same neuron, half of 1/λ, twice gain and misfit."""
    x = np.random.default_rng(3).normal(0, 1, 20_000)
    kwargs = {"fit_gain": True, "fit_offset": True, "highest": 60.0}
    tanh = analytic_inverse_lambda(net("tanh"), x, **{**kwargs, "highest": 30.0})
    twin = analytic_inverse_lambda(net("sigmoid"), 2 * x, **kwargs)
    assert (tanh.floor, twin.floor) == (-1, 0)
    assert twin.inverse_lambda == pytest.approx(2 * tanh.inverse_lambda, rel=0.01)
    assert twin.gain == pytest.approx(tanh.gain / 2, rel=0.02)
    assert tanh.misfit == pytest.approx(2 * twin.misfit, rel=0.01)


@pytest.mark.parametrize(
    ("activation", "ceiling"),
    [("sigmoid", None), ("tanh", None), ("relu", 2.0), ("softplus", None)],
)
def test_other_constants_beat_the_published_ones(net, activation, ceiling):
    """What is reported is what the neuron does when it is asked directly."""
    x = np.random.default_rng(4).normal(0, 2, 1000)
    unit = net(activation, ceiling)
    matches = match_constants(unit, x, candidate_constants()[2::3])
    plain = analytic_inverse_lambda(unit, x)
    best = matches[0]
    assert [m.misfit for m in matches] == sorted(m.misfit for m in matches)
    assert best.misfit < 0.7 * plain.misfit
    assert all(m.inverse_lambda <= 100 * (1 + 1e-12) for m in matches)
    c = matched_constants(best)
    f = firing_rate(c.unit * x + (c.v_leak - c.v_th), c)
    off = f / best.inverse_lambda + best.floor - activate(x, activation, ceiling)
    assert np.sqrt((off**2).mean()) == pytest.approx(best.misfit, rel=0.01)


def test_bounds_hold_and_the_rest_adapts(net):
    """A larger 1/λ costs misfit, less of it where gain and offset may follow."""
    x = np.random.default_rng(5).normal(-2, 2, 2000)
    free = {"fit_gain": True, "fit_offset": True}
    best = analytic_inverse_lambda(net("sigmoid"), x, **free)
    raised = best.inverse_lambda * 1.5
    high = analytic_inverse_lambda(net("sigmoid"), x, lowest=raised, **free)
    fixed = analytic_inverse_lambda(
        net("sigmoid"), x, matched_constants(best), lowest=raised
    )
    assert high.inverse_lambda == pytest.approx(raised)
    assert fixed.inverse_lambda == pytest.approx(raised)
    assert best.misfit < high.misfit < fixed.misfit
    low = analytic_inverse_lambda(net("sigmoid"), x, highest=10.0)
    assert low.inverse_lambda == pytest.approx(10.0)


def test_match_makes_the_network_that_was_matched(rate_net):
    """At constant rates the neurons' drive is the one that was fitted."""
    inputs = np.zeros((20, 4, 2))
    run = simulate_rate(rate_net, inputs, seed=0, keep_x=True)
    match = analytic_inverse_lambda(rate_net, run.x, fit_gain=True, fit_offset=True)
    net = rate_to_lif(
        rate_net,
        inverse_lambda=match.inverse_lambda,
        constants=matched_constants(match),
    )
    r = np.linspace(0, 1, rate_net.n)
    f = r * match.inverse_lambda
    current = net.w_rec @ f * net.dt / (1 - np.exp(-net.dt / net.tau_syn))
    x = rate_net.w_rec @ r + rate_net.bias
    expected = match.offset + match.gain * 1e-3 * x
    np.testing.assert_allclose(current + net.v_leak - net.v_th, expected)


def test_candidates_start_with_what_was_given():
    fast = LIFConstants(dt=4e-3, refractory=4e-3)
    assert candidate_constants()[0] == PUBLISHED
    assert len(set(candidate_constants())) == len(candidate_constants()) == 18
    assert candidate_constants(fast) == (fast,)


def test_bad_arguments_are_named(net):
    with pytest.raises(ValueError, match="x: got no states, need those"):
        analytic_inverse_lambda(net("relu"), [])
    with pytest.raises(ValueError, match="x: got states where neuron and unit are nev"):
        analytic_inverse_lambda(net("relu"), [-3.0, -1.0])
    for wrong in ({"highest": 0.0}, {"lowest": 60.0, "highest": 50.0}):
        with pytest.raises(ValueError, match=r"lowest, highest: got .* need 0"):
            analytic_inverse_lambda(net("relu"), [1.0], **wrong)
    with pytest.raises(ValueError, match="candidates: got none, need at least one"):
        match_constants(net("relu"), [1.0], ())
    assert LambdaMatch.__dataclass_params__.frozen
