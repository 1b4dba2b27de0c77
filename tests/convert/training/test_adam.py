import numpy as np
import pytest
import torch

from isotau.convert.training import TrainConfig
from isotau.convert.training.parameters import Stack
from isotau.convert.training.state import RUNNING, TrainingState
from isotau.convert.training.update import adam, norms, placed

SHAPES = {"w": (3, 4, 4), "b": (3, 4)}


def begun(seed: int) -> TrainingState:
    chance = torch.Generator().manual_seed(seed)
    trained = {
        name: torch.randn(shape, generator=chance) for name, shape in SHAPES.items()
    }
    zeros = {name: torch.zeros(shape) for name, shape in SHAPES.items()}
    return TrainingState(
        iteration=0,
        stack=Stack(trained, {}),
        previous=trained,
        moments=(zeros, zeros),
        chance=(),
        losses=np.zeros((3, 9)),
        scores=np.zeros((3, 0, 2)),
        ended=np.full(3, RUNNING),
        ended_at=np.zeros(3, dtype=np.int64),
    )


def test_steps_are_those_of_torch() -> None:
    config = TrainConfig(learning_rate=0.03)
    state, places = begun(0), torch.tensor([0, 2])
    theirs = [state.stack.trained[name][places].clone() for name in SHAPES]
    optimizer = torch.optim.Adam(theirs, lr=0.03)
    chance = torch.Generator().manual_seed(1)
    for k in range(5):
        grads = {
            name: torch.randn((2, *shape[1:]), generator=chance) * 10.0 ** (k - 3)
            for name, shape in SHAPES.items()
        }
        for part, grad in zip(theirs, grads.values(), strict=True):
            part.grad = grad.clone()
        optimizer.step()
        stepped, moments = adam(state, config, places, grads, norms(grads))
        trained = {
            name: placed(state.stack.trained[name], places, stepped[name])
            for name in SHAPES
        }
        from dataclasses import replace

        state = replace(
            state, iteration=k + 1, stack=Stack(trained, {}), moments=moments
        )
    untouched = begun(0).stack.trained
    for part, name in zip(theirs, SHAPES, strict=True):
        torch.testing.assert_close(state.stack.trained[name][places], part)
        assert torch.equal(state.stack.trained[name][1], untouched[name][1])
        assert not state.moments[1][name][1].any()


def test_gradients_are_clipped_for_each_network_alone() -> None:
    config = TrainConfig(clip=1.0)
    state, places = begun(0), torch.tensor([0, 1, 2])
    grads = {name: torch.ones(shape) for name, shape in SHAPES.items()}
    for grad in grads.values():
        grad[1] *= 1e-3
    sizes = norms(grads)
    assert sizes.tolist() == pytest.approx([20**0.5, 1e-3 * 20**0.5, 20**0.5])
    _, (first, _) = adam(state, config, places, grads, sizes)
    assert (norms(first) / 0.1).tolist() == pytest.approx([1.0, 1e-3 * 20**0.5, 1.0])
