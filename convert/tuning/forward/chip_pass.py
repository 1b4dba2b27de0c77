"""The chip's time step in one compiled pass, and its straight-through gradient.

The forward pass fills a `Tape`, whose gradient is that of the float step with the
rounded coefficients; see `chip_loop`, of which this is a faster form.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from isotau.convert.chip import arithmetic as chip
from isotau.convert.chip.philox import MASK
from isotau.convert.records.fixedpoint import FixedPointNetwork, WeightBlock
from isotau.convert.tuning.forward import tape
from isotau.convert.tuning.forward.chip_coefficients import (
    ChipCoefficients,
    inputs_of,
    scales_of,
)
from isotau.convert.tuning.forward.chip_kernels import run_trials
from isotau.convert.tuning.forward.dynamics import ForwardState
from isotau.convert.tuning.forward.tape import WANTED, as_array, over_trials


class Layers(NamedTuple):
    """Connections of one source, as few matrices as their floors allow.

    Connections with an exponent of 0 or more are one: modulo 2^32 it does not matter
    whether a sum or its parts are shifted. One with a negative exponent is floored as
    a whole, so its sum stands apart; several share a layer where no neuron has two.

    Attributes:
        rows: (layer · pre + 1) × post, int32; the last row is zeros.
        down: layer × post, int32: bits by which a sum is shifted right.
        row_of: layer × pre, int64: place in `rows`; −1 for a row of zeros.
    """

    rows: np.ndarray
    down: np.ndarray
    row_of: np.ndarray


def layers_of(blocks: list[WeightBlock], n: int, columns: int) -> Layers:
    """Return the layers that deliver what some blocks of one source would."""
    merged = np.zeros((columns, n), dtype=np.int64)
    apart: list[tuple[np.ndarray, np.ndarray]] = []
    for block in blocks:
        if block.weight_exp >= 0:
            scaled = block.weights.T.astype(np.int64) << block.weight_exp
            merged[block.pre] += scaled
            continue
        post = block.weights.any(axis=1)
        free = [layer for layer in apart if not layer[1][post].any()]
        if not free:
            free = [(np.zeros((columns, n), np.int64), np.zeros(n, np.int64))]
            apart += free
        rows, down = free[0]
        rows[np.ix_(block.pre, post)] += block.weights[post].T
        down[post] = -block.weight_exp
    layers = [(merged, np.zeros(n))] if merged.any() or not apart else []
    layers += apart
    rows = np.concatenate([*(rows for rows, _ in layers), np.zeros((1, n), np.int64)])
    # A layer of one sign has rows of zeros for the neurons of the other one.
    row_of = np.where(rows[:-1].any(axis=1), np.arange(len(rows) - 1), -1)
    return Layers(
        rows=chip.wrap_int32(rows).astype(np.int32),
        down=np.stack([down for _, down in layers]).astype(np.int32),
        row_of=row_of.reshape(len(layers), columns),
    )


class Program(NamedTuple):
    """A network as `run_trials` takes it."""

    recurrent: Layers
    graded: Layers
    """Of inputs whose messages are numbers."""
    binary: Layers
    """Of inputs whose messages are spikes."""
    keep_u: np.ndarray
    keep_v: np.ndarray
    bias: np.ndarray
    threshold: np.ndarray
    refractory: np.ndarray


def program_of(fixed: FixedPointNetwork) -> Program:
    """Return a network's integers, arranged for the compiled step."""

    def layers(source: str, binary: bool) -> Layers:
        recurrent = source == "recurrent"
        chosen = [
            block
            for block in fixed.blocks
            if block.source == source and (recurrent or block.binary == binary)
        ]
        return layers_of(chosen, fixed.n, fixed.n if recurrent else fixed.n_in)

    bias = chip.effective_bias(fixed.bias_mant, fixed.bias_exp)
    return Program(
        recurrent=layers("recurrent", True),
        graded=layers("input", False),
        binary=layers("input", True),
        keep_u=1 - (fixed.du + float(chip.DU_OFFSET)) / chip.DECAY_UNITY,
        keep_v=1 - fixed.dv / chip.DECAY_UNITY,
        bias=bias.astype(np.int32),
        threshold=fixed.vth.astype(np.int32) << np.int32(chip.INPUT_SHIFT),
        refractory=fixed.refractory.astype(np.int32),
    )


class ChipSegment(NamedTuple):
    """What the compiled pass takes that no gradient goes to.

    Attributes:
        fixed: the integers.
        unit: volts of the module's units, per neuron.
        program: from `program_of`.
        damping: as in the module.
        surrogate: as in the module.
        sent: what was sent in the step before the first and in each but the last, from
            `quantize.messages`; steps × batch × channel.
        seed: of the noise; None for none.
        step: number of the first step.
        taped: whether a backward pass may follow.
    """

    fixed: FixedPointNetwork
    unit: np.ndarray
    program: Program
    damping: float
    surrogate: str
    sent: np.ndarray
    seed: int | None
    step: int
    taped: bool


