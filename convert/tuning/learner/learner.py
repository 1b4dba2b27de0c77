"""`Learner`: a module, what it is to become, and how a gradient changes it."""

import math
from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from isotau.convert.ground.representation import short_repr
from isotau.convert.simulate.norse_module import LIFModule
from isotau.convert.tuning.forward.dynamics import Dynamics
from isotau.convert.tuning.learner.constraints import Constraints, hold
from isotau.convert.tuning.learner.device_noise import perturbed, round_update
from isotau.convert.tuning.learner.tune_config import TuneConfig
from isotau.convert.tuning.loss.batch import Batch
from isotau.convert.tuning.loss.objective import Objective
from isotau.convert.tuning.loss.observe import Observation, observe
from isotau.convert.tuning.loss.segments import WHOLE, Segments


class Progressed(NamedTuple):
    """What one batch taught.

    Attributes:
        losses: each part of the loss before the update, and their sum as "total".
        gradient: norm of the gradient before it was clipped, in typical sizes.
    """

    losses: dict[str, float]
    gradient: float


class NotFinite(ValueError):
    """A loss or a gradient is no finite number."""


@short_repr
@dataclass(slots=True, eq=False)
class Learner:
    """What a method works on; its module changes in place.

    Attributes:
        module: the network, in units of the surrogate's width.
        dynamics: how spikes are computed.
        objective: what is wanted.
        config: how to tune.
        optimizer: holds one group for each parameter, of its typical size.
        constraints: what every update keeps.
        chance: of weight noise and rounded updates.
    """

    module: LIFModule
    dynamics: Dynamics
    objective: Objective
    config: TuneConfig
    optimizer: torch.optim.Adam
    constraints: Constraints
    chance: torch.Generator

    def parameters(self) -> dict[str, Tensor]:
        """Return what trains, by name."""
        return dict(self.module.named_parameters())

    def noisy(self) -> AbstractContextManager[None]:
        """Return a context in which the weights have the noise of the device.

        Gradients of what is computed inside belong to the weights without noise, which
        are back after it. Source: Joshi et al. 2020, doi:10.1038/s41467-020-16108-9.
        """
        return perturbed(
            self.module, self.config.weight_noise, self.chance, self.constraints
        )

    def observe(
        self, batch: Batch, quiet: Batch | None, segments: Segments = WHOLE
    ) -> tuple[Observation, dict[str, Tensor]]:
        """Return what the module does with a batch, and the parts of its loss.

        Both are differentiable.

        Args:
            batch: trials of the task.
            quiet: trials without input, if the timescale term looks at such.
            segments: how the backward pass is cut.
        """
        prepared, module = self.dynamics.prepare(self.module), self.module
        every = self.objective.every(module.dt, at_rest=False)
        observation = observe(prepared, module, batch, segments, every=every)
        parts = self.objective.task_parts(observation, batch)
        if quiet is not None:
            every = self.objective.every(module.dt, at_rest=True)
            silence = observe(prepared, module, quiet, segments, every=every)
            parts |= self.objective.quiet_parts(silence, quiet)
        return observation, parts

    def apply(self) -> float:
        """Change the module by the gradients it holds, which are then removed.

        They are clipped, the optimizer steps, the update is rounded if that was asked
        for, and the constraints are kept.

        Returns:
            The norm of the gradient before clipping.

        Raises:
            NotFinite: it is no finite number; the module is left as it is.
        """
        size = gradient_norm(self)
        # before the step: Adam's moments would keep a NaN for ever
        if not torch.isfinite(size):
            self.optimizer.zero_grad()
            raise NotFinite(
                f"gradient: got a norm of {float(size)}, need a finite number; lower "
                "learning_rate or damping, or set clip"
            )
        clip = self.config.clip
        # (B10), in typical sizes: volts, seconds and weights would not add up
        if clip is not None and size > clip:
            for parameter in self.module.parameters():
                if parameter.grad is not None:
                    parameter.grad.mul_(clip / size)
        # what moved is rounded, so the parameters before are needed
        before = {
            name: part.detach().clone() for name, part in self.parameters().items()
        }
        self.optimizer.step()
        self.optimizer.zero_grad()
        with torch.no_grad():
            # rounded before they are held: a step must not lead out of the ranges
            round_update(self.module, before, self.config.update_levels, self.chance)
            hold(self.module, self.constraints)
        return float(size)


def gradient_norm(learner: Learner) -> Tensor:
    """Return the norm of the gradient, each part times its parameter's typical size."""
    squares = []  # (U16)
    for group in learner.optimizer.param_groups:
        for parameter in group["params"]:
            if parameter.grad is not None:
                squares.append((parameter.grad * group["size"]).double().square().sum())
    return torch.stack(squares).sum().sqrt() if squares else torch.zeros(())


def finite(parts: dict[str, Tensor]) -> dict[str, float]:
    """Return the parts of a loss as numbers.

    Raises:
        NotFinite: a part is no finite number; the message names it.
    """
    numbers = {name: float(part.detach()) for name, part in parts.items()}
    for name, number in numbers.items():
        if not math.isfinite(number):
            raise NotFinite(
                f"loss: got {number} for {name}, need a finite number; lower "
                "learning_rate, or look for targets that are too large"
            )
    return numbers


class Method(ABC):
    """A way to find gradients.

    `state` and `restore` give and take what it remembers between updates: nothing, for
    a method whose updates stand alone.
    """

    def state(self) -> dict[str, Tensor]:
        """Return what is remembered, by names of its own, for a checkpoint."""
        return {}

    def restore(self, memory: dict[str, Tensor]) -> None:
        """Go on from what `state` of the same method returned."""
        del memory  # a method without a past has nothing to take up

    @abstractmethod
    def learn(self, learner: Learner, batch: Batch, quiet: Batch | None) -> Progressed:
        """Change the learner's module by what a batch teaches.

        Args:
            learner: whose module is changed, by `Learner.apply`.
            batch: trials of the task.
            quiet: trials without input for the timescale term; None where it is not
                looked at in this update.

        Raises:
            NotFinite: the loss or the gradient is no finite number.
            ValueError: the method cannot do what the objective or dynamics ask for.
        """
