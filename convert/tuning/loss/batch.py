"""`Source`: where trials come from, a task or given ones; `Batch`: some as tensors."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from isotau.convert.records.given import TrialPool
from isotau.convert.records.lif import LIFNetwork
from isotau.convert.records.trials import Draw, Score, Trials, refine
from isotau.convert.simulate.vectors.shared_noise import fill_channels

Lead = Callable[[np.ndarray, int], np.ndarray]


def silence(inputs: np.ndarray, steps: int) -> np.ndarray:
    """Return inputs with so many steps of 0 before them."""
    before = np.zeros((steps, *inputs.shape[1:]))
    return np.concatenate([before, inputs])


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Source:
    """Where trials come from and how answers to them are scored.

    Attributes:
        draw: returns a batch of trials.
        score: takes outputs (steps × batch × output) and their trials; returns which
            were right, boolean, batch.
        lead: seconds before each trial in which the network settles.
        before: takes inputs and a number of steps; returns them with as many before.
    """

    draw: Draw
    score: Score
    lead: float = 0.0
    before: Lead = silence


class Batch(NamedTuple):
    """Trials as a network in steps of its own dt takes them.

    Attributes:
        inputs: lead + steps × batch × channel.
        targets: steps × batch × output.
        mask: steps × batch, 1 where the target counts.
        labels: batch, int64.
        lead: steps before the trial.
        seed: of the membrane noise; None for none.
        trials: the same trials as a record.
    """

    inputs: Tensor
    targets: Tensor
    mask: Tensor
    labels: Tensor
    lead: int
    seed: int | None
    trials: Trials


def as_batch(
    trials: Trials,
    net: LIFNetwork,
    source: Source,
    *,
    seed: int | None,
    dtype: torch.dtype,
    device: torch.device,
) -> Batch:
    """Return trials as tensors, in the network's steps.

    Raises:
        ValueError: trials of other channels or outputs than the network's, or of steps
            that are no multiple of its dt.
    """
    n_in, n_out = trials.inputs.shape[2], trials.targets.shape[2]
    if (n_in, n_out) != (net.n_shown, net.n_out):
        raise ValueError(
            f"trials: got {n_in} input channels and {n_out} outputs, need "
            f"{net.n_shown} and {net.n_out}; choose the task the network was made for"
        )
    fine = refine(trials, net.dt)
    # the readout begins with the trial, so targets and mask have no lead
    lead = round(source.lead / net.dt)

    def tensor(x: np.ndarray) -> Tensor:
        return torch.tensor(x, dtype=dtype, device=device)

    inputs = fill_channels(net, source.before(fine.inputs, lead), seed=seed)
    return Batch(
        inputs=tensor(inputs),
        targets=tensor(fine.targets),
        mask=tensor(fine.mask),
        labels=torch.tensor(fine.labels, device=device),  # int64, as torch indexes
        lead=lead,
        seed=seed,
        trials=fine,
    )


def silent_batch(
    net: LIFNetwork,
    *,
    trials: int,
    length: float,
    settle: float,
    seed: int | None,
    dtype: torch.dtype,
    device: torch.device,
) -> Batch:
    """Return trials without input, for the timescales.

    Args:
        net: the network.
        trials: how many.
        length: of each, in seconds.
        settle: seconds before each in which the network settles.
        seed: of the membrane noise.
        dtype: of the tensors.
        device: of the tensors.
    """
    steps = round(length / net.dt)
    record = Trials(
        inputs=np.zeros((steps, trials, net.n_shown)),
        targets=np.zeros((steps, trials, net.n_out)),
        mask=np.zeros((steps, trials), dtype=bool),
        labels=np.zeros(trials, dtype=np.int64),
        dt=net.dt,
        task="quiet",
    )
    # a source for its lead alone: nothing is drawn from it, and no answer is asked for
    source = Source(
        draw=lambda *_: record, score=lambda *_: np.ones(trials), lead=settle
    )
    return as_batch(record, net, source, seed=seed, dtype=dtype, device=device)


def from_trials(trials: Trials, score: Score, *, lead: float = 0.0) -> Source:
    """Return a source that draws from given trials, each once before any twice.

    Args:
        trials: to learn from.
        score: takes outputs and their trials; returns which were right.
        lead: seconds before each trial in which the network settles.
    """
    return Source(draw=TrialPool(trials), score=score, lead=lead)
