"""A small network and a task that it can learn in seconds."""

import numpy as np
import pytest

from isotau.convert.neuron.lif_constants import LIFConstants
from isotau.convert.records.trials import Trials
from isotau.convert.tuning.loss.batch import Source
from isotau.convert.tuning.scratch import from_scratch

STEPS = 120


def draw_signs(batch, rng):
    """Trials of 120 ms: the output is to take the sign of a constant input."""
    signs = rng.choice([-1.0, 1.0], size=batch)
    inputs = np.tile(signs[None, :, None], (STEPS, 1, 1))
    mask = np.zeros((STEPS, batch), dtype=bool)
    mask[STEPS // 2 :] = True
    return Trials(
        inputs=inputs,
        targets=inputs.copy(),
        mask=mask,
        labels=(signs > 0).astype(int),
        dt=1e-3,
        task="signs",
    )


def score_signs(outputs, trials):
    late = outputs[STEPS // 2 :, :, 0].mean(axis=0)
    return np.sign(late) == np.sign(trials.targets[-1, :, 0])


@pytest.fixture
def signs():
    """The task, with a lead of 10 ms."""
    return Source(draw=draw_signs, score=score_signs, lead=0.01)


@pytest.fixture
def small():
    """Ten neurons with noise and refractory periods."""
    return from_scratch(10, 1, 1, p_rec=0.5, seed=2, constants=LIFConstants())
