"""Looks at states: until it is decided, and not for longer than may be."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from isotau.sim.states import sequence
from isotau.sim.states.autocovariance import BLOCKS
from isotau.sim.states.decide import Margins, Outcome
from isotau.sim.states.sequence import (
    BEGIN,
    StateBudget,
    StateTrials,
    compare_states,
)

TAU = np.geomspace(0.03, 0.1, 30)
# Ratios of a Gaussian's quantiles, dealt out: near the margin, which takes looks.
DEALT = stats.norm.ppf((np.random.default_rng(0).permutation(30) + 0.5) / 30)
NEAR, EDGE = (TAU * np.exp(sd * DEALT) for sd in (0.083, 0.093))
LONG = StateBudget(seconds=60.0)


@pytest.fixture
def short_looks(monkeypatch):
    """The first look is at a block's trials only, so that several are taken."""
    monkeypatch.setattr(sequence, "BEGIN", 0.0)


def outcome(ou_source, a, b, **options):
    stages = [ou_source("a", a), ou_source("b", b)]
    (found,) = compare_states(stages, [("a", "b")], **{"budget": LONG, **options})
    return found


def test_equal_stages_are_preserved(ou_source):
    found = outcome(ou_source, TAU, TAU)
    assert found.decision.outcome is Outcome.PRESERVED
    assert found.trials * found.length == 2 * BEGIN * 2 ** (found.look - 1)
    assert found.length == 4.0
    assert found.floor.scatter > found.pair.scatter


@pytest.mark.parametrize(
    ("factor", "expected"),
    [(1.05, Outcome.SHIFTED), (0.95, Outcome.SHIFTED), (1.3, Outcome.NOT_PRESERVED)],
)
def test_a_shift_is_found(ou_source, factor, expected):
    assert outcome(ou_source, TAU, factor * TAU).decision.outcome is expected


def test_some_units_that_are_off_are_found(ou_source):
    other = TAU.copy()
    other[:8] *= 1.6
    assert outcome(ou_source, TAU, other).decision.outcome is Outcome.NOT_PRESERVED


def test_time_and_trials_end_it(ou_source):
    once = outcome(ou_source, TAU, TAU, budget=StateBudget(seconds=0.0))
    assert once.look == 1 and once.trials * once.length == 2 * BEGIN
    few = outcome(ou_source, TAU, EDGE, budget=StateBudget(seconds=60, trials=BLOCKS))
    assert few.look == 1 and few.trials == 2 * BLOCKS
    assert few.decision.outcome is Outcome.NOT_IDENTIFIABLE
    assert "more trials" in few.decision.lacking


def test_only_what_is_undecided_is_looked_at_again(short_looks, ou_source):
    stages = [ou_source("a", NEAR), ou_source("b", TAU), ou_source("c", 3 * TAU)]
    drawn = {name: [] for name in "abc"}
    for k, stage in enumerate(stages):

        def draw(trials, first, length, seed, stage=stage):
            drawn[stage.name].append(first + trials)
            return stage.draw(trials, first, length, seed)

        stages[k] = dataclasses.replace(stage, draw=draw)
    same, other = compare_states(stages, [("a", "b"), ("b", "c")], budget=LONG)
    assert same.decision.outcome is Outcome.PRESERVED
    assert other.decision.outcome is Outcome.NOT_PRESERVED
    assert other.look < same.look
    # Besides the first looks for memory states: fewer trials of what was decided.
    assert max(drawn["b"]) > max(drawn["c"][1:])


def test_trials_are_as_long_as_units_remember(ou_source):
    slow = np.full(12, 1.2)
    assert outcome(ou_source, slow, slow, budget=StateBudget(seconds=8)).length > 4.0


