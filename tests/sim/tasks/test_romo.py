"""Parametric working memory: each trial is read back from its inputs."""

import numpy as np
import pytest

from isotau.sim.tasks import ROMO
from isotau.sim.tasks.romo import PAIRS, draw


def test_the_pairs_are_those_of_the_published_range() -> None:
    published = [
        (base, base + fdiff)
        for fdiff in (-24, -16, -8, 8, 16, 24)
        for base in range(max(10 - fdiff, 10), min(34, 34 - fdiff) + 1)
    ]
    assert sorted(map(tuple, PAIRS.tolist())) == sorted(published)
    assert len(published) == 54


def test_each_trial_has_the_published_parts() -> None:
    trials = draw(300, np.random.default_rng(0))
    assert trials.dt == 0.02 and trials.steps == 120
    pairs = {(int(a), int(b)) for a, b in PAIRS}
    for k in range(300):
        decision = np.flatnonzero(trials.mask[:, k])
        assert decision.tolist() == list(range(decision[0], decision[0] + 5))
        again = decision[0] - 5
        assert 25 <= again - 10 <= 100
        u = trials.inputs[:, k, 0]
        first, second = (
            round(24 * u[at : at + 5].mean() + 22) for at in (5, again)
        )  # standard error 0.11 Hz
        assert (first, second) in pairs
        rest = u.copy()
        rest[5:10] -= (first - 22) / 24
        rest[again : again + 5] -= (second - 22) / 24
        assert np.abs(rest).max() < 5.5 * 0.01
        wanted = np.zeros(120)
        wanted[decision] = (first - second) / 24
        assert trials.targets[:, k, 0] == pytest.approx(wanted)
        assert trials.labels[k] == first - second
        assert ROMO.conditions[first - second] == f"f1 − f2 = {first - second:+d} Hz"


def test_pairs_and_delays_are_drawn_at_even_odds() -> None:
    trials = draw(5400, np.random.default_rng(1))
    decision = trials.mask.argmax(axis=0)
    delays = decision - 15
    assert set(delays) == set(range(25, 101))
    assert abs(delays.mean() - 62.5) < 4 * np.sqrt((76**2 - 1) / 12 / 5400)
    expected = {-24: 1, -16: 9, -8: 17, 8: 17, 16: 9, 24: 1}  # of 54 pairs
    chi2 = sum(
        ((trials.labels == d).sum() - 100 * m) ** 2 / (100 * m)
        for d, m in expected.items()
    )
    assert chi2 < 20.5  # 5 d.f., p = 0.001


def test_noise_is_in_every_step() -> None:
    trials = draw(4000, np.random.default_rng(2))
    first_five = trials.inputs[:5, :, 0]
    assert np.abs(first_five.std(axis=1) / 0.01 - 1).max() < 5 / np.sqrt(2 * 4000)
    after = trials.mask[::-1].argmax(axis=0)  # steps left after the decision
    last = trials.inputs[-1, after > 0, 0]
    assert abs(last.std() / 0.01 - 1) < 5 / np.sqrt(2 * last.size)


def test_the_strict_rule_tells_neighbouring_differences_apart() -> None:
    trials = draw(400, np.random.default_rng(3))
    for factor, error, strict in [
        (1.0, 0.0, True),
        (1.0, 0.166, True),
        (1.0, -0.166, True),
        (1.0, 0.168, False),
        (1.0, -0.168, False),
    ]:
        outputs = factor * trials.targets + error * trials.mask[:, :, None]
        assert ROMO.score(outputs, trials).all()
        assert (ROMO.score_strict(outputs, trials) == strict).all()
    binary = np.sign(trials.targets)
    exact = np.abs(trials.labels) == 24
    assert ROMO.score(binary, trials).all()
    assert np.array_equal(ROMO.score_strict(binary, trials), exact)
