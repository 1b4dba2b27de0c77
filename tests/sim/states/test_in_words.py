"""Sentences and numbers of a comparison."""

import dataclasses
import json

import numpy as np
import pytest

from isotau.sim.states import (
    Margins,
    Outcome,
    StateBudget,
    compare_states,
    sentence,
    summary,
)
from isotau.sim.states.memory_states import Switching
from isotau.sim.states.of_units import UNKNOWN, UnitSpread


@pytest.fixture(scope="module")
def tau():
    return np.linspace(0.03, 0.06, 12)


@pytest.fixture
def compared(ou_source, tau):
    stages = [ou_source("lif", tau), ou_source("fixed", tau)]
    (found,) = compare_states(
        stages, [("lif", "fixed")], budget=StateBudget(seconds=60)
    )
    return found


def test_the_sentence_comes_with_its_numbers(compared):
    text = sentence(compared)
    assert text.startswith("Timescales are preserved from LIF to chip: median ")
    medians = [np.median(stage.tau) for stage in (compared.pair.a, compared.pair.b)]
    assert "median {:.3g} → {:.3g} ms".format(*(1e3 * m for m in medians)) in text
    assert f"ratio {np.exp(compared.pair.network.value):.3f}, 95 %" in text
    within = compared.decision.within
    assert f"margin ±10%); {within} of 12 neurons within 20%; all but 5% within" in text
    assert "memory states" not in text and "longer than" not in text


def test_how_far_units_spread_is_told_as_what_most_are_within(compared):
    """(A13): of the SD at the margin, 95 % are within the margin."""
    spread = UnitSpread(Margins().spread ** 2, 1e-4, 76.0)
    decision = dataclasses.replace(compared.decision, spread=spread)
    wide = dataclasses.replace(compared, decision=decision)
    assert "; all but 5% within 20.0 % (95 % 19.7–20.3 %)" in sentence(wide)
    assert summary(wide)["most_within"][0] == pytest.approx(0.2)
    decision = dataclasses.replace(compared.decision, spread=UNKNOWN)
    unknown = dataclasses.replace(compared, decision=decision)
    assert "all but" not in sentence(unknown)
    assert summary(unknown)["most_within"] == [0.0, 0.0, None]


def test_units_are_called_what_they_are(compared):
    assert " of 12 κ within 20%" in sentence(dataclasses.replace(compared, units="κ"))


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (Outcome.NOT_PRESERVED, "Timescales are not preserved from LIF to chip"),
        (
            Outcome.NOT_IDENTIFIABLE,
            "It cannot be told yet whether timescales are preserved from LIF to chip "
            "(more trials)",
        ),
    ],
)
def test_every_outcome_has_its_words(compared, outcome, words):
    decision = dataclasses.replace(
        compared.decision, outcome=outcome, lacking="more trials"
    )
    assert sentence(dataclasses.replace(compared, decision=decision)).startswith(words)


@pytest.mark.parametrize(
    ("ends", "words"),
    [((1.03, 1.07), "within the margin"), ((1.07, 1.12), "about as far as the margin")],
)
def test_a_shift_is_told_with_its_size(compared, ends, words):
    decision = dataclasses.replace(
        compared.decision,
        outcome=Outcome.SHIFTED,
        ratio=1.052,
        low=ends[0],
        high=ends[1],
        beyond=2,
    )
    text = sentence(dataclasses.replace(compared, decision=decision))
    assert text.startswith(f"Timescales are shifted by +5.2% from LIF to chip, {words}")
    assert "; 2 surely not" in text


def test_oscillations_and_trials_that_are_too_short_are_told_of(compared):
    shape = compared.shapes[0]
    n = shape.n
    rhythmic = dataclasses.replace(
        shape, oscillating=np.arange(n) < 3, frequency=np.full(n, 8.04)
    )
    text = sentence(dataclasses.replace(compared, shapes=(rhythmic, shape)))
    assert "; 3 oscillate in the LIF (median 8.04 Hz)." in text
    assert "oscillate in the chip" not in text
    slow = np.arange(n) < 2
    pair = dataclasses.replace(compared.pair, beyond=slow)
    long = dataclasses.replace(compared, pair=pair, lengths=((4.0, 0.9), (8.0, 1.7)))
    assert "(900 ms in 4 s, 1.7e+03 ms in 8 s)" in sentence(long)
    assert "Trials are too short" in sentence(long)
    once = dataclasses.replace(long, lengths=((4.0, 0.9),))
    assert "Trials are too short" not in sentence(once)
    assert summary(long)["beyond_the_window"] == [0, 1]


def test_memory_states_are_told_of(compared):
    memory = (Switching(states=2, switches=20, seconds=100.0), Switching(seconds=100.0))
    text = sentence(dataclasses.replace(compared, memory=memory))
    assert "timescales within one" in text
    assert "kept for 5 s (3.24 to 8.19) in the LIF and more than 27.1 s in" in text


def test_slow_units_are_told_of(ou_source, tau):
    slow = np.append(tau, [500.0, 500.0])
    stages = [ou_source("rate", slow), ou_source("lif", slow)]
    (found,) = compare_states(stages, [("rate", "lif")], budget=StateBudget(seconds=2))
    assert found.pair.beyond.sum() == 2
    assert "2 remember for longer than" in sentence(found)


def test_numbers_are_plain(compared):
    numbers = json.loads(json.dumps(summary(compared), allow_nan=False))
    assert numbers["verdict"] == "preserved" and numbers["units"] == 12
    assert numbers["ratio"][1] < numbers["ratio"][0] < numbers["ratio"][2]
    assert numbers["memory"][0]["dwell_s"][2] is None
    assert numbers["trials"] == compared.trials


def test_what_has_no_number_has_none(ou_source):
    stages = [ou_source(name, [400.0] * 6) for name in ("rate", "lif")]
    (found,) = compare_states(stages, [("rate", "lif")], budget=StateBudget(seconds=0))
    assert summary(found)["ratio"] == [None, None, None]
    assert summary(found)["median_tau_s"] == [None, None]
    assert "no median" in sentence(found)
