"""Which evaluation is better, and that evaluating changes nothing."""

import dataclasses

import numpy as np
import pytest
import torch

from isotau.convert.tuning.evaluate import TuneEvaluation, evaluate
from isotau.convert.tuning.learner.tune_config import TuneConfig
from isotau.convert.tuning.loss.objective import Objective
from isotau.convert.tuning.methods.bptt import BPTT
from isotau.convert.tuning.session import begin


def told(accuracy, loss, update=0):
    return TuneEvaluation(update, {"task": loss, "total": loss}, accuracy, 10.0)


@pytest.mark.parametrize(
    ("one", "other", "better"),
    [
        (told(0.9, 5.0), told(0.8, 1.0), True),
        (told(0.8, 1.0), told(0.9, 5.0), False),
        (told(0.9, 1.0), told(0.9, 2.0), True),
        (told(0.9, 2.0), told(0.9, 2.0), False),
        (told(0.9, float("nan")), told(0.9, 2.0), False),
        (told(1.0, float("nan")), told(0.1, 2.0), False),
        (told(0.1, 2.0), told(1.0, float("inf")), True),
        (told(0.1, 9.0), None, True),
    ],
)
def test_accuracy_comes_first_then_the_loss(one, other, better):
    assert one.better_than(other) is better


def test_it_looks_at_the_task_and_leaves_the_network_alone(small, signs):
    config = TuneConfig(batch=4, evaluate_trials=20)
    session = begin(small, signs, Objective(), config, BPTT(), None)
    before = session.parameters()
    now = evaluate(session.learner, signs, session.held, None, 7)
    again = evaluate(session.learner, signs, session.held, None, 7)
    assert now == again and now.update == 7
    assert now.losses["total"] == pytest.approx(now.losses["task"])
    assert 0 <= now.accuracy <= 1 and 5 < now.rate < 60
    after = session.parameters()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_rates_of_trials_shorter_than_a_bin_are_known(small, signs):
    """Counts come in bins of 50 ms; the rate does not."""
    config = TuneConfig(batch=4, evaluate_trials=20)

    def draw(batch, rng):
        whole = signs.draw(batch, rng)
        return dataclasses.replace(
            whole,
            inputs=whole.inputs[:30],
            targets=whole.targets[:30],
            mask=np.ones((30, batch), dtype=bool),
        )

    short = dataclasses.replace(signs, draw=draw, score=lambda o, t: o[0, :, 0] > 0)
    session = begin(small, short, Objective(), config, BPTT(), None)
    now = evaluate(session.learner, short, session.held, None, 0)
    long = begin(small, signs, Objective(), config, BPTT(), None)
    then = evaluate(long.learner, signs, long.held, None, 0)
    assert now.rate == pytest.approx(then.rate, rel=0.5) and now.rate > 0


def test_accuracy_is_the_sources(small, signs):
    config = TuneConfig(batch=4, evaluate_trials=20)
    never = dataclasses.replace(signs, score=lambda o, t: o[0, :, 0] != o[0, :, 0])
    session = begin(small, never, Objective(), config, BPTT(), None)
    held = session.held
    assert evaluate(session.learner, never, held, None, 0).accuracy == 0
