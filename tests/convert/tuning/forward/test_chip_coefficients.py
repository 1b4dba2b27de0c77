"""What registers stand for, and the way of the gradient through their rounding."""

import dataclasses

import numpy as np
import pytest
import torch

from isotau.convert.records.lif import Ranges
from isotau.convert.simulate.norse_module import LIFModule
from isotau.convert.simulate.trainable import TRAINABLE
from isotau.convert.to_fixed.dequantize import dequantize
from isotau.convert.to_fixed.quantize import QuantizeConfig, quantize
from isotau.convert.tuning.forward.chip_coefficients import (
    Clipped,
    coefficients,
    inputs_of,
    scales_of,
    straight,
)
from isotau.convert.tuning.forward.units import in_units, unit_of


@pytest.fixture
def ranges():
    return Ranges(*(x * np.ones(20) for x in (0.01, 0.003, 0.005)))


def test_straight_has_one_tensors_value_and_the_others_gradient():
    x = torch.tensor([0.3, 1.7], dtype=torch.float64, requires_grad=True)
    y = straight(3 * x, torch.round(x.detach()))
    assert y.tolist() == [0.0, 2.0]
    (grad,) = torch.autograd.grad((y * y).sum(), x)
    assert grad.tolist() == [0.0, 12.0]


def test_values_are_those_of_the_dequantized_network(lif_net, ranges):
    fixed = quantize(lif_net, ranges, input_peak=3.0)
    unit = unit_of(lif_net, 0.3)
    module = LIFModule(in_units(lif_net, unit), unit=unit)
    have = coefficients(module, fixed, unit, None, torch.float64)
    float_net = in_units(dequantize(fixed), unit)
    for name in ("w_in", "w_rec", "v_leak", "v_th"):
        np.testing.assert_allclose(
            getattr(have, name).detach().numpy(), getattr(float_net, name), rtol=1e-12
        )
    for name, tau in (("a_mem", float_net.tau_mem), ("a_syn", float_net.tau_syn)):
        np.testing.assert_allclose(
            getattr(have, name).detach().numpy(), 1 - np.exp(-1e-3 / tau), rtol=1e-9
        )
    scales = scales_of(fixed, unit)
    np.testing.assert_allclose(scales.v / fixed.state_scale, unit)
    np.testing.assert_allclose(scales.u / scales.v, fixed.dv / 4096)


def test_gradients_go_to_the_parameters_as_if_unrounded(lif_net, ranges):
    """One by one: of a weight the rounded τ's gain, of τ the exact exponential's."""
    fixed = quantize(lif_net, ranges, input_peak=3.0)
    unit = unit_of(lif_net, 0.3)
    module = LIFModule(in_units(lif_net, unit), unit=unit, train=TRAINABLE)
    cut = Clipped(np.zeros((20, 2), bool), np.zeros((20, 20), bool))
    cut.w_rec[3, 4] = True
    have = coefficients(module, fixed, unit, cut, torch.float64)

    def slope(name, parameter):
        (grad,) = torch.autograd.grad(
            getattr(have, name).sum(), getattr(module, parameter), retain_graph=True
        )
        return grad.numpy()

    gain = (fixed.du + 1.0) / 4096 / (1 - np.exp(-1e-3 / lif_net.tau_syn))
    expected = np.repeat(gain[:, None], 20, axis=1)
    expected[3, 4] = 0
    np.testing.assert_allclose(slope("w_rec", "w_rec"), expected)
    np.testing.assert_allclose(slope("w_in", "w_in"), expected[:, :2])
    assert (slope("v_leak", "v_leak") == 1).all()
    assert (slope("v_th", "v_th") == 1).all()
    for name, tau in (("a_syn", "tau_syn"), ("a_mem", "tau_mem")):
        exact = getattr(lif_net, tau)
        change = -np.exp(-1e-3 / exact) * 1e-3 / exact**2
        np.testing.assert_allclose(slope(name, tau), change)


def test_inputs_are_what_messages_stand_for(lif_net, ranges):
    fixed = quantize(lif_net, ranges, input_peak=3.0)
    sent = np.array([[[0, 7]], [[-3, 1]]])
    np.testing.assert_array_equal(inputs_of(fixed, sent), sent / fixed.input_scale)
    net = dataclasses.replace(lif_net, noise_std=0.0)
    config = QuantizeConfig(spiking_input=True)
    spiking = quantize(net, ranges, input_peak=3.0, config=config)
    assert inputs_of(spiking, sent).tolist() == [[[0.0, 3.0]], [[3.0, 3.0]]]
