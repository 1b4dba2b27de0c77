"""Noise against its moments, rounded updates against their grid and their mean."""

import dataclasses

import numpy as np
import pytest
import torch

from isotau.convert.simulate.norse_module import LIFModule
from isotau.convert.tuning.learner.constraints import constraints_of
from isotau.convert.tuning.learner.device_noise import (
    perturbed,
    remember_peaks,
    round_update,
)


def chance(seed=0):
    return torch.Generator().manual_seed(seed)


def bounds(net, module, *, dale=True, sparse=True):
    return constraints_of(net, dale=dale, sparse=sparse, like=module.w_rec.detach())


def weights(module):
    return {name: part.detach().clone() for name, part in module.state_dict().items()}


def noisy(net, module, share, seed=0, **kept):
    with perturbed(module, share, chance(seed), bounds(net, module, **kept)):
        return weights(module)


@pytest.fixture
def sparse_net(lif_net):
    """Half of the recurrent synapses and one input are absent."""
    w_rec, w_in = lif_net.w_rec.copy(), lif_net.w_in.copy()
    w_rec[np.random.default_rng(1).random(w_rec.shape) < 0.5] = 0.0
    w_in[:, 0] = 0.0
    return dataclasses.replace(lif_net, w_rec=w_rec, w_in=w_in)


def test_noise_has_the_deviation_of_the_typical_weight(lif_net):
    big = dataclasses.replace(lif_net, w_in=3e-3 * np.ones((20, 500)))
    module = LIFModule(big)
    added = noisy(big, module, 0.2)["w_in"] - module.w_in.detach()
    assert added.std().item() == pytest.approx(0.2 * 3e-3, rel=0.03)
    assert added.mean().item() == pytest.approx(0, abs=4 * 0.2 * 3e-3 / 100)


def test_the_typical_weight_leaves_out_absent_ones(lif_net):
    w_rec = np.zeros((20, 20))
    w_rec[:, :10] = 2e-3
    net = dataclasses.replace(lif_net, w_rec=w_rec)
    module = LIFModule(net)
    added = torch.stack(
        [noisy(net, module, 0.1, seed)["w_rec"] for seed in range(40)]
    ) - torch.tensor(w_rec)
    assert added[:, :, :10].std().item() == pytest.approx(2e-4, rel=0.05)
    assert (added[:, :, 10:] == 0).all()


def test_absent_synapses_stay_absent_and_signs_stay(sparse_net):
    module = LIFModule(sparse_net)
    loud = noisy(sparse_net, module, 3.0)["w_rec"].numpy()
    assert (loud[sparse_net.w_rec == 0] == 0).all()
    assert (loud * sparse_net.w_rec >= 0).all()
    crossed = (loud == 0) & (sparse_net.w_rec != 0)
    assert 0.2 < crossed.sum() / (sparse_net.w_rec != 0).sum() < 0.5


def test_signs_may_change_without_dales_law(sparse_net):
    module = LIFModule(sparse_net)
    loud = noisy(sparse_net, module, 3.0, dale=False)["w_rec"].numpy()
    assert (loud * sparse_net.w_rec < 0).any()
    assert (loud[sparse_net.w_rec == 0] == 0).all()


def test_synapses_that_may_grow_have_noise(sparse_net):
    module = LIFModule(sparse_net)
    grown = noisy(sparse_net, module, 0.5, sparse=False)
    absent = sparse_net.w_rec == 0
    excitatory = absent & (np.arange(20) < 15)
    share = (grown["w_rec"].numpy()[excitatory] > 0).mean()
    assert 0.35 < share < 0.65  # the other half fell below 0
    assert (grown["w_in"][:, 0] != 0).all()


def test_weights_of_0_that_do_not_train_have_no_noise(sparse_net):
    module = LIFModule(sparse_net, train=("w_out",))
    loud = noisy(sparse_net, module, 0.5, sparse=False)
    assert (loud["w_in"][:, 0] == 0).all()
    assert (loud["w_in"][:, 1] != module.w_in[:, 1]).all()
    assert (loud["w_rec"].numpy()[sparse_net.w_rec == 0] == 0).all()


def test_a_matrix_of_zeros_stays_one(lif_net):
    net = dataclasses.replace(lif_net, w_in=np.zeros((20, 2)))
    assert (noisy(net, LIFModule(net), 0.5)["w_in"] == 0).all()


def test_other_parameters_have_no_noise(lif_net):
    module = LIFModule(lif_net, train=("w_rec", "w_out", "v_th"))
    before, inside = weights(module), noisy(lif_net, module, 0.5)
    changed = {name for name in before if (before[name] != inside[name]).any()}
    assert changed == {"w_in", "w_rec"}


def test_no_noise_changes_and_draws_nothing(lif_net):
    module, generator = LIFModule(lif_net), chance()
    state = generator.get_state()
    with perturbed(module, 0.0, generator, bounds(lif_net, module)):
        torch.testing.assert_close(
            module.w_rec.detach(), torch.tensor(lif_net.w_rec), rtol=0, atol=0
        )
    assert torch.equal(generator.get_state(), state)


