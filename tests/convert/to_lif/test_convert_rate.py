"""`convert`: any activation, both methods, and an honest choice."""

import dataclasses

import numpy as np
import pytest

from isotau.convert.records.rate import RateRNN
from isotau.convert.records.storage import same
from isotau.convert.records.trials import Trials, refine, subset
from isotau.convert.simulate.lif_dynamics import simulate_lif
from isotau.convert.simulate.rate_dynamics import simulate_rate
from isotau.convert.simulate.readout import read_out
from isotau.convert.to_lif.change_variables import replicate
from isotau.convert.to_lif.convert_rate import ConvertConfig, convert_rate
from isotau.convert.to_lif.search_lambda import search_lambda
from isotau.convert.to_lif.teacher import CalibrateConfig

CALIBRATED = ConvertConfig()
QUIET = ConvertConfig(calibration=CalibrateConfig(current_noise=0.0))
"""Without noise in the currents: the state at rest is not looked at."""
SCALED = ConvertConfig(method="scale")


def trials(batch: int, seed: int = 0) -> Trials:
    """A step of input, up or down, asks for an output of ±1."""
    rng = np.random.default_rng(seed)
    sign = rng.choice([-1, 1], batch)
    inputs, targets = np.zeros((2, 50, batch, 1))
    inputs[10:, :, 0] = sign
    targets[30:, :, 0] = sign
    inputs = inputs + 0.1 * rng.standard_normal(inputs.shape)
    mask = np.zeros((50, batch), dtype=bool)
    mask[30:] = True
    return Trials(
        inputs=inputs, targets=targets, mask=mask, labels=sign, dt=0.01, task="step"
    )


