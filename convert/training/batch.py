"""Trials of many networks in one batch, with their noise, and the loss of answers."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from isotau.convert.training.config import TrainConfig
from isotau.convert.trials import Trials


class Batch(NamedTuple):
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
) -> Batch:
    """Return one network's trials after another's in one batch, noise drawn for each.

    `noise_std` is the training's if it is None.
    """
    std = config.training_noise_std if noise_std is None else noise_std
    steps, nets = max(one.steps for one in trials), len(trials)
    first = trials[0]
    size, n_in, n_out = first.batch, first.inputs.shape[2], first.targets.shape[2]
    trace = torch.empty(steps + 1, nets, size, config.n)
    inputs = torch.zeros(steps, nets, size, n_in + 1)
    inputs[..., n_in] = 1.0
    targets = torch.zeros(steps, nets, size, n_out)
    mask = torch.zeros(steps, nets, size)
    for k, (one, chance) in enumerate(zip(trials, noises, strict=True)):
        start = torch.randn((size, config.n), generator=chance)
        trace[0, k] = x0[k] + config.x0_std * start
        noisy = one.steps if std else 0
        drawn = torch.randn((noisy, size, config.n), generator=chance)
        torch.mul(drawn, std, out=trace[1 : noisy + 1, k])
        trace[noisy + 1 :, k] = 0.0
        inputs[: one.steps, k, :, :n_in] = torch.tensor(one.inputs)
        targets[: one.steps, k] = torch.tensor(one.targets)
        mask[: one.steps, k] = torch.tensor(one.mask)
    return Batch(trace, inputs, targets, mask)


def task_loss(outputs: Tensor, batch: Batch, config: TrainConfig) -> Tensor:
    """Return each network's loss for its outputs, steps × K × batch × n_out."""
    error = ((outputs - batch.targets) ** 2).sum(dim=3) * batch.mask
    if config.loss == "mse":
        counted = batch.mask.sum(dim=(0, 2)) * outputs.shape[3]
        return error.sum(dim=(0, 2)) / counted.clamp(min=1)
    # √ has no finite slope at 0
    return (error.sum(dim=0) + 1e-12).sqrt().mean(dim=1)
