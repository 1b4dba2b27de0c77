"""The chip's time step in one compiled pass, and its straight-through gradient.

The forward pass fills a `Tape`, whose gradient is that of the float step with the
rounded coefficients; see `chip_loop`, of which this is a faster form.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from isotau.convert.chip import arithmetic as chip
from isotau.convert.chip.philox import noise_key
from isotau.convert.ground.sparse import dense
from isotau.convert.records.fixedpoint import FixedPointNetwork, WeightBlock
from isotau.convert.tuning.forward import tape
from isotau.convert.tuning.forward.chip_coefficients import (
    ChipCoefficients,
    inputs_of,
    scales_of,
)
from isotau.convert.tuning.forward.chip_kernels import run_trials
from isotau.convert.tuning.forward.dynamics import (
    ForwardRun,
    ForwardState,
    samples_in,
)
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
    floored: list[tuple[np.ndarray, np.ndarray]] = []
    for block in blocks:
        weights = dense(block.weights, "tuning")
        if block.weight_exp >= 0:
            merged[block.pre] += weights.T.astype(np.int64) << block.weight_exp
            continue
        post = weights.any(axis=1)
        # the first layer in which its neurons are not yet floored
        free = [layer for layer in floored if not layer[1][post].any()]
        if not free:
            free = [(np.zeros((columns, n), np.int64), np.zeros(n, np.int64))]
            floored += free
        rows, down = free[0]
        rows[np.ix_(block.pre, post)] += weights[post].T
        down[post] = -block.weight_exp
    layers = [(merged, np.zeros(n))] if merged.any() or not floored else []
    layers += floored
    rows = np.concatenate([*(rows for rows, _ in layers), np.zeros((1, n), np.int64)])
    # A layer of one sign has rows of zeros for the neurons of the other one.
    row_of = np.where(rows[:-1].any(axis=1), np.arange(len(rows) - 1), -1)
    return Layers(
        rows=chip.wrap_int32(rows).astype(np.int32),
        down=np.stack([down for _, down in layers]).astype(np.int32),
        row_of=row_of.reshape(len(layers), columns),
    )


class Program(NamedTuple):
    """A network as `run_trials` takes it; rows are those of `compiled_step`."""

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
    sources: dict[str, list[WeightBlock]] = {
        "recurrent": [],
        "graded": [],
        "binary": [],
    }
    for block in fixed.blocks:
        kind = "binary" if block.binary else "graded"
        sources["recurrent" if block.source == "recurrent" else kind].append(block)
    return Program(
        recurrent=layers_of(sources["recurrent"], fixed.n, fixed.n),
        graded=layers_of(sources["graded"], fixed.n, fixed.n_in),
        binary=layers_of(sources["binary"], fixed.n, fixed.n_in),
        # exact in float64: multiples of 1/4096
        keep_u=1 - (fixed.du + float(chip.DU_OFFSET)) / chip.DECAY_UNITY,
        keep_v=1 - fixed.dv / chip.DECAY_UNITY,
        bias=chip.effective_bias(fixed.bias_mant, fixed.bias_exp).astype(np.int32),
        threshold=fixed.vth.astype(np.int32) << np.int32(chip.INPUT_SHIFT),
        refractory=fixed.refractory.astype(np.int32),
    )


class ChipSegment(NamedTuple):
    """What a run of some steps takes that no gradient goes to.

    Attributes:
        fixed: the integers.
        unit: volts of the module's units, per neuron.
        program: from `program_of`, for the compiled pass; else None.
        damping: as in the module.
        surrogate: as in the module.
        sent: what was sent in the step before the first and in each but the last, from
            `quantize.messages`; steps × batch × channel.
        seed: of the noise; None for none.
        step: number of the first step.
        every: steps between two samples of the current; 0 for none.
    """

    fixed: FixedPointNetwork
    unit: np.ndarray
    program: Program | None
    damping: float
    surrogate: str
    sent: np.ndarray
    seed: int | None
    step: int
    every: int = 0


def run_compiled(
    segment: ChipSegment, coefficients: ChipCoefficients, state: ForwardState
) -> ForwardRun:
    """Return what the chip does in some steps, in the type of the coefficients.

    Args:
        segment: what is to be run.
        coefficients: from `chip_coefficients`, in the module's type.
        state: before the first step; its `x` is not looked at.
    """
    spikes, v, u, rest, currents = _ChipPass.apply(
        segment, torch.is_grad_enabled(), state.rest, *coefficients, *state[:3]
    )
    return ForwardRun(spikes, ForwardState(spikes[-1], v, u, rest, state.x), currents)


class _ChipPass(torch.autograd.Function):
    """The chip's steps compiled, and their straight-through gradient: (U10)."""

    @staticmethod
    def forward(
        ctx: Any, segment: ChipSegment, gradient: bool, rest: Tensor, *tensors: Tensor
    ) -> tuple[Tensor, ...]:
        # A gradient that is None costs nothing; zeros in its place would be summed.
        ctx.set_materialize_grads(False)
        _, w_rec, v_leak, v_th, a_mem, a_syn, _, z, v, u = tensors
        differentiable = dict(zip(WANTED, ctx.needs_input_grad[3:], strict=True))
        taped = gradient and any(differentiable.values())
        with_current = taped and (differentiable["a_mem"] or differentiable["a_syn"])
        with_noise = taped and differentiable["noise"]
        dtype, fixed = w_rec.dtype, segment.fixed
        recorded, ends = _run(
            *(segment, (z, u, v, rest), dtype),
            (True, taped, taped, with_current, with_noise),
        )
        spikes, flags, x, current, noise, currents = recorded
        v_end, u_end = (torch.from_numpy(end).double() for end in (ends[2], ends[1]))
        rest_end = torch.from_numpy(ends[3]).long()
        ctx.mark_non_differentiable(rest_end)  # whole numbers
        if taped:
            ctx.scales = [torch.from_numpy(s) for s in scales_of(fixed, segment.unit)]
            ctx.options = (segment.damping, segment.surrogate)
            ctx.sampling = (segment.step, segment.every)
            kept_parts = ((current, with_current), (noise, with_noise))
            reset = torch.from_numpy(fixed.v_reset / segment.unit)
            ctx.save_for_backward(
                *(flags, x, z, (reset + v / ctx.scales[0]).to(dtype)),
                inputs_of(fixed, segment.sent).to(dtype),
                *(part if kept else None for part, kept in kept_parts),
                *(w_rec, a_syn, a_mem, v_leak, reset.to(dtype), v_th),
                *(u / ctx.scales[1], u_end / ctx.scales[1]),
            )
        return spikes, v_end, u_end, rest_end, currents

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, ...]:
        grad_spikes, grad_v, grad_u, _, grad_currents = grads
        *saved, current_before, current_after = ctx.saved_tensors
        differentiable = dict(zip(WANTED, ctx.needs_input_grad[3:], strict=True))
        record = tape.Tape(*saved[:7])
        coefficients = tape.StepCoefficients(*saved[7:], *ctx.options)
        per_v, per_u = ctx.scales
        dtype = record.x.dtype
        # The chip's u is J before its decay, the tape's i is what the decay leaves:
        # i = keep · u, so keep, and with it a_syn, has a share in both ends.
        keep = 1 - coefficients.a_syn.double()
        grad_v = None if grad_v is None else (grad_v * per_v).to(dtype)
        grad_i = None
        if grad_u is not None:
            # Where nothing is left, i says nothing of u.
            grad_i = torch.where(
                keep > 0, grad_u * per_u / keep, torch.zeros_like(keep)
            )
        ends = tape.StateGradients(
            None, grad_v, None if grad_i is None else grad_i.to(dtype)
        )
        names = {name for name, need in differentiable.items() if need}
        names |= {"i0"} if differentiable["a_syn"] else set()
        gradients = tape.backward(
            *(record, coefficients, grad_spikes, ends, frozenset(names)),
            tape.SampleGradients(grad_currents, *ctx.sampling),
        )._asdict()
        if differentiable["a_syn"]:
            change = -(gradients["i0"].double() * current_before).sum(dim=0)
            if grad_i is not None:
                change += (grad_i * current_after).sum(dim=0)
            gradients["a_syn"] = gradients["a_syn"] + change.to(dtype)
        if differentiable["v0"]:
            gradients["v0"] = gradients["v0"].double() / per_v
        if differentiable["i0"]:
            gradients["i0"] = gradients["i0"].double() * keep / per_u
        asked_for = (
            gradients[name] if need else None for name, need in differentiable.items()
        )
        return (None, None, None, *asked_for)


