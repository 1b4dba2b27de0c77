"""Forward propagation through time: an update after each window of a trial.

Source: Kag & Saligrama 2021, "Training recurrent neural networks via forward
propagation through time", PMLR 139:5189–5200; for spiking networks Yin, Corradi &
Bohte 2023, doi:10.1038/s42256-023-00650-4.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from isotau.convert.ground import validation
from isotau.convert.tuning.forward.chip import PreparedChip
from isotau.convert.tuning.forward.chip_coefficients import scales_of
from isotau.convert.tuning.forward.dynamics import ForwardState, Prepared, detach
from isotau.convert.tuning.learner.learner import (
    Learner,
    Method,
    Progressed,
    finite,
    gradient_norm,
)
from isotau.convert.tuning.loss.batch import Batch
from isotau.convert.tuning.loss.observe import (
    Observation,
    bin_steps,
    run_segment,
    settle,
)


class FPTT(Method):
    """A gradient through one window at a time, and an update at its end.

    With ℓ_k the loss of window k, whose gradient g_k stops at the window's start, each
    update is a step down

        ℓ_k(Φ) + α/2 ‖(Φ − Φ̄_k)/s − s g_{k−1}/(2α)‖²,   s: typical size of a parameter

    after which Φ̄_{k+1} = (Φ̄_k + Φ_{k+1})/2 − s² g_k/(2α). Where Φ comes to rest, the
    mean of the g_k is 0: the windows' losses are balanced over the trial, not each
    followed in turn. The state of the network goes on from window to window, Φ̄ and g
    from trial to trial. Memory is that of one window, whatever the trial's length.

    For task "mse" the windows' losses sum up to the trial's, as each counts by its
    masked steps. For "labels" and rates every window is asked for what the trial is
    asked for, which is more: the loss is a mean over windows, and rates of a window
    scatter more than a trial's. Windows in which nothing is asked for change nothing.

    Two things are not as in the paper: g_k is taken before the update instead of after
    it, which would need a second pass, and what of it is remembered is clipped as
    updates are. Windows are whole bins of 50 ms, the last with what is left of the
    trial; the lead passes without a gradient.
    """

    def __init__(self, windows: int = 10, alpha: float = 0.1) -> None:
        """Begin without a past.

        Args:
            windows: of a trial; fewer where it has fewer bins.
            alpha: α, for the loss as it is and parameters in their typical size; 0
                leaves the regularizer out.
        """
        self.windows = validation.whole("windows", windows, 1, 1 << 20)
        self.alpha = validation.number("alpha", alpha, minimum=0)
        self._average: dict[str, Tensor] = {}
        self._gradient: dict[str, Tensor] = {}

    def learn(self, learner: Learner, batch: Batch, quiet: Batch | None) -> Progressed:
        """Change the learner's module after each window of a batch's trials.

        Returns:
            Losses summed over the windows, without the regularizer; of the gradients'
            norms the largest.

        Raises:
            NotFinite: a loss or gradient is no finite number; windows before it have
                changed the module.
            ValueError: the objective or the segments are of whole trials.
        """
        _check(learner, quiet)
        losses: dict[str, float] = {}
        # the module changes between windows, so each prepares the network anew
        largest, place, width = 0.0, None, bin_steps(learner.module.dt)
        for window in cut(len(batch.targets), self.windows, width):
            share = _shares(learner, batch, window)
            # a window in which nothing is asked for only moves the state on
            with learner.noisy(), torch.set_grad_enabled(any(share.values())):
                observation, place = _run(learner, batch, window, place)
                if not any(share.values()):
                    continue
                parts = learner.objective.task_parts(observation, _part(batch, window))
                parts = {name: share[name] * part for name, part in parts.items()}
                numbers = finite(parts)
                torch.stack(list(parts.values())).sum().backward()
            for name, number in numbers.items():
                losses[name] = losses.get(name, 0.0) + number
            largest = max(largest, self._update(learner))
        return Progressed(losses | {"total": sum(losses.values())}, largest)

    def state(self) -> dict[str, Tensor]:
        """Return what is remembered between updates, for a checkpoint."""
        average = {f"average.{name}": part for name, part in self._average.items()}
        return average | {f"gradient.{k}": part for k, part in self._gradient.items()}

    def restore(self, memory: dict[str, Tensor]) -> None:
        """Go on from what `state` returned.

        Raises:
            ValueError: names that it does not have.
        """
        groups: dict[str, dict[str, Tensor]] = {"average": {}, "gradient": {}}
        for name, part in memory.items():
            group, _, parameter = name.partition(".")
            if group not in groups:
                raise ValueError(
                    f"state: got {name!r}, need average.* and gradient.*; give what "
                    "`state` of the same method returned"
                )
            groups[group][parameter] = part.clone()
        self._average, self._gradient = groups["average"], groups["gradient"]

    def _update(self, learner: Learner) -> float:
        """Return the norm of a window's gradient, after an update by it."""
        norm, clip = float(gradient_norm(learner)), learner.config.clip
        # (B10): `apply` clips the sum with (W2); what is remembered is clipped here
        share = 1.0 if clip is None or norm <= clip else clip / norm
        # groups know their parameters' typical sizes s
        named = {group["name"]: group for group in learner.optimizer.param_groups}
        gradient = {}
        for name, group in named.items():
            parameter = group["params"][0]
            if self.alpha and parameter.grad is not None:
                gradient[name] = share * parameter.grad
                # at the first window Φ̄ is Φ and g is 0: the regularizer is silent
                parameter.grad += pull(
                    parameter.detach(),
                    self._average.get(name, parameter.detach()),
                    self._gradient.get(name, torch.zeros_like(parameter)),
                    size=group["size"],
                    alpha=self.alpha,
                )
        # copies: `apply` steps in place
        before = {name: named[name]["params"][0].detach().clone() for name in gradient}
        learner.apply()
        for name, part in gradient.items():
            self._average[name] = follow(
                self._average.get(name, before[name]),
                named[name]["params"][0].detach(),
                part,
                size=named[name]["size"],
                alpha=self.alpha,
            )
        self._gradient |= gradient
        return norm


