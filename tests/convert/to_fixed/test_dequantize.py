import dataclasses

import numpy as np
import pytest
import torch

from isotau.convert.ground.errors import CannotExport, Severity, exit_status
from isotau.convert.records.lif import Ranges, decay_fraction
from isotau.convert.simulate.norse_module import LIFModule
from isotau.convert.to_fixed.dequantize import (
    dequantize,
    findings_of_dequantizing,
    tau_of_loss,
)
from isotau.convert.to_fixed.quantization_report import dense_weights
from isotau.convert.to_fixed.quantize import QuantizeConfig, messages, quantize


@pytest.fixture
def fixed(lif_net):
    v0 = np.linspace(-0.065, -0.045, 20)
    net = dataclasses.replace(
        lif_net,
        noise_std=0.0,
        i0=np.linspace(-1e-3, 2e-3, 20),
        v0=v0,
        tau_out=np.full(20, 0.03),
        population=np.repeat([0, 1], 10),
    )
    ranges = Ranges(np.full(20, 0.02), np.full(20, 0.01), np.full(20, 0.005))
    return quantize(net, ranges, input_peak=2.0)


def test_the_float_network_spikes_like_the_chip_in_floats(fixed, run_in_floats):
    """The oracle computes on the integers; its messages come a step late."""
    back = dequantize(fixed)
    rng = np.random.default_rng(0)
    sent = rng.integers(-100, 100, (400, 3, 2))
    chip = run_in_floats(fixed, sent)
    inputs = np.zeros((400, 3, 2))
    inputs[1:] = sent[:-1] / fixed.input_scale
    with torch.no_grad():
        _, fired = LIFModule(back)(torch.tensor(inputs))
    assert chip.sum() > 500
    np.testing.assert_array_equal(fired.numpy() > 0, chip)
    np.testing.assert_allclose(messages(fixed, inputs)[1:], sent[:-1])


def test_quantizing_again_gives_the_same_integers(fixed):
    one = dataclasses.replace(fixed, state_scale=np.full(20, fixed.state_scale.min()))
    back = dequantize(one)
    ranges = Ranges(*np.full((3, 20), 0.01))
    config = QuantizeConfig(state_scale=float(one.state_scale[0]))
    again = quantize(back, ranges, input_peak=2.0, config=config)
    for name in ("du", "dv", "vth", "refractory", "u0", "v0", "tau_out", "population"):
        np.testing.assert_array_equal(getattr(again, name), getattr(one, name), name)
    np.testing.assert_allclose(
        again.input_scale * dense_weights(again, "input"),
        one.input_scale * dense_weights(one, "input"),
        rtol=0.02,
    )


def test_noise_keeps_its_deviation(lif_net):
    ranges = Ranges(np.full(20, 0.02), np.full(20, 0.01), np.full(20, 0.005))
    fixed = quantize(lif_net, ranges, input_peak=2.0)
    back = dequantize(fixed)
    assert back.noise_std == pytest.approx(lif_net.noise_std, rel=2e-3)
    assert exit_status(findings_of_dequantizing(fixed)) == 0


def test_a_step_may_lose_everything():
    tau = tau_of_loss(np.array([1.0, 0.25, 1 / 4096]), 1e-3)
    np.testing.assert_allclose(
        decay_fraction(tau, 1e-3), [1.0, 0.25, 1 / 4096], rtol=1e-12
    )
    assert decay_fraction(tau, 1e-3)[0] == 1.0


def test_everything_that_cannot_be_held_is_named_at_once(fixed):
    blocks = list(fixed.blocks)
    blocks[0] = dataclasses.replace(blocks[0], binary=True, delay=3)
    dv, vth = np.array(fixed.dv), np.array(fixed.vth)
    dv[[2, 3]], vth[5] = 0, 0
    odd = dataclasses.replace(
        fixed, blocks=tuple(blocks), dv=dv, vth=vth, reset_interval=7, noise_exp=9
    )
    found = findings_of_dequantizing(odd)
    errors = [f.place for f in found if f.severity is Severity.ERROR]
    assert errors == [
        "blocks[0]",
        "neurons 2-3",
        "neuron 5",
        "reset_interval",
    ]
    assert sum(f.severity is Severity.WARNING for f in found) == 1
    with pytest.raises(
        CannotExport, match=r"a delay of 3 .*dv = 0.*every 7 steps"
    ) as e:
        dequantize(odd)
    assert list(e.value.findings) == found
