"""The converted neuron's constants: published values, and what is refused."""

import re

import pytest

from isotau.convert.neuron.lif_constants import LIFConstants
from isotau.convert.to_lif import search_lambda as rate_to_lif


def test_published_values_in_si_units():
    """Kim, Li & Sejnowski 2019, table S1, in ms and mV; noise as measured there."""
    c = LIFConstants()
    assert 1e3 * c.tau_mem == 10 and 1e3 * c.refractory == 2 and 1e3 * c.noise_std == 1
    assert (1e3 * c.v_th, 1e3 * c.v_reset, 1e3 * c.v_leak) == (-40, -65, -40)
    assert 1e3 * c.unit == 1 and c.dt == 1e-3


def test_steps_follow_from_times():
    c = LIFConstants(dt=5e-5)
    assert (c.burn_in_steps, c.refractory_steps) == (4000, 40)


def test_equal_constants_are_one_key():
    assert {LIFConstants(): 1}[LIFConstants(dt=0.001)] == 1
    assert LIFConstants() != LIFConstants(tau_mem=5e-3)


def test_the_old_place_still_knows_them():
    assert rate_to_lif.LIFConstants is LIFConstants


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"tau_mem": 0.0}, "tau_mem: got 0.0, need numbers greater than 0"),
        ({"dt": -1e-3}, "dt: got -0.001, need numbers greater than 0"),
        ({"unit": 0.0}, "unit: got 0.0, need numbers greater than 0"),
        ({"noise_std": -1.0}, "noise_std: got -1.0, need numbers of at least 0"),
        ({"v_leak": float("nan")}, "v_leak: got nan, need finite numbers"),
        ({"v_reset": -0.03}, "v_reset: got -0.03 V, need less than v_th = -0.04 V"),
        ({"refractory": 2.5e-3}, "refractory: got 0.0025 s, need a multiple of dt"),
    ],
)
def test_bad_values_are_named(wrong, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        LIFConstants(**wrong)
