"""`Learner`: a module, what it is to become, and how a gradient changes it."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import NamedTuple, Protocol

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
        if not torch.isfinite(size):
            self.optimizer.zero_grad()
            raise NotFinite(
                f"gradient: got a norm of {float(size)}, need a finite number; lower "
                "learning_rate or damping, or set clip"
            )
        clip = self.config.clip
        if clip is not None and size > clip:
            for parameter in self.module.parameters():
                if parameter.grad is not None:
                    parameter.grad.mul_(clip / size)
        before = {
            name: part.detach().clone() for name, part in self.parameters().items()
        }
        self.optimizer.step()
        self.optimizer.zero_grad()
        with torch.no_grad():
            round_update(self.module, before, self.config.update_levels, self.chance)
            hold(self.module, self.constraints)
        return float(size)


def gradient_norm(learner: Learner) -> Tensor:
    """Return the norm of the gradient, each part times its parameter's typical size."""
    squares = []
    for group in learner.optimizer.param_groups:
        for parameter in group["params"]:
            if parameter.grad is not None:
                squares.append((parameter.grad * group["size"]).double().square().sum())
    return torch.stack(squares).sum().sqrt() if squares else torch.zeros(())


class Method(Protocol):
    """A way to find gradients.

    `state` and `restore` give and take what it remembers between updates.
    """

    def state(self) -> dict[str, Tensor]:
        """Return what is remembered, by names of its own."""

    def restore(self, remembered: dict[str, Tensor]) -> None:
        """Take what `state` gave."""

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
