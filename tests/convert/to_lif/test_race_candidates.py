"""Candidates that race: what drops out, and that the others lose nothing by it."""

import dataclasses

import numpy as np
import pytest

from isotau.convert.ground.progress import silent
from isotau.convert.records.trials import Trials, refine
from isotau.convert.to_lif import race_candidates
from isotau.convert.to_lif.conversion import Candidate, merit
from isotau.convert.to_lif.race_candidates import Attempt, Racecourse, judge
from isotau.convert.to_lif.search_lambda import rate_to_lif

LEVELS = (1.0, 2.0, 28.0, 30.0, 32.0)


def trials(batch: int) -> Trials:
    """A step of input on channel 0 asks for output 1 in half of the trials."""
    labels = np.arange(batch) % 2
    inputs = np.zeros((60, batch, 2))
    inputs[20:, :, 0] = labels
    targets = np.zeros((60, batch, 1))
    targets[30:, :, 0] = labels
    return Trials(
        inputs=inputs,
        targets=targets,
        mask=np.ones((60, batch), dtype=bool),
        labels=labels,
        dt=0.005,
        task="step",
    )


def score(outputs: np.ndarray, shown: Trials) -> np.ndarray:
    late = outputs[-shown.steps // 4 :, :, 0].mean(axis=0)
    return (late > 0.5) == (shown.labels == 1)


def blank(inverse_lambda: float) -> Candidate:
    return Candidate(inverse_lambda=inverse_lambda, unit=1e-3)


def racecourse(rate_net, batch: int = 100) -> Racecourse:
    def network(candidate):
        return rate_to_lif(
            rate_net,
            inverse_lambda=candidate.inverse_lambda,
            output_gain=candidate.output_gain,
            drive=candidate.drive,
        )

    return Racecourse(network, refine(trials(batch), 1e-3), score, 3, 50, False, silent)


def test_who_runs_to_the_end_has_the_figures_of_all_trials(rate_net, monkeypatch):
    course = racecourse(rate_net)
    raced = [a.candidate for a in course.race([blank(v) for v in LEVELS])]
    monkeypatch.setattr(race_candidates, "HEATS", ())
    whole = [a.candidate for a in course.race([blank(v) for v in LEVELS])]
    assert {c.trials for c in whole} == {100}
    ended = [k for k, c in enumerate(raced) if c.trials == 100]
    assert 1 <= len(ended) < len(LEVELS)
    for k in ended:
        assert dataclasses.asdict(raced[k]) == dataclasses.asdict(whole[k])
    assert max(raced, key=merit).inverse_lambda == max(whole, key=merit).inverse_lambda


def test_an_earlier_leader_makes_others_drop_out(rate_net):
    course = racecourse(rate_net)
    leader = course.race([blank(30.0)])[0]
    (late,) = course.race([blank(1.0)], leader)
    assert leader.candidate.trials == 100 and late.candidate.trials < 100
    assert merit(leader.candidate) > merit(late.candidate)
    assert course.race([], leader) == []


def test_few_trials_run_in_one_heat(rate_net):
    attempts = racecourse(rate_net, 30).race([blank(v) for v in LEVELS])
    assert {a.candidate.trials for a in attempts} == {30}


@pytest.mark.parametrize(
    ("right", "best", "behind"),
    [
        # Nine trials lost, none won: three standard errors of a fair coin.
        ([0] * 9 + [1] * 31, [1] * 40, True),
        ([0] * 8 + [1] * 32, [1] * 40, False),
        ([1] * 40, [0] * 9 + [1] * 31, False),
    ],
)
def test_behind_is_beyond_chance(rate_net, monkeypatch, right, best, behind):
    course = racecourse(rate_net, 40)
    marks = {0.0: (right, np.zeros(40)), 1.0: (best, np.zeros(40))}
    monkeypatch.setattr(
        Racecourse,
        "_marks",
        lambda _, a: tuple(np.array(x) for x in marks[a.candidate.drive]),
    )
    one, leader = (
        Attempt(Candidate(inverse_lambda=30.0, unit=1e-3, drive=d), np.empty(0))
        for d in (0.0, 1.0)
    )
    for name in marks:
        marks[name] = np.array(marks[name][0], dtype=bool), marks[name][1]
    assert course._is_behind(one, leader) is behind


def test_judging_fits_the_gain_where_it_counts():
    """Against numpy's own least squares over the steps of the mask."""
    rng = np.random.default_rng(3)
    shown = trials(4)
    mask = rng.random((60, 4)) < 0.5
    shown = dataclasses.replace(shown, mask=mask)
    raw, b_out = rng.random((60, 4, 1)) * shown.targets + 0.1, np.array([0.05])
    blank = Candidate(
        inverse_lambda=30.0,
        drive=0.0,
        output_gain=1.0,
        unit=1e-3,
        amplitude=None,
        accuracy=0.0,
        accuracy_ungained=0.0,
        error=np.inf,
    )
    judged = judge(raw, b_out, shown, score, blank, match_output=True)
    a, b = raw[mask], (shown.targets - b_out)[mask]
    (gain,), (left,), *_ = np.linalg.lstsq(a, b[:, 0], rcond=None)
    assert judged.output_gain == pytest.approx(gain)
    assert judged.error == pytest.approx(left / mask.sum())
    plain = judge(raw, b_out, shown, score, blank, match_output=False)
    assert plain.output_gain == 1.0 and plain.amplitude == judged.amplitude
    upside_down = judge(-raw, b_out, shown, score, blank, match_output=True)
    assert upside_down.output_gain == 1.0