def test_the_same_generator_gives_the_same_noise(lif_net):
    module = LIFModule(lif_net)
    first, again, other = (
        noisy(lif_net, module, 0.1, seed)["w_rec"] for seed in (3, 3, 4)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_gradients_are_of_the_noisy_weights_and_stay(lif_net):
    module = LIFModule(lif_net)
    clean = weights(module)
    with perturbed(module, 0.3, chance(), bounds(lif_net, module)):
        at = module.w_rec.detach().clone()
        (module.w_rec**3).sum().backward()
    torch.testing.assert_close(module.w_rec.grad, 3 * at**2)
    assert not torch.allclose(module.w_rec.grad, 3 * clean["w_rec"] ** 2)
    assert torch.equal(module.w_rec.detach(), clean["w_rec"])


def test_the_clean_weights_come_back_after_an_exception(lif_net):
    module = LIFModule(lif_net)
    clean = weights(module)
    with pytest.raises(ZeroDivisionError):
        with perturbed(module, 0.3, chance(), bounds(lif_net, module)):
            raise ZeroDivisionError
    for name, part in weights(module).items():
        assert torch.equal(part, clean[name])


def test_a_backward_pass_after_the_context_is_refused(lif_net):
    module = LIFModule(lif_net)
    with perturbed(module, 0.3, chance(), bounds(lif_net, module)):
        loss = (module.w_rec**3).sum()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def move(module, by, levels, generator):
    """Move every parameter by so much, then round the update."""
    before = {name: part.detach().clone() for name, part in module.named_parameters()}
    with torch.no_grad():
        for part in module.parameters():
            part.add_(by)
    round_update(module, before, levels, generator)
    return before


def test_updates_are_whole_steps_of_the_largest_weight(lif_net):
    module = LIFModule(lif_net)
    remember_peaks(module)
    peaks = {name: np.abs(getattr(lif_net, name)).max() for name in ("w_in", "w_rec")}
    generator = chance()
    for _ in range(3):  # the step is that before training, whatever weights become
        before = move(module, 2.5e-3, 8, generator)
        for name, peak in peaks.items():
            moved = (getattr(module, name).detach() - before[name]) / (peak / 8)
            torch.testing.assert_close(moved, moved.round(), rtol=0, atol=1e-9)
            assert len(moved.round().unique()) == 2


def test_rounding_keeps_the_mean(lif_net):
    net = dataclasses.replace(lif_net, w_in=np.full((20, 1000), 1.0))
    module = LIFModule(net)
    remember_peaks(module)
    for by in (0.03, -0.03, 0.31):
        before = move(module, by, 4, chance())["w_in"]
        moved = module.w_in.detach() - before
        deviation = 0.25 / 2 / np.sqrt(moved.numel())
        assert moved.mean().item() == pytest.approx(by, abs=5 * deviation)


def test_whole_steps_stay_as_they_are(lif_net):
    net = dataclasses.replace(lif_net, w_in=np.full((20, 2), 1.0))
    module = LIFModule(net)
    remember_peaks(module)
    move(module, 0.5, 4, chance())
    assert (module.w_in == 1.5).all()


def test_biases_and_constants_are_not_rounded(lif_net):
    module = LIFModule(lif_net, train=("w_in", "b_out", "v_th", "tau_mem"))
    remember_peaks(module)
    before = move(module, 1e-4, 2, chance())
    for name in ("b_out", "v_th", "tau_mem"):
        torch.testing.assert_close(getattr(module, name).detach(), before[name] + 1e-4)


def test_no_levels_round_and_draw_nothing(lif_net):
    module, generator = LIFModule(lif_net), chance()
    state = generator.get_state()
    before = move(module, 1e-5, 0, generator)
    assert torch.equal(module.w_rec.detach(), before["w_rec"] + 1e-5)
    assert torch.equal(generator.get_state(), state)


def test_rounding_follows_the_generators_state(lif_net):
    made = []
    for seed in (3, 3, 4):
        module = LIFModule(lif_net, dtype=torch.float32)
        remember_peaks(module)
        move(module, 1e-4, 16, chance(seed))
        made.append(module.w_rec.detach())
    assert torch.equal(made[0], made[1])
    assert not torch.equal(made[0], made[2])


def test_peaks_do_not_stand_in_checkpoints(lif_net):
    module = LIFModule(lif_net)
    remember_peaks(module)
    assert set(module.state_dict()) == set(LIFModule(lif_net).state_dict())


def test_a_matrix_of_zeros_has_no_step(lif_net):
    module = LIFModule(dataclasses.replace(lif_net, w_in=np.zeros((20, 2))))
    with pytest.raises(
        ValueError, match="update_levels: got w_in with no weight but 0"
    ):
        remember_peaks(module)
    net = dataclasses.replace(lif_net, w_in=np.zeros((20, 2)))
    remember_peaks(LIFModule(net, train=("w_rec",)))


def test_peaks_must_be_remembered(lif_net):
    module = LIFModule(lif_net)
    with pytest.raises(ValueError, match="largest w_in before training is not known"):
        move(module, 1e-4, 16, chance())
