import numpy as np
import pytest

from isotau.sim.tasks import DMS_750, MANTE, ROMO, XOR
from isotau.sim.tasks.dms_lowrank import DMS_LOWRANK
from isotau.sim.tasks.lessons import (
    dms_lesson,
    dms_lowrank_lesson,
    mante_lesson,
    romo_lesson,
)


@pytest.fixture
def rng():
    return np.random.default_rng(5)


LESSONS = {
    "mante": (mante_lesson(noise=0.5, stimulus=30, response=20), MANTE),
    "dms-750": (dms_lesson(before=4, stimulus=6, delay=3, response=9), DMS_750),
    "xor": (dms_lesson(before=4, stimulus=6, delay=3, response=9), XOR),
    "dms-lowrank": (
        dms_lowrank_lesson(stimulus=7, delays=(2, 9), response=4, noise=0.0),
        DMS_LOWRANK,
    ),
    "romo": (romo_lesson(delays=(3, 8)), ROMO),
}


@pytest.mark.parametrize("name", LESSONS)
def test_a_lesson_has_its_tasks_channels_and_steps(name, rng):
    lesson, task = LESSONS[name]
    trials = lesson.draw(50, rng)
    assert (lesson.n_in, lesson.n_out, lesson.dt) == (task.n_in, task.n_out, task.dt)
    assert trials.inputs.shape[1:] == (50, task.n_in)
    assert trials.dt == task.dt
    assert trials.steps < task.draw(1, rng).steps


@pytest.mark.parametrize("name", LESSONS)
def test_the_target_is_right_and_its_opposite_wrong(name, rng):
    lesson, _ = LESSONS[name]
    trials = lesson.draw(50, rng)
    assert lesson.score(trials.targets, trials).all()
    assert not lesson.score(-trials.targets, trials).any()


def test_mante_lesson_asks_for_the_cued_sign(rng):
    trials = LESSONS["mante"][0].draw(400, rng)
    assert trials.steps == 50 + 30 + 20
    streams = trials.inputs[50:80, :, :2]
    cued = trials.inputs[0, :, 3].astype(int)
    np.testing.assert_array_equal(trials.inputs[:, :, 2:].sum(axis=2), 1)
    mean = streams.mean(axis=0)[np.arange(400), cued]
    wanted = trials.targets[-1, :, 0]
    # 0.5 over 0.5/√30: five and a half standard deviations apart from 0.
    assert (np.sign(mean) == wanted).all()
    signs = np.where(streams.mean(axis=0) > 0, 0.5, -0.5)
    assert np.std(streams - signs) == pytest.approx(0.5, rel=0.05)
    assert not trials.inputs[:50, :, :2].any()
    assert not trials.targets[:80].any()


def test_dms_lesson_step_by_step(rng):
    trials = LESSONS["dms-750"][0].draw(64, rng)
    assert trials.steps == 4 + 6 + 3 + 6 + 9
    for k in range(64):
        first, second = trials.inputs[5, k, 0], trials.inputs[14, k, 1]
        shown = np.zeros((28, 2))
        shown[4:10, 0], shown[13:19, 1] = first, second
        np.testing.assert_array_equal(trials.inputs[:, k], shown)
        wanted = np.zeros(28)
        wanted[19:] = 1 if first == second else -1
        np.testing.assert_array_equal(trials.targets[:, k, 0], wanted)
    assert trials.mask.all()
    assert set(trials.labels) == {0, 1, 2, 3}


def test_dms_lowrank_lesson_step_by_step(rng):
    trials = LESSONS["dms-lowrank"][0].draw(200, rng)
    seen = set()
    for k in range(200):
        a, b = trials.inputs[:, k].T
        np.testing.assert_array_equal(np.flatnonzero(a + b)[:7], np.arange(5, 12))
        second = np.flatnonzero(a + b)[7]
        seen.add(int(second) - 12)
        begin = second + 7
        wanted = np.zeros(trials.steps)
        wanted[begin : begin + 4] = 1 if a[5] == a[second] else -1
        np.testing.assert_array_equal(trials.targets[:, k, 0], wanted)
        np.testing.assert_array_equal(trials.mask[:, k], wanted != 0)
    assert seen == set(range(2, 10))


def test_romo_lesson_asks_for_the_difference(rng):
    trials = LESSONS["romo"][0].draw(300, rng)
    assert trials.steps == 5 + 5 + 8 + 5 + 5
    first = trials.inputs[5:10, :, 0].mean(axis=0)
    for k in range(300):
        begin = int(np.flatnonzero(trials.mask[:, k])[0])
        second = trials.inputs[begin - 5 : begin, k, 0].mean()
        # The input's noise is 0.01/√5 in each mean.
        wanted = trials.targets[begin, k, 0]
        assert first[k] - second == pytest.approx(wanted, abs=0.04)
        assert trials.mask[:, k].sum() == 5
