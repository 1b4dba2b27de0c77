import dataclasses
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch

from isotau.convert.records.trials import Trials
from isotau.convert.simulate.rate_dynamics import simulate_rate
from isotau.convert.training import TrainConfig
from isotau.convert.training.parameters import Stack, as_rate_rnn
from isotau.convert.training.state import CONVERGED, FAILED, TrainingState, begin
from isotau.convert.training.update import (
    TrainingSetup,
    as_batch,
    evaluate,
    gradient,
    losses_of,
    may_stop,
    update,
)
from isotau.sim.tasks import GO_NOGO

TRIALS = GO_NOGO.draw(6, np.random.default_rng(0))


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as threads:
        yield threads


def job(
    config: TrainConfig, pool: ThreadPoolExecutor, workers: int = 1
) -> TrainingSetup:
    return TrainingSetup(
        draw=GO_NOGO.draw,
        score=GO_NOGO.score_strict,
        config=config,
        pool=pool,
        workers=workers,
    )


def chance(seed: int = 7) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed)]


def begun(config: TrainConfig, seeds: tuple[int, ...] = (0,)) -> TrainingState:
    return begin(GO_NOGO.draw, config, seeds)[0]


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"activation": "lif", "train_bias": True},
        {"activation": "relu", "ceiling": 2.0, "p_inh": None},
        {"activation": "softplus", "train_inputs": "gains"},
        {"activation": "tanh", "rank": 2, "p_inh": None, "train_outputs": "gains"},
        {"loss": "mse", "rate_penalty": 0.5},
    ],
)
def test_the_loss_is_that_of_the_simulated_network(
    changed: dict[str, Any], few: Any
) -> None:
    config = few(training_noise_std=0.0, **changed)
    stack = begun(config).stack
    for part in stack.trained.values():
        part += 0.01
    batch = as_batch([TRIALS], chance(), stack.fixed["x0"], config)
    start = batch.trace[0, 0].double().numpy()
    loss = float(losses_of(stack, config, batch, TRIALS.dt)[0])
    run = simulate_rate(
        as_rate_rnn(stack, config, TRIALS.dt),
        TRIALS.inputs,
        rng=np.random.default_rng(0),
        noise=False,
        x0=start,
    )
    error = run.outputs - TRIALS.targets
    if config.loss == "mse":
        expected = (error**2).mean() + 0.5 * (run.rates**2).mean()
    else:
        expected = np.mean([np.linalg.norm(error[:, b]) for b in range(6)])
    assert loss == pytest.approx(expected, rel=1e-4)


def test_steps_that_do_not_count_do_not_enter_the_loss(few: Any) -> None:
    config = few(training_noise_std=0.0, x0_std=0.0)
    mask = np.zeros((TRIALS.steps, TRIALS.batch), dtype=bool)
    mask[10] = True
    one = dataclasses.replace(TRIALS, mask=mask)
    stack = begun(config).stack
    batch = as_batch([one], chance(), stack.fixed["x0"], config)
    loss = float(losses_of(stack, config, batch, one.dt)[0])
    net = as_rate_rnn(stack, config, one.dt)
    rng = np.random.default_rng(0)
    outputs = simulate_rate(net, one.inputs, rng=rng, noise=False).outputs
    assert loss == pytest.approx(np.abs(outputs[10]).mean(), rel=1e-3)


def test_slopes_are_those_of_finite_differences(few: Any) -> None:
    config = few(
        training_noise_std=0.0, x0_std=0.0, train_inputs="gains", train_bias=True
    )
    stack = begun(config).stack
    _, grads = gradient(stack, config, [TRIALS], chance())

    def loss(name: str, place: tuple[int, ...], shift: float) -> float:
        moved = {key: part.detach().double() for key, part in stack.trained.items()}
        moved[name] = moved[name].clone()
        moved[name][place] += shift
        fixed = {key: part.double() for key, part in stack.fixed.items()}
        net = as_rate_rnn(Stack(moved, fixed), config, TRIALS.dt)
        rng = np.random.default_rng(0)
        run = simulate_rate(net, TRIALS.inputs, rng=rng, noise=False)
        return float(np.sqrt(((run.outputs - TRIALS.targets) ** 2).sum(axis=0)).mean())

    strongest = tuple(np.argwhere(grads["w"].numpy() > 0)[5])
    places: dict[str, tuple[int, ...]] = {
        "w": strongest,
        "tau": (0, 3),
        "gain_in": (0, 0),
        "bias": (0, 5),
        "w_out": (0, 0, 7),
        "b_out": (0, 0),
    }
    assert places.keys() == grads.keys()
    for name, place in places.items():
        slope = (loss(name, place, 1e-4) - loss(name, place, -1e-4)) / 2e-4
        assert float(grads[name][place]) == pytest.approx(slope, rel=1e-2, abs=1e-6)


def test_missing_connections_get_no_gradient(few: Any) -> None:
    for p_inh in (0.2, None):
        config = few(p_inh=p_inh)
        stack = begun(config).stack
        missing = stack.trained["w"] == 0
        _, grads = gradient(stack, config, [TRIALS], chance())
        assert missing.any() and not grads["w"][missing].any()
        assert (grads["w"][~missing] != 0).all()


