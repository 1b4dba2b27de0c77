"""Low-rank context-dependent integration: timing by numbers, other settings, draws."""

import numpy as np
import pytest

from isotau.sim.tasks import MANTE_LOWRANK, mante_lowrank


def test_each_trial_has_the_published_parts() -> None:
    trials = MANTE_LOWRANK.draw(400, np.random.default_rng(0))
    ms = 20 * np.arange(trials.steps)
    assert trials.dt == 0.02 and trials.steps == 68
    decision = ms == 1340
    cued_time = (ms >= 100) & (ms < 1340)
    for k in range(400):
        cue = trials.inputs[:, k, 2:]
        channel = int(cue[10].argmax())
        assert np.array_equal(cue[:, channel], 0.1 * cued_time)
        assert not cue[:, 1 - channel].any()
        means = trials.inputs[22:62, k, :2].mean(axis=0)  # standard error 0.016
        assert np.array_equal(trials.mask[:, k], decision)
        answer = trials.targets[67, k, 0]
        assert abs(answer) == 1 and np.array_equal(
            trials.targets[:, k, 0], answer * decision
        )
        assert answer * means[channel] > 0
        signs = ", ".join("+" if m > 0 else "−" for m in means)
        assert (
            MANTE_LOWRANK.conditions[int(trials.labels[k])]
            == f"cue {channel + 1}: {signs}"
        )


def test_coherences_are_equally_likely_and_the_noise_is_white() -> None:
    trials = MANTE_LOWRANK.draw(3000, np.random.default_rng(1))
    levels = np.array([-0.4, -0.2, -0.1, 0.1, 0.2, 0.4])
    streams = trials.inputs[:, :, :2]
    nearest = np.abs(streams[22:62].mean(axis=0)[..., None] - levels).argmin(axis=-1)
    counts = np.bincount(nearest.ravel(), minlength=6)
    assert ((counts - 1000) ** 2 / 1000).sum() < 20.5  # χ² with 5 d.f., p = 0.001
    noise = streams.copy()
    noise[22:62] -= levels[nearest]
    quiet = noise[np.r_[:22, 62:68]]
    assert np.abs(quiet.std(axis=1) / 0.1 - 1).max() < 5 / np.sqrt(2 * 3000)
    assert abs((quiet[1:] * quiet[:-1]).mean()) < 4 * 0.01 / np.sqrt(quiet.size)
    assert abs(noise[22:62].std() / 0.1 - 1) < 0.01


def test_other_files_of_the_family_want_other_amplitudes() -> None:
    task = mante_lowrank(cue=1.0, coherences=(-16, 16), delay=15)
    trials = task.draw(50, np.random.default_rng(2))
    assert trials.steps == 78 and trials.mask.argmax(axis=0).tolist() == [77] * 50
    assert set(np.unique(trials.inputs[5:77, :, 2:])) == {0.0, 1.0}
    means = trials.inputs[22:62, :, :2].mean(axis=0)
    assert np.abs(np.abs(means) - 1.6).max() < 0.1
    assert task.score(trials.targets, trials).all()


def test_settings_that_make_no_task_are_refused() -> None:
    with pytest.raises(ValueError, match=r"coherences: got \(1, 0\), need none of 0"):
        mante_lowrank(coherences=(1, 0))
    with pytest.raises(
        ValueError, match=r"coherences: got shape \(0,\), need at least"
    ):
        mante_lowrank(coherences=())
    with pytest.raises(ValueError, match=r"delay: got -1, need 0 to"):
        mante_lowrank(delay=-1)
    with pytest.raises(ValueError, match=r"cue: got nan, need finite numbers"):
        mante_lowrank(cue=float("nan"))
