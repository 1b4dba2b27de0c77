"""The λ mapping: its closed forms, and the search."""

import dataclasses

import numpy as np
import pytest
import torch

from isotau.convert.lif_dynamics import simulate_lif
from isotau.convert.rate_to_lif import LIFConstants, rate_to_lif, search_lambda
from isotau.convert.readout import read_out
from isotau.convert.trials import Trials, refine


def trials(batch: int, rng: np.random.Generator) -> Trials:
    """A step of input on channel 0 asks for output 1 in half of the trials."""
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
    assert (net.v_th - net.v_reset == pytest.approx(0.025)) and net.noise_std == 1e-3
    assert (np.sign(net.w_rec) == np.sign(rate_net.w_rec)).all()


def test_search_reports_what_it_chose(rate_net):
    """The reported numbers are those of the network it returns, on the same trials."""
    shown = trials(24, np.random.default_rng(0))
    found = search_lambda(
        rate_net, shown, score=score, seed=3, grid=(20, 30, 40), drives=(0.0, 1e-3)
    )
    tried = {(c.inverse_lambda, c.drive) for c in found.candidates}
    best = found.chosen
    assert {(20.0, 0.0), (30.0, 0.0), (40.0, 0.0)} < tried
    assert len(tried) == len(found.candidates)
    assert best.accuracy == max(c.accuracy for c in found.candidates)
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
        generator=torch.Generator().manual_seed(3),
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


def test_matched_gain_is_the_least_squares_one(rate_net):
    shown = trials(16, np.random.default_rng(1))
    kwargs = {"score": score, "seed": 1, "grid": (30.0,), "drives": (0.0,)}
    matched = search_lambda(rate_net, shown, **kwargs).chosen
    plain = search_lambda(rate_net, shown, match_output=False, **kwargs).chosen
    assert plain.output_gain == 1.0
    assert matched.error <= plain.error
    assert plain.accuracy == matched.accuracy_ungained == plain.accuracy_ungained


def test_constants_reach_the_network(rate_net):
    constants = LIFConstants(tau_mem=0.02, refractory=0.005, noise_std=0.0, dt=5e-4)
    net = rate_to_lif(rate_net, inverse_lambda=30.0, constants=constants)
    assert (net.tau_mem == 0.02).all() and (net.refractory == 0.005).all()
    assert net.noise_std == 0.0 and net.dt == 5e-4
    assert constants.burn_in_steps == 400


def test_bad_arguments_are_named(rate_net):
    with pytest.raises(ValueError, match="inverse_lambda: got 0 Hz, need more than 0"):
        rate_to_lif(rate_net, inverse_lambda=0)
    shown = trials(4, np.random.default_rng(0))
    for grid in ((), (20.0, -1.0)):
        with pytest.raises(ValueError, match=r"grid: got .* need values of 1/λ"):
            search_lambda(rate_net, shown, score=score, seed=0, grid=grid)
    off = dataclasses.replace(shown, dt=0.0033)
    with pytest.raises(ValueError, match=r"dt: got 0.001 s, need a whole fraction"):
        search_lambda(rate_net, off, score=score, seed=0)


def test_trials_that_ask_for_nothing_leave_the_gain_alone(rate_net):
    shown = trials(4, np.random.default_rng(0))
    idle = dataclasses.replace(shown, targets=np.zeros_like(shown.targets))
    chosen = search_lambda(
        rate_net, idle, score=score, seed=0, grid=(30.0,), drives=(0.0,)
    ).chosen
    assert chosen.amplitude is None
    assert chosen.output_gain > 0
