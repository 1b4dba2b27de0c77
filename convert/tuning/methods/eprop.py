"""e-prop: gradients without going back through a trial, in memory that does not grow.

Synapses carry traces of what the states of their neurons owe to them, which the errors
of the outputs turn into a gradient. With symmetric feedback it is that of BPTT in which
a spike counts for outputs and rates, but not for the neurons it reaches through w_rec:
all of it where w_rec is 0. Source: Bellec et al. 2020, doi:10.1038/s41467-020-17236-y.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from isotau.convert.ground import validation
from isotau.convert.simulate.norse_module import LIFModule
from isotau.convert.simulate.trainable import SURROGATES
from isotau.convert.tuning.forward.chip import ChipDynamics
from isotau.convert.tuning.learner.learner import Learner, Method, Progressed, finite
from isotau.convert.tuning.loss.batch import Batch
from isotau.convert.tuning.loss.objective import Objective
from isotau.convert.tuning.loss.rate_loss import rate_error
from isotau.convert.tuning.methods.eprop_kernels import (
    HIDDEN,
    OWN,
    Carried,
    Net,
    run_trials,
    start,
)

FEEDBACKS = ("symmetric", "random")
CHUNK = 256
"""Steps that `EProp` hands to `stream` at once: whole blocks of noise."""


class Chunk(NamedTuple):
    """Some steps of a batch of trials.

    Attributes:
        inputs: steps × batch × channel.
        targets: steps × batch × output; no steps before the trial, where nothing is
            read out and no spike counts.
        mask: as many steps × batch, 1 where the target counts.
    """

    inputs: Tensor
    targets: Tensor
    mask: Tensor


class Taught(NamedTuple):
    """What trials taught.

    Attributes:
        losses: "task" and "rates", as far as they are wanted, weighted.
        gradients: of their sum, for all of `trainable.TRAINABLE`.
    """

    losses: dict[str, Tensor]
    gradients: dict[str, Tensor]


class EProp(Method):
    """Gradients by e-prop; the configuration's `segments` are not looked at.

    Errors that are known at a trial's end only (of rates, of the mean output for task
    "labels") meet what the traces have summed up. Rates are means over all steps, those
    after the last whole bin, too. Noise is taken as given: that τ_syn sets the size of
    the current's has no share in the gradient, as it has in BPTT's (U21).
    """

    def __init__(self, *, feedback: str = "symmetric", seed: int = 0) -> None:
        """Choose how errors reach the neurons.

        Args:
            feedback: "symmetric" for w_out as it is, "random" for weights that are
                drawn once, as large as w_out is then.
            seed: of the random ones.
        """
        self.feedback = validation.choice("feedback", feedback, FEEDBACKS)
        self.seed = validation.whole("seed", seed, 0, 2**63 - 1)
        self._random: Tensor | None = None

    def state(self) -> dict[str, Tensor]:
        """Return the random feedback, once there is one."""
        return {} if self._random is None else {"feedback": self._random}

    def restore(self, memory: dict[str, Tensor]) -> None:
        """Take the random feedback that `state` gave, if any."""
        self._random = memory.get("feedback")

    def learn(self, learner: Learner, batch: Batch, quiet: Batch | None) -> Progressed:
        """Change the learner's module by e-prop's gradient of a batch's trials.

        Raises:
            NotFinite: the loss or the gradient is no finite number.
            ValueError: the chip's arithmetic, or timescales, are asked for.
        """
        module, objective = learner.module, learner.objective
        if isinstance(learner.dynamics, ChipDynamics):
            raise ValueError(
                "dynamics: got the chip's arithmetic, need floats; use method 'bptt'"
            )
        if quiet is not None or objective.timescales is not None:
            raise ValueError(
                "timescales: got a target, need none, as an autocovariance is known "
                "at a trial's end only, for pairs of steps; use method 'bptt'"
            )
        feedback = None if self.feedback == "symmetric" else self._draw(module)
        with learner.noisy():
            losses, gradients = stream(
                module,
                cut(batch),
                objective,
                feedback=feedback,
                labels=batch.labels,
                seed=batch.seed,
            )
        parts = finite(losses)
        for name, parameter in learner.parameters().items():
            parameter.grad = gradients[name]
        size = learner.apply()
        return Progressed(parts | {"total": sum(parts.values())}, size)

    def _draw(self, module: LIFModule) -> Tensor:
        """Return the random feedback; drawn once, or it would teach nothing (E11)."""
        if self._random is None:
            size = module.w_out.detach().square().mean().sqrt()
            if size == 0:
                raise ValueError(
                    "w_out: got only 0, need random feedback's size; use 'symmetric'"
                )
            normal = np.random.default_rng(self.seed).normal(size=module.w_out.shape)
            self._random = size * torch.tensor(normal, dtype=size.dtype)
        return self._random


def cut(batch: Batch) -> Iterator[Chunk]:
    """Return a batch, its lead and then its trials, chunk after chunk."""
    for inputs in batch.inputs[: batch.lead].split(CHUNK):
        yield Chunk(inputs, batch.targets[:0], batch.mask[:0])
    trial = (batch.inputs[batch.lead :], batch.targets, batch.mask)
    yield from map(Chunk, *(part.split(CHUNK) for part in trial))


def stream(
    module: LIFModule,
    chunks: Iterable[Chunk],
    objective: Objective,
    *,
    feedback: Tensor | None = None,
    labels: Tensor | None = None,
    seed: int | None = None,
) -> Taught:
    """Return the gradient of the task's and the rates' loss, by trials as they come.

    What is kept are 4 numbers for each synapse of each trial, 5 with rates, and nothing
    of chunks that went by. As many threads as torch may use share the trials.

    Args:
        module: the network.
        chunks: the trials, in order.
        objective: what is wanted; its timescales are not looked at.
        feedback: of errors to neurons, output × neuron; w_out if None.
        labels: batch, 0 … outputs − 1, for the task "labels".
        seed: of the membrane noise; None for none.

    Raises:
        ValueError: chunks or labels that are missing or do not fit, or no CPU.
    """
    if module.w_rec.device.type != "cpu":
        raise ValueError(
            f"device: got {module.w_rec.device}, need cpu; choose it, or method 'bptt'"
        )
    if objective.task != "labels":
        labels = None
    elif labels is None:
        raise ValueError("labels: got none, need one for each trial; give them")
    net = _net(module, module.w_out if feedback is None else feedback)
    # before the trial the readout's filter stays as it is (E4)
    frozen = net._replace(jump_f=np.zeros_like(net.jump_f))
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        run = _Run(module, objective, seed, pool)
        for chunk in chunks:
            run.advance(net if len(chunk.targets) else frozen, chunk)
    if run.carried is None or not run.steps:
        raise ValueError("chunks: got no step, need one or more")
    return _taught(run, run.carried, net, labels)


@dataclass(slots=True, eq=False)
class _Run:
    """Where a batch of trials stands: `steps` after the lead, `step` with it."""

    module: LIFModule
    objective: Objective
    seed: int | None
    pool: ThreadPoolExecutor
    carried: Carried | None = None
    masked: Tensor = field(default_factory=lambda: torch.zeros(()))
    step: int = 0
    steps: int = 0

    def advance(self, net: Net, chunk: Chunk) -> None:
        """Run some steps."""
        module, task = self.module, self.objective.task
        n_in, n_out, steps = len(net.w_in), len(net.w_out), len(chunk.inputs)
        batch = chunk.inputs.shape[1] if self.carried is None else len(self.carried.v)
        read = (steps if len(chunk.targets) else 0, batch)
        shapes = [tuple(part.shape) for part in chunk]
        need = [(steps, batch, n_in), (*read, n_out), read]
        if shapes != need:
            raise ValueError(
                f"chunk: got inputs, targets and mask of shapes {shapes}, need {need}; "
                "give the same trials in every chunk"
            )
        if self.carried is None:
            v0, i0, f0 = (getattr(module, name).numpy() for name in ("v0", "i0", "f0"))
            parts = HIDDEN + 1 + (self.objective.rates is not None)
            self.carried = start(v0, i0, f0, (batch, n_in, n_out), parts)
        # (U4): by the step's number, so that chunks do not change it
        noise = module.draw_noise(steps, batch, seed=self.seed, step=self.step)
        none = torch.zeros(0, 0, 0)
        to_v, to_i = (none if part is None else part for part in noise)
        # without a task nothing is scored; counts of spikes go on
        mask = chunk.mask * (task != "none")
        tensors = (chunk.inputs, to_v, to_i, chunk.targets, mask)
        inputs, *noises, targets, counted = (
            t.detach().to(module.w_rec).contiguous().numpy() for t in tensors
        )
        kind = SURROGATES.index(module.surrogate)
        driven = (net, kind, self.carried, inputs, tuple(noises))
        arguments: tuple[Any, ...] = (*driven, targets, counted, task == "labels")
        # trials do not share a sum, so the result does not depend on the threads
        threads = min(torch.get_num_threads(), batch)
        edges = [batch * k // threads for k in range(threads + 1)]
        calls = [
            self.pool.submit(run_trials, *ends, *arguments) for ends in pairwise(edges)
        ]
        for call in calls:
            call.result()
        self.masked = self.masked + mask.double().sum(dim=0)
        self.step, self.steps = self.step + steps, self.steps + len(mask)


def _net(module: LIFModule, feedback: Tensor) -> Net:
    """Return a module's numbers, as they are now, as the kernel takes them."""
    # w_in and w_rec transposed: the kernels add rows of what a source sends
    taus = (module.tau_syn, module.tau_mem, module.tau_out)
    a_syn, a_mem, a_out = (module.loss_per_step(tau) for tau in taus)
    same = ("w_out", "b_out", "v_leak", "v_th", "v_reset", "rest_steps")
    tensors = {name: getattr(module, name) for name in same} | {
        "w_in": module.w_in.T,
        "w_rec": module.w_rec.T,
        "feedback": feedback.to(module.w_rec.dtype),
        "a_mem": a_mem,
        "keep_i": 1 - a_syn,
        "keep_v": 1 - a_mem,
        "keep_f": 1 - a_out,
        "jump_f": a_out / module.dt,
        "damping": torch.full_like(module.v_th, module.damping),
    }
    return Net(**{k: t.detach().contiguous().numpy() for k, t in tensors.items()})


