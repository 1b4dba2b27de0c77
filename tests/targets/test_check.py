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


@pytest.mark.parametrize("target", TARGETS)
def test_channels_that_somebody_has_to_send_noise_through_are_named(lif_net, target):
    noisy = dataclasses.replace(lif_net, input_noise_std=[0.25])
    fixed = quantize(noisy, Ranges(*np.full((3, 20), 0.01)), input_peak=1.0)
    # NIR takes floats alone, Lava integers alone.
    net = noisy if target == "nir" else fixed
    (found,) = [f for f in check(net, target) if f.place == "input_noise_std"]
    assert "noise in the last 1" in found.message


def test_a_graph_of_rates_says_that_it_leaves_shared_noise_out(rate_net):
    shared = dataclasses.replace(rate_net, shared_noise=np.ones((rate_net.n, 2)))
    (found,) = [f for f in check(shared, "onnx") if f.place == "shared_noise"]
    assert found.severity is Severity.WARNING and "2 sources" in found.message
