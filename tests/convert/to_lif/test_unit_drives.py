"""Drives worked out from spikes, against the currents that Norse's step keeps."""

import dataclasses

import numpy as np
import pytest
import torch

from isotau.convert.neuron.fi_curve import firing_rate
from isotau.convert.neuron.lif_constants import LIFConstants
from isotau.convert.records.spikes import Spikes, count, pack, unpack
from isotau.convert.simulate.norse_module import LIFModule
from isotau.convert.to_lif.unit_diagnostics import (
    average_trials,
    bin_rates,
    bin_units,
    steps_per_bin,
)

STEPS, BATCH = 60, 3


@pytest.fixture
def rate_unit(rate_net):
    """A rate network as wide as `lif_net`."""
    return dataclasses.replace(
        rate_net,
        **{name: getattr(rate_net, name)[:20] for name in ("w_in", "bias", "tau")},
        w_rec=rate_net.w_rec[:20, :20],
        w_out=rate_net.w_out[:, :20],
        dale=rate_net.dale[:20],
        x0=(),
        readout_bias=(),
    )


def test_drives_are_the_currents_that_norse_has(lif_net, rate_unit):
    i0 = np.linspace(0, 2e-3, lif_net.n)
    net = dataclasses.replace(lif_net, i0=i0, w_rec=0.3 * lif_net.w_rec)
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((STEPS, BATCH, net.n_in))
    module = LIFModule(net)
    state, generator = module.initial_state(BATCH), torch.Generator().manual_seed(0)
    currents, bits = np.empty((STEPS, BATCH, net.n)), []
    with torch.no_grad():
        for t in range(STEPS):
            noise = module.noise_per_step() * torch.randn(
                BATCH, net.n, generator=generator, dtype=torch.float64
            )
            x = torch.tensor(inputs[t])
            state = module.step(x, state, module.norse_parameters(), noise)
            # Norse returns i after its decay; v was given it before.
            currents[t] = state.lif.i.numpy() * np.exp(net.dt / net.tau_syn)
            bits.append(pack(state.lif.z.numpy() > 0))
    spikes = Spikes(bits=np.stack(bits), n=net.n, dt=net.dt, engine="norse")
    assert unpack(spikes.bits, net.n).any()
    unit, offset = np.full(net.n, 2e-3), np.linspace(-1e-3, 1e-3, net.n)
    got = bin_units(
        rate_unit, net, spikes, inputs, unit=unit, offset=offset, width=0.02
    )
    drives = currents + net.v_leak - net.v_th

    def bins(x):
        return x.reshape(3, 20, BATCH, net.n).mean(axis=1)

    np.testing.assert_allclose(got.drive, bins(drives), atol=1e-12)
    np.testing.assert_allclose(got.fired, count(spikes, width=20) / 0.02)
    phi = 1 / (1 + np.exp(-(drives - offset) / unit))
    np.testing.assert_allclose(got.activation, bins(phi), rtol=1e-9)
    assert drives.max() < 0.08  # where the curve's table ends
    f = firing_rate(drives[:20, 0], LIFConstants()).mean(axis=0)
    np.testing.assert_allclose(got.curve[0, 0], f, rtol=3e-3, atol=1e-3)


def test_neurons_of_different_kinds_have_their_own_curves(lif_net, rate_unit):
    refractory = np.where(np.arange(lif_net.n) % 2, 2e-3, 50e-3)
    net = dataclasses.replace(
        lif_net,
        refractory=refractory,
        v_leak=np.full(lif_net.n, -38e-3),
        w_rec=0 * lif_net.w_rec,
    )
    quiet = np.zeros((40, 1, net.n), dtype=bool)
    spikes = Spikes(bits=pack(quiet), n=net.n, dt=net.dt, engine="made")
    inputs, one = np.zeros((40, 1, net.n_in)), np.ones(net.n)
    got = bin_units(rate_unit, net, spikes, inputs, unit=one, offset=one, width=0.04)
    for kind in (2e-3, 50e-3):
        expected = firing_rate(2e-3, LIFConstants(refractory=kind))
        np.testing.assert_allclose(
            got.curve[0, 0, refractory == kind], expected, rtol=1e-3
        )


def test_rates_and_trials_are_averaged(rate_unit):
    rng = np.random.default_rng(1)
    rates = rng.random((10, 4, rate_unit.n))
    quiet = np.zeros((50, 4, rate_unit.n), dtype=bool)
    spikes = Spikes(bits=pack(quiet), n=rate_unit.n, dt=1e-3, engine="made")
    binned = bin_rates(rate_unit, rates, spikes, width=0.02)
    np.testing.assert_allclose(binned, [rates[:4].mean(0), rates[4:8].mean(0)])
    by_label = average_trials(binned, [7, 2, 7, 7])
    np.testing.assert_allclose(by_label[:, 0], binned[:, 1])
    np.testing.assert_allclose(by_label[:, 1], binned[:, [0, 2, 3]].mean(1))
    assert average_trials(binned, None) is binned


def test_bad_arguments_are_named(lif_net, rate_net, rate_unit):
    n = lif_net.n
    quiet = np.zeros((50, 4, n), dtype=bool)
    spikes = Spikes(bits=pack(quiet), n=n, dt=1e-3, engine="made")
    inputs, one = np.zeros((50, 4, 2)), np.ones(n)
    kwargs = {"unit": one, "offset": one, "width": 0.02}
    with pytest.raises(ValueError, match=r"spikes: got 20 neurons .* need 24 in steps"):
        bin_units(rate_net, lif_net, spikes, inputs, **kwargs)
    with pytest.raises(ValueError, match=r"inputs: got shape \(9, 4, 2\), need"):
        bin_units(rate_unit, lif_net, spikes, inputs[:9], **kwargs)
    with pytest.raises(ValueError, match=r"width: got 1.0 s, need at most the trial's"):
        bin_units(rate_unit, lif_net, spikes, inputs, **{**kwargs, "width": 1.0})
    with pytest.raises(ValueError, match=r"width: got 0.0033 s, need a multiple of dt"):
        steps_per_bin(0.0033, 0.001)
    with pytest.raises(ValueError, match=r"rates: got 0.045 s, need 0.05 s as the spi"):
        bin_rates(rate_unit, np.zeros((9, 4, n)), spikes, width=0.01)
    with pytest.raises(ValueError, match=r"labels: got shape \(3,\), need \(4,\)"):
        average_trials(np.zeros((2, 4, n)), [0, 1, 1])
