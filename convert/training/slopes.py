"""Activations in torch, written into given buffers, and their slopes from r alone."""

from functools import lru_cache

import torch
from torch import Tensor

from isotau.convert.fi_curve import lif_table


def activate_into(
    r: Tensor, x: Tensor, activation: str, ceiling: float | None
) -> Tensor:
    """Return r after writing min(φ(x), ceiling) into it; see `activation.activate`."""
    match activation:
        case "sigmoid":
            torch.sigmoid(x, out=r)
        case "tanh":
            torch.tanh(x, out=r)
        case "relu":
            torch.clamp(x, min=0.0, out=r)
        case "softplus":
            r.copy_(torch.nn.functional.softplus(x))
        case _:
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
