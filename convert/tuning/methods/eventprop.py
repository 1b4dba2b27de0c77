"""EventProp: exact gradients with respect to the times of spikes."""

from dataclasses import dataclass

import numpy as np
import torch

from isotau.convert.ground import validation
from isotau.convert.simulate.norse_module import LIFModule, to_network
from isotau.convert.tuning.forward.chip import ChipDynamics
from isotau.convert.tuning.learner.learner import Learner, Method, Progressed, finite
from isotau.convert.tuning.loss.batch import Batch
from isotau.convert.tuning.loss.observe import Observation, bin_steps, whole_bins
from isotau.convert.tuning.methods.eventprop_simulation import (
    gradients,
    simulate_events,
)

OUTPUTS = ("w_out", "b_out")


@dataclass(frozen=True, slots=True)
class EventProp(Method):
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

    def learn(self, learner: Learner, batch: Batch, quiet: Batch | None) -> Progressed:
        """Change the learner's module by the exact gradient of the task's loss.

        Raises:
            NotFinite: the loss or the gradient is no finite number.
            ValueError: what is asked for has no gradient by the times of spikes.
        """
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
        # the states, which (V16) needs, are most of the memory
        keep = "tau_mem" in trains or "tau_syn" in trains
        events = simulate_events(
            net, inputs, lead=batch.lead, keep=keep, threads=threads
        )
        # to the module's type: up to here all is float64, which times of spikes need
        filtered = torch.tensor(
            events.filtered, dtype=module.w_out.dtype, requires_grad=True
        )
        outputs = filtered @ module.w_out.T + module.b_out
        # no bins: a rate's loss has no gradient here, and `_refuse` saw to it
        no_counts = filtered.new_zeros(0, *filtered.shape[1:])
        observation = Observation(outputs, no_counts, bin_steps(module.dt))
        parts = learner.objective.task_parts(observation, batch)
        loss = finite(parts)["task"]
        # by the readout autograd, by the spikes' times the adjoint
        outer = [trains[name] for name in OUTPUTS if name in trains]
        pull, *of_outer = torch.autograd.grad(parts["task"], [filtered, *outer])
        by_times = gradients(
            *(net, inputs, events, pull.double().numpy()),
            shallow=self.shallow,
            cuts=_cuts(module, batch, learner.config.segments.truncate),
            threads=threads,
        )
        for parameter, gradient in zip(outer, of_outer, strict=True):
            parameter.grad = gradient
        for name, parameter in trains.items():
            if name not in OUTPUTS:
                parameter.grad = torch.tensor(by_times[name], dtype=parameter.dtype)
        return loss


def _refuse(learner: Learner, quiet: Batch | None) -> None:
    """Raise if the objective or the dynamics ask for what spike times cannot give."""
    device = learner.module.w_rec.device.type
    if device != "cpu":
        raise ValueError(f"device: got {device}, need cpu; choose it")
    if isinstance(learner.dynamics, ChipDynamics):
        raise ValueError(
            "dynamics: got the chip's arithmetic, need floats, as integers have no "
            "spike times between steps; use method 'bptt'"
        )
    # a spike that comes or goes is no small change of any time
    objective = learner.objective
    if objective.rates is not None:
        raise ValueError(
            "rates: got a target, need none, as numbers of spikes have no gradient "
            "with respect to their times; use method 'bptt'"
        )
    if objective.timescales is not None or quiet is not None:
        raise ValueError(
            "timescales: got a target, need none, as without noise, which this method "
            "leaves out, a state has no autocovariance; use method 'bptt'"
        )


def _cuts(module: LIFModule, batch: Batch, truncate: int) -> np.ndarray:
    """Return before which steps no gradient goes: where `observe` cuts its segments."""
    cuts = np.zeros(batch.inputs.shape[0], np.bool_)
    if truncate:
        cuts[batch.lead :: whole_bins(truncate, bin_steps(module.dt))] = True
    return cuts
