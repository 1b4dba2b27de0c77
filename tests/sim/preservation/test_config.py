"""`PreservationConfig`."""

import re
from dataclasses import FrozenInstanceError

import pytest

from isotau.sim.preservation import PreservationConfig
from isotau.sim.preservation.config import chance_of


def test_margins_are_ratios():
    config = PreservationConfig()
    assert config.shift_margin == pytest.approx(0.22314355)
    assert config.strict_margin == pytest.approx(0.09531018)


def test_it_is_frozen():
    with pytest.raises(FrozenInstanceError):
        PreservationConfig().alpha = 0.1


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"shift_margin": 0.0}, "shift_margin: got 0.0, need numbers greater than 0"),
        ({"scatter_margin": -1.0}, "scatter_margin: got -1.0, need numbers greater"),
        ({"loss_margin": 1.0}, "loss_margin: got 1.0, need less than 1"),
        ({"level": 1.5}, "level: got 1.5, need less than 1"),
        ({"alpha": 0.5}, "alpha: got 0.5, need less than 0.5; 0.05 is usual"),
        ({"min_usable": float("nan")}, "min_usable: got nan, need finite numbers"),
        ({"draws": 10}, "draws: got 10, need 100 to"),
        ({"min_neurons": 2}, "min_neurons: got 2, need 3 to"),
        ({"min_networks": 1}, "min_networks: got 1, need 2 to"),
        ({"chance": -0.1}, "chance: got -0.1, need numbers of at least 0.0"),
        ({"chance": 0.5}, "chance: got 0.5, need less than 0.5; an estimator that"),
    ],
)
def test_refusals(changes, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        PreservationConfig(**changes)


def test_chance_is_the_method_s_unless_given():
    assert chance_of(PreservationConfig(), "ml") == 0.01
    assert chance_of(PreservationConfig(), "kim") == 0.10
    assert chance_of(PreservationConfig(), "of a lab's own") == 0.10
    assert chance_of(PreservationConfig(chance=0.0), "kim") == 0.0