def test_an_update_leaves_the_old_state_alone(few: Any, pool: Any) -> None:
    state = begun(few(), (0, 1))
    before = {name: part.clone() for name, part in state.stack.trained.items()}
    after = update(state, job(few(), pool))
    again = update(state, job(few(), pool, workers=2))
    for name, part in before.items():
        assert torch.equal(state.stack.trained[name], part)
        torch.testing.assert_close(after.stack.trained[name], again.stack.trained[name])
        assert torch.equal(after.previous[name], part)
        assert not torch.equal(after.stack.trained[name], part)
    assert state.iteration == 0 and after.iteration == 1
    assert np.isfinite(after.losses[:, 0]).all() and np.isnan(after.losses[:, 1]).all()


def spoiled(state: TrainingState, name: str, k: int, value: float) -> TrainingState:
    trained = {key: part.clone() for key, part in state.stack.trained.items()}
    trained[name][k] = value
    return dataclasses.replace(state, stack=Stack(trained, state.stack.fixed))


def test_a_network_without_a_finite_loss_goes_back_and_others_go_on(
    few: Any, pool: Any
) -> None:
    config = few()
    fine = update(begun(config, (0, 1, 2)), job(config, pool))
    after = update(spoiled(fine, "w_out", 1, np.inf), job(config, pool))
    other = update(fine, job(config, pool))
    assert after.ended.tolist() == [0, FAILED, 0] and after.running == [0, 2]
    assert not np.isfinite(after.losses[1, 1]) and after.ended_at.tolist() == [2] * 3
    for name, part in after.stack.trained.items():
        assert torch.equal(part[1], fine.previous[name][1])
        for k in (0, 2):
            torch.testing.assert_close(part[k], other.stack.trained[name][k])
    later = update(after, job(config, pool))
    assert later.ended_at.tolist() == [3, 2, 3]
    assert torch.equal(later.stack.trained["w"][1], after.stack.trained["w"][1])


def test_a_network_whose_gradient_alone_is_not_finite_stays(
    few: Any, pool: Any, monkeypatch: Any
) -> None:
    from isotau.convert.training import update as module

    def broken(*given: Any) -> Any:
        loss, grads = gradient(*given)
        grads["w"][0, 0, 0] = np.nan
        return loss, grads

    monkeypatch.setattr(module, "gradient", broken)
    state = begun(few())
    after = update(state, job(few(), pool))
    assert after.ended.tolist() == [FAILED]
    assert torch.equal(after.stack.trained["w"], state.stack.trained["w"])


def test_a_network_fails_at_an_evaluation_without_finite_outputs(
    few: Any, pool: Any, monkeypatch: Any
) -> None:
    from isotau.convert.training import update as module

    config = few(evaluate_every=1)
    monkeypatch.setattr(module, "evaluate", lambda stack, *_: [(float("nan"), 0.0)] * 1)
    state = begun(config)
    after = update(state, job(config, pool))
    assert after.ended.tolist() == [FAILED]
    assert torch.equal(after.stack.trained["w"], state.stack.trained["w"])


def test_evaluations_are_those_of_the_simulated_network(few: Any) -> None:
    config = few(noise_std=0.0, x0_std=0.0)
    stack = begun(config).stack
    stack.trained["w_out"] *= 30
    ((loss, accuracy),) = evaluate(
        stack, config, GO_NOGO.score_strict, [TRIALS], chance()
    )
    net = as_rate_rnn(stack, config, TRIALS.dt)
    outputs = simulate_rate(net, TRIALS.inputs, rng=np.random.default_rng(0)).outputs
    expected = np.sqrt(((outputs - TRIALS.targets) ** 2).sum(axis=(0, 2))).mean()
    assert loss == pytest.approx(expected, rel=1e-4)
    assert accuracy == GO_NOGO.score_strict(outputs, TRIALS).mean()


def test_an_evaluation_without_finite_outputs_is_not_scored(few: Any) -> None:
    stack = begun(few()).stack
    stack.trained["b_out"][0] = np.nan

    def score(outputs: np.ndarray, trials: Trials) -> np.ndarray:
        raise AssertionError

    ((loss, accuracy),) = evaluate(stack, few(), score, [TRIALS], chance())
    assert np.isnan(loss) and accuracy == 0


def test_a_network_that_has_learned_leaves_the_batch(few: Any, pool: Any) -> None:
    config = few(
        evaluate_every=1, stop_after=1, min_trials=0, stop_loss=1e9, stop_accuracy=0.0
    )
    after = update(begun(config, (0, 1)), job(config, pool))
    assert after.ended.tolist() == [CONVERGED, CONVERGED] and not after.running


def test_the_stop_rule(few: Any) -> None:
    config = few(stop_after=2, stop_loss=1.0, stop_accuracy=0.9, min_trials=0)
    good, bad, wrong = (0.5, 1.0), (1.5, 1.0), (0.5, 0.8)
    for scores, expected in (
        ([good], False),
        ([good, good], True),
        ([bad, good, good], True),
        ([good, good, bad], False),
        ([good, wrong, good], False),
    ):
        assert may_stop(np.array(scores), config) is expected
    late = dataclasses.replace(config, min_trials=24)
    assert not may_stop(np.array([good, good]), late)
    assert may_stop(np.array([good] * 3), late)
