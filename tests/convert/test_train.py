from typing import Any

import numpy as np
import pytest
import torch

from isotau.convert.rate_dynamics import simulate_rate
from isotau.convert.storage import same
from isotau.convert.train import (
    Parameters,
    TrainConfig,
    as_rate_rnn,
    evaluate,
    initial,
    train,
    update_loss,
)
from isotau.convert.trials import Trials
from isotau.sim.tasks import GO_NOGO

SMALL = TrainConfig(
    n=40,
    p_rec=0.5,
    inhibition=4.0,
    training_noise_std=0.1,
    max_iterations=400,
    min_trials=0,
)


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    """Keep torch on one thread: small matrices, and the same sums in every run."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def fresh(config: TrainConfig, seed: int = 0) -> tuple[Parameters, Trials]:
    trials = GO_NOGO.draw(6, np.random.default_rng(seed))
    return initial(config, trials, torch.Generator().manual_seed(seed)), trials


@pytest.mark.slow
def test_a_small_network_learns_go_nogo_from_chance() -> None:
    trained = train(
        GO_NOGO.draw, GO_NOGO.score_strict, SMALL, rng=np.random.default_rng(0)
    )
    assert trained.converged
    assert min(e.accuracy for e in trained.evaluations[:3]) < 0.7
    assert trained.losses[-1] < 0.5 * trained.losses[0]
    net, rng = trained.net, np.random.default_rng(1)
    trials = GO_NOGO.draw(200, rng)
    loss, accuracy = evaluate(net, trials, GO_NOGO.score, rng=rng)
    assert accuracy >= 0.98 and loss < SMALL.stop_loss + 0.5
    assert not (net.w_rec * net.dale < 0).any()
    assert 0.020 < net.tau.min() < net.tau.max() < 0.100


def few(**changed: Any) -> TrainConfig:
    fields: dict[str, Any] = {
        "n": 20,
        "batch": 4,
        "max_iterations": 6,
        "evaluate_every": 3,
        "evaluate_trials": 10,
    }
    return TrainConfig(**(fields | changed))


def after(config: TrainConfig, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    return train(GO_NOGO.draw, GO_NOGO.score_strict, config, rng=rng)


def test_the_generator_decides_everything() -> None:
    first, again, other = after(few()), after(few()), after(few(), seed=1)
    assert same(first.net, again.net) and not same(first.net, other.net)
    assert first.losses.tolist() == again.losses.tolist()
    assert [e.iteration for e in first.evaluations] == [3, 6]


def test_signs_and_missing_connections_outlast_training() -> None:
    trained = after(few(learning_rate=0.1))
    start = after(few(max_iterations=0)).net
    assert np.array_equal(start.dale, trained.net.dale)
    assert np.array_equal(start.w_in, trained.net.w_in)
    assert not ((start.w_rec == 0) & (trained.net.w_rec != 0)).any()
    assert not (trained.net.w_rec * trained.net.dale < 0).any()
    for changing in ("w_rec", "w_out", "b_out", "tau"):
        assert not np.array_equal(
            getattr(start, changing), getattr(trained.net, changing)
        )


def test_networks_start_as_published() -> None:
    config = TrainConfig(n=400, inhibition=3.0)
    parameters, trials = fresh(config)
    net = as_rate_rnn(parameters, config, trials.dt)
    inhibitory = net.dale == -1
    assert 0.14 < inhibitory.mean() < 0.26
    assert (net.w_rec != 0).mean() == pytest.approx(0.2, abs=0.01)
    scale = 1.5 / np.sqrt(400 * 0.2) * np.sqrt(2 / np.pi)
    for columns, factor in ((~inhibitory, 1.0), (inhibitory, -3.0)):
        weights = net.w_rec[:, columns]
        mean = weights[weights != 0].mean()
        assert mean == pytest.approx(factor * scale, rel=0.05)
    assert net.w_in.std() == pytest.approx(1.0, rel=0.15)
    assert net.w_out.std() == pytest.approx(0.01, rel=0.15)
    assert np.median(net.tau) == pytest.approx(0.06, rel=0.1)


@pytest.mark.parametrize("activation", ["sigmoid", "relu", "softplus"])
def test_the_loss_is_that_of_the_simulated_network(activation: str) -> None:
    config = few(activation=activation, training_noise_std=0.0)
    parameters, trials = fresh(config)
    seed = torch.Generator().manual_seed(7)
    loss = float(update_loss(parameters, config, trials, seed).detach())
    net = as_rate_rnn(parameters, config, trials.dt)
    start = torch.randn((6, 20), generator=torch.Generator().manual_seed(7))
    outputs = simulate_rate(
        net,
        trials.inputs,
        rng=np.random.default_rng(0),
        noise=False,
        x0=0.01 * start.double().numpy(),
    ).outputs
    expected = [
        np.linalg.norm(outputs[:, k, 0] - trials.targets[:, k, 0]) for k in range(6)
    ]
    assert loss == pytest.approx(np.mean(expected), rel=1e-4)


def test_steps_that_do_not_count_do_not_enter_the_loss() -> None:
    config = few(training_noise_std=0.0)
    parameters, trials = fresh(config)
    mask = np.zeros((trials.steps, trials.batch), dtype=bool)
    mask[10] = True
    one = Trials(
        inputs=trials.inputs,
        targets=trials.targets,
        mask=mask,
        labels=trials.labels,
        dt=trials.dt,
        task=trials.task,
    )
    loss = update_loss(parameters, config, one, torch.Generator().manual_seed(1))
    net = as_rate_rnn(parameters, config, one.dt)
    rng = np.random.default_rng(0)
    outputs = simulate_rate(net, one.inputs, rng=rng, noise=False).outputs
    assert float(loss.detach()) == pytest.approx(np.abs(outputs[10]).mean(), rel=0.02)


def test_gradients_reach_everything_that_is_trained() -> None:
    parameters, trials = fresh(few())
    update_loss(parameters, few(), trials, torch.Generator().manual_seed(0)).backward()
    for tensor in parameters.trained:
        assert tensor.grad is not None and (tensor.grad != 0).any()
    assert parameters.w_in.grad is None and parameters.signs.grad is None
    missing = parameters.w == 0
    assert parameters.w.grad is not None
    assert missing.any() and not parameters.w.grad[missing].any()


def test_the_slope_for_tau_is_that_of_a_finite_difference() -> None:
    config = few(training_noise_std=0.0)
    parameters, trials = fresh(config)
    double = Parameters(*(p.detach().double() for p in parameters))

    def loss(shift: float) -> float:
        moved = double.taus_gaus.clone()
        moved[3] += shift
        net = as_rate_rnn(double._replace(taus_gaus=moved), config, trials.dt)
        rng = np.random.default_rng(0)
        zero = np.zeros((6, 20))
        run = simulate_rate(net, trials.inputs, rng=rng, noise=False, x0=zero)
        return float(np.sqrt(((run.outputs - trials.targets) ** 2).sum(axis=0)).mean())

    update_loss(parameters, config, trials, torch.Generator().manual_seed(0)).backward()
    assert parameters.taus_gaus.grad is not None
    slope = (loss(1e-4) - loss(-1e-4)) / 2e-4
    # x_0 differs: zero in one, N(0, 0.01²) in the other.
    assert float(parameters.taus_gaus.grad[3]) == pytest.approx(slope, rel=0.1)


def test_equal_ends_fix_tau() -> None:
    net = after(few(tau_min=0.035, tau_max=0.035)).net
    assert net.tau == pytest.approx(np.full(20, 0.035))


def test_training_stops_only_when_enough_evaluations_in_a_row_pass() -> None:
    easy: dict[str, Any] = {
        "max_iterations": 30,
        "stop_loss": 1e9,
        "stop_accuracy": 0.0,
        "min_trials": 0,
    }
    assert after(few(**easy, stop_after=2)).losses.size == 6
    assert after(few(**easy, stop_after=4)).converged
    assert after(few(**(easy | {"min_trials": 40}))).losses.size == 12
    unmet = after(few(**(easy | {"stop_accuracy": 1.0})))
    assert unmet.losses.size == 30 and not unmet.converged


def test_nothing_trained_has_not_converged() -> None:
    trained = after(few(max_iterations=0))
    assert trained.losses.size == 0 and not trained.converged


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"n": 0}, r"n: got 0, need 1 to"),
        ({"max_iterations": -1}, r"max_iterations: got -1, need 0 to"),
        ({"gain": 0.0}, r"gain: got 0\.0, need numbers greater than 0"),
        ({"noise_std": -0.1}, r"noise_std: got -0\.1, need numbers of at least 0"),
        ({"p_inh": 1.5}, r"p_inh: got 1\.5, need 0 to 1"),
        ({"tau_max": 0.01}, r"tau_max: got 0\.01 s, need at least 0\.02 \(tau_min\)"),
        ({"activation": "tanh"}, r"activation: got 'tanh', need one of sigmoid"),
    ],
)
def test_a_configuration_is_checked(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrainConfig(**changed)