def _run(
    segment: ChipSegment,
    start: tuple[Tensor, ...],
    dtype: torch.dtype,
    recorded: tuple[bool, ...],
) -> tuple[tuple[Tensor, ...], tuple[np.ndarray, ...]]:
    """Return what `run_trials` fills, and z, u, v and rest at the end.

    Args:
        segment: what is to be run.
        start: z, u, v and rest before.
        dtype: of the floats.
        recorded: which of spikes, flags, x, current and noise; the others have no
            steps. Samples of the current come last.
    """
    z, *integers = (as_array(part) for part in start)
    steps, (batch, n) = len(segment.sent), z.shape
    kinds = (dtype, torch.uint8, dtype, dtype, dtype)
    lengths = [steps * wish for wish in recorded]
    lengths.append(samples_in(segment.step, steps, segment.every))
    records = tuple(
        torch.empty((length, batch, n), dtype=kind)
        for length, kind in zip(lengths, (*kinds, dtype), strict=True)
    )
    arrays = tuple(part.numpy() for part in records)
    state: tuple[np.ndarray, ...] = (
        # Spikes are looked at eight at a time, as words.
        np.pad(z.astype(np.uint8), [(0, 0), (0, -n % 8)]),
        *(part.astype(np.int32) for part in integers),
    )
    key = np.array(noise_key(segment.seed or 0), dtype=np.uint64)
    noises = [
        _scale(None if segment.seed is None else exponents)
        for exponents in (segment.fixed.noise_exp, segment.fixed.current_noise_exp)
    ]
    scales = scales_of(segment.fixed, segment.unit)
    # Products are faster than quotients, and the tape's x need not be exact.
    units = tuple((1 / scale).astype(arrays[0].dtype) for scale in scales)
    arguments = (
        *(segment.program, segment.sent.astype(np.int32), state, units),
        *((key, segment.step, *noises), segment.every, arrays),
    )
    over_trials(lambda lo, hi: run_trials(lo, hi, *arguments), batch)
    return records, state


def _scale(noise_exp: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return rows that scale samples, as the loops take them; of length 0 for none."""
    if noise_exp is None or not noise_exp.any():
        return np.zeros(0, np.int32), np.zeros(0, np.int32)
    factor, down = chip.noise_scale(noise_exp)
    return factor.astype(np.int32), down.astype(np.int32)
