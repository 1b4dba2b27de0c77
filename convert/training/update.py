"""One update of many networks: trials, gradient, Adam, evaluation, who ends."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain, pairwise
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from isotau.convert.ground.representation import short_repr
from isotau.convert.records.trials import Draw, Score, Trials
from isotau.convert.training.parameters import Stack, as_steps, effective, pick
from isotau.convert.training.state import (
    CONVERGED,
    FAILED,
    RUNNING,
    Chance,
    TrainingState,
)
from isotau.convert.training.train_config import TrainConfig
from isotau.convert.training.unroll import read, run, unroll

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8
"""Adam's constants (Kingma & Ba 2015, arXiv:1412.6980)."""


def adam(
    state: TrainingState,
    config: TrainConfig,
    places: Tensor,
    grads: dict[str, Tensor],
    sizes: Tensor,
) -> tuple[dict[str, Tensor], tuple[dict[str, Tensor], dict[str, Tensor]]]:
    """Return the stepped parameters of the running networks, and all moments.

    Not torch's own Adam, which steps in place: an update that an interrupt cuts short
    must leave the state before it, and networks leave the stack one by one.

    Args:
        state: before the update.
        config: gives learning rate and clip.
        places: of the running networks in the stack.
        grads: their gradients, by parameter.
        sizes: norm of each network's whole gradient.
    """
    count = state.iteration + 1
    rate = config.learning_rate * (1 - BETA_2**count) ** 0.5 / (1 - BETA_1**count)
    epsilon = EPSILON * (1 - BETA_2**count) ** 0.5
    scale = torch.ones_like(sizes)
    if config.clip is not None:  # (B10)
        scale = (config.clip / sizes.clamp(min=1e-30)).clamp(max=1.0)
    firsts, seconds, stepped = {}, {}, {}
    for name, grad in grads.items():
        grad = grad * scale.reshape(-1, *[1] * (grad.dim() - 1))
        # (B11)
        first = state.moments[0][name][places].lerp_(grad, 1 - BETA_1)
        second = state.moments[1][name][places].mul_(BETA_2)
        second.addcmul_(grad, grad, value=1 - BETA_2)
        move = first / (second.sqrt() + epsilon)
        stepped[name] = state.stack.trained[name][places] - rate * move
        firsts[name] = placed(state.moments[0][name], places, first)
        seconds[name] = placed(state.moments[1][name], places, second)
    return stepped, (firsts, seconds)


def norms(grads: dict[str, Tensor]) -> Tensor:
    """Return the norm of each network's whole gradient."""
    squares = [part.flatten(1).square().sum(dim=1) for part in grads.values()]
    return torch.stack(squares).sum(dim=0).sqrt()


def placed(old: Tensor, places: Tensor, new: Tensor) -> Tensor:
    """Return a copy of `old` with new rows at some places."""
    return old.index_copy(0, places, new)


class StackedTrials(NamedTuple):
    """The trials of K networks, as one; shorter ones are padded and do not count.

    Attributes:
        trace: steps + 1 × K × batch × n; x_0 and noise.
        inputs: steps × K × batch × (n_in + 1); the last is 1, for the bias.
        targets: steps × K × batch × n_out.
        mask: steps × K × batch.
    """

    trace: Tensor
    inputs: Tensor
    targets: Tensor
    mask: Tensor


def as_batch(
    trials: Sequence[Trials],
    noises: Sequence[torch.Generator],
    x0: Tensor,
    config: TrainConfig,
    noise_std: float | None = None,
) -> StackedTrials:
    """Return one network's trials after another's in one batch, noise drawn for each.

    `noise_std` is the training's if it is None.
    """
    std = config.training_noise_std if noise_std is None else noise_std
    steps, nets = max(part.steps for part in trials), len(trials)
    first = trials[0]
    size, n_in, n_out = first.batch, first.inputs.shape[2], first.targets.shape[2]
    trace = torch.empty(steps + 1, nets, size, config.n)
    inputs = torch.zeros(steps, nets, size, n_in + 1)
    inputs[..., n_in] = 1.0
    targets = torch.zeros(steps, nets, size, n_out)
    mask = torch.zeros(steps, nets, size)
    for k, (part, chance) in enumerate(zip(trials, noises, strict=True)):
        start = torch.randn((size, config.n), generator=chance)
        trace[0, k] = x0[k] + config.x0_std * start  # (R5)
        # as many numbers as this network's own trials need, whoever else is here
        noisy = part.steps if std else 0
        normal = torch.randn((noisy, size, config.n), generator=chance)
        torch.mul(normal, std, out=trace[1 : noisy + 1, k])
        trace[noisy + 1 :, k] = 0.0
        inputs[: part.steps, k, :, :n_in] = torch.tensor(part.inputs)
        targets[: part.steps, k] = torch.tensor(part.targets)
        mask[: part.steps, k] = torch.tensor(part.mask)
    return StackedTrials(trace, inputs, targets, mask)


