"""Many rate networks stepped together, and the gradient of that by hand.

Autograd would add an n × n gradient per step and network; here the backward pass keeps
the slope of every step, and one product over time and trials makes the gradient.
Activations are written into given buffers, and their slopes follow from r alone.
"""

from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from isotau.convert.neuron.fi_curve import lif_table


def activate_into(
    r: Tensor, x: Tensor, activation: str, ceiling: float | None
) -> Tensor:
    """Return r after writing min(φ(x), ceiling) into it; see `activation.activate`."""
    match activation:  # (R6)
        case "sigmoid":
            torch.sigmoid(x, out=r)
        case "tanh":
            torch.tanh(x, out=r)
        case "relu":
            torch.clamp(x, min=0.0, out=r)
        case "softplus":
            r.copy_(torch.nn.functional.softplus(x))
        case _:  # "lif" (R8)
            start, step, values, rises = _table(x.dtype)
            place, below = _place(x, start, step, rises.numel())
            torch.addcmul(values[below], place - below, rises[below], out=r)
    if ceiling is not None:
        r.clamp_(max=ceiling)
    return r


def slope_into(
    out: Tensor,
    grad: Tensor,
    r: Tensor,
    x: Tensor,
    activation: str,
    ceiling: float | None,
) -> Tensor:
    """Return `out` after writing grad · dr/dx into it; `grad` is changed.

    sigmoid: r(1 − r); tanh: 1 − r²; relu: 1 where r > 0; softplus: 1 − e^−r. Where the
    ceiling cuts, 0. Only "lif" looks at x: its slope is that between table points.
    """
    if ceiling is not None:
        grad.mul_(r < ceiling)
    # (R7), by torch's own backward of one pass where there is one
    match activation:
        case "sigmoid":
            torch.ops.aten.sigmoid_backward.grad_input(grad, r, grad_input=out)
        case "tanh":
            torch.ops.aten.tanh_backward.grad_input(grad, r, grad_input=out)
        case "relu":
            torch.mul(grad, r > 0, out=out)
        case "softplus":
            torch.mul(grad, torch.expm1(-r).neg_(), out=out)
        case _:
            start, step, _, rises = _table(x.dtype)
            place, below = _place(x, start, step, rises.numel())
            # beyond the table's ends the rate is constant
            inside = (place > 0) & (place < rises.numel())
            torch.mul(grad, rises[below].mul_(inside / step), out=out)
    return out


@lru_cache(maxsize=4)
def _table(dtype: torch.dtype) -> tuple[float, float, Tensor, Tensor]:
    """Return start, step, values and the rise from each value to the next."""
    table = lif_table()
    values = torch.tensor(table.values, dtype=dtype)
    return table.start, table.step, values, values.diff()


def _place(x: Tensor, start: float, step: float, last: int) -> tuple[Tensor, Tensor]:
    """Return x in steps from the table's start, and the table point below it."""
    place = ((x - start) / step).clamp_(0, last)
    return place, place.long().clamp_(max=last - 1)


class Steps(NamedTuple):
    """What the steps of K networks are made of; pre × post, rows scaled by dt/τ.

    Attributes:
        keep: K × 1 × n, 1 − dt/τ.
        w_in: K × n_in × n, (dt/τ) W_in, transposed.
        first: K × n × n, (dt/τ) W, transposed; of a low-rank network n_vectors, K × n
            × rank.
        second: K × rank × n, (dt/τ) m_vectors/n, transposed; None for a full matrix.
        w_out: K × n_out × n.
    """

    keep: Tensor
    w_in: Tensor
    first: Tensor
    second: Tensor | None
    w_out: Tensor