def test_parts_that_are_held_at_a_time_do_not_matter(ou_source, monkeypatch):
    budget = StateBudget(seconds=60, trials=4 * BLOCKS)
    margins = Margins(ratio=1e-3, shift=1e-4)  # which nothing meets
    whole = outcome(ou_source, TAU, TAU, budget=budget, margins=margins)
    assert whole.trials == 8 * BLOCKS
    monkeypatch.setattr(sequence, "MOST_NUMBERS", 1)
    first = ou_source("a", TAU)
    drawn = []

    def draw(trials, *rest):
        drawn.append(trials)
        return first.draw(trials, *rest)

    stages = [dataclasses.replace(first, draw=draw), ou_source("b", TAU)]
    compare_states(stages, [("a", "b")], budget=budget, margins=margins)
    assert set(drawn) == {BLOCKS}
    parts = outcome(ou_source, TAU, TAU, budget=budget, margins=margins)
    # Other means are taken out, and noise is drawn by the number of the first trial.
    assert parts.trials == whole.trials and parts.look == whole.look
    assert parts.pair.network.value == pytest.approx(
        whole.pair.network.value, abs=5 * whole.pair.network.error
    )


def test_memory_states_are_taken_out(ou_source):
    """Within a state both stages are alike; switching is told beside it."""

    def with_states(stage):
        means = 5 * np.random.default_rng(0).standard_normal((2, stage.n))

        def draw(trials, first, length, seed):
            x = stage.draw(trials, first, length, seed).x
            rng = np.random.default_rng([seed, first, 1])
            steps = rng.random((len(x), trials)) < 0.01 / 3
            return StateTrials(x + means[steps.cumsum(axis=0) % 2])

        return dataclasses.replace(stage, draw=draw)

    stages = [with_states(ou_source(name, TAU)) for name in "ab"]
    (found,) = compare_states(stages, [("a", "b")], budget=LONG)
    assert [memory.states for memory in found.memory] == [2, 2]
    assert all(0 < memory.dwell < 10 for memory in found.memory)
    assert found.decision.outcome is Outcome.PRESERVED
    np.testing.assert_allclose(np.median(found.pair.a.tau / TAU), 1, atol=0.1)


def test_memory_states_that_come_late_are_found_too(short_looks, ou_source):
    """What was watched without knowing them does not count."""

    def late(stage):
        means = 5 * np.random.default_rng(0).standard_normal((2, stage.n))

        def draw(trials, first, length, seed):
            x = stage.draw(trials, first, length, seed).x
            begin = np.random.default_rng([seed, first]).integers(2, size=trials)
            return StateTrials(x + means[begin * (first > 0)])

        return dataclasses.replace(stage, draw=draw)

    stages = [late(ou_source("a", TAU)), late(ou_source("b", NEAR))]
    (found,) = compare_states(stages, [("a", "b")], budget=LONG)
    assert [memory.states for memory in found.memory] == [2, 2]
    assert found.look > 1 and found.trials < 40 * 2 ** (found.look - 1)
    assert found.decision.outcome is Outcome.PRESERVED
    np.testing.assert_allclose(np.median(found.pair.a.tau / TAU), 1.02, atol=0.1)


def test_what_a_condition_does_is_no_memory(ou_source):
    """Each has a course of its own, far larger than what units remember."""

    def shown(stage):
        def draw(trials, first, length, seed):
            x = stage.draw(trials, first, length, seed).x
            conditions = np.random.default_rng([seed, first]).integers(3, size=trials)
            course = np.sin(np.arange(len(x)) / 20)[:, None, None]
            means = 4 * np.arange(3)[:, None] * np.ones(stage.n)
            return StateTrials(x + course * means[conditions], conditions)

        return dataclasses.replace(stage, draw=draw)

    stages = [shown(ou_source(name, TAU)) for name in "ab"]
    (found,) = compare_states(stages, [("a", "b")], budget=LONG)
    assert [memory.states for memory in found.memory] == [1, 1]
    assert found.decision.outcome is Outcome.PRESERVED
    low, high = found.pair.a.interval()
    assert ((low < TAU) & (high > TAU)).mean() > 0.8