def task_loss(outputs: Tensor, batch: StackedTrials, config: TrainConfig) -> Tensor:
    """Return each network's loss (B5) for its outputs, steps × K × batch × n_out."""
    error = ((outputs - batch.targets) ** 2).sum(dim=3) * batch.mask
    if config.loss == "mse":
        counted = batch.mask.sum(dim=(0, 2)) * outputs.shape[3]
        return error.sum(dim=(0, 2)) / counted.clamp(min=1)
    # √ has no finite slope at 0
    return (error.sum(dim=0) + 1e-12).sqrt().mean(dim=1)


GROUP_BYTES = 31 << 20
"""Largest trace of a group: from 32 MiB on glibc gives memory back after every use."""
GROUP = 10
"""Networks at once per thread: more would leave the caches."""
T = TypeVar("T")


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TrainingSetup:
    """What the updates are made with.

    Attributes:
        draw: returns trials of the task.
        score: returns which trials were right.
        config: of the training.
        pool: runs groups of networks.
        workers: its threads.
    """

    draw: Draw
    score: Score
    config: TrainConfig
    pool: ThreadPoolExecutor
    workers: int


def update(state: TrainingState, setup: TrainingSetup) -> TrainingState:
    """Return the state after one more update of each network that still trains."""
    config, running = setup.config, state.running
    places = torch.tensor(running)
    pairs = [state.chance[k].generators() for k in running]
    rngs, noises = [rng for rng, _ in pairs], [noise for _, noise in pairs]
    trials = [setup.draw(config.batch, rng) for rng in rngs]

    def slopes(group: slice) -> tuple[Tensor, dict[str, Tensor]]:
        return gradient(
            pick(state.stack, places[group]), config, trials[group], noises[group]
        )

    parts = _spread(slopes, setup, trials)
    losses = torch.cat([loss for loss, _ in parts]).double().numpy()
    grads = {name: torch.cat([part[name] for _, part in parts]) for name in parts[0][1]}
    sizes = norms(grads)
    # a finite loss may have an infinite gradient, as where √ meets 0
    good = np.isfinite(losses) & torch.isfinite(sizes).numpy()
    stepped, moments = adam(state, config, places, grads, sizes)
    trained, previous, ended = _accept(state, running, good, losses, stepped)
    curve = state.losses.copy()
    curve[running, state.iteration] = losses
    after = replace(
        state,
        iteration=state.iteration + 1,
        stack=Stack(trained, state.stack.fixed),
        previous=previous,
        moments=moments,
        losses=curve,
        ended=ended,
        # of those that ran, also where this update ended them
        ended_at=np.where(state.ended == RUNNING, state.iteration + 1, state.ended_at),
    )
    if after.iteration % config.evaluate_every == 0 and after.running:
        going = [i for i, k in enumerate(running) if ended[k] == RUNNING]
        after = _judge(
            after, setup, [rngs[i] for i in going], [noises[i] for i in going]
        )
    # as the update left them; networks that ended keep theirs
    chance = list(state.chance)
    for k, rng, noise in zip(running, rngs, noises, strict=True):
        chance[k] = Chance(dict(rng.bit_generator.state), noise.get_state())
    return replace(after, chance=tuple(chance))


