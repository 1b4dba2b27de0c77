import math

import numpy as np
import pytest

from isotau.convert.read.conventions import (
    NEEDED,
    AssumedTiming,
    Assumptions,
    Convention,
    Conventions,
    StateAssumptions,
    check_assumptions,
    settle_noise,
    settle_timing,
    span,
    start_state,
    whose,
)
from isotau.convert.read.read_lowrank import read_lowrank
from isotau.convert.read.read_onnx import read_onnx_rnn
from isotau.convert.read.read_psychrnn import read_psychrnn
from isotau.convert.read.read_torch_rnn import read_torch_rnn


def conventions(*more: Convention) -> Conventions:
    items = tuple(Convention(name, "1", "default") for name in NEEDED)
    return Conventions(family="a kind", items=items + more, ignored=("epoch",))


def settle(**given: float) -> AssumedTiming:
    return settle_timing(given, usual_alpha=0.2, usual_dt=0.02)


def test_a_description_has_a_line_for_everything():
    more = Convention("readout", "fc", "file", "found by its shape")
    lines = conventions(more).describe().splitlines()
    assert lines[0] == "read as: a kind"
    assert "alpha: 1 (default)" in lines
    assert lines[-2:] == ["readout: fc (file; found by its shape)", "ignored: epoch"]
    assert len(lines) == len(NEEDED) + 3


def test_one_convention_is_found_by_name():
    assert conventions().find("tau") == Convention("tau", "1", "default")
    with pytest.raises(ValueError, match=r"name: got 'mood', need one of alpha, dt"):
        conventions().find("mood")


def test_what_is_unsaid_said_twice_or_by_nobody_is_refused():
    with pytest.raises(ValueError, match=r"items: got dt, need each of alpha, dt"):
        Conventions(family="a", items=(Convention("dt", "1 s", "file"),))
    with pytest.raises(ValueError, match="and nothing twice"):
        conventions(Convention("tau", "2 s", "file"))
    with pytest.raises(ValueError, match=r"source of x: got 'hearsay', need one of"):
        conventions(Convention("x", "1", "hearsay"))


@pytest.mark.parametrize(
    ("given", "dt", "tau", "sources"),
    [
        ({}, 0.02, 0.1, "default default default"),
        ({"alpha": 0.5}, 0.02, 0.04, "argument default default"),
        ({"dt": 0.005}, 0.005, 0.025, "default argument default"),
        ({"tau": 0.05}, 0.01, 0.05, "default default argument"),
        ({"alpha": 0.1, "dt": 0.01}, 0.01, 0.1, "argument argument argument"),
        ({"alpha": 0.1, "tau": 0.2}, 0.02, 0.2, "argument argument argument"),
        ({"dt": 0.01, "tau": 0.04}, 0.01, 0.04, "argument argument argument"),
        ({"alpha": 0.25, "dt": 0.01, "tau": 0.04}, 0.01, 0.04, "argument " * 3),
        ({"alpha": 1.0}, 0.02, 0.02, "argument default default"),
    ],
)
def test_times_follow_from_what_is_given(given, dt, tau, sources):
    timing = settle(**given)
    assert (timing.dt, timing.tau) == pytest.approx((dt, tau), rel=1e-12)
    assert [item.name for item in timing.items] == ["alpha", "dt", "tau"]
    assert [item.source for item in timing.items] == sources.split()
    assert timing.items[0].value == f"{dt / tau:g}"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"alpha": 0.3, "dt": 0.01, "tau": 0.04}, r"alpha: got 0\.3 beside dt = 0\.01"),
        ({"alpha": 1.5}, r"alpha: got 1\.5 = dt/tau, need at most 1"),
        ({"dt": 20.0, "tau": 0.1}, r"alpha: got 200 = dt/tau, .* times are in seconds"),
        ({"alpha": 0.0}, r"alpha: got 0\.0, need numbers greater than 0"),
        ({"dt": -1.0}, r"dt: got -1\.0, need numbers greater than 0"),
        ({"tau": math.nan}, r"tau: got nan, need finite"),
    ],
)
def test_times_that_cannot_be_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        settle(**given)


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "softplus", "relu"])
def test_the_start_has_the_rate_asked_for(activation):
    phi = {
        "tanh": math.tanh,
        "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
        "softplus": lambda x: math.log1p(math.exp(x)),
        "relu": lambda x: max(x, 0.0),
    }[activation]
    rates = np.array([0.0, 0.25, 0.75])
    x = start_state(rates, activation, 1.0)
    assert [phi(value) for value in x] == pytest.approx(rates, abs=1e-15)


def test_a_far_start_is_only_for_networks_that_forget_it():
    assert start_state(np.zeros(1), "sigmoid", 0.2).tolist() == [0.0]
    assert start_state(np.zeros(1), "sigmoid", 1.0)[0] < -30


@pytest.mark.parametrize(
    ("rate", "activation"), [(1.0, "tanh"), (1.5, "sigmoid"), (-1.0, "relu")]
)
def test_a_rate_that_the_activation_has_not_is_refused(rate, activation):
    with pytest.raises(ValueError, match=rf"state: got {rate:g}, .* that {activation}"):
        start_state(np.array([0.5, rate]), activation, 1.0)


def test_words_for_values_and_sources():
    assert span(np.array([0.02, 0.1]), " s") == "0.02 to 0.1 s"
    assert span(np.full(3, 0.5)) == "0.5"
    assert (whose(None), whose(0)) == ("default", "argument")


def test_assumptions_that_are_misspelt_are_refused():
    check_assumptions({"alpha": 0.1, "ignore": ()}, StateAssumptions)
    with pytest.raises(TypeError, match="got ignore, need of alpha, dt, tau, noise_s"):
        check_assumptions({"alpha": 0.1, "ignore": ()}, Assumptions)


@pytest.mark.parametrize(
    "reader", [read_torch_rnn, read_lowrank, read_psychrnn, read_onnx_rnn]
)
def test_every_reader_of_assumptions_checks_their_names(reader):
    with pytest.raises(TypeError, match="assumptions: got readuot, need of alpha"):
        reader("nowhere", readuot="fc")


@pytest.mark.parametrize("number", [np.float32(0.5), np.array(0.5), 0.5])
def test_numbers_of_any_type_are_heard(number):
    assert settle(alpha=number).items[0].source == "argument"


def test_noise_is_the_callers_or_the_usual():
    assert settle_noise({"noise_std": None}, 0.1)[0] == 0.1
    noise, item = settle_noise({"noise_std": 0.0}, 0.1, "per step, not scaled")
    assert (noise, item.source) == (0.0, "argument")
    assert item.value == "0 per step, not scaled"
