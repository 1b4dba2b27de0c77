"""States at rest before and after quantization: known processes, and what is said."""

import dataclasses
import json

import numpy as np
import pytest

from isotau.convert.records.lif import Ranges
from isotau.convert.records.rate import RateRNN
from isotau.convert.records.trials import Trials, refine, with_silence
from isotau.convert.to_fixed.prepare import prepare
from isotau.convert.to_fixed.quantize import QuantizeConfig, quantize
from isotau.convert.to_lif.calibrate import calibrate
from isotau.convert.to_lif.state_match import (
    RestingState,
    match,
    rest_of_lif,
    rest_of_rate,
    resting_state,
)
from isotau.convert.to_lif.teacher import CalibrateConfig
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


@pytest.fixture
def alone(silent_neurons):
    """A function of fields: neurons that do not hear each other."""

    def make(*, tau_syn=TAUS, **changes):
        fields = {"w_in": np.full((3, 1), 1e-4), "current_noise_std": 2e-3}
        return silent_neurons(tau_syn, **fields | changes)

    return make


def integers(net, scale=None):
    ranges = Ranges(
        i_peak=np.full(net.n, 0.01), i_rms=np.full(net.n, 2e-3), v_low=np.zeros(net.n)
    )
    config = QuantizeConfig(state_scale=scale)
    return quantize(net, ranges, input_peak=1.0, config=config)


def test_moments_are_those_of_the_noise_on_both_sides(alone):
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


def test_integers_that_are_too_few_show(alone):
    """At few integers per volt truncation eats the currents."""
    net = alone()
    kept = compare_at_rest(net, integers(net, scale=8e4), seed=1)
    assert kept.change.tau_ratio < 0.9 < kept.floor.tau_ratio


def test_without_noise_nothing_moves(alone):
    net = alone(current_noise_std=0.0)
    assert compare_at_rest(net, integers(net), seed=1) is None
    assert summarize(None) is None and describe(None) == ""


@pytest.mark.parametrize(
    "changes", [{"dt": 2e-3}, {"n_in": 2, "blocks": ()}], ids=["dt", "n_in"]
)
def test_other_networks_are_refused(alone, changes):
    net = alone()
    other = dataclasses.replace(integers(net), **changes)
    with pytest.raises(ValueError, match=f"{next(iter(changes))}: got .* need "):
        compare_at_rest(net, other, seed=1)


def test_a_look_fits_the_network(alone):
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


def test_numbers_are_strict_json_and_said(alone):
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


@pytest.fixture(scope="module")
def shared():
    """A rate network with two sources of noise that units share, and its neurons."""
    rng, n = np.random.default_rng(3), 20
    rate = RateRNN(
        w_rec=0.5 * rng.standard_normal((n, n)) / np.sqrt(n),
        w_in=rng.standard_normal((n, 1)),
        w_out=rng.standard_normal((1, n)) / n,
        bias=0.2 * rng.standard_normal(n),
        b_out=np.zeros(1),
        tau=rng.uniform(0.02, 0.06, n),
        dale=np.zeros(n, np.int8),
        activation="tanh",
        noise_std=0.05,
        dt=0.005,
        shared_noise=0.1 * rng.standard_normal((n, 2)),
    )
    inputs = np.zeros((160, 12, 1))
    for t in range(1, 160):
        inputs[t] = 0.95 * inputs[t - 1] + 0.3 * rng.standard_normal((12, 1))
    trials = Trials(
        inputs=inputs,
        targets=np.zeros((160, 12, 1)),
        mask=np.ones((160, 12), bool),
        labels=np.zeros(12, int),
        dt=0.005,
        task="none",
    )
    made = calibrate(rate, trials, config=CalibrateConfig(swing=0.04), seed=1)
    lif = made.networks[-1]
    shown = with_silence(refine(trials, lif.dt).inputs)
    return rate, made, prepare(lif, shown).fixed


def test_covariance_between_units_is_carried_from_rate_to_lif(shared):
    rate, made, _ = shared
    lif, dt = made.networks[-1], rate.dt
    first, again = (rest_of_rate(rate, seed=seed) for seed in (1, 2))
    state = rest_of_lif(lif, constants=made.constants, dt=dt, copies=1, seed=3)
    floor, change = match(first, again), match(first, state)
    assert change.covariance_error < 3 * floor.covariance_error < 0.2
    np.testing.assert_allclose(state.sd, first.sd, rtol=0.15)
    # Without the channels nothing is left of it.
    own = dataclasses.replace(lif, w_in=lif.w_in[:, :1], input_noise_std=np.zeros(0))
    lost = rest_of_lif(own, constants=made.constants, dt=dt, copies=1, seed=3)
    assert match(first, lost).covariance_error > 0.5


def test_covariance_between_units_is_carried_to_the_chip(shared):
    _, made, fixed = shared
    kept = compare_at_rest(made.networks[-1], fixed, seed=4)
    assert kept.correlation > 0.3
    assert kept.change.correlation_rms < 1.5 * kept.floor.correlation_rms < 0.06
    assert kept.change.sd_ratio == pytest.approx(1, abs=0.05)


def test_noise_that_is_shared_alone_is_looked_at(shared):
    _, made, _ = shared
    lif = dataclasses.replace(made.networks[-1], current_noise_std=0.0, noise_std=0.0)
    fixed = prepare(lif, np.zeros((200, 4, 1))).fixed
    assert not fixed.noisy and compare_at_rest(lif, fixed, seed=1) is not None
