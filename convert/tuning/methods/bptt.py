"""Backpropagation through time: the gradient of the surrogate network, whole or cut."""

import torch
from torch import Tensor

from isotau.convert.tuning.learner.learner import Learner, NotFinite, Progressed
from isotau.convert.tuning.loss.batch import Batch
from isotau.convert.tuning.loss.observe import observe


class BPTT:
    """Surrogate gradients back through all steps of a trial.

    The derivative of the spike is a function of v − v_th (`LIFModule`), that of the
    reset is 0. Source: Neftci, Mostafa & Zenke 2019, doi:10.1109/MSP.2019.2931595.
    """

    def state(self) -> dict[str, Tensor]:
        """Return nothing: updates stand alone."""
        return {}

    def restore(self, remembered: dict[str, Tensor]) -> None:
        """Take nothing."""

    def learn(self, learner: Learner, batch: Batch, quiet: Batch | None) -> Progressed:
        """Change the learner's module by what a batch teaches; see `Method.learn`."""
        with learner.noisy():
            parts = losses(learner, batch, quiet)
            total = torch.stack(list(parts.values())).sum()
            check_finite(parts)
            total.backward()
        size = learner.apply()
        told = {name: float(part.detach()) for name, part in parts.items()}
        return Progressed(told | {"total": float(total.detach())}, size)


def losses(learner: Learner, batch: Batch, quiet: Batch | None) -> dict[str, Tensor]:
    """Return the parts of the loss, differentiable."""
    prepared = learner.dynamics.prepare(learner.module)
    segments = learner.config.segments
    trace = observe(prepared, learner.module, batch, segments)
    parts = learner.objective.task_parts(trace, batch)
    if quiet is not None:
        alone = observe(prepared, learner.module, quiet, segments)
        parts |= learner.objective.quiet_parts(alone, quiet)
    return parts


def check_finite(parts: dict[str, Tensor]) -> None:
    """Raise if a part of the loss is no finite number.

    Raises:
        NotFinite: it names the part.
    """
    for name, part in parts.items():
        if not bool(torch.isfinite(part)):
            raise NotFinite(
                f"loss: got {float(part.detach())} for {name}, need a finite number; "
                "lower learning_rate, or look for targets that are too large"
            )
