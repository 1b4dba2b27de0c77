"""Networks stepped together, their gradient and their slopes."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from isotau.convert.neuron.activation import ACTIVATIONS, activate
from isotau.convert.training.unroll import Steps, activate_into, slope_into, unroll

STEPS, NETS, BATCH, N, N_IN, N_OUT = 6, 2, 3, 5, 2, 2
PENALTY = 0.7
PLAIN = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "softplus": torch.nn.functional.softplus,
}


def networks(rank: int | None, dtype: torch.dtype) -> tuple[Steps, Tensor, Tensor]:
    chance = torch.Generator().manual_seed(3)

    def normal(*shape: int) -> Tensor:
        return 0.7 * torch.randn(shape, generator=chance, dtype=dtype)

    steps = Steps(
        keep=torch.rand((NETS, 1, N), generator=chance, dtype=dtype),
        w_in=normal(NETS, N_IN, N),
        first=normal(NETS, N, rank or N),
        second=None if rank is None else normal(NETS, rank, N),
        w_out=normal(NETS, N_OUT, N),
    )
    return steps, normal(STEPS + 1, NETS, BATCH, N), normal(STEPS, NETS, BATCH, N_IN)


def plain(
    trace: Tensor, inputs: Tensor, steps: Steps, activation: str, ceiling: float | None
) -> tuple[Tensor, Tensor]:
    """Return what `unroll` should, by a loop that autograd can follow."""
    outputs, squares = [], []
    x = trace[0]
    for k in range(STEPS + 1):
        r = PLAIN[activation](x)
        r = r if ceiling is None else r.clamp(max=ceiling)
        if k:
            outputs.append(torch.einsum("kbn,kon->kbo", r, steps.w_out))
            squares.append((r * r).mean(dim=(1, 2)))
        if k < STEPS:
            w = steps.first if steps.second is None else steps.first @ steps.second
            x = steps.keep * x + trace[k + 1]
            x = x + torch.einsum("kbn,knm->kbm", r, w)
            x = x + torch.einsum("kbi,kin->kbn", inputs[k], steps.w_in)
    return torch.stack(outputs), PENALTY * torch.stack(squares).mean(dim=0)


def gradients(found: tuple[Tensor, Tensor], steps: Steps) -> list[Tensor]:
    weights = torch.cos(torch.arange(found[0].numel())).reshape(found[0].shape)
    loss = (found[0] * weights).sum() + found[1].sum()
    return list(torch.autograd.grad(loss, [p for p in steps if p is not None]))


@pytest.mark.parametrize("rank", [None, 2])
@pytest.mark.parametrize("ceiling", [None, 0.6])
@pytest.mark.parametrize("activation", sorted(PLAIN))
def test_outputs_and_gradients_are_those_of_autograd(
    activation: str, ceiling: float | None, rank: int | None
) -> None:
    steps, trace, inputs = networks(rank, torch.float64)
    for part in steps:
        if part is not None:
            part.requires_grad_()
    expected = plain(trace, inputs, steps, activation, ceiling)
    slopes = gradients(expected, steps)
    found = unroll(trace.clone(), inputs, steps, activation, ceiling, PENALTY)
    torch.testing.assert_close(found, expected)
    for got, need in zip(gradients(found, steps), slopes, strict=True):
        torch.testing.assert_close(got, need)


@pytest.mark.parametrize("rank", [None, 2])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradients_are_finite_differences(activation: str, rank: int | None) -> None:
    steps, trace, inputs = networks(rank, torch.float64)
    parts = [part.requires_grad_() for part in steps if part is not None]

    def outcome(*parts: Tensor) -> Any:
        given = iter(parts)
        fields = [None if part is None else next(given) for part in steps]
        return unroll(trace.clone(), inputs, Steps(*fields), activation, 0.9, PENALTY)

    assert torch.autograd.gradcheck(outcome, parts, atol=1e-5)


def test_each_network_is_stepped_as_alone() -> None:
    steps, trace, inputs = networks(None, torch.float32)
    together, _ = unroll(trace.clone(), inputs, steps, "sigmoid")
    for k in range(NETS):
        one = slice(k, k + 1)
        alone = Steps(*(None if part is None else part[one] for part in steps))
        outputs, _ = unroll(
            trace[:, one].clone(), inputs[:, one].clone(), alone, "sigmoid"
        )
        torch.testing.assert_close(outputs, together[:, one])


@pytest.mark.parametrize("ceiling", [None, 0.6])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_rates_are_those_of_the_numpy_activation(
    activation: str, ceiling: float | None
) -> None:
    x = torch.linspace(-30, 90, 2001, dtype=torch.float64)
    r = activate_into(torch.empty_like(x), x, activation, ceiling)
    expected = activate(x.numpy(), activation, ceiling)
    assert r.numpy() == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("ceiling", [None, 0.6])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_slopes_are_finite_differences(activation: str, ceiling: float | None) -> None:
    # off the corners of relu, of the ceiling and of the table's points
    x = torch.linspace(-4.013, 4.0171, 333, dtype=torch.float64)
    r = activate_into(torch.empty_like(x), x, activation, ceiling)
    grad = torch.full_like(x, 2.0)
    found = slope_into(torch.empty_like(x), grad, r, x, activation, ceiling).numpy()
    h = 1e-7
    high = activate(x.numpy() + h, activation, ceiling)
    low = activate(x.numpy() - h, activation, ceiling)
    assert found == pytest.approx(2 * (high - low) / (2 * h), abs=1e-6)


def test_the_lif_slope_is_zero_beyond_the_table() -> None:
    x = torch.tensor([-1000.0, 1000.0])
    r = activate_into(torch.empty_like(x), x, "lif", None)
    found = slope_into(torch.empty_like(x), torch.ones(2), r, x, "lif", None)
    assert found.tolist() == [0.0, 0.0]
    assert r[0] == pytest.approx(0, abs=1e-6) and np.isfinite(float(r[1]))
