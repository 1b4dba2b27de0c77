"""One update of many networks: trials, gradient, Adam, evaluation, who ends."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from isotau.convert.training.adam import adam, norms, placed
from isotau.convert.training.batch import Batch, as_batch, task_loss
from isotau.convert.training.config import TrainConfig
from isotau.convert.training.parameters import Stack, as_steps, effective, pick
from isotau.convert.training.state import (
    CONVERGED,
    FAILED,
    RUNNING,
    Chance,
    Draw,
    Score,
    State,
)
from isotau.convert.training.unroll import read, run, unroll
from isotau.convert.trials import Trials

GROUP_BYTES = 31 << 20
"""Largest trace of a group: from 32 MiB on glibc gives memory back after every use."""
GROUP = 10
"""Networks at once per thread: more would leave the caches."""
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Job:
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


def update(state: State, job: Job) -> State:
    """Return the state after one more update of each network that still trains."""
    config, running = job.config, state.running
    places = torch.tensor(running)
    rngs, noises = _generators([state.chance[k] for k in running])
    trials = [job.draw(config.batch, rng) for rng in rngs]

    def slopes(group: slice) -> tuple[Tensor, dict[str, Tensor]]:
        return gradient(
            pick(state.stack, places[group]), config, trials[group], noises[group]
        )

    parts = _spread(slopes, job, trials)
    losses = torch.cat([loss for loss, _ in parts]).double().numpy()
    grads = {name: torch.cat([part[name] for _, part in parts]) for name in parts[0][1]}
    sizes = norms(grads)
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
        ended_at=np.where(state.ended == RUNNING, state.iteration + 1, state.ended_at),
    )
    if after.iteration % config.evaluate_every == 0 and after.running:
        kept = [i for i, k in enumerate(running) if ended[k] == RUNNING]
        after = _judge(after, job, [rngs[i] for i in kept], [noises[i] for i in kept])
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
    found = torch.autograd.grad(loss.sum(), list(leaves.values()))
    return loss.detach(), dict(zip(leaves, found, strict=True))


def losses_of(stack: Stack, config: TrainConfig, batch: Batch, dt: float) -> Tensor:
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


def _generators(
    chances: Sequence[Chance],
) -> tuple[list[np.random.Generator], list[torch.Generator]]:
    """Return generators in these states, to be used up."""
    rngs, noises = [], []
    for chance in chances:
        rng = np.random.default_rng()
        rng.bit_generator.state = chance.trials
        rngs.append(rng)
        noise = torch.Generator()
        noise.set_state(chance.noise)
        noises.append(noise)
    return rngs, noises


def _spread(work: Callable[[slice], T], job: Job, trials: Sequence[Trials]) -> list[T]:
    """Return what the work gives for each group of networks, in order."""
    each = max(one.steps * one.batch for one in trials) * job.config.n * 4
    most = max(1, min(GROUP, GROUP_BYTES // each))
    rounds = -(-len(trials) // (most * job.workers))
    count = min(len(trials), rounds * job.workers)
    bounds = [round(i * len(trials) / count) for i in range(count + 1)]
    groups = [slice(a, b) for a, b in pairwise(bounds)]
    if len(groups) == 1:
        return [work(groups[0])]
    return list(job.pool.map(work, groups))


def _accept(
    state: State,
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
    ended = state.ended.copy()
    ended[places[~ok].numpy()] = FAILED
    return trained, previous, ended


def _judge(
    state: State,
    job: Job,
    rngs: Sequence[np.random.Generator],
    noises: Sequence[torch.Generator],
) -> State:
    """Return the state after an evaluation, at which networks may end."""
    config, running = job.config, state.running
    places = torch.tensor(running)
    trials = [job.draw(config.evaluate_trials, rng) for rng in rngs]

    def outcome(group: slice) -> list[tuple[float, float]]:
        return evaluate(
            pick(state.stack, places[group]),
            config,
            job.score,
            trials[group],
            noises[group],
        )

    found = [one for part in _spread(outcome, job, trials) for one in part]
    row = state.iteration // config.evaluate_every - 1
    scores = state.scores.copy()
    scores[running, row] = found
    ended, trained = state.ended.copy(), dict(state.stack.trained)
    for k, (loss, _) in zip(running, found, strict=True):
        if not np.isfinite(loss):
            ended[k] = FAILED
            for name, part in trained.items():
                one = torch.tensor([k])
                trained[name] = placed(part, one, state.previous[name][one])
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
    steps = as_steps(nets, trials[0].dt)
    rates = run(batch.trace, batch.inputs, steps, config.activation, config.ceiling)
    outputs = read(rates, steps.w_out) + nets.b_out[:, None, :]
    losses = task_loss(outputs, batch, config).tolist()
    found = []
    for k, one in enumerate(trials):
        if not torch.isfinite(outputs[:, k]).all():
            found.append((float("nan"), 0.0))
            continue
        right = score(outputs[: one.steps, k].double().numpy(), one)
        found.append((losses[k], float(np.mean(right))))
    return found


def may_stop(scores: np.ndarray, config: TrainConfig) -> bool:
    """Return whether a network's evaluations, in order, satisfy the stop rule."""
    last = scores[-config.stop_after :]
    seen = len(scores) * config.evaluate_every * config.batch
    passed = (last[:, 0] < config.stop_loss) & (last[:, 1] >= config.stop_accuracy)
    return seen > config.min_trials and int(passed.sum()) == config.stop_after
