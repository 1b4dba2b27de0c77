"""What endpoints say, alone and together."""

import math
import re

import pytest

from isotau.sim.preservation import Endpoint, Estimate, Verdict
from isotau.sim.preservation.verdict import decide, judge, sentence

NAN, INF = math.nan, math.inf


def endpoint(name, low, high, margin=0.2, value=None):
    if value is None:
        value = (low + high) / 2
    found = Estimate(value=value, low=low, high=high)
    return Endpoint(name=name, estimate=found, margin=margin, level=0.9)


YES, NO, UNKNOWN = Verdict


@pytest.mark.parametrize(
    ("name", "low", "high", "verdict"),
    [
        ("shift", -0.19, 0.19, YES),
        ("shift", -0.2, 0.1, UNKNOWN),
        ("shift", -0.3, 0.1, UNKNOWN),
        ("shift", 0.1, 0.3, UNKNOWN),
        ("shift", -0.3, 0.3, UNKNOWN),
        ("shift", 0.21, 0.3, NO),
        ("shift", -0.3, -0.21, NO),
        ("shift", NAN, NAN, UNKNOWN),
        ("scatter", -9.0, 0.19, YES),
        ("scatter", -9.0, 0.2, UNKNOWN),
        ("scatter", 0.21, INF, NO),
        ("loss", -0.9, -0.3, YES),
        ("curve", 0.0, 0.19, YES),
    ],
)
def test_one_endpoint(name, low, high, verdict):
    assert judge(endpoint(name, low, high, value=0.0)) is verdict


def test_all_must_be_inside_and_one_outside_is_enough():
    inside, outside = endpoint("shift", -0.1, 0.1), endpoint("scatter", 0.3, 0.4)
    unsure = endpoint("loss", 0.0, 0.3)
    assert decide([inside])[0] is YES
    assert decide([inside, unsure])[0] is UNKNOWN
    assert decide([inside, outside, unsure])[0] is NO


def test_the_sentence_is_on_what_decided():
    near = endpoint("scatter", 0.0, 0.19)
    assert decide([endpoint("shift", -0.1, 0.1), near])[1] == sentence(near)
    lower = endpoint("shift", -0.195, 0.0)
    assert decide([lower, near])[1] == sentence(lower)
    worse = endpoint("loss", 0.9, 1.0, margin=0.1)
    assert decide([endpoint("shift", 0.3, 0.4), worse])[1] == sentence(worse)
    wide = endpoint("scatter", -0.3, 0.6)
    assert decide([endpoint("loss", 0.1, 0.3), wide])[1] == sentence(wide)
    nothing = endpoint("shift", NAN, NAN)
    assert decide([nothing, wide])[1] == "shift: nothing to measure it by"


def test_sentences_name_estimate_interval_and_margin():
    margin = math.log(1.25)
    found = sentence(endpoint("shift", math.log(0.9), math.log(1.1), margin, 0.0))
    assert found == (
        "shift: τ_b/τ_a is 1.000 (90% interval 0.900 to 1.100), inside 0.800 to 1.250"
    )
    found = sentence(endpoint("loss", 0.2, 0.4, 0.1, 0.3))
    assert found == (
        "loss: beyond a repeat's, 0.300 of the identified neurons are lost (90% "
        "interval 0.200 to 0.400), outside the margin of 0.100"
    )
    assert "neither inside nor outside" in sentence(endpoint("curve", 0.1, 0.3))
    assert sentence(endpoint("scatter", NAN, NAN, value=0.1)).endswith("no interval")
    assert "inf" in sentence(endpoint("shift", 0.0, INF, value=1.0))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"name": "odd"}, "name: got 'odd', need one of shift, scatter, loss, curve"),
        ({"margin": 0.0}, "margin: got 0.0, need numbers greater than 0"),
        ({"level": 1.0}, "level: got 1.0, need less than 1"),
    ],
)
def test_refusals(changes, text):
    fields = {
        "name": "loss",
        "estimate": Estimate(value=0.0),
        "margin": 1,
        "level": 0.9,
    }
    with pytest.raises(ValueError, match=re.escape(text)):
        Endpoint(**fields | changes)
