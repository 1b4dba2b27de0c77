"""Backpropagation through time against autograd through Norse's loop."""

import pytest
import torch

from isotau.convert.tuning.learner.tune_config import TuneConfig
from isotau.convert.tuning.loss.objective import Objective
from isotau.convert.tuning.methods.bptt import BPTT
from isotau.convert.tuning.session import begin


def test_gradients_are_those_of_the_modules_own_loop(small, signs):
    """`LIFModule.forward` reads out by itself; its noise is off."""
    config = TuneConfig(batch=6, evaluate_trials=4, dtype="float64")
    session = begin(small, signs, Objective(), config, BPTT(), None)
    batch = session.draw()[0]._replace(seed=None)
    _, parts = session.learner.observe(batch, None)
    parts["task"].backward()
    module = session.learner.module
    ours = {name: part.grad.clone() for name, part in module.named_parameters()}
    module.zero_grad()
    _, spikes = module(batch.inputs)
    outputs = module.read_out(list(spikes[batch.lead :]))
    error = (outputs - batch.targets).square() * batch.mask[..., None]
    loss = error.sum() / (batch.mask.sum() * outputs.shape[2])
    assert float(loss.detach()) == pytest.approx(float(parts["task"].detach()))
    loss.backward()
    for name, part in module.named_parameters():
        torch.testing.assert_close(part.grad, ours[name], rtol=1e-8, atol=1e-12)


def test_an_update_lowers_the_loss_of_its_own_trials(small, signs):
    config = TuneConfig(batch=16, evaluate_trials=4, learning_rate=0.01)
    session = begin(small, signs, Objective(), config, BPTT(), None)
    batch = session.draw()[0]
    told = [BPTT().learn(session.learner, batch, None) for _ in range(15)]
    assert told[-1].losses["total"] < 0.9 * told[0].losses["total"]
    assert all(step.gradient > 0 for step in told)
