"""Lessons from files and tasks: what is learned, what is held out, what is refused."""

import dataclasses

import numpy as np
import pytest

from isotau.convert.records import storage
from isotau.convert.records.given import answer_is_label, answer_is_near
from isotau.convert.records.trials import Trials
from isotau.jobs.tune_lesson import lesson_of_task, read_lesson, tuning_seeds
from isotau.sim.tasks import GO_NOGO, XOR

RNG = np.random.default_rng(0)


@pytest.fixture
def net(lif_net):
    return lif_net


def marked(batch=20, n_in=2, n_out=2, task="mine"):
    """Trials that can be told apart by their first input."""
    inputs = np.zeros((12, batch, n_in))
    inputs[0, :, 0] = np.arange(batch)
    return Trials(
        inputs=inputs,
        targets=RNG.random((12, batch, n_out)),
        mask=np.ones((12, batch), dtype=bool),
        labels=np.arange(batch) % 2,
        dt=2e-3,
        task=task,
    )


def numbers(trials):
    return set(trials.inputs[0, :, 0].astype(int).tolist())


def test_half_is_for_the_test_and_nothing_is_in_two_places(net, tmp_path):
    storage.save(marked(), tmp_path / "t.npz")
    lesson = read_lesson(tmp_path / "t.npz", net, seed=1)
    assert lesson.trials == {"learned": 8, "held_out": 2, "test": 10}
    rng = np.random.default_rng(0)
    learned, held = (
        numbers(lesson.source.draw(40, rng)),
        numbers(lesson.held.draw(40, rng)),
    )
    test = numbers(lesson.test)
    assert learned == numbers(lesson.typical)
    assert learned | held | test == set(range(20))
    assert len(learned) + len(held) + len(test) == 20
    assert lesson.peak == max(learned | held)
    assert lesson.test.dt == net.dt and lesson.test.steps == 24
    again = read_lesson(tmp_path / "t.npz", net, seed=1)
    assert numbers(again.test) == test
    assert numbers(read_lesson(tmp_path / "t.npz", net, seed=2).test) != test


def test_labels_ask_for_their_output_and_targets_for_themselves(net, tmp_path):
    np.savez(tmp_path / "l.npz", inputs=RNG.random((9, 16, 2)), labels=[0, 1] * 8)
    labelled = read_lesson(tmp_path / "l.npz", net, seed=0)
    assert labelled.loss == "labels" and labelled.source.score is answer_is_label
    assert set(labelled.test.labels.tolist()) <= {0, 1}
    storage.save(marked(), tmp_path / "t.npz")
    targeted = read_lesson(tmp_path / "t.npz", net, seed=0)
    assert targeted.loss == "mse" and targeted.source.score is answer_is_near


def test_trials_of_a_task_are_scored_by_its_rule(net, tmp_path):
    one = dataclasses.replace(net, w_out=net.w_out[:1], b_out=net.b_out[:1])
    drawn = XOR.draw(10, np.random.default_rng(0))
    storage.save(drawn, tmp_path / "x.npz")
    assert read_lesson(tmp_path / "x.npz", one, seed=0).source.score is XOR.score
    storage.save(marked(task="xor"), tmp_path / "t.npz")
    assert read_lesson(tmp_path / "t.npz", net, seed=0).source.score is answer_is_near


def test_a_task_draws_afresh(net):
    made = dataclasses.replace(
        net, w_in=net.w_in[:, :1], w_out=net.w_out[:1], b_out=net.b_out[:1]
    )
    lesson = lesson_of_task(GO_NOGO, made, trials=6, seed=3)
    assert lesson.held is None and lesson.loss == "mse"
    assert lesson.trials == {"test": 6} and lesson.test.batch == 6
    assert lesson.test.dt == made.dt and lesson.source.score is GO_NOGO.score
    rng = np.random.default_rng(0)
    first, second = (lesson.source.draw(4, rng) for _ in range(2))
    assert first.inputs.tolist() != second.inputs.tolist()
    again = lesson_of_task(GO_NOGO, made, trials=6, seed=3)
    np.testing.assert_array_equal(again.test.inputs, lesson.test.inputs)


def test_seeds_differ():
    seeds = [*tuning_seeds(0), *tuning_seeds(1)]
    assert len(set(seeds)) == len(seeds) and max(seeds) < 2**63


def test_what_cannot_be_learned_is_refused(net, tmp_path):
    def file(**arrays):
        np.savez(tmp_path / "f.npz", **arrays)
        return tmp_path / "f.npz"

    with pytest.raises(ValueError, match="got inputs without labels, need labels, or"):
        read_lesson(file(inputs=np.zeros((5, 9, 2))), net, seed=0)
    with pytest.raises(ValueError, match=r"labels: got 4, need less than 2, the netw"):
        read_lesson(file(inputs=np.zeros((5, 9, 2)), labels=[4] * 9), net, seed=0)
    with pytest.raises(ValueError, match="trials: got 7, need at least 8, half of"):
        read_lesson(file(inputs=np.zeros((5, 7, 2)), labels=[0] * 7), net, seed=0)
    with pytest.raises(ValueError, match=r"inputs: got shape \(5, 9, 3\), need"):
        read_lesson(file(inputs=np.zeros((5, 9, 3)), labels=[0] * 9), net, seed=0)
    other = storage.save(marked(n_out=1), tmp_path / "t.npz")
    with pytest.raises(ValueError, match="got 2 input channels and 1 outputs, need 2 "):
        read_lesson(other, net, seed=0)
    with pytest.raises(ValueError, match="network: got 2 inputs and 2 outputs, need 1"):
        lesson_of_task(GO_NOGO, net, trials=5, seed=0)