def pull(
    parameter: Tensor, average: Tensor, gradient: Tensor, *, size: float, alpha: float
) -> Tensor:
    """Return the gradient of α/2 ‖(Φ − Φ̄)/s − s g/(2α)‖² with respect to Φ.

    Args:
        parameter: Φ.
        average: Φ̄.
        gradient: g, of the window before.
        size: s, the parameter's typical size.
        alpha: α.
    """
    # (W2)
    return alpha * (parameter - average) / size**2 - gradient / 2


def follow(
    average: Tensor, parameter: Tensor, gradient: Tensor, *, size: float, alpha: float
) -> Tensor:
    """Return the next Φ̄: (Φ̄ + Φ)/2 − s² g/(2α).

    Args:
        average: Φ̄.
        parameter: Φ after the update.
        gradient: g, of the window that it came from.
        size: s, the parameter's typical size.
        alpha: α, greater than 0.
    """
    # (W3)
    return (average + parameter) / 2 - size**2 * gradient / (2 * alpha)


def cut(steps: int, windows: int, width: int) -> list[slice]:
    """Return windows of a trial, of whole bins, as equal as these allow.

    Args:
        steps: of the trial.
        windows: how many; fewer where there are fewer bins.
        width: steps of a bin. Steps that fill none belong to the last window.
    """
    # whole bins, or counts of rates would have bins of two lengths
    bins = max(1, steps // width)
    windows = min(windows, bins)
    edges = [k * bins // windows * width for k in range(windows)] + [steps]
    return [slice(first, after) for first, after in pairwise(edges)]


def carried(state: ForwardState, before: Prepared, now: Prepared) -> ForwardState:
    """Return a state as the network takes it whose parameters have changed.

    Floats stay as they are. The chip's integers come to stand for the same voltages,
    but for rounding, as their scale follows the parameters.
    """
    # floats stand for volts in fixed units; integers for volts in a scale that moves
    if not (isinstance(before, PreparedChip) and isinstance(now, PreparedChip)):
        return state
    old, new = (scales_of(run.fixed, run.unit) for run in (before, now))  # (W5)

    def scaled(part: Tensor, factor: np.ndarray) -> Tensor:
        return (part * torch.tensor(factor, device=part.device)).round()

    return state._replace(
        v=scaled(state.v, new.v / old.v), i=scaled(state.i, new.u / old.u)
    )


def _check(learner: Learner, quiet: Batch | None) -> None:
    if quiet is not None or learner.objective.timescales is not None:
        raise ValueError(
            "method: got 'fptt' with a timescale term, need losses of windows; an "
            "autocovariance is one of whole trials: use 'bptt'"
        )
    if learner.objective.task == "norm":
        raise ValueError(
            "task: got 'norm' with method 'fptt', need a loss that is a sum over "
            "windows; use 'mse'"
        )
    segments = learner.config.segments
    # refused, not ignored: a user who asks for them expects less memory by them
    if any(segments):
        raise ValueError(
            f"segments: got {segments} with method 'fptt', need none, as its windows "
            "cut the trial; leave truncate and recompute at 0"
        )


def _shares(learner: Learner, batch: Batch, window: slice) -> dict[str, float]:
    """Return by how much of the trial's losses a window counts (W4)."""
    shares = {}
    if learner.objective.task != "none":
        # without any masked step the objective says what is wrong
        masked = float(batch.mask.sum())
        shares["task"] = float(batch.mask[window].sum()) / masked if masked else 1.0
    if learner.objective.rates is not None:
        shares["rates"] = (window.stop - window.start) / len(batch.targets)
    return shares


def _part(batch: Batch, window: slice) -> Batch:
    """Return a window of the trials; their record stays whole."""
    # without a lead of its own: the state comes from the window before
    inputs = batch.inputs[batch.lead :][window]
    targets, mask = batch.targets[window], batch.mask[window]
    return batch._replace(inputs=inputs, targets=targets, mask=mask, lead=0)


class _Place(NamedTuple):
    """Where a trial stands after a window: the network then, its state and filter."""

    prepared: Prepared
    state: ForwardState
    f: Tensor


def _run(
    learner: Learner, batch: Batch, window: slice, place: _Place | None
) -> tuple[Observation, _Place]:
    """Return what the network does in a window, and where it then stands.

    No gradient leads to the window before. The trial begins without a place.
    """
    module, width = learner.module, bin_steps(learner.module.dt)
    prepared = learner.dynamics.prepare(module)
    if place is None:
        state = settle(prepared, batch, gradient=False)
        f = module.f0.expand_as(state.v)
    else:
        state = carried(detach(place.state), place.prepared, prepared)
        f = place.f.detach()
    inputs, first = _part(batch, window).inputs, batch.lead + window.start
    outputs, counts, _, _, f, *after = run_segment(
        prepared, module, inputs, f, batch.seed, first, width, 0, *state
    )
    place = _Place(prepared, ForwardState(*after), f)
    return Observation(outputs, counts, width), place
