"""Every method that a configuration may name is there."""

import pytest

from isotau.convert.tuning.learner.tune_config import METHODS as NAMES
from isotau.convert.tuning.learner.tune_config import TuneConfig
from isotau.convert.tuning.methods.methods import METHODS


def test_names_agree():
    assert tuple(METHODS) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_what_a_fresh_method_remembers_can_be_given_back(name):
    method = METHODS[name](TuneConfig(method=name))
    remembered = method.state()
    other = METHODS[name](TuneConfig(method=name))
    other.restore(remembered)
    assert set(other.state()) == set(remembered)
