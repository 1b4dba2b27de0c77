"""`read_filtered`: `LIFModule.read_out` with a filter that can start anywhere."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from isotau.convert.simulate.norse_module import LIFModule
from isotau.convert.tuning.forward import readout_kernels
from isotau.convert.tuning.forward.tape import as_array, over_trials

DTYPES = (torch.float32, torch.float64)


def read_filtered(
    module: LIFModule, spikes: Tensor, f: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the outputs, steps × batch × output, and f after the last step.

    o and f are those of (L12) and (L13). Differentiable with respect to spikes, f,
    W_out and b_out; in one compiled pass on the CPU.

    Args:
        module: the network.
        spikes: steps × batch × neuron, one or more steps.
        f: before the first step, batch × neuron, in Hz.

    Raises:
        ValueError: shapes or types that do not fit.
    """
    _check(module, spikes, f)
    loss = module.loss_per_step(module.tau_out).detach()
    keep, gain = 1 - loss, loss / module.dt
    if spikes.device.type == "cpu" and spikes.dtype in DTYPES:
        return _Readout.apply(spikes, f, module.w_out, module.b_out, keep, gain)
    filtered = []
    # unbind, not spikes[t]: the backward pass of the latter is quadratic in steps
    for z in spikes.unbind():
        f = f * keep + z * gain  # (L12)
        filtered.append(f)
    return torch.stack(filtered) @ module.w_out.T + module.b_out, f


def _check(module: LIFModule, spikes: Tensor, f: Tensor) -> None:
    n = module.w_out.shape[1]
    if spikes.ndim != 3 or spikes.shape[2] != n or not len(spikes):
        raise ValueError(
            f"spikes: got {tuple(spikes.shape)}, need one or more steps × batch × {n}"
        )
    if f.shape != spikes.shape[1:]:
        raise ValueError(
            f"f: got {tuple(f.shape)}, need the spikes' {tuple(spikes.shape[1:])}"
        )
    for name, part in (("spikes", spikes), ("f", f)):
        if part.dtype != module.w_out.dtype:
            raise ValueError(
                f"{name}: got {part.dtype}, need the module's {module.w_out.dtype}"
            )


class _Readout(torch.autograd.Function):
    """The compiled pass and its derivative."""

    @staticmethod
    def forward(ctx: Any, *tensors: Tensor) -> tuple[Tensor, Tensor]:
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*tensors)
        z, start, *readout = (as_array(part) for part in tensors)
        f = start.copy()
        outputs = np.empty((*z.shape[:2], len(readout[0])), z.dtype)
        arguments = (z, f, *readout, outputs)
        over_trials(lambda lo, hi: readout_kernels.read(lo, hi, *arguments), z.shape[1])
        return torch.from_numpy(outputs), torch.from_numpy(f)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        arrays = (as_array(part) for part in ctx.saved_tensors)
        spikes, f, w_out, _, keep, gain = arrays
        (steps, batch, n), (n_out, _) = spikes.shape, w_out.shape
        of_outputs = np.zeros((steps, batch, n_out), spikes.dtype)
        if grads[0] is not None:
            of_outputs = as_array(grads[0])
        # One row more than outputs: the gradient of f after the last step itself.
        q = np.zeros((batch, n_out + 1, n), spikes.dtype)
        if grads[1] is not None:
            q[:, n_out] = as_array(grads[1])
        w = np.concatenate([w_out, np.ones_like(w_out[:1])])
        grad_spikes = np.empty_like(spikes)

        def work(first: int, last: int) -> np.ndarray:
            dw = np.zeros_like(w)
            readout_kernels.read_back(
                first, last, spikes, of_outputs, w, keep, gain, q, grad_spikes, dw
            )
            return dw

        from_spikes = sum(over_trials(work, batch)) * gain
        # What f at the start owes: it decays as what spikes add does.
        from_start = np.einsum("bj,bkj->kj", f, q)
        gradients = (
            grad_spikes,
            np.einsum("kj,bkj->bj", w, q),
            (from_spikes + from_start)[:n_out],
            # float64: tens of thousands of numbers are added
            of_outputs.sum(axis=(0, 1), dtype=np.float64).astype(w.dtype),
        )
        return (*(torch.from_numpy(part) for part in gradients), None, None)