def _taught(run: _Run, carried: Carried, net: Net, labels: Tensor | None) -> Taught:
    """Return losses and gradients at the end of the trials."""
    module, objective = run.module, run.objective
    # autograd through the few numbers that a loss is made of, not through time
    sums = torch.tensor(carried.sums, requires_grad=True)
    loss = objective.task_weight * _task_loss(run, sums, labels)
    by_sum = torch.autograd.grad(loss, sums)[0].numpy()
    losses = {} if objective.task == "none" else {"task": loss.detach()}
    # e adds 2e to the slope of its square; outputs, where they are summed up, add 1
    error = 2 * by_sum[:, -1:] if labels is None else by_sum[:, :-1]
    summed = carried.sums[:, :-1] if labels is None else run.masked.numpy()[:, None]
    reach = error if labels is None else error @ net.feedback
    reach = np.broadcast_to(reach, carried.v.shape)
    # (E6), source × neuron
    total = np.einsum("bsn,bn->sn", carried.traces[:, :, HIDDEN], reach)
    if objective.rates is not None:
        counts = torch.tensor(carried.counts[None] * 1.0, requires_grad=True)
        # one bin as long as the trials: counts that no bin holds count, too
        loss = rate_error(counts, run.steps * module.dt, objective.rates)
        by_count = torch.autograd.grad(loss, counts)[0][0].numpy()
        total += np.einsum("bsn,bn->sn", carried.traces[:, :, HIDDEN + 1], by_count)
        losses["rates"] = loss.detach()
    n, last = len(net.v_th), len(OWN)
    arrays = dict(zip(OWN, total[-last:], strict=True)) | {
        "w_rec": total[:n].T,
        "w_in": total[n:-last].T,
        "w_out": (error[:, :, None] * carried.by_output).sum(axis=0),  # (E10)
        "b_out": (error * summed).sum(axis=0),
    }
    gradients = {name: module.w_rec.new_tensor(part) for name, part in arrays.items()}
    for name in ("syn", "mem"):
        # (U15)
        per_tau = module.dt / getattr(module, f"tau_{name}").detach()
        slope = -torch.exp(-per_tau) * per_tau**2 / module.dt
        gradients[f"tau_{name}"] = gradients.pop(f"a_{name}") * slope
    return Taught(losses, gradients)


def _task_loss(run: _Run, sums: Tensor, labels: Tensor | None) -> Tensor:
    """Return the loss of what was summed up (`Carried.sums`), without its weight."""
    outputs, squares = sums[:, :-1], sums[:, -1]
    if labels is not None:  # (O3)
        mean = outputs / run.masked.clamp(min=1)[:, None]
        return torch.nn.functional.cross_entropy(mean, labels)
    if run.objective.task == "norm":  # (O2)
        return (squares + 1e-12).sqrt().mean()
    # (O1)
    return squares.sum() / (run.masked.sum() * outputs.shape[1]).clamp(min=1)
