"""`check` finds everything at once, for every target."""

import dataclasses

import numpy as np
import pytest

from isotau.convert.ground.errors import Severity, exit_status
from isotau.convert.records.lif import Ranges
from isotau.convert.to_fixed.quantize import quantize
from isotau.targets.check import TARGETS, check


@pytest.fixture
def odd(lif_net):
    """A fixed-point network with everything that some target cannot hold."""
    net = quantize(lif_net, Ranges(*np.full((3, 20), 0.01)), input_peak=1.0)
    blocks = [dataclasses.replace(net.blocks[0], delay=9), *net.blocks[1:]]
    dv, bias_exp = np.array(net.dv), np.array(net.bias_exp)
    dv[3], bias_exp[5] = 0, -2
    return dataclasses.replace(
        net, blocks=tuple(blocks), dv=dv, bias_exp=bias_exp, reset_interval=50
    )


@pytest.mark.parametrize("target", TARGETS)
def test_every_stage_can_be_asked_about(rate_net, lif_net, odd, target):
    for net in (rate_net, lif_net, odd):
        for finding in check(net, target):
            assert finding.place and "got" in finding.message and finding.action


def test_nothing_is_named_alone(odd):
    """Each lack is among the findings, whatever the others are."""
    places = {
        target: " | ".join(
            f"{f.place}: {f.message}"
            for f in check(odd, target)
            if f.severity is not Severity.INFO
        )
        for target in TARGETS
    }
    for word in ("delay of 9", "dv = 0", "every 50 steps", "refractory"):
        assert word in places["nir"], word
    for word in ("bias_exp", "every 50 steps", "neuron 5"):
        assert word in places["loihi1"], word
    for word in ("bias_exp", "noise", "refractory"):
        assert word in places["lava"] + places["loihi2"], word
    assert exit_status(check(odd, "nir")) == 2
    assert exit_status(check(odd, "onnx")) == 0


def test_an_unknown_target_is_named(odd):
    with pytest.raises(ValueError, match="target: got 'spinnaker', need one of loihi1"):
        check(odd, "spinnaker")