def run_compiled(
    job: ChipSegment, have: ChipCoefficients, state: ForwardState
) -> tuple[Tensor, ForwardState]:
    """Return spikes (steps × batch × neuron) and the state after them.

    Args:
        job: what is to be run.
        have: from `coefficients`, in the module's type.
        state: before the first step; its `x` is not looked at.
    """
    given = (state.z, state.v, state.i)
    spikes, v, u, rest = _ChipPass.apply(job, state.rest, *have, *given)
    return spikes, ForwardState(spikes[-1], v, u, rest, state.x)


class _ChipPass(torch.autograd.Function):
    """The chip's steps compiled, and their straight-through gradient."""

    @staticmethod
    def forward(
        ctx: Any, job: ChipSegment, rest: Tensor, *given: Tensor
    ) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        _, w_rec, v_leak, v_th, a_mem, a_syn, z, v, u = given
        needed = dict(zip(WANTED, ctx.needs_input_grad[2:], strict=True))
        taped = job.taped and any(needed.values())
        kept = taped and (needed["a_mem"] or needed["a_syn"])
        dtype, fixed = w_rec.dtype, job.fixed
        out, ends = _run(job, (z, u, v, rest), dtype, (True, taped, taped, kept))
        spikes, flags, x, current = out
        v_end, u_end = (torch.from_numpy(end).double() for end in (ends[2], ends[1]))
        after = torch.from_numpy(ends[3]).long()
        ctx.mark_non_differentiable(after)
        if taped:
            ctx.scales = [torch.from_numpy(s) for s in scales_of(fixed, job.unit)]
            ctx.options = (job.damping, job.surrogate)
            reset = torch.from_numpy(fixed.v_reset / job.unit)
            ctx.save_for_backward(
                *(flags, x, z, (reset + v / ctx.scales[0]).to(dtype)),
                *(inputs_of(fixed, job.sent).to(dtype), current if kept else None),
                *(w_rec, a_syn, a_mem, v_leak, reset.to(dtype), v_th),
                *(u / ctx.scales[1], u_end / ctx.scales[1]),
            )
        return spikes, v_end, u_end, after

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, ...]:
        grad_spikes, grad_v, grad_u, _ = grads
        *saved, before, after = ctx.saved_tensors
        needed = dict(zip(WANTED, ctx.needs_input_grad[2:], strict=True))
        wanted = {name for name, need in needed.items() if need}
        taped = tape.Tape(*saved[:6])
        coefficients = tape.StepCoefficients(*saved[6:], *ctx.options)
        per_v, per_u = ctx.scales
        # The chip keeps u before its decay, the tape i after it.
        kept = 1 - coefficients.a_syn.double()
        grad_i = None
        if grad_u is not None:
            grad_i = torch.where(
                kept > 0, grad_u * per_u / kept, torch.zeros_like(kept)
            )
        ends = (
            None if grad is None else grad.to(taped.x.dtype)
            for grad in (None, None if grad_v is None else grad_v * per_v, grad_i)
        )
        asked = frozenset(wanted | ({"i0"} if needed["a_syn"] else set()))
        after_all = tape.StateGradients(*ends)
        got = tape.backward(
            taped, coefficients, grad_spikes, after_all, asked
        )._asdict()
        if needed["a_syn"]:
            change = -(got["i0"].double() * before).sum(dim=0)
            if grad_i is not None:
                change += (grad_i * after).sum(dim=0)
            got["a_syn"] = got["a_syn"] + change.to(taped.x.dtype)
        if needed["v0"]:
            got["v0"] = got["v0"].double() / per_v
        if needed["i0"]:
            got["i0"] = got["i0"].double() * kept / per_u
        return (
            None,
            None,
            *(got[name] if need else None for name, need in needed.items()),
        )


def _run(
    job: ChipSegment,
    start: tuple[Tensor, ...],
    dtype: torch.dtype,
    keep: tuple[bool, ...],
) -> tuple[tuple[Tensor, ...], tuple[np.ndarray, ...]]:
    """Return what `run_trials` fills, and z, u, v and rest at the end.

    Args:
        job: what is to be run.
        start: z, u, v and rest before.
        dtype: of the floats.
        keep: of spikes, flags, x and current; what is not kept has no steps.
    """
    z, *others = (as_array(part) for part in start)
    steps, (batch, n) = len(job.sent), z.shape
    kinds = (dtype, torch.uint8, dtype, dtype)
    out = tuple(
        torch.empty((steps if kept else 0, batch, n), dtype=kind)
        for kept, kind in zip(keep, kinds, strict=True)
    )
    state: tuple[np.ndarray, ...] = (
        np.pad(z.astype(np.uint8), [(0, 0), (0, -n % 8)]),
        *(part.astype(np.int32) for part in others),
    )
    seed = job.seed or 0
    key = np.array([seed & MASK, seed >> 32], dtype=np.uint64)
    exponent = 0 if job.seed is None else job.fixed.noise_exp or 0
    arrays = tuple(part.numpy() for part in out)
    scales = scales_of(job.fixed, job.unit)
    left = tuple((1 / scale).astype(arrays[0].dtype) for scale in scales)
    arguments = (
        *(job.program, job.sent.astype(np.int32), state, left),
        *((key, job.step, exponent), arrays),
    )
    over_trials(lambda lo, hi: run_trials(lo, hi, *arguments), batch)
    return out, state
