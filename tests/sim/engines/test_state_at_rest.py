"""States at rest before and after quantization: known processes, and what is said."""

import dataclasses
import json

import numpy as np
import pytest

from isotau.convert.records.lif import LIFNetwork, Ranges
from isotau.convert.to_fixed.quantize import QuantizeConfig, quantize
from isotau.convert.to_lif.state_match import RestingState, resting_state
from isotau.sim.engines import state_at_rest
from isotau.sim.engines.state_at_rest import (
    StateChange,
    _change,
    _correlation,
    _look,
    compare_at_rest,
    describe,
    summarize,
)

TAUS = np.array([0.02, 0.05, 0.1])


def alone(**changes):
    """Neurons that do not hear each other: every current is an AR(1)."""
    n = len(TAUS)
    fields = {
        "w_in": np.full((n, 1), 1e-4),
        "w_rec": np.zeros((n, n)),
        "w_out": np.zeros((1, n)),
        "b_out": np.zeros(1),
        "tau_syn": TAUS,
        "tau_mem": np.full(n, 0.01),
        "v_th": np.full(n, -0.04),
        "v_leak": np.full(n, -0.065),
        "v_reset": np.full(n, -0.065),
        "refractory": np.zeros(n),
        "noise_std": 0.0,
        "current_noise_std": 2e-3,
        "dt": 1e-3,
    }
    return LIFNetwork(**fields | changes)


def integers(net, scale=None):
    ranges = Ranges(
        i_peak=np.full(net.n, 0.01), i_rms=np.full(net.n, 2e-3), v_low=np.zeros(net.n)
    )
    config = QuantizeConfig(state_scale=scale)
    return quantize(net, ranges, input_peak=1.0, config=config)


def test_moments_are_those_of_the_noise_on_both_sides():
    net = alone()
    kept = compare_at_rest(net, integers(net), seed=1)
    assert (kept.trials, kept.interval) == (30, 0.005)
    for sd, tau in zip(kept.sd, kept.tau, strict=True):
        np.testing.assert_allclose(tau, TAUS, rtol=0.15)
        np.testing.assert_allclose(sd, 2e-3, rtol=0.3)
    # Powers of two near what was asked for: the worst is within half an octave.
    assert 2**-0.5 <= kept.change.sd_worst <= 2**0.5
    assert kept.floor.sd_ratio == pytest.approx(1, abs=0.05)
    assert kept.change.taus == kept.floor.taus == 3
    assert kept.correlation < 0.1 and kept.change.correlation_rms < 0.15
    assert kept.floor.correlation_rms > 0


def test_integers_that_are_too_few_show():
    """At few integers per volt truncation eats the currents."""
    net = alone()
    kept = compare_at_rest(net, integers(net, scale=8e4), seed=1)
    assert kept.change.tau_ratio < 0.9 < kept.floor.tau_ratio


def test_without_noise_nothing_moves():
    net = alone(current_noise_std=0.0)
    assert compare_at_rest(net, integers(net), seed=1) is None
    assert summarize(None) is None and describe(None) == ""


@pytest.mark.parametrize(
    "changes", [{"dt": 2e-3}, {"n_in": 2, "blocks": ()}], ids=["dt", "n_in"]
)
def test_other_networks_are_refused(changes):
    net = alone()
    other = dataclasses.replace(integers(net), **changes)
    with pytest.raises(ValueError, match=f"{next(iter(changes))}: got .* need "):
        compare_at_rest(net, other, seed=1)


def test_a_look_fits_the_network():
    """Fast currents are sampled more often, and large networks in part."""
    fast = _look(alone(tau_syn=np.full(3, 4e-3)))
    assert (fast.every, fast.trials) == (1, 30)
    assert _look(alone()).every == 5
    n = 2000
    wide = dataclasses.replace(
        alone(),
        **{
            name: np.repeat(getattr(alone(), name)[:1], n)
            for name in ("tau_syn", "tau_mem", "v_th", "v_leak", "v_reset")
        },
        **{name: np.zeros(n) for name in ("refractory", "noise_std", "i0", "f0")},
        **{name: np.zeros(0) for name in ("v0", "tau_out", "current_noise_std")},
        population=np.zeros(n, int),
        w_in=np.zeros((n, 1)),
        w_rec=np.zeros((n, n)),
        w_out=np.zeros((1, n)),
    )
    look = _look(wide)
    assert look.trials < 30 and len(look.neurons) == state_at_rest.MOST_NEURONS
    assert (look.neurons[0], look.neurons[-1]) == (0, n - 1)


def test_correlations_are_about_the_mean_of_the_trials():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((4000, 5, 3))
    x[..., 1] = 0.6 * x[..., 0] + 0.8 * x[..., 1]
    x[..., :2] += 3 * np.sin(np.arange(4000) / 50)[:, None, None]
    x[..., 2] = 7.0
    found = _correlation(resting_state(x, 2))
    # Row by row, without what each has with itself.
    np.testing.assert_allclose(found, [0.6, 0, 0.6, 0, 0, 0], atol=0.03)


def test_a_state_that_stands_still_is_the_worst():
    rho = np.exp(-np.arange(50)[:, None] / np.full(3, 10.0))
    moving = RestingState(
        np.ones(3), rho, np.full(3, 10.0), covariance=np.eye(3), mean=np.zeros(3)
    )
    still = moving._replace(
        sd=np.array([0.0, 1.1, 1.0]),
        tau=np.array([np.nan, 5.0, 20.0]),
        covariance=np.array([[0, 0, 0], [0, 1.21, 0.33], [0, 0.33, 1.0]]),
    )
    found = _change(moving, still)
    assert (found.sd_worst, found.taus) == (0.0, 2)
    assert found.tau_ratio == pytest.approx(1.0)
    assert found.tau_scatter == pytest.approx(np.log(2))
    # Of the six pairs of places two have a correlation of 0.3.
    assert found.correlation_rms == pytest.approx(0.3 / np.sqrt(3))
    lost = moving._replace(sd=np.zeros(3), tau=np.full(3, np.nan))
    nothing = _change(lost, lost)
    assert nothing.sd_worst == 1.0 and np.isnan(nothing.tau_scatter)


def test_numbers_are_strict_json_and_said():
    net = alone()
    kept = compare_at_rest(net, integers(net), seed=1)
    never = StateChange(1.0, 1.2, float("nan"), float("nan"), 0, 0.04, 0.05)
    numbers = summarize(dataclasses.replace(kept, change=never))
    assert json.loads(json.dumps(numbers, allow_nan=False)) == numbers
    said = describe(numbers)
    assert "τ none (" in said and "worst neuron 1.200 (" in said
    assert f"neurons 0.050 ({kept.floor.correlation_rms:.3f})." in said
    assert numbers["neurons"] == 3
    assert numbers["sd_mv"][0] == pytest.approx(2.0, rel=0.1)
