"""Adam for the networks of a stack that still train, and how rows are replaced."""

import torch
from torch import Tensor

from isotau.convert.training.config import TrainConfig
from isotau.convert.training.state import State

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8
"""Adam's constants (Kingma & Ba 2015, arXiv:1412.6980)."""


def adam(
    state: State,
    config: TrainConfig,
    places: Tensor,
    grads: dict[str, Tensor],
    sizes: Tensor,
) -> tuple[dict[str, Tensor], tuple[dict[str, Tensor], dict[str, Tensor]]]:
    """Return the stepped parameters of the running networks, and all moments."""
    count = state.iteration + 1
    rate = config.learning_rate * (1 - BETA_2**count) ** 0.5 / (1 - BETA_1**count)
    epsilon = EPSILON * (1 - BETA_2**count) ** 0.5
    scale = torch.ones_like(sizes)
    if config.clip is not None:
        scale = (config.clip / sizes.clamp(min=1e-30)).clamp(max=1.0)
    firsts, seconds, stepped = {}, {}, {}
    for name, grad in grads.items():
        grad = grad * scale.reshape(-1, *[1] * (grad.dim() - 1))
        first = state.moments[0][name][places].lerp_(grad, 1 - BETA_1)
        second = state.moments[1][name][places].mul_(BETA_2)
        second.addcmul_(grad, grad, value=1 - BETA_2)
        move = first / (second.sqrt() + epsilon)
        stepped[name] = state.stack.trained[name][places] - rate * move
        firsts[name] = placed(state.moments[0][name], places, first)
        seconds[name] = placed(state.moments[1][name], places, second)
    return stepped, (firsts, seconds)


def norms(grads: dict[str, Tensor]) -> Tensor:
    """Return the norm of each network's whole gradient."""
    squares = [part.flatten(1).square().sum(dim=1) for part in grads.values()]
    return torch.stack(squares).sum(dim=0).sqrt()


def placed(old: Tensor, places: Tensor, new: Tensor) -> Tensor:
    """Return a copy of `old` with new rows at some places."""
    return old.index_copy(0, places, new)
