"""Dale's law, absent synapses and ranges, through real updates."""

import dataclasses

import numpy as np
import pytest
import torch

from isotau.convert.simulate.norse_module import LIFModule
from isotau.convert.tuning.learner.constraints import (
    TAU_MAX,
    constraints_of,
    hold,
    typical_sizes,
)
from isotau.convert.tuning.scratch import from_scratch

ALL = ("w_in", "w_rec", "w_out", "b_out", "v_leak", "v_th", "tau_syn", "tau_mem")


@pytest.fixture
def module():
    net = from_scratch(20, 2, 1, p_inh=0.25, p_rec=0.4, seed=3)
    return net, LIFModule(net, train=ALL)


def shaken(module, seed=0, size=10.0):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for part in module.parameters():
            scale = size * part.abs().mean().clamp(min=1e-3)
            part += scale * torch.randn(part.shape, generator=generator).double()


def test_signs_and_absent_synapses_are_kept(module):
    net, made = module
    kept = constraints_of(net, dale=True, sparse=True, like=made.w_rec.detach())
    shaken(made)
    hold(made, kept)
    after = made.w_rec.detach().numpy()
    assert (after[net.w_rec == 0] == 0).all()
    assert (after * np.sign(net.w_rec) >= 0).all()
    assert (after != 0).sum() > 0.3 * (net.w_rec != 0).sum()


def test_new_synapses_take_the_sign_of_their_neuron(module):
    net, made = module
    kept = constraints_of(net, dale=True, sparse=False, like=made.w_rec.detach())
    shaken(made)
    hold(made, kept)
    after = made.w_rec.detach().numpy()
    grown = (net.w_rec == 0) & (after != 0)
    assert grown.any()
    assert (after[:, :15] >= 0).all() and (after[:, 15:] <= 0).all()


def test_neurons_of_both_signs_keep_the_sign_of_each_weight(module):
    net, made = module
    rng = np.random.default_rng(0)
    mixed = dataclasses.replace(net, w_rec=rng.standard_normal((20, 20)))
    made = LIFModule(mixed, train=("w_rec",))
    kept = constraints_of(mixed, dale=True, sparse=True, like=made.w_rec.detach())
    shaken(made)
    hold(made, kept)
    assert (made.w_rec.detach().numpy() * np.sign(mixed.w_rec) >= 0).all()


def test_without_constraints_weights_go_where_they_like(module):
    net, made = module
    kept = constraints_of(net, dale=False, sparse=False, like=made.w_rec.detach())
    shaken(made)
    before = made.w_rec.detach().clone()
    hold(made, kept)
    assert torch.equal(made.w_rec, before)


def test_constants_stay_in_their_ranges(module):
    net, made = module
    kept = constraints_of(net, dale=True, sparse=True, like=made.w_rec.detach())
    shaken(made, size=100.0)
    hold(made, kept)
    for tau in (made.tau_syn, made.tau_mem):
        assert tau.min() >= 2 * net.dt and tau.max() <= TAU_MAX
    assert (made.v_th > made.v_reset).all()


def test_a_neuron_without_memory_gains_none(module):
    net, _ = module
    short = np.where(np.arange(20) < 5, net.dt / 50, net.tau_syn)
    made = LIFModule(dataclasses.replace(net, tau_syn=short), train=("tau_syn",))
    kept = constraints_of(
        dataclasses.replace(net, tau_syn=short),
        dale=True,
        sparse=True,
        like=made.w_rec.detach(),
    )
    hold(made, kept)
    np.testing.assert_array_equal(made.tau_syn.detach().numpy(), short)


def test_what_does_not_train_is_left_alone(module):
    net, _ = module
    made = LIFModule(net, train=("w_out",))
    kept = constraints_of(net, dale=True, sparse=True, like=made.w_rec.detach())
    before = {name: part.clone() for name, part in made.named_buffers()}
    hold(made, kept)
    assert all(torch.equal(before[name], part) for name, part in made.named_buffers())


def test_typical_sizes_are_those_of_what_is_there(module):
    net, made = module
    sizes = typical_sizes(made)
    assert set(sizes) == set(ALL)
    present = net.w_rec[net.w_rec != 0]
    assert sizes["w_rec"] == pytest.approx(np.sqrt((present**2).mean()))
    assert sizes["v_leak"] == pytest.approx(0.025)
    assert sizes["tau_syn"] == pytest.approx(net.tau_syn.mean())


def test_typical_size_of_weights_that_are_all_0_is_not_0(module):
    net, _ = module
    bare = dataclasses.replace(net, w_rec=np.zeros((20, 20)), w_out=np.zeros((1, 20)))
    assert min(typical_sizes(LIFModule(bare)).values()) > 0
