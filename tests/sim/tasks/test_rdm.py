"""Random-dot decision: timing by numbers, draws by their statistics."""

import numpy as np

from isotau.sim.tasks import RDM
from isotau.sim.tasks.rdm import draw

LEVELS = np.array(
    [-0.512, -0.256, -0.128, -0.064, -0.032, 0.032, 0.064, 0.128, 0.256, 0.512]
)


def test_each_trial_has_the_published_parts() -> None:
    trials = draw(200, np.random.default_rng(0))
    ms = 20 * np.arange(trials.steps)
    assert trials.dt == 0.02 and trials.steps * 20 == 1500
    decision = ms >= 1200
    for k in range(200):
        level = 0.032 * trials.labels[k]
        rest = trials.inputs[:, k, 0] - level * ((ms >= 100) & (ms < 900))
        assert np.abs(rest).max() < 5 * 0.03
        assert np.array_equal(trials.mask[:, k], decision)
        wanted = 1.0 if trials.labels[k] > 0 else -1.0
        assert np.array_equal(trials.targets[:, k, 0], wanted * decision)


def test_the_ten_coherences_are_equally_likely_and_reach_the_input() -> None:
    trials = draw(5000, np.random.default_rng(1))
    means = trials.inputs[5:45, :, 0].mean(axis=0)  # standard error 0.0047
    nearest = np.abs(means[:, None] - LEVELS).argmin(axis=1)
    counts = np.bincount(nearest, minlength=10)
    assert ((counts - 500) ** 2 / 500).sum() < 27.9  # χ² with 9 d.f., p = 0.001
    told = np.rint(LEVELS[nearest] / 0.032) == trials.labels
    assert told.mean() > 0.99


def test_noise_is_white_in_every_step() -> None:
    trials = draw(2000, np.random.default_rng(2))
    noise = trials.inputs[:, :, 0].copy()
    noise[5:45] -= 0.032 * trials.labels
    assert np.abs(noise.std(axis=1) / 0.03 - 1).max() < 5 / np.sqrt(2 * 2000)
    assert abs((noise[1:] * noise[:-1]).mean()) < 4 * 0.03**2 / np.sqrt(noise.size)


def test_conditions_name_the_coherence() -> None:
    assert RDM.conditions[-16] == "-16 %" and RDM.conditions[4] == "+4 %"


def test_only_the_decision_is_scored() -> None:
    trials = draw(50, np.random.default_rng(3))
    outputs = -40 * trials.targets[-1:] * np.ones((75, 1, 1))
    outputs[60:] = 0.6 * trials.targets[60:]
    assert RDM.score(outputs, trials).all() and RDM.score_strict(outputs, trials).all()
    outputs[60:] = 0.4 * trials.targets[60:]
    assert RDM.score(outputs, trials).all()
    assert not RDM.score_strict(outputs, trials).any()
