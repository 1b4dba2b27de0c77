"""The search for λ: where it starts, what it tries, and what it says it found."""

import dataclasses

import numpy as np
import pytest

from isotau.convert.neuron.lif_constants import PUBLISHED, LIFConstants
from isotau.convert.records.trials import Trials, refine
from isotau.convert.simulate.lif_dynamics import simulate_lif
from isotau.convert.simulate.readout import read_out
from isotau.convert.to_lif.search_lambda import rate_to_lif, search_lambda


def trials(batch: int, seed: int = 0) -> Trials:
    """A step of input on channel 0 asks for output 1 in half of the trials."""
    rng = np.random.default_rng(seed)
    labels = np.arange(batch) % 2
    inputs = np.zeros((60, batch, 2))
    inputs[20:, :, 0] = labels
    inputs += 0.01 * rng.standard_normal(inputs.shape)
    targets = np.zeros((60, batch, 1))
    targets[30:, :, 0] = labels
    return Trials(
        inputs=inputs,
        targets=targets,
        mask=np.ones((60, batch), dtype=bool),
        labels=labels,
        dt=0.005,
        task="step",
    )


def score(outputs: np.ndarray, shown: Trials) -> np.ndarray:
    late = outputs[-shown.steps // 4 :, :, 0].mean(axis=0)
    return (late > 0.5) == (shown.labels == 1)


def test_it_reports_what_it_chose(rate_net):
    """The reported numbers are those of the network it returns, on the same trials."""
    shown = trials(24)
    found = search_lambda(
        rate_net, shown, score=score, seed=3, grid=(20, 30, 40), drives=(0.0, 1e-3)
    )
    tried = {(c.inverse_lambda, c.drive) for c in found.candidates}
    best = found.chosen
    assert {(20.0, 0.0), (30.0, 0.0), (40.0, 0.0)} < tried
    assert len(tried) == len(found.candidates)
    assert best.accuracy == max(c.accuracy for c in found.candidates)
    equal = [c for c in found.candidates if c.accuracy == best.accuracy]
    assert best.error == min(c.error for c in equal)
    assert found.method == "scale" and found.rate is rate_net and not found.residual
    expected = rate_to_lif(
        rate_net,
        inverse_lambda=best.inverse_lambda,
        output_gain=best.output_gain,
        drive=best.drive,
    )
    np.testing.assert_array_equal(found.network.w_rec, expected.w_rec)
    fine = refine(shown, 1e-3)
    spikes = simulate_lif(
        found.network,
        fine.inputs,
        seed=3,
        burn_in=200,
    ).spikes
    outputs = read_out(
        spikes,
        w_out=found.network.w_out,
        b_out=found.network.b_out,
        tau=found.network.tau_syn,
    )
    assert score(outputs, fine).mean() == pytest.approx(best.accuracy, abs=0.1)
    error = ((outputs - fine.targets) ** 2).mean()
    assert error == pytest.approx(best.error, rel=0.15)


def test_the_best_is_looked_at_more_closely(rate_net):
    """Around the best of a grid come the middles to its neighbours, with drives."""
    found = search_lambda(
        rate_net,
        trials(12),
        score=score,
        seed=1,
        grid=(20, 30, 40, 50),
        drives=(0.0, 5e-4),
    )
    first, later = found.candidates[:4], found.candidates[4:]
    best = max(first, key=lambda c: (c.accuracy, -c.error)).inverse_lambda
    near = {best} | {v for v in (best - 5, best + 5) if 20 <= v <= 50}
    assert {c.inverse_lambda for c in later} == near
    assert {c.drive for c in later} == {0.0, 5e-4}


def test_noise_is_common_to_all_candidates(rate_net):
    """A candidate's figures do not depend on which others are tried."""
    kwargs = {"score": score, "seed": 5, "drives": (0.0,)}
    alone = search_lambda(rate_net, trials(8), grid=(30.0,), **kwargs).candidates[0]
    among = search_lambda(rate_net, trials(8), grid=(25.0, 30.0, 60.0), **kwargs)
    (same,) = [c for c in among.candidates if c.inverse_lambda == 30.0]
    assert same.error == pytest.approx(alone.error, rel=0.02)
    assert same.accuracy == alone.accuracy


def test_the_start_is_analytic(rate_net):
    """Units with the neuron's own f–I curve in units of 50 Hz have 1/λ = 50 Hz."""
    own = dataclasses.replace(rate_net, activation="lif", bias=np.zeros(rate_net.n))
    found = search_lambda(own, trials(8), score=score, seed=0)
    first = [c.inverse_lambda for c in found.candidates[:8]]
    np.testing.assert_allclose(first, 50 * np.geomspace(0.4, 1.5, 8), rtol=0.02)
    assert found.constants.unit == 1e-3 and found.constants.burn_in == 0.2
    more = {c.inverse_lambda for c in found.candidates} - set(first)
    assert len(more) >= 2 and min(first) < min(more) and max(more) < max(first)


def test_a_tanh_network_is_carried_as_a_sigmoid_one(rate_net):
    tanh = dataclasses.replace(
        rate_net,
        activation="tanh",
        w_rec=0.3 * rate_net.w_rec,
        dale=np.zeros(rate_net.n),
        x0=np.full(rate_net.n, 0.5),
    )
    found = search_lambda(tanh, trials(6), score=score, seed=0, lag=2e-3)
    assert found.rate.activation == "sigmoid"
    assert found.constants.burn_in == 0
    np.testing.assert_allclose(found.network.tau_syn, tanh.tau - 2e-3)
    # it starts where x0 is: sigmoid of 2 x0 at 1/λ
    hz = found.chosen.inverse_lambda / (1 + np.exp(-1.0))
    np.testing.assert_allclose(found.network.f0, hz)
    assert found.network.v0.min() >= -0.065 and found.network.i0.any()


def test_matched_gain_is_the_least_squares_one(rate_net):
    shown = trials(16, 1)
    kwargs = {"score": score, "seed": 1, "grid": (30.0,), "drives": (0.0,)}
    matched = search_lambda(rate_net, shown, **kwargs).chosen
    plain = search_lambda(rate_net, shown, match_output=False, **kwargs).chosen
    assert plain.output_gain == 1.0
    assert matched.error <= plain.error
    assert plain.accuracy == matched.accuracy_ungained == plain.accuracy_ungained


def test_a_constant_output_is_not_scaled(rate_net):
    """As after a change from tanh, where a gain would shift every output."""
    shifted = dataclasses.replace(rate_net, b_out=[0.8])
    found = search_lambda(
        shifted, trials(6), score=score, seed=0, grid=(30.0,), drives=(0.0,)
    )
    assert found.chosen.output_gain == 1.0


def test_trials_that_ask_for_nothing_leave_the_gain_alone(rate_net):
    shown = trials(4)
    idle = dataclasses.replace(shown, targets=np.zeros_like(shown.targets))
    chosen = search_lambda(
        rate_net, idle, score=score, seed=0, grid=(30.0,), drives=(0.0,)
    ).chosen
    assert chosen.amplitude is None
    assert chosen.output_gain > 0


def test_bad_arguments_are_named(rate_net):
    shown = trials(4)
    for grid in ((), (20.0, -1.0)):
        with pytest.raises(ValueError, match=r"grid: got .* need values of 1/λ"):
            search_lambda(rate_net, shown, score=score, seed=0, grid=grid)
    off = dataclasses.replace(shown, dt=0.0033)
    with pytest.raises(ValueError, match=r"dt: got 0.001 s, need a whole fraction"):
        search_lambda(rate_net, off, score=score, seed=0)


def test_constant_rates_give_the_rate_networks_drive(rate_net):
    """At constant firing f the current is λ W f (in mV), whatever dt and τ are."""
    for dt in (1e-3, 0.5e-3):
        net = rate_to_lif(rate_net, inverse_lambda=40.0, constants=LIFConstants(dt=dt))
        f = np.linspace(5, 60, rate_net.n)
        keep = np.exp(-dt / rate_net.tau)
        # a geometric series of jumps: i = Σ W_rec f dt keep^k
        current = net.w_rec @ (f * dt) / (1 - keep)
        np.testing.assert_allclose(current, 1e-3 * rate_net.w_rec @ (f / 40.0))
        steady = net.w_in @ np.array([1.0, -2.0]) / (1 - keep)
        np.testing.assert_allclose(steady, 1e-3 * rate_net.w_in @ [1.0, -2.0])


def test_what_is_kept_and_what_is_scaled(rate_net):
    net = rate_to_lif(rate_net, inverse_lambda=25.0, output_gain=0.5, drive=2e-3)
    np.testing.assert_array_equal(net.tau_syn, rate_net.tau)
    np.testing.assert_array_equal(net.b_out, rate_net.b_out)
    np.testing.assert_allclose(net.w_out, 0.5 * rate_net.w_out / 25.0)
    np.testing.assert_allclose(net.v_leak, -0.040 + 1e-3 * rate_net.bias + 2e-3)
    assert (net.v_th - net.v_reset == pytest.approx(0.025)) and (
        net.noise_std == 1e-3
    ).all()
    assert (np.sign(net.w_rec) == np.sign(rate_net.w_rec)).all()
    assert not (net.i0.any() or net.f0.any()) and (net.v0 == net.v_reset).all()


def test_constants_reach_the_network(rate_net):
    constants = LIFConstants(
        tau_mem=0.02, refractory=0.005, noise_std=0.0, dt=5e-4, unit=2e-3, v_leak=-0.05
    )
    net = rate_to_lif(rate_net, inverse_lambda=30.0, constants=constants)
    assert (net.tau_mem == 0.02).all() and (net.refractory == 0.005).all()
    assert not net.noisy and net.dt == 5e-4
    np.testing.assert_allclose(net.v_leak, -0.05 + 2e-3 * rate_net.bias)
    assert constants.burn_in_steps == 400


def test_a_lag_is_taken_off_tau_down_to_a_step(rate_net):
    tau = np.where(np.arange(rate_net.n) < 3, 0.012, rate_net.tau)
    net = rate_to_lif(
        dataclasses.replace(rate_net, tau=tau), inverse_lambda=30.0, lag=0.012
    )
    np.testing.assert_allclose(net.tau_syn[:3], 0.001)
    np.testing.assert_allclose(net.tau_syn[3:], rate_net.tau[3:] - 0.012)
    # the drive of constant rates does not depend on it
    keep = np.exp(-1e-3 / net.tau_syn)
    current = net.w_rec.sum(axis=1) * 30.0 * 1e-3 / (1 - keep)
    np.testing.assert_allclose(current, 1e-3 * rate_net.w_rec.sum(axis=1))


def test_noise_of_the_rate_network_goes_to_the_currents(rate_net):
    """With the SD that it gives x, (C31), times the share and the volts per unit."""
    constants = dataclasses.replace(PUBLISHED, unit=2e-3)
    share = {"current_noise": 0.5, "constants": constants}
    carried = rate_to_lif(rate_net, inverse_lambda=30.0, **share)
    kept = 1 - rate_net.dt / rate_net.tau
    expected = 0.5 * 2e-3 * rate_net.noise_std / np.sqrt(1 - kept**2)
    np.testing.assert_allclose(carried.current_noise_std, expected)
    # The published neuron keeps its own, and by itself the mapping carries none.
    np.testing.assert_array_equal(carried.noise_std, constants.noise_std)
    plain = rate_to_lif(rate_net, inverse_lambda=30.0)
    assert not plain.current_noise_std.any()
    found = search_lambda(
        rate_net, trials(3), score=score, seed=0, grid=[30.0], current_noise=0.5
    )
    unit = found.constants.unit
    carried = found.network.current_noise_std
    np.testing.assert_allclose(carried, expected * unit / 2e-3)


def test_a_start_at_the_fixed_point_stays_there(rate_net):
    """Spikes at the rates f0 keep the current at i0 if x0 = W φ(x0) + b."""
    x = np.zeros(rate_net.n)
    for _ in range(300):
        x += 0.2 * (rate_net.w_rec @ (1 / (1 + np.exp(-x))) + rate_net.bias - x)
    settled = dataclasses.replace(rate_net, x0=x)
    net = rate_to_lif(settled, inverse_lambda=30.0, from_x0=True)
    np.testing.assert_allclose(net.f0, 30.0 / (1 + np.exp(-x)))
    keep = np.exp(-1e-3 / net.tau_syn)
    np.testing.assert_allclose(net.i0, net.w_rec @ (net.f0 * 1e-3) / (1 - keep))
    assert (net.v0 >= net.v_reset).all() and (net.v0 < net.v_th).all()
    assert np.unique(net.v0).size == net.n


def test_what_cannot_be_mapped_is_named(rate_net):
    with pytest.raises(ValueError, match="inverse_lambda: got 0 Hz, need more than 0"):
        rate_to_lif(rate_net, inverse_lambda=0)
    tanh = dataclasses.replace(rate_net, activation="tanh")
    with pytest.raises(ValueError, match="got tanh, need rates that are not negative"):
        rate_to_lif(tanh, inverse_lambda=30.0)
    apart = dataclasses.replace(rate_net, readout_bias=np.ones(rate_net.n))
    with pytest.raises(ValueError, match="readout_bias: got values other than 0"):
        rate_to_lif(apart, inverse_lambda=30.0)
