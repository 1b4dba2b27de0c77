"""How a gradient changes a module: clipping, refusal, constraints."""

import numpy as np
import pytest
import torch

from isotau.convert.tuning.learner.learner import NotFinite, finite, gradient_norm
from isotau.convert.tuning.learner.tune_config import TuneConfig
from isotau.convert.tuning.loss.objective import Objective
from isotau.convert.tuning.methods.bptt import BPTT
from isotau.convert.tuning.session import begin


def learner_of(net, source, **changes):
    config = TuneConfig(batch=4, evaluate_trials=4, dtype="float64", **changes)
    return begin(net, source, Objective(), config, BPTT(), None).learner


def fill(learner, value):
    for part in learner.module.parameters():
        part.grad = torch.full_like(part, value)


def test_the_norm_is_in_typical_sizes(small, signs):
    learner = learner_of(small, signs)
    fill(learner, 2.0)
    sizes = {g["name"]: g["size"] for g in learner.optimizer.param_groups}
    squares = [
        part.numel() * (2.0 * sizes[name]) ** 2
        for name, part in learner.parameters().items()
    ]
    assert float(gradient_norm(learner)) == pytest.approx(np.sqrt(sum(squares)))
    assert learner.apply() == pytest.approx(np.sqrt(sum(squares)))


def test_a_gradient_beyond_the_clip_is_scaled_down(small, signs):
    """Adam's first moment holds a tenth of the gradient that it was given."""
    learner = learner_of(small, signs, clip=0.5)
    fill(learner, 3.0)
    size = float(gradient_norm(learner))
    assert size > 0.5
    learner.apply()
    for group in learner.optimizer.param_groups:
        first = learner.optimizer.state[group["params"][0]]["exp_avg"]
        assert float(first.mean()) == pytest.approx(0.1 * 3.0 * 0.5 / size)


def test_a_gradient_that_is_no_number_changes_nothing(small, signs):
    learner = learner_of(small, signs)
    fill(learner, float("nan"))
    before = {name: part.clone() for name, part in learner.parameters().items()}
    with pytest.raises(NotFinite, match="gradient: got a norm of nan, need a finite"):
        learner.apply()
    assert all(
        torch.equal(before[name], part) for name, part in learner.parameters().items()
    )
    assert float(gradient_norm(learner)) == 0


def test_constraints_hold_after_an_update(small, signs):
    learner = learner_of(small, signs, learning_rate=1.0)
    fill(learner, 1.0)
    learner.apply()
    after = learner.module.w_rec.detach().numpy()
    assert (after * np.sign(small.w_rec) >= 0).all()
    assert (after[small.w_rec == 0] == 0).all()


def test_a_part_that_is_no_number_is_named():
    parts = {"task": torch.tensor(1.0), "rates": torch.tensor(float("nan"))}
    with pytest.raises(NotFinite, match="loss: got nan for rates, need a finite"):
        finite(parts)


def test_parts_are_told_as_numbers():
    assert finite({"task": torch.tensor(1.5, requires_grad=True)}) == {"task": 1.5}
