"""`Fused`: Norse's loop in one compiled pass, with the same spikes and gradients."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from isotau.convert.chip.compiled_step import SPARE_PLACES
from isotau.convert.chip.philox import noise_key
from isotau.convert.chip.vector_step import LANES
from isotau.convert.simulate.norse_module import SILENT, LIFModule
from isotau.convert.simulate.trainable import SURROGATES
from isotau.convert.simulate.vectors.rows import filled_up
from isotau.convert.tuning.forward import fused_kernels as kernels
from isotau.convert.tuning.forward.dynamics import (
    ForwardRun,
    ForwardState,
    samples_in,
    start,
)
from isotau.convert.tuning.forward.tape import (
    WANTED,
    SampleGradients,
    StateGradients,
    StepCoefficients,
    Tape,
    as_array,
    backward,
    over_trials,
)

DTYPES = (torch.float32, torch.float64)


def applies(module: LIFModule) -> bool:
    """Return whether there is a compiled pass for a module: on the CPU, of one type."""
    # The loops read the arrays themselves: one type, in memory.
    kinds = {(part.device.type, part.dtype) for part in (module.w_in, module.w_rec)}
    compiled = {("cpu", kind) for kind in DTYPES}
    return module.surrogate in SURROGATES and len(kinds) == 1 and kinds <= compiled


class Fused:
    """The step as compiled loops over all steps, forward and backward.

    The forward pass does Norse's operations in Norse's order, but adds up the weights
    of those that spiked. In float32 a sum of weights depends on the order in which they
    are added: spikes can differ from Norse's where v comes within such a rounding of
    the threshold, and do not differ where the sums are exact.
    """

    def prepare(self, module: LIFModule) -> "FusedRun":
        """Return the network, ready to run.

        Raises:
            ValueError: there is no compiled pass for the module.
        """
        if not applies(module):
            raise ValueError(
                f"module: got {module.w_rec.dtype} on {module.w_rec.device}, need "
                "float32 or float64 on cpu; use NorseLoop"
            )
        return FusedRun(module)


class FusedRun:
    """A network as `Fused` runs it."""

    def __init__(self, module: LIFModule) -> None:
        """Compute what the step multiplies with."""
        self.module = module
        parameters = module.norse_parameters()
        # These are the products that Norse's step begins with, bit for bit.
        self.a_mem = module.dt * parameters.tau_mem_inv
        self.a_syn = module.dt * parameters.tau_syn_inv
        self.noise = module.current_noise_factor()

    def start(self, batch: int) -> ForwardState:
        """Return the state before the first step."""
        return start(self.module, batch)

    def run(
        self,
        inputs: Tensor,
        state: ForwardState,
        *,
        seed: int | None,
        step: int,
        every: int = 0,
    ) -> ForwardRun:
        """Return what the network does; see `Prepared.run`.

        Raises:
            ValueError: inputs that do not fit, or that want a gradient.
        """
        module = self.module
        _check(module, inputs, state)
        spikes, z, v, i, rest, currents = _FusedPass.apply(
            *(module, torch.is_grad_enabled(), (seed, step, every)),
            *(inputs, state.rest),
            *(module.w_in, module.w_rec, module.v_leak, module.v_th),
            *(self.a_mem, self.a_syn, self.noise, state.z, state.v, state.i),
        )
        return ForwardRun(spikes, ForwardState(z, v, i, rest, inputs[-1]), currents)


def _check(module: LIFModule, inputs: Tensor, state: ForwardState) -> None:
    """Check what the compiled loops take on trust."""
    (n, channels), batch = module.w_in.shape, state.v.shape[0]
    if inputs.ndim != 3 or inputs.shape[1:] != (batch, channels) or not len(inputs):
        raise ValueError(
            f"inputs: got {tuple(inputs.shape)}, need one or more steps × {batch} × "
            f"{channels}, as the state and w_in have them"
        )
    # The tape keeps no gradient for them: one would be lost in silence.
    if inputs.requires_grad:
        raise ValueError(
            "inputs: got some that want a gradient, need plain ones; use NorseLoop"
        )
    for name in ("z", "v", "i", "rest"):
        part = getattr(state, name)
        if part.shape != (batch, n):
            raise ValueError(
                f"state.{name}: got {tuple(part.shape)}, need {batch} × {n}"
            )
    floats = {"inputs": inputs}
    floats |= {f"state.{name}": getattr(state, name) for name in ("z", "v", "i")}
    for name, part in floats.items():
        if part.dtype != module.w_in.dtype:
            raise ValueError(
                f"{name}: got {part.dtype}, need the module's {module.w_in.dtype}"
            )


class _FusedPass(torch.autograd.Function):
    """The compiled pass, with `backward` as its derivative."""

    @staticmethod
    def forward(
        ctx: Any,
        module: LIFModule,
        gradient: bool,
        place: tuple[int | None, int, int],
        *tensors: Tensor,
    ) -> tuple[Tensor, ...]:
        inputs, rest, w_in, w_rec, v_leak, v_th, a_mem, a_syn, _, z, v, i = tensors
        seed, step, every = place
        # A gradient that is None costs nothing; zeros in its place would be summed.
        ctx.set_materialize_grads(False)
        differentiable = dict(zip(WANTED, ctx.needs_input_grad[5:], strict=True))
        taped = gradient and any(differentiable.values())
        with_current = taped and (differentiable["a_mem"] or differentiable["a_syn"])
        with_noise = taped and differentiable["noise"] and seed is not None
        net = tuple(
            _row(part)
            for part in (w_in.T, w_rec.T, a_mem, a_syn, module.v_reset, v_th, v_leak)
        )
        # The loops count in 32 bits: longer periods than that are never over.
        rest_steps = _row(module.rest_steps.clamp(max=2**31 - 1).to(torch.int32))
        resting = rest.clamp(max=2**31 - 1).to(torch.int32)
        # A copy: the loops leave the state after the last step in it.
        state = tuple(_row(part) for part in (z, v, i, resting))
        steps, (batch, n), dtype = len(inputs), z.shape, net[0].dtype
        # What is not kept has no steps.
        records = (
            np.empty((steps, batch, n), dtype),
            np.empty((steps * taped, batch, n), dtype),
            np.empty((steps * taped, batch, n), np.uint8),
            np.empty((steps * with_current, batch, n), dtype),
            np.empty((steps * with_noise, batch, n), dtype),
            np.empty((samples_in(step, steps, every), batch, n), dtype),
        )
        room = np.empty((batch, -(-n // 64) * 64 + SPARE_PLACES), np.int64)
        drives = (as_array(inputs), *_noise(module, seed, step), every)
        net = (*net[:6], rest_steps, net[6])
        arguments = (drives, net, state, records, room)
        over_trials(lambda lo, hi: kernels.forward(lo, hi, *arguments), batch)
        spikes, x, flags, current, added, currents = (
            torch.from_numpy(part) for part in records
        )
        if taped:
            ctx.save_for_backward(
                *(flags, x, z, v, inputs, current if with_current else None),
                added if with_noise else None,
                *(w_rec, a_syn, a_mem, v_leak, module.v_reset, v_th),
            )
            ctx.options = (module.damping, module.surrogate)
            ctx.sampling = (step, every)
        after = [torch.from_numpy(part[:, :n].copy()) for part in state]
        after[3] = after[3].to(torch.int64)
        # Steps of rest are whole numbers.
        ctx.mark_non_differentiable(after[3])
        return (spikes, *after, currents)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        saved = ctx.saved_tensors
        differentiable = zip(WANTED, ctx.needs_input_grad[5:], strict=True)
        gradients = backward(
            Tape(*saved[:7]),
            StepCoefficients(*saved[7:], *ctx.options),
            grads[0],
            StateGradients(*grads[1:4]),
            frozenset(name for name, wants in differentiable if wants),
            SampleGradients(grads[5], *ctx.sampling),
        )
        return (None, None, None, None, None, *gradients)


def _noise(
    module: LIFModule, seed: int | None, step: int
) -> tuple[np.ndarray, np.ndarray, tuple[np.uint64, np.uint64], int]:
    """Return what the loops draw noise from: (U4)."""
    sizes = SILENT if seed is None else module.noise_per_step()
    none = module.v_th[:0]
    to_v, to_i = (_row(none if size is None else size) for size in sizes)
    low, high = noise_key(seed or 0)
    return to_v, to_i, (np.uint64(low), np.uint64(high)), step


def _row(part: Tensor) -> np.ndarray:
    """Return a copy of some of the network or state, filled up to whole vectors."""
    array = as_array(part)
    return filled_up(array, -(-array.shape[-1] // LANES) * LANES)
