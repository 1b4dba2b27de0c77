"""An update of many networks: Adam, trials in one batch, losses, who ends."""

import dataclasses
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch

from isotau.convert.records.trials import Trials, subset
from isotau.convert.simulate.rate_dynamics import simulate_rate
from isotau.convert.training import TrainConfig
from isotau.convert.training.parameters import Stack, as_rate_rnn
from isotau.convert.training.state import (
    CONVERGED,
    FAILED,
    RUNNING,
    TrainingState,
    begin,
)
from isotau.convert.training.update import (
    StackedTrials,
    TrainingSetup,
    adam,
    as_batch,
    evaluate,
    gradient,
    losses_of,
    may_stop,
    norms,
    placed,
    task_loss,
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
        seed=0,
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
    outputs = simulate_rate(net, one.inputs, seed=0, noise=False).outputs
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
        run = simulate_rate(net, TRIALS.inputs, seed=0, noise=False)
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
    outputs = simulate_rate(net, TRIALS.inputs, seed=0).outputs
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


SHAPES = {"w": (3, 4, 4), "b": (3, 4)}


def first_state(seed: int) -> TrainingState:
    chance = torch.Generator().manual_seed(seed)
    trained = {
        name: torch.randn(shape, generator=chance) for name, shape in SHAPES.items()
    }
    zeros = {name: torch.zeros(shape) for name, shape in SHAPES.items()}
    return TrainingState(
        iteration=0,
        stack=Stack(trained, {}),
        previous=trained,
        moments=(zeros, zeros),
        chance=(),
        losses=np.zeros((3, 9)),
        scores=np.zeros((3, 0, 2)),
        ended=np.full(3, RUNNING),
        ended_at=np.zeros(3, dtype=np.int64),
    )


def test_steps_are_those_of_torch() -> None:
    config = TrainConfig(learning_rate=0.03)
    state, places = first_state(0), torch.tensor([0, 2])
    theirs = [state.stack.trained[name][places].clone() for name in SHAPES]
    optimizer = torch.optim.Adam(theirs, lr=0.03)
    chance = torch.Generator().manual_seed(1)
    for k in range(5):
        grads = {
            name: torch.randn((2, *shape[1:]), generator=chance) * 10.0 ** (k - 3)
            for name, shape in SHAPES.items()
        }
        for part, grad in zip(theirs, grads.values(), strict=True):
            part.grad = grad.clone()
        optimizer.step()
        stepped, moments = adam(state, config, places, grads, norms(grads))
        trained = {
            name: placed(state.stack.trained[name], places, stepped[name])
            for name in SHAPES
        }
        from dataclasses import replace

        state = replace(
            state, iteration=k + 1, stack=Stack(trained, {}), moments=moments
        )
    untouched = first_state(0).stack.trained
    for part, name in zip(theirs, SHAPES, strict=True):
        torch.testing.assert_close(state.stack.trained[name][places], part)
        assert torch.equal(state.stack.trained[name][1], untouched[name][1])
        assert not state.moments[1][name][1].any()


def test_gradients_are_clipped_for_each_network_alone() -> None:
    config = TrainConfig(clip=1.0)
    state, places = first_state(0), torch.tensor([0, 1, 2])
    grads = {name: torch.ones(shape) for name, shape in SHAPES.items()}
    for grad in grads.values():
        grad[1] *= 1e-3
    sizes = norms(grads)
    assert sizes.tolist() == pytest.approx([20**0.5, 1e-3 * 20**0.5, 20**0.5])
    _, (first, _) = adam(state, config, places, grads, sizes)
    assert (norms(first) / 0.1).tolist() == pytest.approx([1.0, 1e-3 * 20**0.5, 1.0])


def cut(trials: Trials, steps: int) -> Trials:
    return Trials(
        inputs=trials.inputs[:steps],
        targets=trials.targets[:steps],
        mask=trials.mask[:steps],
        labels=trials.labels,
        dt=trials.dt,
        task=trials.task,
    )


def generators(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def both(config: TrainConfig) -> tuple[StackedTrials, tuple[Trials, Trials]]:
    trials = GO_NOGO.draw(8, np.random.default_rng(0))
    short = cut(trials, 150)
    x0 = torch.tensor([[0.0], [5.0]]).repeat(1, config.n)
    return as_batch([short, trials], generators(1, 2), x0, config), (short, trials)


def test_shorter_trials_are_padded_and_do_not_count() -> None:
    batch, (short, trials) = both(TrainConfig(n=10))
    assert batch.trace.shape == (201, 2, 8, 10)
    assert batch.inputs[:, 1, :, 0].numpy() == pytest.approx(trials.inputs[:, :, 0])
    assert batch.targets[:150, 0].numpy() == pytest.approx(short.targets)
    assert (batch.inputs[..., 1] == 1).all()
    for part in (
        batch.inputs[150:, 0, :, 0],
        batch.mask[150:, 0],
        batch.trace[151:, 0],
    ):
        assert not part.any()


def test_noise_has_the_asked_deviation_and_x0_the_given_mean() -> None:
    config = TrainConfig(n=200, training_noise_std=0.25, x0_std=0.5)
    batch, _ = both(config)
    assert batch.trace[1:, 1].std() == pytest.approx(0.25, rel=0.01)
    assert batch.trace[0].mean(dim=(1, 2)).tolist() == pytest.approx([0, 5], abs=0.05)
    assert batch.trace[0, 0].std() == pytest.approx(0.5, rel=0.05)


def test_noise_can_be_off_and_comes_from_each_network_alone() -> None:
    config = TrainConfig(n=10)
    trials = GO_NOGO.draw(4, np.random.default_rng(0))
    x0 = torch.zeros(2, 10)
    quiet = as_batch([trials] * 2, generators(1, 2), x0, config, 0.0)
    assert not quiet.trace[1:].any() and quiet.trace[0].any()
    pair = as_batch([trials] * 2, generators(1, 2), x0, config)
    alone = as_batch([trials], generators(2), x0[:1], config)
    assert torch.equal(pair.trace[:, 1], alone.trace[:, 0])
    assert not torch.equal(pair.trace[:, 0], alone.trace[:, 0])


@pytest.mark.parametrize("loss", ["norm", "mse"])
def test_losses_are_those_of_a_loop_over_trials(loss: str) -> None:
    rng = np.random.default_rng(3)
    steps, size, n_out = 12, 5, 2
    targets = rng.standard_normal((steps, 2, size, n_out))
    mask = rng.random((steps, 2, size)) < 0.6
    outputs = rng.standard_normal(targets.shape)
    empty = torch.zeros(0)
    batch = StackedTrials(
        empty, empty, torch.tensor(targets), torch.tensor(mask).double()
    )
    config = TrainConfig(loss=loss)
    found = task_loss(torch.tensor(outputs), batch, config)
    for k in range(2):
        if loss == "norm":
            per_trial = [
                np.linalg.norm((outputs - targets)[mask[:, k, b], k, b])
                for b in range(size)
            ]
        else:
            per_trial = ((outputs - targets)[:, k][mask[:, k]] ** 2).ravel()
        assert float(found[k]) == pytest.approx(np.mean(per_trial))


def test_a_slice_of_trials_gives_a_slice_of_the_loss() -> None:
    batch, (_, trials) = both(TrainConfig(n=10))
    config = TrainConfig(n=10)
    outputs = torch.rand(200, 1, 8, 1)
    losses = []
    for some in (slice(0, 4), slice(4, 8)):
        part = as_batch(
            [subset(trials, some)], generators(0), torch.zeros(1, 10), config
        )
        losses.append(float(task_loss(outputs[:, :, some], part, config)))
    whole = StackedTrials(*(part[:, 1:] for part in batch))
    assert float(task_loss(outputs, whole, config)) == pytest.approx(np.mean(losses))
