"""Low-rank DMS: each trial is read back from its inputs, draws by their statistics."""

import numpy as np
import pytest

from isotau.sim.tasks import DMS_LOWRANK, dms_lowrank


def test_each_trial_has_the_published_parts() -> None:
    trials = DMS_LOWRANK.draw(300, np.random.default_rng(0))
    assert trials.dt == 0.02 and trials.steps == 255
    delays = []
    for k in range(300):
        high = trials.inputs[:, k] > 0.5  # 1 against noise of SD 0.03
        on = np.flatnonzero(high.any(axis=1))
        assert len(on) == 50 and on[:25].tolist() == list(range(5, 30))
        assert on[25:].tolist() == list(range(on[25], on[25] + 25))
        delays.append(on[25] - 30)
        first, second = ("AB"[int(high[at, 1])] for at in (on[0], on[25]))
        assert (high[on].sum(axis=1) == 1).all()
        assert len({tuple(h) for h in high[on[:25]]}) == 1
        assert len({tuple(h) for h in high[on[25:]]}) == 1
        decision = np.zeros(255, dtype=bool)
        decision[on[-1] + 1 : on[-1] + 51] = True
        assert np.array_equal(trials.mask[:, k], decision)
        sign = 1.0 if first == second else -1.0
        assert np.array_equal(trials.targets[:, k, 0], sign * decision)
        word = "same" if first == second else "different"
        assert (
            DMS_LOWRANK.conditions[int(trials.labels[k])]
            == f"{first}, {second}: {word}"
        )
    assert min(delays) >= 25 and max(delays) <= 149


def test_delays_are_uniform_and_the_pairs_equally_likely() -> None:
    trials = DMS_LOWRANK.draw(4000, np.random.default_rng(1))
    delays = trials.mask.argmax(axis=0) - 55
    assert set(delays) == set(range(25, 150))
    # 125 steps at even odds: mean 87, variance (125² − 1)/12
    assert abs(delays.mean() - 87) < 4 * np.sqrt((125**2 - 1) / 12 / 4000)
    assert abs(delays.var() / ((125**2 - 1) / 12) - 1) < 0.1
    counts = np.bincount(trials.labels, minlength=4)
    assert ((counts - 1000) ** 2 / 1000).sum() < 16.3
    assert abs(np.corrcoef(delays, trials.labels)[0, 1]) < 4 / np.sqrt(4000)


def test_noise_is_on_both_channels_in_every_step() -> None:
    inputs = DMS_LOWRANK.draw(500, np.random.default_rng(2)).inputs
    noise = inputs - (inputs > 0.5)
    deviation = noise.std(axis=1)
    assert np.abs(deviation / 0.03 - 1).max() < 5 / np.sqrt(2 * 500)
    assert abs((noise[1:] * noise[:-1]).mean()) < 4 * 0.03**2 / np.sqrt(noise.size)


def test_another_range_of_delays_makes_trials_of_another_length() -> None:
    trials = dms_lowrank(longest=0.7).draw(500, np.random.default_rng(3))
    assert trials.steps == 5 + 25 + 35 + 25 + 50
    assert set(trials.mask.argmax(axis=0) - 55) == set(range(25, 35))
    assert dms_lowrank(longest=4.0).draw(1, np.random.default_rng(0)).steps == 305


def test_an_empty_range_of_delays_is_refused() -> None:
    with pytest.raises(ValueError, match=r"longest: got 0\.5 s, need more than 0\.5 s"):
        dms_lowrank(longest=0.5)
    with pytest.raises(ValueError, match=r"shortest: got -1\.0, need numbers of at"):
        dms_lowrank(shortest=-1.0)


def test_only_the_decision_of_each_trial_is_scored() -> None:
    trials = DMS_LOWRANK.draw(100, np.random.default_rng(4))
    outputs = np.where(
        trials.mask[:, :, None], trials.targets, 50 * (-1.0) ** np.arange(100)[:, None]
    )
    assert DMS_LOWRANK.score(outputs, trials).all()
    assert DMS_LOWRANK.score_strict(outputs, trials).all()
