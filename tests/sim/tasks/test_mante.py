"""Context-dependent integration: timing by numbers, draws by their statistics."""

import numpy as np
import pytest

from isotau.convert.records.trials import refine
from isotau.sim.tasks import MANTE
from isotau.sim.tasks.mante import draw


def test_timing_is_the_published_one() -> None:
    trials = draw(80, np.random.default_rng(0))
    ms = 5 * np.arange(trials.steps)
    shown, answered = (ms >= 250) & (ms < 1250), ms >= 1250
    assert trials.dt == 0.005 and trials.steps == 500
    assert not trials.inputs[~shown, :, :2].any()
    assert trials.mask.all()
    for k in range(80):
        sums = [trials.inputs[shown, k, c].sum() for c in (0, 1)]  # ±100, SD 14
        rising = [total > 0 for total in sums]
        one_hot = trials.inputs[0, k, 2:].tolist()
        assert one_hot in ([1, 0], [0, 1])
        assert (trials.inputs[:, k, 2:] == one_hot).all()
        wanted = 1.0 if rising[one_hot.index(1)] else -1.0
        assert np.array_equal(trials.targets[:, k, 0], wanted * answered)
        signs = ", ".join("+" if r else "−" for r in rising)
        name = f"cue {one_hot.index(1) + 1}: {signs}"
        assert MANTE.conditions[int(trials.labels[k])] == name


def test_the_streams_are_white_with_the_published_mean_and_deviation() -> None:
    streams = draw(400, np.random.default_rng(1)).inputs[50:250, :, :2]
    means = streams.mean(axis=0)
    noise = streams - 0.5 * np.sign(means)
    n = noise.size
    assert abs(noise.mean()) < 4 / np.sqrt(n)
    assert abs((noise * np.sign(means)).mean()) < 4 / np.sqrt(n)
    assert abs(noise.var() - 1) < 4 * np.sqrt(2 / n)
    assert abs((noise[1:] * noise[:-1]).mean()) < 4 / np.sqrt(n)
    assert abs((noise[..., 0] * noise[..., 1]).mean()) < 4 / np.sqrt(n / 2)


def test_the_eight_conditions_are_equally_likely() -> None:
    labels = draw(4000, np.random.default_rng(2)).labels
    counts = np.bincount(labels, minlength=8)
    assert ((counts - 500) ** 2 / 500).sum() < 24.3  # χ² with 7 d.f., p = 0.001


@pytest.mark.parametrize("factor", [1, 5, 100])
@pytest.mark.parametrize(("ms", "lenient"), [(1295, False), (1300, True), (2495, True)])
def test_a_peak_counts_from_the_published_time_on(
    factor: int, ms: int, lenient: bool
) -> None:
    trials = refine(draw(1, np.random.default_rng(3)), 0.005 / factor)
    outputs = np.zeros_like(trials.targets)
    outputs[ms // 5 * factor] = 0.71 * trials.targets[-1]
    assert MANTE.score(outputs, trials).tolist() == [lenient]
    assert not MANTE.score_strict(outputs, trials).any()


def test_an_ideal_observer_that_adds_up_the_cued_stream_is_right() -> None:
    trials = draw(200, np.random.default_rng(4))
    gates = trials.inputs[:, :, 2:]
    total = (trials.inputs[:, :, :2] * gates).sum(axis=2).cumsum(axis=0)
    outputs = np.tanh(total / 20)[:, :, None]
    assert MANTE.score(outputs, trials).all()
    assert MANTE.score_strict(outputs, trials).all()
    ungated = np.tanh(trials.inputs[:, :, :2].sum(axis=2).cumsum(axis=0) / 20)
    assert 0.3 < MANTE.score_strict(ungated[:, :, None], trials).mean() < 0.7
