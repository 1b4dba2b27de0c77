"""Both delays against numbers in milliseconds, and where the scored windows begin."""

import numpy as np
import pytest

from isotau.convert.records.trials import refine
from isotau.sim.tasks import DMS_750, XOR, Task

TIMES = {
    "xor": ((250, 500), (550, 800), (850, 1350), 1000, 1500),
    "dms-750": ((150, 400), (1150, 1400), (1450, 1950), 1600, 2050),
}
both = pytest.mark.parametrize("task", [XOR, DMS_750], ids=lambda task: task.name)


def between(milliseconds: np.ndarray, span: tuple[int, int]) -> np.ndarray:
    return (milliseconds >= span[0]) & (milliseconds < span[1])


@both
def test_timing_is_the_published_one(task: Task) -> None:
    first, second, answer, _, end = TIMES[task.name]
    trials = task.draw(60, np.random.default_rng(0))
    ms = 5 * np.arange(trials.steps)
    assert trials.dt == 0.005 and trials.steps * 5 == end
    seen = set()
    for k in range(60):
        one = trials.inputs[first[0] // 5, k, 0]
        two = trials.inputs[second[0] // 5, k, 1]
        assert {abs(one), abs(two)} == {1.0}
        assert np.array_equal(trials.inputs[:, k, 0], one * between(ms, first))
        assert np.array_equal(trials.inputs[:, k, 1], two * between(ms, second))
        wanted = 1.0 if one == two else -1.0
        assert np.array_equal(trials.targets[:, k, 0], wanted * between(ms, answer))
        name = task.conditions[int(trials.labels[k])]
        signs = [{1.0: "+1", -1.0: "−1"}[x] for x in (one, two)]
        assert name == f"{signs[0]}, {signs[1]}: " + (
            "same" if wanted > 0 else "different"
        )
        seen.add((one, two))
    assert len(seen) == 4
    assert trials.mask.all()


@both
def test_the_four_pairs_are_equally_likely(task: Task) -> None:
    labels = task.draw(4000, np.random.default_rng(1)).labels
    counts = np.bincount(labels, minlength=4)
    assert ((counts - 1000) ** 2 / 1000).sum() < 16.3  # χ² with 3 d.f., p = 0.001


@both
@pytest.mark.parametrize("factor", [1, 5, 100])
@pytest.mark.parametrize(
    ("offset_ms", "lenient"), [(-5, False), (0, True), (300, True)]
)
def test_a_peak_counts_from_the_published_time_on(
    task: Task, factor: int, offset_ms: int, lenient: bool
) -> None:
    trials = refine(task.draw(1, np.random.default_rng(2)), 0.005 / factor)
    at = round((TIMES[task.name][3] + offset_ms) / 5) * factor
    outputs = np.zeros_like(trials.targets)
    outputs[at] = 0.71 * trials.targets.sum() / abs(trials.targets.sum())
    assert task.score(outputs, trials).tolist() == [lenient]
    assert not task.score_strict(outputs, trials).any()


@both
def test_an_oscillation_passes_the_lenient_rule_only(task: Task) -> None:
    trials = task.draw(50, np.random.default_rng(3))
    wave = np.sin(2 * np.pi * 10 * trials.dt * np.arange(trials.steps))
    outputs = np.broadcast_to(wave[:, None, None], trials.targets.shape)
    assert task.score(outputs, trials).all()
    assert not task.score_strict(outputs, trials).any()


@both
@pytest.mark.parametrize(("height", "strict"), [(0.8, True), (1.4, True), (2.5, False)])
def test_an_answer_of_another_size_passes_the_lenient_rule_only(
    task: Task, height: float, strict: bool
) -> None:
    trials = task.draw(20, np.random.default_rng(4))
    assert task.score(height * trials.targets, trials).all()
    assert (task.score_strict(height * trials.targets, trials) == strict).all()
