"""What tuning aims at: states of a reference by brute force, a user's by rank."""

import dataclasses

import numpy as np
import pytest

from isotau.convert.records.rate import RateRNN
from isotau.convert.records.trials import Trials
from isotau.convert.records.wanted_timescales import WantedTimescales
from isotau.convert.simulate.lif_dynamics import simulate_lif
from isotau.convert.simulate.rate_dynamics import simulate_rate
from isotau.convert.tuning import timescale_target
from isotau.convert.tuning.learner.tune_config import TuneConfig
from isotau.convert.tuning.loss.batch import Source
from isotau.convert.tuning.loss.objective import Objective
from isotau.convert.tuning.session import Quantization
from isotau.convert.tuning.timescale_target import (
    Look,
    aim_at,
    assigned,
    target_of_lif,
    target_of_rate,
)
from isotau.convert.tuning.tune_loop import tune

TRIALS = 40


@pytest.fixture
def rate():
    """Units that do not hear each other: each an AR(1) of its own τ, but the last."""
    return RateRNN(
        w_rec=np.zeros((4, 4)),
        w_in=np.zeros((4, 1)),
        w_out=np.ones((1, 4)),
        bias=np.zeros(4),
        b_out=np.zeros(1),
        dale=np.ones(4),
        tau=np.array([0.02, 0.05, 0.1, 0.2]),
        activation="sigmoid",
        noise_std=0.1,
        dt=0.005,
    )


@pytest.fixture
def noisy(lif_net):
    return dataclasses.replace(lif_net, current_noise_std=1e-3)


def silence(seconds, channels, trials=TRIALS):
    return lambda dt: np.zeros((round(seconds / dt), trials, channels))


def covariance(states, k):
    """Over trials, by hand; samples × trial × unit."""
    x = states - states.mean(axis=1, keepdims=True)
    product = (x[: len(x) - k] * x[k:]).sum(axis=1).mean(axis=0)
    return product / (states.shape[1] - 1)


def test_lags_where_none_are_asked_for():
    aim = aim_at(volts=np.ones(4), interval=0.005)
    assert aim.lags[0] == 0 and aim.lags[-1] == pytest.approx(0.24)
    short = WantedTimescales(correlation=np.ones((2, 4)), lags=[0.0, 0.03])
    aim = aim_at(volts=np.ones(4), interval=0.005, wanted=short)
    assert aim.lags[-1] == pytest.approx(0.03)
    aim = aim_at(volts=np.ones(8), copies=2, interval=0.005, lags=(0.0, 0.02))
    assert aim.covariance.shape == (2, 4) and aim.lags.tolist() == [0, 0.02]
    with pytest.raises(ValueError, match=r"lags: got 0.003 s, need multiples of the 0"):
        aim_at(volts=np.ones(4), interval=0.005, lags=(0.0, 0.003))


@pytest.mark.parametrize("interval", [0.005, 0.01])
def test_a_rate_networks_states_are_its_x(rate, interval, monkeypatch):
    aim = aim_at(volts=np.ones(4), interval=interval, lags=(0.0, 0.02, 0.1))
    look = Look(silence(0.8, 1), 0.3, 5)
    target = target_of_rate(rate, look, aim)
    x = simulate_rate(rate, look.shown(0.005), seed=5, keep_x=True).x[60:]
    every = round(interval / 0.005)
    x = x[every - 1 :: every]
    for lag, row in zip(aim.lags, target.covariance, strict=True):
        expected = covariance(x, round(lag / interval))
        np.testing.assert_allclose(row, expected, rtol=1e-10)
    assert target.reliability.all()
    # in parts, as a large network's states come
    monkeypatch.setattr(timescale_target, "HELD", 160 * 4 * 7)
    parts = target_of_rate(rate, look, aim)
    np.testing.assert_allclose(parts.covariance, target.covariance, rtol=1e-12)


def test_a_known_process_has_the_known_curve(rate):
    aim = aim_at(volts=np.ones(4), interval=0.005, lags=(0.0, 0.02, 0.05))
    target = target_of_rate(rate, Look(silence(3.0, 1, 200), 1.0, 1), aim)
    # (R2): what is left of x after a step is 1 − dt/τ
    keep = 1 - 0.005 / rate.tau
    ratio = target.covariance[1:] / target.covariance[0]
    expected = keep ** (np.array([0.02, 0.05]) / 0.005)[:, None]
    np.testing.assert_allclose(ratio, expected, atol=0.06)


def test_an_epoch_is_cut_out(rate):
    aim = aim_at(volts=np.ones(4), interval=0.005, lags=(0.0, 0.05), epoch=(0.2, 0.4))
    look = Look(silence(0.8, 1), 0.3, 5)
    target = target_of_rate(rate, look, aim)
    x = simulate_rate(rate, look.shown(0.005), seed=5, keep_x=True).x[60:]
    np.testing.assert_allclose(
        target.covariance[1], covariance(x[40:80], 10), rtol=1e-10
    )


