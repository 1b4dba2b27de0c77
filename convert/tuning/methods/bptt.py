"""Backpropagation through time: the gradient of the surrogate network, whole or cut."""

import torch

from isotau.convert.tuning.learner.learner import Learner, Method, Progressed, finite
from isotau.convert.tuning.loss.batch import Batch


class BPTT(Method):
    """Surrogate gradients back through all steps of a trial, or of its segments.

    The derivative of the spike is a function of v − v_th (`LIFModule`), that of the
    reset is 0. Source: Neftci, Mostafa & Zenke 2019, doi:10.1109/MSP.2019.2931595.
    """

    def learn(self, learner: Learner, batch: Batch, quiet: Batch | None) -> Progressed:
        """Change the learner's module by one gradient of all parts of the loss."""
        with learner.noisy():
            _, parts = learner.observe(batch, quiet, learner.config.segments)
            total = torch.stack(list(parts.values())).sum()
            losses = finite(parts)
            total.backward()  # inside: the gradient belongs to the noisy weights
        size = learner.apply()
        return Progressed(losses | {"total": float(total.detach())}, size)
