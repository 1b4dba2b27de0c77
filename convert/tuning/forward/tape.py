"""`Tape`: what a forward pass leaves for the backward pass; `backward`: that pass.

Whatever computed the spikes, floats or the chip's integers, the gradient is that of the
floating-point step with a surrogate in the place of the threshold's derivative, and the
reset taken as given: (U5) to (U9), from the last step to the first. J is the current
right after its jump, v′ the potential before the reset.
Backpropagation through time with surrogates: doi:10.1109/MSP.2019.2931595.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from isotau.convert.simulate.tile_kernels import TRIALS, in_panels
from isotau.convert.simulate.trainable import SURROGATES
from isotau.convert.tuning.forward import adjoint_kernels

COEFFICIENTS = ("w_in", "w_rec", "v_leak", "v_th", "a_mem", "a_syn", "noise")
"""What the step has for each neuron or synapse, last a factor of 1 on J's noise."""
WANTED = (*COEFFICIENTS, "z0", "v0", "i0")
"""What a gradient may be asked for: those, and the state before the first step."""


class Tape(NamedTuple):
    """What a forward pass leaves; voltages in the module's units.

    Floats are of one type, float32 or float64, on the CPU.

    Attributes:
        flags: steps × batch × neuron, uint8: `lif_kernels.SPIKED` and `RESTED`
            (within the refractory period, so that v′ went nowhere); never both.
        x: steps × batch × neuron: v′ − v_th.
        z0: batch × neuron: spikes of the step before the first.
        v0: batch × neuron: potential before the first step.
        inputs: steps × batch × channel: what entered J in each step.
        current: steps × batch × neuron: J; None unless `a_mem` or `a_syn` is wanted.
        noise: steps × batch × neuron: what noise added to J; None without any, or
            unless `noise` is wanted.
    """

    flags: Tensor
    x: Tensor
    z0: Tensor
    v0: Tensor
    inputs: Tensor
    current: Tensor | None
    noise: Tensor | None = None


class StepCoefficients(NamedTuple):
    """What the step multiplies and compares with; vectors have one value per neuron."""

    w_rec: Tensor
    a_syn: Tensor
    a_mem: Tensor
    v_leak: Tensor
    v_reset: Tensor
    v_th: Tensor
    damping: float
    surrogate: str


class StateGradients(NamedTuple):
    """Gradients of the state after the last step, batch × neuron; None for zeros."""

    z: Tensor | None
    v: Tensor | None
    i: Tensor | None


class SampleGradients(NamedTuple):
    """Gradients of J where it was sampled, samples × batch × neuron; None for zeros.

    Samples are those of `Prepared.run`, of which `step` and `every` are arguments.
    """

    currents: Tensor | None
    step: int
    every: int


UNSAMPLED = SampleGradients(None, 0, 0)


class Gradients(NamedTuple):
    """Gradients of what was wanted; None elsewhere."""

    w_in: Tensor | None
    w_rec: Tensor | None
    v_leak: Tensor | None
    v_th: Tensor | None
    a_mem: Tensor | None
    a_syn: Tensor | None
    noise: Tensor | None
    z0: Tensor | None
    v0: Tensor | None
    i0: Tensor | None