@pytest.mark.parametrize("lead", [0.2, 0.203])
def test_a_lif_networks_states_are_its_currents(noisy, lead):
    volts = np.linspace(1e-3, 3e-3, 20)
    aim = aim_at(volts=volts, copies=2, interval=0.005, lags=(0.0, 0.04))
    look = Look(silence(lead + 0.4, 2), lead, 3)
    target = target_of_lif(noisy, look, aim)
    skipped = round(lead / noisy.dt) % 5
    shown = look.shown(noisy.dt)[skipped:]
    i = simulate_lif(noisy, shown, seed=3, record=("i",)).i.astype(float)
    x = i[round(lead / noisy.dt) - skipped :][4::5] / volts
    units = x.reshape(80, TRIALS, 10, 2).mean(axis=3)
    np.testing.assert_allclose(target.covariance[0], covariance(units, 0), rtol=1e-5)
    np.testing.assert_allclose(target.covariance[1], covariance(units, 8), rtol=1e-4)


def test_a_users_timescales_have_the_networks_variance_unless_they_say(noisy):
    aim = aim_at(volts=np.ones(20), interval=0.005, lags=(0.0, 0.05))
    look = Look(silence(0.6, 2), 0.2, 3)
    own = target_of_lif(noisy, look, aim)
    tau = np.linspace(0.02, 0.2, 20)
    tau[4] = np.nan
    target = target_of_lif(noisy, look, aim, wanted=WantedTimescales(tau=tau))
    np.testing.assert_array_equal(target.reliability, np.isfinite(tau))
    there = np.isfinite(tau)
    np.testing.assert_allclose(
        target.covariance[:, there],
        (own.covariance[0] * np.exp(-aim.lags[:, None] / tau))[:, there],
    )
    given = WantedTimescales(tau=tau, variance=np.arange(1.0, 21))
    target = target_of_lif(noisy, look, aim, wanted=given)
    np.testing.assert_allclose(target.covariance[0, there], np.arange(1.0, 21)[there])


def test_the_distribution_of_other_neurons_goes_by_rank():
    lags = np.array([0.0, 0.01, 0.02])
    taus = np.array([0.1, 0.02, 0.05, 0.03])
    own = 3 * np.exp(-lags[:, None] / taus)
    recorded = WantedTimescales(tau=[0.4, np.nan, 0.2, 0.3, 0.1, 0.5, 0.6, 0.7, 0.8])
    curves = assigned(recorded, own, lags)
    tau = -0.01 / np.log(curves[1])
    expected = np.quantile(np.arange(1, 9) / 10, [0.875, 0.125, 0.625, 0.375])
    np.testing.assert_allclose(tau, expected)
    same = assigned(WantedTimescales(tau=taus), own, lags)
    np.testing.assert_allclose(same, own / 3)
    curves = WantedTimescales(correlation=np.ones((2, 3)), lags=[0.0, 0.1])
    with pytest.raises(ValueError, match="got curves of 3 neurons, need 4, one for ea"):
        assigned(curves, own, lags)


def test_states_that_do_not_move_are_refused(rate):
    still = dataclasses.replace(rate, noise_std=0.0, x0_std=0.0)
    aim = aim_at(volts=np.ones(4), interval=0.005, lags=(0.0, 0.05))
    with pytest.raises(ValueError, match="timescales: got states that do not vary ove"):
        target_of_rate(still, Look(silence(0.3, 1), 0.1, 1), aim)


@pytest.mark.slow
@pytest.mark.parametrize("quantized", [False, True])
def test_tuning_brings_time_constants_to_those_wanted(noisy, quantized):
    """Neurons that do not hear each other: what a state remembers is τ_syn."""
    alone = dataclasses.replace(noisy, w_rec=0 * noisy.w_rec)
    wanted = WantedTimescales(tau=np.geomspace(0.015, 0.08, 20)[::-1].copy())
    # the chip's noise has sizes in powers of two: there the shape is asked for
    size = 0.0 if quantized else 1.0
    aim = aim_at(volts=np.ones(20), interval=0.005, amplitude=size)
    target = target_of_lif(
        alone, Look(silence(1.3, 2, 100), 0.3, 3), aim, wanted=wanted
    )

    def draw(batch, rng):
        return Trials(
            inputs=rng.standard_normal((20, batch, 2)),
            targets=np.zeros((20, batch, 2)),
            mask=np.ones((20, batch), dtype=bool),
            labels=np.zeros(batch, dtype=int),
            dt=alone.dt,
            task="none",
        )

    chip = None
    if quantized:
        run = simulate_lif(alone, draw(20, np.random.default_rng(1)).inputs, seed=1)
        chip = Quantization(run.ranges, 6.0)
    tuned = tune(
        alone,
        Source(draw=draw, score=lambda _, trials: np.ones(trials.batch)),
        objective=Objective(task="none", timescales=target),
        config=TuneConfig(
            train=("tau_syn",),
            learning_rate=0.1,
            updates=60,
            halve_every=15,
            evaluate_every=20,
            batch=4,
            evaluate_trials=4,
        ),
        quantization=chip,
    )
    before, after = (
        np.log(tau / wanted.tau) for tau in (alone.tau_syn, tuned.network.tau_syn)
    )
    assert np.std(before) > 0.5 and np.abs(before).max() > 1
    assert np.std(after) < 0.12 and np.abs(np.median(after)) < 0.08
    assert tuned.best.losses["timescales"] < 0.1 * tuned.evaluations[0].losses["total"]