def score(outputs: np.ndarray, shown: Trials) -> np.ndarray:
    late = outputs[-shown.steps // 4 :, :, 0].mean(axis=0)
    return np.abs(late - shown.labels) < 0.5


def stepping(activation: str, *, dale: bool = False) -> RateRNN:
    """Return a random network whose readout is fitted to the task by least squares."""
    rng = np.random.default_rng(2)
    n = 32
    signs = np.where(np.arange(n) < 24, 1, -1)
    w = rng.standard_normal((n, n)) / np.sqrt(n) * 0.5
    w = np.abs(w) * signs * (rng.random((n, n)) < 0.5) if dale else w
    net = RateRNN(
        w_rec=w,
        w_in=rng.standard_normal((n, 1)),
        w_out=np.zeros((1, n)),
        bias=0.2 * rng.standard_normal(n),
        b_out=[0.0],
        tau=rng.uniform(0.03, 0.1, n),
        dale=signs if dale else np.zeros(n),
        activation=activation,
        noise_std=0.05,
        dt=0.01,
        ceiling=20.0 if activation in ("relu", "softplus") else None,
    )
    shown = trials(40, 7)
    rates = simulate_rate(net, shown.inputs, seed=0).rates[shown.mask]
    ones = np.ones((len(rates), 1))
    both = np.hstack([rates, ones])
    gram = both.T @ both + 0.05 * len(both) * np.eye(n + 1) / n
    fit = np.linalg.solve(gram, both.T @ shown.targets[shown.mask])
    return dataclasses.replace(net, w_out=fit[:-1].T, b_out=fit[-1])


def accuracy(net, shown: Trials, seed: int) -> float:
    fine = refine(shown, net.dt)
    spikes = simulate_lif(net, fine.inputs, seed=seed).spikes
    outputs = read_out(
        spikes, w_out=net.w_out, b_out=net.b_out, tau=net.tau_syn, f0=net.f0
    )
    return float(score(outputs, fine).mean())


@pytest.mark.parametrize("dale", [False, True], ids=["mixed", "dale"])
@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu", "softplus", "lif"])
def test_every_activation_is_calibrated(activation, dale):
    if activation == "tanh" and dale:
        pytest.skip("rates below 0 and Dale's law exclude each other")
    net, fresh = stepping(activation, dale=dale), trials(40, 99)
    outputs = simulate_rate(net, fresh.inputs, seed=1).outputs
    assert score(outputs, fresh).mean() == 1.0
    found = convert_rate(net, trials(30), score=score, seed=0, config=CALIBRATED)
    assert found.method == "calibrate" and found.rate is net
    assert found.constants.burn_in == 0 and found.network.n == net.n
    assert len(found.residual) == 2
    assert accuracy(found.network, fresh, 8) >= 0.95
    if dale:
        assert not (found.network.w_rec * net.dale < 0).any()
        assert not found.network.w_rec[net.w_rec == 0].any()


def test_the_choice_is_made_on_other_trials_than_the_fit():
    """The chosen figures are those of the last third, which no fit has seen."""
    net, shown = stepping("tanh"), trials(12)
    # any accuracy will do, so that one swing is tried
    once = dataclasses.replace(CALIBRATED, good_enough=0.0)
    found = convert_rate(net, shown, score=score, seed=4, config=once)
    assert [c.rounds for c in found.candidates] == [0, 1]
    assert found.chosen in found.candidates
    others = subset(shown, slice(8, None))
    assert accuracy(found.network, others, 4) == found.chosen.accuracy
    # trials that only the choice sees do not move the weights
    inputs = shown.inputs.copy()
    inputs[:, 8:] += np.random.default_rng(0).standard_normal(inputs[:, 8:].shape)
    noisier = dataclasses.replace(shown, inputs=inputs)
    unrounded = dataclasses.replace(once, calibration=CalibrateConfig(rounds=0))
    first, other = (
        convert_rate(net, each, score=score, seed=4, config=unrounded)
        for each in (shown, noisier)
    )
    assert same(first.network, other.network)
    assert first.chosen.error != other.chosen.error


def test_other_swings_are_tried_until_one_will_do():
    """Nothing is good enough here, so that all are tried and the best is taken."""
    net, shown = stepping("tanh"), trials(6)
    swing = CALIBRATED.calibration.swing

    def impossible(outputs: np.ndarray, trials: Trials) -> np.ndarray:
        # right in the rate network's own steps only
        return np.full(trials.batch, trials.dt == net.dt)

    found = convert_rate(net, shown, score=impossible, seed=0, config=QUIET)
    units = [c.unit for c in found.candidates]
    factors = np.repeat([1.0, 2.0, 0.5, 2.0], 2)
    np.testing.assert_allclose(np.array(units) / units[0], factors)
    assert found.chosen.error == min(c.error for c in found.candidates)
    assert found.constants.unit == found.chosen.unit
    assert 0.2 * swing < found.constants.unit < 10 * swing


def test_a_given_offset_holds_for_every_attempt():
    net, shown = stepping("tanh"), trials(6)
    config = dataclasses.replace(
        CALIBRATED, calibration=CalibrateConfig(rounds=0, offset=3e-3)
    )

    def impossible(outputs: np.ndarray, trials: Trials) -> np.ndarray:
        return np.full(trials.batch, trials.dt == net.dt)

    found = convert_rate(net, shown, score=impossible, seed=0, config=config)
    assert found.constants.v_leak - found.constants.v_th == pytest.approx(3e-3)
    # swings ×1, ×2 and ×0.5; ×2 comes with two offsets otherwise
    assert len(found.candidates) == 3


def test_a_softplus_network_begins_at_threshold_and_with_twice_the_swing():
    net, shown = stepping("softplus"), trials(6)
    easy = dataclasses.replace(CALIBRATED, good_enough=0.0)
    found = convert_rate(net, shown, score=score, seed=0, config=easy)
    assert found.constants.v_leak == pytest.approx(found.constants.v_th)
    given = dataclasses.replace(easy, calibration=CalibrateConfig(offset=1e-3))
    other = convert_rate(net, shown, score=score, seed=0, config=given)
    assert other.constants.unit == pytest.approx(found.constants.unit)


def test_copies_are_a_population_code():
    net = stepping("tanh")
    config = dataclasses.replace(CALIBRATED, copies=4)
    found = convert_rate(net, trials(12), score=score, seed=0, config=config)
    assert found.network.n == found.rate.n == 4 * net.n
    assert same(found.rate, replicate(net, 4))
    fewer = convert_rate(net, trials(12), score=score, seed=0, config=CALIBRATED)
    assert found.chosen.error < fewer.chosen.error


def test_scaling_is_the_search_for_lambda():
    net, shown = stepping("sigmoid"), trials(6)
    config = dataclasses.replace(
        SCALED, copies=2, calibration=CalibrateConfig(lag=2e-3)
    )
    found = convert_rate(net, shown, score=score, seed=1, config=config)
    wide = replicate(net, 2)
    direct = search_lambda(wide, shown, score=score, seed=1, lag=2e-3)
    assert found.method == "scale"
    assert same(found.network, direct.network)
    tried = [dataclasses.asdict(candidate) for candidate in found.candidates]
    assert tried == [dataclasses.asdict(candidate) for candidate in direct.candidates]


def test_the_same_seed_gives_the_same_network():
    net, shown = stepping("relu"), trials(6)
    first, again, other = (
        convert_rate(net, shown, score=score, seed=seed).network for seed in (1, 1, 2)
    )
    assert same(first, again) and not same(first, other)


def test_bad_arguments_are_named():
    net = stepping("tanh")
    with pytest.raises(ValueError, match="trials: got 2, need at least 3"):
        convert_rate(net, trials(2), score=score, seed=0)
    with pytest.raises(ValueError, match=r"trials: got steps of 0.005 s, need"):
        convert_rate(net, refine(trials(3), 0.005), score=score, seed=0)
    with pytest.raises(ValueError, match="method: got 'guess', need one of calibrate"):
        ConvertConfig(method="guess")
    with pytest.raises(ValueError, match="copies: got 0, need 1 to"):
        ConvertConfig(copies=0)