def unroll(
    trace: Tensor,
    inputs: Tensor,
    steps: Steps,
    activation: str,
    ceiling: float | None = None,
    rate_penalty: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """Return outputs, steps × K × batch × n_out, and each network's penalty, K.

    x_{t+1} = keep x_t + r_t W + u_t W_in + noise_t and o_t = W_out r_{t+1}, as in
    `rate_dynamics.simulate_rate`; the penalty is `rate_penalty` times the mean of r².
    Differentiable, once, in all fields of `steps`.

    Args:
        trace: steps + 1 × K × batch × n; x_0, then the noise of each step. Is filled
            with x_1, x_2, …
        inputs: steps × K × batch × n_in.
        steps: the networks.
        activation: one of `activation.ACTIVATIONS`.
        ceiling: largest r; None for none.
        rate_penalty: weight of the mean of r².
    """
    return _Unroll.apply(trace, inputs, activation, ceiling, rate_penalty, *steps)


def run(
    trace: Tensor, inputs: Tensor, steps: Steps, activation: str, ceiling: float | None
) -> Tensor:
    """Return the rates r_0, r_1, …, steps + 1 × K × batch × n; fills the trace."""
    keep, w_in, first, second, _ = steps
    rates = torch.empty_like(trace)
    activate_into(rates[0], trace[0], activation, ceiling)
    for t in range(inputs.shape[0]):
        # (R2): the trace holds the step's noise, to which the rest is added
        x = trace[t + 1]
        x.baddbmm_(inputs[t], w_in)
        x.addcmul_(keep, trace[t])
        if second is None:
            x.baddbmm_(rates[t], first)
        else:
            x.baddbmm_(torch.bmm(rates[t], first), second)
        activate_into(rates[t + 1], x, activation, ceiling)
    return rates


def read(rates: Tensor, w_out: Tensor) -> Tensor:
    """Return W_out r_1, W_out r_2, …: steps × K × batch × n_out."""
    back = w_out.transpose(1, 2).contiguous()
    outputs = rates.new_empty((*rates[1:].shape[:3], w_out.shape[1]))
    for t in range(outputs.shape[0]):  # a step's rates are still in a cache
        torch.bmm(rates[t + 1], back, out=outputs[t])
    return outputs


class _Unroll(torch.autograd.Function):
    """`unroll`, with its gradient."""

    @staticmethod
    def forward(
        ctx: Any,
        trace: Tensor,
        inputs: Tensor,
        activation: str,
        ceiling: float | None,
        rate_penalty: float,
        *fields: Tensor,
    ) -> tuple[Tensor, Tensor]:
        steps = Steps(*fields)
        rates = run(trace, inputs, steps, activation, ceiling)
        counted = rates[1:]  # r_0 is no network's doing
        weight = rate_penalty / (counted.numel() // counted.shape[1])
        # Not save_for_backward: trace and rates are neither inputs nor outputs.
        ctx.held = (trace, rates, inputs, steps, activation, ceiling, weight)
        penalty = counted.new_zeros(counted.shape[1])
        if weight:
            penalty = weight * counted.square().sum(dim=(0, 2, 3))  # (B6)
        return read(rates, steps.w_out), penalty

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> Any:
        trace, rates, inputs, steps, activation, ceiling, weight = ctx.held
        pull = 2 * weight * grads[1][:, None, None] if weight else None
        slopes = _slopes(trace, rates, steps, activation, ceiling, grads[0], pull)
        by_field = _gather(trace, rates, inputs, steps, slopes, grads[0])
        return None, None, None, None, None, *by_field


def _slopes(
    trace: Tensor,
    rates: Tensor,
    steps: Steps,
    activation: str,
    ceiling: float | None,
    grad_outputs: Tensor,
    pull: Tensor | None,
) -> Tensor:
    """Return dL/dx_{t+1} for each step t: steps × K × batch × n.

    g_t = keep g_{t+1} + φ′(x_t)(W g_{t+1} + W_outᵀ dL/do_{t−1} + pull r_t).
    """
    keep, _, first, second, w_out = steps
    back = first.transpose(1, 2).contiguous()
    through = None if second is None else second.transpose(1, 2).contiguous()
    slopes = torch.empty_like(rates[1:])
    from_rate = torch.empty_like(rates[0])
    for t in reversed(range(slopes.shape[0])):
        torch.bmm(grad_outputs[t], w_out, out=from_rate)
        # (B7), in its order
        if pull is not None:
            from_rate.addcmul_(pull, rates[t + 1])
        last = t + 1 == slopes.shape[0]
        if not last:
            later = slopes[t + 1]
            # low rank: through the few first, n × n would be formed otherwise
            later = later if through is None else torch.bmm(later, through)
            from_rate.baddbmm_(later, back)
        slope_into(
            slopes[t], from_rate, rates[t + 1], trace[t + 1], activation, ceiling
        )
        if not last:
            slopes[t].addcmul_(keep, slopes[t + 1])
    return slopes


def _gather(
    trace: Tensor,
    rates: Tensor,
    inputs: Tensor,
    steps: Steps,
    slopes: Tensor,
    grad_outputs: Tensor,
) -> Steps:
    """Return the gradient of every field of `steps`, one network after another."""
    by_field = Steps(
        keep=torch.empty_like(steps.keep),
        w_in=torch.empty_like(steps.w_in),
        first=torch.empty_like(steps.first),
        second=None if steps.second is None else torch.empty_like(steps.second),
        w_out=torch.empty_like(steps.w_out),
    )
    # network by network: a product over time and trials of all would be a copy of all
    for k in range(slopes.shape[1]):
        g = _flat(slopes[:, k])
        r = _flat(rates[:-1, k])
        # (B8)
        by_field.keep[k, 0] = (g * _flat(trace[:-1, k])).sum(dim=0)
        torch.mm(_flat(inputs[:, k]).T, g, out=by_field.w_in[k])
        torch.mm(
            _flat(grad_outputs[:, k]).T, _flat(rates[1:, k]), out=by_field.w_out[k]
        )
        if steps.second is None or by_field.second is None:
            torch.mm(r.T, g, out=by_field.first[k])
        else:  # (B9)
            torch.mm(torch.mm(r, steps.first[k]).T, g, out=by_field.second[k])
            torch.mm(r.T, torch.mm(g, steps.second[k].T), out=by_field.first[k])
    return by_field


def _flat(part: Tensor) -> Tensor:
    """Return steps × batch × anything as (steps · batch) × anything."""
    return part.reshape(-1, part.shape[-1])
