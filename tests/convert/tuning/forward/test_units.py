"""Networks in other units spike alike and come back to the bit."""

import dataclasses

import numpy as np
import pytest
import torch

from isotau.convert.records.storage import same
from isotau.convert.simulate.norse_module import LIFModule, to_network
from isotau.convert.tuning.forward.units import in_units, in_volts, unit_of


@pytest.fixture
def uneven(lif_net):
    """Neurons whose thresholds lie between 2 mV and 3 V above reset."""
    rng = np.random.default_rng(4)
    swing = 10.0 ** rng.uniform(-2.7, 0.5, lif_net.n)
    factor = swing / (lif_net.v_th - lif_net.v_reset)
    return dataclasses.replace(
        lif_net,
        w_in=lif_net.w_in * factor[:, None],
        w_rec=lif_net.w_rec * factor[:, None],
        v_th=lif_net.v_reset + swing,
        v_leak=lif_net.v_reset + 1.1 * swing,
        i0=0.01 * rng.standard_normal(lif_net.n),
        v0=lif_net.v_reset + 0.5 * swing,
    )


@pytest.mark.parametrize("width", [1e-4, 0.1, 0.3, 4.0])
def test_a_unit_is_the_power_of_two_nearest_to_the_width(uneven, width):
    unit = unit_of(uneven, width)
    assert (np.frexp(unit)[0] == 0.5).all()
    off = np.log2(unit / (width * (uneven.v_th - uneven.v_reset)))
    assert np.abs(off).max() <= 0.5
    assert np.ptp(off) > 0.5  # each neuron has its own


@pytest.mark.parametrize("width", [1e-4, 0.1, 4.0])
def test_the_way_there_and_back_is_exact(uneven, width):
    unit = unit_of(uneven, width)
    made = in_units(uneven, unit)
    assert not same(made, uneven)
    assert same(in_volts(made, unit), uneven)
    assert same(in_volts(to_network(LIFModule(made, unit=unit)), unit), uneven)


def test_voltages_are_divided_and_nothing_else(uneven):
    unit = unit_of(uneven, 0.1)
    made = in_units(uneven, unit)
    for name in ("w_in", "w_rec", "v_th", "v_leak", "v_reset", "i0", "v0"):
        changed = (getattr(made, name).T * unit).T
        np.testing.assert_array_equal(changed, getattr(uneven, name))
    for name in ("w_out", "b_out", "tau_syn", "tau_mem", "refractory", "f0", "tau_out"):
        np.testing.assert_array_equal(getattr(made, name), getattr(uneven, name))
    np.testing.assert_array_equal(made.noise_std, uneven.noise_std)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_spikes_are_the_same_to_the_last_one(uneven, dtype):
    unit = unit_of(uneven, 0.1)
    volts = LIFModule(uneven, dtype=dtype)
    units = LIFModule(in_units(uneven, unit), dtype=dtype, unit=unit)
    inputs = torch.randn(
        (200, 4, 2), dtype=dtype, generator=torch.Generator().manual_seed(0)
    )
    spikes = [module(inputs, seed=1)[1].detach() for module in (volts, units)]
    assert spikes[0].sum() > 500
    assert torch.equal(*spikes)


@pytest.mark.parametrize("width", [9e-5, 4.1])
def test_widths_beyond_reason_are_refused(lif_net, width):
    with pytest.raises(ValueError, match=r"width: got .*, need 0\.0001 to 4\.0"):
        unit_of(lif_net, width)


def test_a_width_is_positive(lif_net):
    with pytest.raises(ValueError, match=r"width: got 0\.0, need numbers greater"):
        unit_of(lif_net, 0)
