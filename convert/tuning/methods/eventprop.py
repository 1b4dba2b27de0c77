"""EventProp: exact gradients with respect to the times of spikes."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from isotau.convert.ground import validation
from isotau.convert.simulate.norse_module import LIFModule, to_network
from isotau.convert.tuning.forward.chip import Chip
from isotau.convert.tuning.learner.learner import Learner, Progressed
from isotau.convert.tuning.loss.batch import Batch
from isotau.convert.tuning.loss.observe import Observation, bin_steps
from isotau.convert.tuning.methods.bptt import check_finite
from isotau.convert.tuning.methods.eventprop_simulation import (
    gradients,
    simulate_events,
)

OUTPUTS = ("w_out", "b_out")


@dataclass(frozen=True, slots=True)
class EventProp:
    """Gradients of the network in continuous time, by the adjoint method.

    In continuous time (`eventprop_simulation`) outputs are a function of the times of
    spikes, and those of the parameters; the gradient is exact as long as no spike comes
    or goes. No surrogate is needed: the configuration's `surrogate`, `width`, `damping`
    and `dynamics` are not looked at, nor is `segments.recompute`, as nothing but spikes
    is kept (and two numbers per neuron and step where τ trains). There is no membrane
    noise, whatever the network and the batch's seed say.

    A neuron that never spikes has no gradient, so a silent network learns nothing but
    b_out. Spikes before the trial, in its lead, do not enter the readout; one that
    passes from the lead to the trial makes the loss jump.

    Source: Wunderlich & Pehle 2021, doi:10.1038/s41598-021-91786-z; here with delays, a
    refractory period and a readout that are not in the paper.

    Attributes:
        shallow: least slope of v at a spike that is divided by, as a share of
            (v_th − v_reset)/τ_mem. A spike whose v touches v_th only has an infinite
            gradient. With 0 gradients are exact.
    """

    shallow: float = 0.05

    def __post_init__(self) -> None:
        """Check the field."""
        validation.number("shallow", self.shallow, minimum=0)

    def state(self) -> dict[str, Tensor]:
        """Return nothing: updates stand alone."""
        return {}

    def restore(self, remembered: dict[str, Tensor]) -> None:
        """Take nothing."""

    def learn(self, learner: Learner, batch: Batch, quiet: Batch | None) -> Progressed:
        """Change the learner's module by what a batch teaches; see `Method.learn`."""
        _refuse(learner, quiet)
        with learner.noisy():
            loss = self._gradients(learner, batch)
        size = learner.apply()
        return Progressed({"task": loss, "total": loss}, size)

    def _gradients(self, learner: Learner, batch: Batch) -> float:
        """Return the loss, and leave its gradients in the module."""
        module, trains = learner.module, learner.parameters()
        net, inputs = to_network(module), batch.inputs.double().numpy()
        threads = min(torch.get_num_threads(), inputs.shape[1])
        keep = "tau_mem" in trains or "tau_syn" in trains
        events = simulate_events(
            net, inputs, lead=batch.lead, keep=keep, threads=threads
        )
        filtered = torch.tensor(
            events.filtered, dtype=module.w_out.dtype, requires_grad=True
        )
        outputs = filtered @ module.w_out.T + module.b_out
        no_counts = filtered.new_zeros(0, *filtered.shape[1:])
        trace = Observation(outputs, no_counts, bin_steps(module.dt))
        parts = learner.objective.task_parts(trace, batch)
        check_finite(parts)
        outer = [trains[name] for name in OUTPUTS if name in trains]
        pull, *of_outer = torch.autograd.grad(parts["task"], [filtered, *outer])
        found = gradients(
            *(net, inputs, events, pull.double().numpy()),
            shallow=self.shallow,
            cuts=_cuts(module, batch, learner.config.segments.truncate),
            threads=threads,
        )
        for parameter, gradient in zip(outer, of_outer, strict=True):
            parameter.grad = gradient
        for name, parameter in trains.items():
            if name not in OUTPUTS:
                parameter.grad = torch.tensor(found[name], dtype=parameter.dtype)
        return float(parts["task"].detach())


def _refuse(learner: Learner, quiet: Batch | None) -> None:
    """Raise if the objective or the dynamics ask for what spike times cannot give."""
    device = learner.module.w_rec.device.type
    if device != "cpu":
        raise ValueError(f"device: got {device}, need cpu; choose it")
    if isinstance(learner.dynamics, Chip):
        raise ValueError(
            "dynamics: got the chip's arithmetic, need floats, as integers have no "
            "spike times between steps; use method 'bptt'"
        )
    asked = learner.objective
    counted = {
        "rates": asked.rates is not None,
        "timescales": asked.timescales is not None or quiet is not None,
    }
    for name, is_asked in counted.items():
        if is_asked:
            raise ValueError(
                f"{name}: got a target, need none, as numbers of spikes have no "
                "gradient with respect to their times; use method 'bptt'"
            )


def _cuts(module: LIFModule, batch: Batch, truncate: int) -> np.ndarray:
    """Return before which steps no gradient goes: as in `observe`."""
    cuts = np.zeros(batch.inputs.shape[0], np.bool_)
    if truncate:
        width = bin_steps(module.dt)
        cuts[batch.lead :: -(-truncate // width) * width] = True
    return cuts
