"""`convert`: any activation, both methods, copies."""

import dataclasses

import pytest

from isotau.convert.records.storage import same
from isotau.convert.records.trials import refine
from isotau.convert.simulate.lif_dynamics import simulate_lif
from isotau.convert.simulate.rate_dynamics import simulate_rate
from isotau.convert.simulate.readout import network_outputs
from isotau.convert.to_lif.change_variables import replicate
from isotau.convert.to_lif.convert_rate import ConvertConfig, convert_rate
from isotau.convert.to_lif.search_lambda import search_lambda
from isotau.convert.to_lif.teacher import CalibrateConfig

CALIBRATED = ConvertConfig()
SCALED = ConvertConfig(method="scale")


@pytest.mark.parametrize("dale", [False, True], ids=["mixed", "dale"])
@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu", "softplus", "lif"])
def test_every_activation_is_calibrated(step_task, activation, dale):
    if activation == "tanh" and dale:
        pytest.skip("rates below 0 and Dale's law exclude each other")
    net = step_task.network(activation, dale=dale)
    fresh, score = step_task.trials(40, 99), step_task.score
    outputs = simulate_rate(net, fresh.inputs, seed=1).outputs
    assert score(outputs, fresh).mean() == 1.0
    found = convert_rate(net, step_task.trials(30), score=score, seed=0)
    assert found.method == "calibrate" and found.rate is net
    assert found.constants.burn_in == 0 and found.network.n == net.n
    assert len(found.residual) == found.chosen.rounds + 1
    fine = refine(fresh, found.network.dt)
    spikes = simulate_lif(found.network, fine.inputs, seed=8).spikes
    assert score(network_outputs(found.network, spikes), fine).mean() >= 0.95
    if dale:
        assert not (found.network.w_rec * net.dale < 0).any()
        assert not found.network.w_rec[net.w_rec == 0].any()


def test_copies_are_a_population_code(step_task):
    net, shown = step_task.network("tanh"), step_task.trials(12)
    found, fewer = (
        convert_rate(
            net,
            shown,
            score=step_task.score,
            seed=0,
            config=dataclasses.replace(CALIBRATED, copies=copies),
        )
        for copies in (4, 1)
    )
    assert found.network.n == found.rate.n == 4 * net.n
    assert same(found.rate, replicate(net, 4))
    assert found.chosen.error < fewer.chosen.error
    assert (found.chosen.copies, fewer.chosen.copies) == (4, 1)


def test_scaling_is_the_search_for_lambda(step_task):
    net, shown, score = (
        step_task.network("sigmoid"),
        step_task.trials(6),
        step_task.score,
    )
    config = dataclasses.replace(
        SCALED, copies=2, calibration=CalibrateConfig(lag=2e-3, current_noise=0.7)
    )
    found = convert_rate(net, shown, score=score, seed=1, config=config)
    wide = replicate(net, 2)
    direct = search_lambda(
        wide, shown, score=score, seed=1, lag=2e-3, current_noise=0.7
    )
    assert found.method == "scale"
    assert same(found.network, direct.network)
    tried = [dataclasses.asdict(candidate) for candidate in found.candidates]
    assert tried == [dataclasses.asdict(candidate) for candidate in direct.candidates]


def test_the_same_seed_gives_the_same_network(step_task):
    net, shown = step_task.network("relu"), step_task.trials(6)
    first, again, other = (
        convert_rate(net, shown, score=step_task.score, seed=seed).network
        for seed in (1, 1, 2)
    )
    assert same(first, again) and not same(first, other)


def test_bad_arguments_are_named(step_task):
    net, trials, score = step_task.network("tanh"), step_task.trials, step_task.score
    with pytest.raises(ValueError, match="trials: got 3, need at least 4"):
        convert_rate(net, trials(3), score=score, seed=0)
    with pytest.raises(ValueError, match=r"trials: got steps of 0.005 s, need"):
        convert_rate(net, refine(trials(4), 0.005), score=score, seed=0)
    with pytest.raises(ValueError, match="method: got 'guess', need one of calibrate"):
        ConvertConfig(method="guess")
    with pytest.raises(ValueError, match="copies: got 0, need 1 to"):
        ConvertConfig(copies=0)
