"""Fitting a spiking network to `letters`, whatever framework its module comes from."""

import copy
import sys
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from benchmarks.foreign import letters

HIDDEN = 40
DATA_SEED = 2026
TRAIN, VALIDATION, TEST = 4200, 700, 1400
CALIBRATION = 350
"""The first of the training sweeps: those that set the ranges of fixed point."""
BATCH = 140
COUNT_GAIN = 0.3
"""Logits of the loss per spike of a readout neuron."""
QUIET, FEW_PER_SWEEP = 1e-4, 12.0
"""Price of a hidden spike beyond so many per neuron and sweep."""

Run = Callable[[torch.nn.Module, Tensor], tuple[Tensor, Tensor]]
"""From events (steps × sweeps × channels) to spikes of the hidden and the readout."""


class Split(NamedTuple):
    """The three parts of the task."""

    train: letters.Sweeps
    validation: letters.Sweeps
    test: letters.Sweeps


class FitResult(NamedTuple):
    """What a fit came to; the accuracies are shares of right sweeps."""

    validation: float
    test: float
    hidden_spikes: float
    """Spikes per hidden neuron and sweep."""


def split(seed: int) -> Split:
    """Return the parts; each has a stream of random numbers of its own."""
    parts = enumerate((TRAIN, VALIDATION, TEST))
    return Split(
        *(letters.draw(size, np.random.default_rng([seed, k])) for k, size in parts)
    )


def fit(
    net: torch.nn.Module,
    run: Run,
    data: Split,
    *,
    rates: Mapping[str, float],
    seed: int,
    epochs: int,
    bounds: Mapping[str, tuple[float, float]] = MappingProxyType({}),
) -> FitResult:
    """Train a network in place by its surrogate gradients and return how good it is.

    The parameters kept are those of the epoch that does best in validation.

    Args:
        net: the module.
        run: how it is run.
        data: the task.
        rates: learning rate of the parameters whose names end in a key; the empty
            key is for all others.
        seed: of the order of the sweeps.
        epochs: passes over the training sweeps.
        bounds: what parameters are held between, by the end of their names.
    """
    groups = _groups(net, rates)
    optimizer = torch.optim.Adam(groups)
    batches = -(-TRAIN // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, [group["lr"] for group in groups], total_steps=epochs * batches
    )
    events = torch.from_numpy(data.train.events).float()
    labels = torch.from_numpy(data.train.labels)
    generator = torch.Generator().manual_seed(seed)
    best, best_weights = -1.0, copy.deepcopy(net.state_dict())
    for epoch in range(epochs):
        for batch in torch.randperm(TRAIN, generator=generator).split(BATCH):
            hidden, out = run(net, events[:, batch])
            logits = COUNT_GAIN * out.sum(0)
            # Quiet neurons cost nothing: a price on every spike silences the layer.
            busy = (hidden.sum(0) - FEW_PER_SWEEP).relu().pow(2).mean()
            loss = torch.nn.functional.cross_entropy(logits, labels[batch])
            optimizer.zero_grad()
            (loss + QUIET * busy).backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            _hold(net, bounds)
        right = accuracy(net, run, data.validation)
        sys.stderr.write(f"epoch {epoch}: loss {loss:.3f}, validation {right:.3f}\n")
        if right > best:
            best, best_weights = right, copy.deepcopy(net.state_dict())
    net.load_state_dict(best_weights)
    hidden, _ = spikes(net, run, data.test)
    return FitResult(best, accuracy(net, run, data.test), float(hidden.sum(0).mean()))


def _groups(
    net: torch.nn.Module, rates: Mapping[str, float]
) -> list[dict[str, object]]:
    """Return the parameters by their learning rate."""
    groups: dict[float, list[Tensor]] = {}
    for name, parameter in net.named_parameters():
        ends = [end for end in rates if end and name.endswith(end)]
        groups.setdefault(rates[ends[0] if ends else ""], []).append(parameter)
    return [{"params": tensors, "lr": rate} for rate, tensors in groups.items()]


def _hold(net: torch.nn.Module, bounds: Mapping[str, tuple[float, float]]) -> None:
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            for end, (low, high) in bounds.items():
                if name.endswith(end):
                    parameter.clamp_(low, high)


def spikes(
    net: torch.nn.Module, run: Run, sweeps: letters.Sweeps
) -> tuple[np.ndarray, np.ndarray]:
    """Return hidden and readout spikes, steps × sweeps × neuron, as uint8."""
    with torch.no_grad():
        hidden, out = run(net, torch.from_numpy(sweeps.events).float())
    return hidden.numpy().astype(np.uint8), out.numpy().astype(np.uint8)


def accuracy(net: torch.nn.Module, run: Run, sweeps: letters.Sweeps) -> float:
    """Return the share of sweeps whose letter's neuron spikes most; the first wins."""
    _, out = spikes(net, run, sweeps)
    counts = out.sum(0, dtype=np.int64)
    return float((counts.argmax(1) == sweeps.labels).mean())