def backward(
    tape: Tape,
    coefficients: StepCoefficients,
    grad_spikes: Tensor | None,
    grad_state: StateGradients | None,
    wanted: frozenset[str],
    samples: SampleGradients = UNSAMPLED,
) -> Gradients:
    """Return the gradients of a loss by (U5) to (U9), and (U21).

    Args:
        tape: of the forward pass; left as it is.
        coefficients: of the module.
        grad_spikes: of the loss with respect to each spike, as large as `tape.x`.
        grad_state: of the loss with respect to the state after the last step.
        wanted: names from `WANTED`.
        samples: of the loss with respect to the samples of J.

    Raises:
        ValueError: other names; `a_mem` or `a_syn` from a tape without the current.
    """
    _check(tape, wanted)
    _, batch, n = tape.x.shape
    nothing = tape.x.new_empty(0, batch, n)
    of_spikes = nothing if grad_spikes is None else grad_spikes
    current = nothing if tape.current is None else tape.current
    noise = nothing if tape.noise is None else tape.noise
    of_samples = nothing if samples.currents is None else samples.currents
    # The kernel writes the gradients of the start over those of the end.
    ends = [
        np.zeros((batch, n), as_array(tape.x).dtype)
        if part is None
        else as_array(part).copy()
        for part in grad_state or StateGradients(None, None, None)
    ]
    arrays = tuple(as_array(part) for part in (*tape[:5], current, noise))
    # W_rec itself, pre along rows of a panel: ∂z = W_recᵀ ∂J sums over posts. (U5)
    panels = in_panels(as_array(coefficients.w_rec))
    net = (panels, *(as_array(part) for part in coefficients[1:6]))
    damping = arrays[1].dtype.type(coefficients.damping)
    kind = SURROGATES.index(coefficients.surrogate)
    grads = (as_array(of_spikes), *ends, as_array(of_samples))
    # without a gradient for the samples no step has one
    place = (samples.step, samples.every * (samples.currents is not None))

    # Each thread has sums of its own, and they are added at the end.
    def work(first: int, last: int) -> tuple[np.ndarray, ...]:
        sums, room = _sums(tape, panels, wanted), _room(last - first, panels)
        adjoint_kernels.backward(
            first, last, kind, damping, arrays, net, grads, place, sums, room
        )
        return sums

    parts = [
        sum(part[1:], part[0]) for part in zip(*over_trials(work, batch), strict=True)
    ]
    # pre × padded post, as spikes add rows; the module has post × pre
    weights = [torch.from_numpy(part[:, :n].T.copy()) for part in parts[:2]]
    rows = [torch.from_numpy(part) for part in (*parts[2:], *ends)]
    return Gradients(
        *(
            part if name in wanted else None
            for name, part in zip(WANTED, weights + rows, strict=True)
        )
    )


def _check(tape: Tape, wanted: frozenset[str]) -> None:
    unknown = sorted(wanted - set(WANTED))
    if unknown:
        raise ValueError(
            f"wanted: got {', '.join(unknown)}, need names from {', '.join(WANTED)}"
        )
    # (U9) needs J for both.
    if tape.current is None and not wanted.isdisjoint(("a_mem", "a_syn")):
        raise ValueError(
            "tape: got no current, need J of each step for a_mem and a_syn; keep it in "
            "the forward pass"
        )


def _sums(
    tape: Tape, panels: np.ndarray, wanted: frozenset[str]
) -> tuple[np.ndarray, ...]:
    """Return zeros for what one thread sums, of length 0 where it is not wanted."""
    n, channels = tape.x.shape[2], tape.inputs.shape[2]
    padded = panels.shape[0] * panels.shape[2]
    rows = [(n,)] * (len(COEFFICIENTS) - 2)
    shapes = ((channels, padded), (n, padded), *rows)
    # The state's gradients, the last of `WANTED`, are no sums.
    return tuple(
        np.zeros(shape if name in wanted else (0, *shape[1:]), panels.dtype)
        for name, shape in zip(COEFFICIENTS, shapes, strict=True)
    )


def _room(trials: int, panels: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return what one thread needs besides."""
    # `multiply` takes whole groups of trials; those beyond the last stay zeros.
    shape = (-(-trials // TRIALS) * TRIALS, panels.shape[0] * panels.shape[2])
    return (
        np.zeros(shape, panels.dtype),
        np.zeros(shape, panels.dtype),
        np.empty(panels.shape[1] + 1, np.int64),
    )


def as_array(tensor: Tensor) -> np.ndarray:
    """Return a tensor's numbers, contiguous; a copy only if they are not."""
    return tensor.detach().contiguous().numpy()


def over_trials(work: Callable[[int, int], Any], batch: int) -> list[Any]:
    """Return what `work(first, last)` does with the shares of a batch.

    There is one share for each of torch's threads, all at once: numba's own threads,
    and their number, are left alone.
    """
    shares = max(1, min(torch.get_num_threads(), batch))
    edges = np.linspace(0, batch, shares + 1).astype(int).tolist()
    if shares == 1:
        return [work(0, batch)]
    # This thread works too: starting one costs as much as some steps of a small net.
    with ThreadPoolExecutor(shares - 1) as pool:
        tasks = [pool.submit(work, *span) for span in pairwise(edges[1:])]
        share = work(0, edges[1])
        return [share, *(task.result() for task in tasks)]
