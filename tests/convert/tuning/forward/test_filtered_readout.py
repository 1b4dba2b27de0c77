"""The fused readout against the module's own loop and against an explicit kernel."""

import dataclasses

import numpy as np
import pytest
import torch

from isotau.convert.simulate.norse_module import LIFModule
from isotau.convert.tuning.forward.filtered_readout import read_filtered

STEPS, BATCH = 40, 5


@pytest.fixture
def net(lif_net):
    rng = np.random.default_rng(3)
    return dataclasses.replace(
        lif_net,
        w_out=rng.standard_normal((3, lif_net.n)),
        b_out=[1.0, 2.0, 3.0],
        f0=rng.uniform(0, 30, lif_net.n),
        tau_out=rng.uniform(0.002, 0.1, lif_net.n),
    )


def spikes_of(net, dtype=torch.float64):
    chance = torch.Generator().manual_seed(2)
    return (torch.rand(STEPS, BATCH, net.n, generator=chance) < 0.1).to(dtype)


def weighting(shape):
    chance = torch.Generator().manual_seed(3)
    return torch.randn(shape, generator=chance, dtype=torch.float64)


def test_equals_the_modules_readout_with_gradients(net):
    module, found = LIFModule(net), []
    for fused in (False, True):
        module.zero_grad()
        spikes = spikes_of(net).requires_grad_()
        if fused:
            outputs, _ = read_filtered(module, spikes, module.f0.expand(BATCH, net.n))
        else:
            outputs = module.read_out(spikes.unbind())
        (outputs * weighting(outputs.shape)).sum().backward()
        gradients = (spikes.grad, module.w_out.grad, module.b_out.grad)
        found.append((outputs.detach(), *gradients))
    for expected, got in zip(*found, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-11)


def test_gradients_through_both_ends_of_the_filter(net):
    """f before the first step and after the last, by finite differences."""
    module = LIFModule(net)
    spikes = spikes_of(net)[:4, :2].requires_grad_()
    f = module.f0.expand(2, net.n).clone().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda spikes, f: read_filtered(module, spikes, f), (spikes, f)
    )


def test_in_pieces_as_in_one_go(net):
    module = LIFModule(net)
    spikes, f = spikes_of(net), module.f0.expand(BATCH, net.n)
    whole, last = read_filtered(module, spikes, f)
    parts = []
    for piece in spikes.split(17):
        out, f = read_filtered(module, piece, f)
        parts.append(out)
    assert torch.equal(torch.cat(parts), whole)
    assert torch.equal(f, last)


def test_a_spike_is_an_exponential(net):
    """exp(−t/τ)/τ in continuous time, to the first order in dt."""
    fine = dataclasses.replace(
        net, dt=1e-5, refractory=0 * net.tau_out, w_out=np.eye(net.n), b_out=[0] * net.n
    )
    module = LIFModule(fine)
    spikes = torch.zeros(1001, 1, net.n, dtype=torch.float64)
    spikes[0] = 1
    outputs, _ = read_filtered(module, spikes, spikes[0] * 0)
    expected = np.exp(-0.01 / net.tau_out) / net.tau_out
    np.testing.assert_allclose(outputs[-1, 0].detach().numpy(), expected, rtol=5e-3)


def test_float32(net):
    exact, _ = read_filtered(
        LIFModule(net), spikes_of(net), torch.zeros(BATCH, net.n).double()
    )
    module = LIFModule(net, dtype=torch.float32)
    spikes = spikes_of(net, torch.float32)
    got, last = read_filtered(module, spikes, torch.zeros(BATCH, net.n))
    assert got.dtype == last.dtype == torch.float32
    torch.testing.assert_close(got.double(), exact, rtol=1e-4, atol=1e-3)


def test_without_a_compiled_pass_the_loop_does_it(net):
    """bfloat16 has none; its three digits are enough to see the same thing."""
    module = LIFModule(net)
    spikes, f = spikes_of(net), module.f0.expand(BATCH, net.n)
    exact, last = read_filtered(module, spikes, f)
    coarse, coarse_last = read_filtered(
        module.to(torch.bfloat16), spikes.bfloat16(), f.bfloat16()
    )
    assert coarse.dtype == torch.bfloat16
    torch.testing.assert_close(coarse_last.double(), last, rtol=0.2, atol=1.0)
    size = exact.abs().mean()
    assert (coarse.double() - exact).abs().mean() < 0.1 * size


def test_what_does_not_fit(net):
    module = LIFModule(net)
    spikes, f = spikes_of(net), module.f0.expand(BATCH, net.n)
    with pytest.raises(ValueError, match=r"spikes: got \(40, 5, 7\), need .* × 20"):
        read_filtered(module, spikes[:, :, :7], f)
    with pytest.raises(ValueError, match=r"spikes: got .* need one or more steps"):
        read_filtered(module, spikes[:0], f)
    with pytest.raises(ValueError, match=r"f: got \(2, 20\), need the spikes' \(5, 20"):
        read_filtered(module, spikes, f[:2])
    with pytest.raises(ValueError, match=r"f: got torch.float32, need the module's"):
        read_filtered(module, spikes, f.float())
