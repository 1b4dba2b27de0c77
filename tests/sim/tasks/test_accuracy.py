"""Intervals of accuracies and their changes: how often they hold the truth."""

import itertools
import math

import numpy as np
import pytest

from isotau.sim.tasks.accuracy import accuracy_reach, compare_accuracies

TRUE = np.ones(40, dtype=bool)
HALF = np.arange(40) < 20


def test_the_interval_covers_the_difference_as_often_as_it_says():
    """Counted out over all tables of 25 trials, at several true probabilities."""
    n, covered = 25, []
    for gain, loss in ((0.2, 0.1), (0.4, 0.3), (0.05, 0.05), (0.3, 0.0)):
        inside = 0.0
        for b, c in itertools.product(range(n + 1), repeat=2):
            if b + c > n:
                continue
            weight = math.comb(n, b) * math.comb(n - b, c)
            chance = weight * gain**b * loss**c * (1 - gain - loss) ** (n - b - c)
            before = np.arange(n) < c
            after = (np.arange(n) >= c) & (np.arange(n) < c + b)
            found = compare_accuracies(before, after)
            inside += chance * (found.low <= gain - loss <= found.high)
        covered.append(inside)
    assert min(covered) > 0.93 and max(covered) <= 1


def test_a_change_is_the_difference_of_accuracies():
    found = compare_accuracies(HALF, TRUE)
    assert found.difference == 0.5
    assert 0 < found.low < 0.5 < found.high < 1
    back = compare_accuracies(TRUE, HALF)
    assert back == pytest.approx((-0.5, -found.high, -found.low))
    same = compare_accuracies(HALF, HALF)
    assert same.difference == 0 and same.low == -same.high < 0


def test_a_share_has_an_interval_that_covers_it():
    """Counted out over all numbers of right trials among 40."""
    for truth in (0.5, 0.8, 0.97, 1.0):
        inside = 0.0
        for right in range(41):
            chance = math.comb(40, right) * truth**right * (1 - truth) ** (40 - right)
            # the interval's middle is that of the four trials more
            middle = (right + 2) / 44
            reach = accuracy_reach(np.arange(40) < right)
            inside += chance * (abs(middle - truth) <= reach)
        assert inside > 0.93, truth
    assert accuracy_reach(TRUE) > 0.04
