"""Strides cover all steps once, shares all trials; an interrupt passes through."""

import threading

import pytest

from isotau.convert.ground.progress import silent
from isotau.convert.simulate.shares import share_trials, strides


@pytest.mark.parametrize("rows", [1, 30, 400])
@pytest.mark.parametrize(
    ("start", "stop"), [(0, 0), (0, 1), (0, 999), (-300, 0), (-5, 700), (-2000, 3)]
)
def test_strides_follow_each_other_and_meet_at_zero(start, stop, rows):
    spans = list(strides(start, stop, rows, "work", silent, longest=256))
    steps = [t for lo, hi in spans for t in range(lo, hi)]
    assert steps == list(range(start, stop))
    assert not any(lo < 0 < hi for lo, hi in spans)
    assert all(0 < hi - lo <= 256 for lo, hi in spans)


def test_few_trials_take_longer_strides():
    first = [next(strides(0, 10**6, rows, "", silent)) for rows in (100, 1000, 10)]
    assert first == [(0, 256), (0, 256), (0, 2560)]


def test_progress_is_given_the_strides():
    seen = []

    def progress(steps, what):
        seen.append((steps, what))
        return steps

    list(strides(-10, 600, 100, "work", progress))
    assert seen == [(range(4), "work")]


@pytest.mark.parametrize("threads", [1, 2, 3, 50])
def test_every_trial_is_in_one_share(threads):
    trials, lock = [], threading.Lock()

    def work(first, last):
        with lock:
            trials.extend(range(first, last))

    with share_trials(7, threads) as share:
        share(work)
    assert sorted(trials) == list(range(7))


@pytest.mark.parametrize("part", [0, 4])
def test_what_a_share_raises_is_raised(part):
    def work(first, last):
        if first <= part < last:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), share_trials(5, 2) as share:
        share(work)