def test_trials_are_no_longer_than_a_source_has_them(ou_source):
    slow = np.full(len(TAU), 3.0)
    stages = [
        dataclasses.replace(ou_source(name, slow), longest=longest)
        for name, longest in zip("ab", (2.0, 2.0), strict=True)
    ]
    (found,) = compare_states(
        stages, [("a", "b")], budget=StateBudget(seconds=2, trials=40)
    )
    assert found.length == 2.0


@pytest.mark.parametrize(
    ("changes", "pairs", "message"),
    [
        ({"n": 3}, [("a", "b")], "n: got 3 at b, need 30 as at a"),
        ({"interval": 0.02}, [("a", "b")], r"interval: got 0\.02 at b, need 0\.01"),
        ({}, [("a", "d")], "pairs: got 'd'"),
    ],
)
def test_other_stages_are_refused(ou_source, changes, pairs, message):
    b = dataclasses.replace(ou_source("b", TAU), **changes)
    with pytest.raises(ValueError, match=message):
        compare_states([ou_source("a", TAU), b], pairs)


@pytest.mark.parametrize(("name", "value"), [("seconds", -1), ("trials", BLOCKS - 1)])
def test_budgets_are_checked(name, value):
    with pytest.raises(ValueError, match=f"{name}: got"):
        StateBudget(**{name: value})


def test_trials_grow_when_units_turn_out_to_be_slow(
    short_looks, ou_source, monkeypatch
):
    """What a few trials took for long enough; what was watched then counts no more."""
    slow = np.geomspace(0.5, 1.5, 10)
    stages = [ou_source(name, slow, 0.05) for name in "ab"]
    monkeypatch.setattr(
        sequence, "tried_lengths", lambda *rest: ((sequence.SHORTEST, 0.7),)
    )
    budget = StateBudget(seconds=30, trials=320)
    (found,) = compare_states(stages, [("a", "b")], budget=budget)
    assert found.length > sequence.SHORTEST
    lengths = [length for length, _ in found.lengths]
    assert lengths == [4 * 2**k for k in range(len(lengths))]
    assert lengths[-1] == found.length and np.isfinite(found.lengths[0][1])
    assert found.trials < 40 * 2 ** (found.look - 1)
    assert found.pair.both.mean() > 0.8


@pytest.mark.parametrize(("seconds", "trials"), [(30.0, 2 * 140), (13.0, 2 * 60)])
def test_the_last_look_takes_what_time_is_left(
    short_looks, ou_source, monkeypatch, seconds, trials
):
    """By a clock that goes on by what is drawn: 50 ms a trial, of two stages."""
    now = [0.0]
    monkeypatch.setattr(sequence, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(sequence, "tried_lengths", lambda *rest: ((4.0, 0.1),))

    def timed(stage):
        def draw(count, first, length, seed):
            now[0] += 0.05 * count
            return stage.draw(count, first, length, seed)

        return dataclasses.replace(stage, draw=draw)

    stages = [timed(ou_source("a", TAU)), timed(ou_source("b", EDGE))]
    (found,) = compare_states(stages, [("a", "b")], budget=StateBudget(seconds=seconds))
    # 20 trials of two runs of two stages take 4 s: 20, 20, 40, 80, what is left.
    assert found.decision.outcome is Outcome.NOT_IDENTIFIABLE
    assert found.trials == trials


def test_longer_trials_do_not_overrun_the_budget(ou_source, monkeypatch):
    """A look at trials that have grown takes as much longer as they are."""
    now = [0.0]
    monkeypatch.setattr(sequence, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(sequence, "tried_lengths", lambda *rest: ((4.0, 0.7),))
    slow = np.geomspace(0.5, 3.0, 10)

    def timed(stage):
        def draw(count, first, length, seed):
            now[0] += 0.01 * count * length
            return stage.draw(count, first, length, seed)

        return dataclasses.replace(stage, draw=draw)

    stages = [timed(ou_source(name, slow, 0.05)) for name in "ab"]
    before = sum(0.01 * 100 * 4.0 for _ in stages)  # what is drawn first
    (found,) = compare_states(stages, [("a", "b")], budget=StateBudget(seconds=40.0))
    assert found.length > 4.0 and now[0] - before <= 1.2 * 40