def gradient(
    stack: Stack,
    config: TrainConfig,
    trials: Sequence[Trials],
    noises: Sequence[torch.Generator],
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return each network's loss and the gradient by all that is trained."""
    leaves = {name: part.requires_grad_() for name, part in stack.trained.items()}
    batch = as_batch(trials, noises, stack.fixed["x0"], config)
    loss = losses_of(Stack(leaves, stack.fixed), config, batch, trials[0].dt)
    # of the sum: no network's loss depends on another's parameters
    grads = torch.autograd.grad(loss.sum(), list(leaves.values()))
    return loss.detach(), dict(zip(leaves, grads, strict=True))


def losses_of(
    stack: Stack, config: TrainConfig, batch: StackedTrials, dt: float
) -> Tensor:
    """Return each network's loss, to be differentiated; uses the batch's trace up."""
    nets = effective(stack, config)
    outputs, penalty = unroll(
        batch.trace,
        batch.inputs,
        as_steps(nets, dt),
        config.activation,
        config.ceiling,
        config.rate_penalty,
    )
    return task_loss(outputs + nets.b_out[:, None, :], batch, config) + penalty


def _spread(
    work: Callable[[slice], T], setup: TrainingSetup, trials: Sequence[Trials]
) -> list[T]:
    """Return what the work gives for each group of networks, in order."""
    # float32, 4 bytes
    trace_bytes = max(part.steps * part.batch for part in trials) * setup.config.n * 4
    most = max(1, min(GROUP, GROUP_BYTES // trace_bytes))
    # as many groups as give every thread the same number of them
    rounds = -(-len(trials) // (most * setup.workers))
    count = min(len(trials), rounds * setup.workers)
    bounds = [round(i * len(trials) / count) for i in range(count + 1)]
    groups = [slice(a, b) for a, b in pairwise(bounds)]
    if len(groups) == 1:
        return [work(groups[0])]
    return list(setup.pool.map(work, groups))


def _accept(
    state: TrainingState,
    running: list[int],
    good: np.ndarray,
    losses: np.ndarray,
    stepped: dict[str, Tensor],
) -> tuple[dict[str, Tensor], dict[str, Tensor], np.ndarray]:
    """Return the trained parameters, those before, and which networks ended.

    A network whose loss is not finite goes back to before its last update; one whose
    gradient alone is not finite stays where it is.
    """
    ok = torch.tensor(good)
    places = torch.tensor(running)
    fine, lost = places[ok], places[~torch.tensor(np.isfinite(losses))]
    trained, previous = {}, {}
    for name, now in state.stack.trained.items():
        moved = placed(now, fine, stepped[name][ok])
        trained[name] = placed(moved, lost, state.previous[name][lost])
        previous[name] = placed(state.previous[name], fine, now[fine])
    # both kinds leave the batch: what broke once breaks again
    ended = state.ended.copy()
    ended[places[~ok].numpy()] = FAILED
    return trained, previous, ended


def _judge(
    state: TrainingState,
    setup: TrainingSetup,
    rngs: Sequence[np.random.Generator],
    noises: Sequence[torch.Generator],
) -> TrainingState:
    """Return the state after an evaluation, at which networks may end."""
    config, running = setup.config, state.running
    places = torch.tensor(running)
    trials = [setup.draw(config.evaluate_trials, rng) for rng in rngs]

    def outcome(group: slice) -> list[tuple[float, float]]:
        return evaluate(
            pick(state.stack, places[group]),
            config,
            setup.score,
            trials[group],
            noises[group],
        )

    outcomes = list(chain.from_iterable(_spread(outcome, setup, trials)))
    row = state.iteration // config.evaluate_every - 1
    scores = state.scores.copy()
    scores[running, row] = outcomes
    ended, trained = state.ended.copy(), dict(state.stack.trained)
    for k, (loss, _) in zip(running, outcomes, strict=True):
        if not np.isfinite(loss):
            ended[k] = FAILED
            for name, part in trained.items():
                place = torch.tensor([k])
                trained[name] = placed(part, place, state.previous[name][place])
        elif may_stop(scores[k, : row + 1], config):
            ended[k] = CONVERGED
    stack = Stack(trained, state.stack.fixed)
    return replace(state, scores=scores, ended=ended, stack=stack)


@torch.no_grad()
def evaluate(
    stack: Stack,
    config: TrainConfig,
    score: Score,
    trials: Sequence[Trials],
    noises: Sequence[torch.Generator],
) -> list[tuple[float, float]]:
    """Return each network's loss and accuracy on its trials, its own noise on."""
    nets = effective(stack, config)
    batch = as_batch(trials, noises, stack.fixed["x0"], config, config.noise_std)
    # without a gradient the bare steps do; the penalty of rates is no part of it
    steps = as_steps(nets, trials[0].dt)
    rates = run(batch.trace, batch.inputs, steps, config.activation, config.ceiling)
    outputs = read(rates, steps.w_out) + nets.b_out[:, None, :]
    losses = task_loss(outputs, batch, config).tolist()
    results = []
    for k, part in enumerate(trials):
        # a task's rule is not made for NaN
        if not torch.isfinite(outputs[:, k]).all():
            results.append((float("nan"), 0.0))
            continue
        right = score(outputs[: part.steps, k].double().numpy(), part)
        results.append((losses[k], float(np.mean(right))))
    return results


def may_stop(scores: np.ndarray, config: TrainConfig) -> bool:
    """Return whether a network's evaluations, in order, satisfy the stop rule."""
    # (B12); the first evaluations pass too few times, whatever they say
    last = scores[-config.stop_after :]
    trials = len(scores) * config.evaluate_every * config.batch
    passed = (last[:, 0] < config.stop_loss) & (last[:, 1] >= config.stop_accuracy)
    return trials > config.min_trials and int(passed.sum()) == config.stop_after
