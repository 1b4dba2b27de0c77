from dataclasses import replace

import numpy as np
import pytest

from benchmarks.engine.random_networks import random_network
from isotau.convert.ground.errors import DoesNotFit, Severity
from isotau.convert.records.storage import same
from isotau.convert.records.weight_form import densified, sparsified
from isotau.sim.engines import reference
from isotau.targets.on_lava.profiles import (
    findings_of_grouping,
    group_profiles,
    percent,
)

N = 120


@pytest.fixture
def net():
    """A network of 120 different du, and one dv and vth."""
    rng = np.random.default_rng(4)
    drawn = random_network(rng, N, extreme=False, bare=True)
    return replace(
        drawn,
        du=rng.permutation(np.geomspace(30, 3000, N).round()),
        dv=np.full(N, 300),
        vth=np.full(N, 900),
    )


def tau(loss):
    return -1 / np.log(1 - np.asarray(loss, dtype=float) / 4096)


def kinds(net):
    return len(np.unique(np.stack([net.du, net.dv, net.refractory], axis=1), axis=0))


def test_enough_profiles_change_nothing(net):
    grouped = group_profiles(net, compartments=N)
    assert same(grouped.net, net)
    assert findings_of_grouping(grouped) == []
    assert len(np.unique(grouped.compartments)) == N
    assert grouped.thresholds.tolist() == [0] * N


def test_profiles_are_few_and_the_loss_is_said(net):
    grouped = group_profiles(net)
    assert kinds(grouped.net) == 32
    for k in range(32):
        assert len(np.unique(grouped.net.du[grouped.compartments == k])) == 1
    expected = tau(grouped.net.du + 1.0) / tau(net.du + 1.0)
    np.testing.assert_allclose(np.exp(grouped.log_tau_syn), expected, rtol=1e-9)
    assert not grouped.log_tau_mem.any()
    median, largest = percent(grouped.log_tau_syn)
    # 120 values over a factor of 100, in 32 groups: 7.7 % from end to middle.
    assert median < 5 and largest < 12
    (first, *_) = findings_of_grouping(grouped)
    assert first.severity is Severity.WARNING
    assert f"{median:.3g} % (median) and {largest:.3g} % (largest)" in first.message


def test_sparse_weights_are_scaled_alike(net):
    grouped, other = group_profiles(net), group_profiles(sparsified(net))
    assert same(densified(other.net, "a test"), grouped.net)
    np.testing.assert_allclose(other.weight_error, grouped.weight_error, rtol=1e-12)
    assert grouped.weight_error.any()
    assert other.clipped.tolist() == grouped.clipped.tolist()


def test_more_profiles_lose_less(net):
    losses = [
        (group_profiles(net, compartments=k).log_tau_syn ** 2).sum()
        for k in (1, 2, 8, 32, 64)
    ]
    assert losses == sorted(losses, reverse=True)


def test_percent():
    assert percent(np.log([1, 1.1, 1 / 1.2])) == pytest.approx((10, 20))


def test_both_time_constants(net):
    rng = np.random.default_rng(5)
    net = replace(net, dv=rng.integers(50, 500, N))
    grouped = group_profiles(net)
    assert kinds(grouped.net) <= 32
    expected = tau(grouped.net.dv) / tau(net.dv)
    np.testing.assert_allclose(np.exp(grouped.log_tau_mem), expected, rtol=1e-9)
    places = [finding.place for finding in findings_of_grouping(grouped)]
    assert [place.split(",")[0] for place in places] == [
        "tau_syn",
        "tau_mem",
        "weights",
    ]


def test_what_must_stay_stays(net):
    rng = np.random.default_rng(6)
    net = replace(
        net,
        dv=rng.choice([0, 250, 300, 350], N),
        refractory=rng.choice([0, 2, 5], N),
        vth=np.where(rng.random(N) < 0.1, 0, rng.integers(500, 5000, N)),
    )
    grouped = group_profiles(net, compartments=12, thresholds=5)
    assert kinds(grouped.net) <= 12
    assert len(np.unique(grouped.net.vth)) <= 5
    np.testing.assert_array_equal(grouped.net.refractory, net.refractory)
    np.testing.assert_array_equal(grouped.net.dv == 0, net.dv == 0)
    np.testing.assert_array_equal(grouped.net.vth == 0, net.vth == 0)


def test_every_core_has_profiles_of_its_own(net):
    cores = np.arange(N) // 60
    grouped = group_profiles(net, compartments=10, per_core=cores)
    first, second = (set(grouped.compartments[cores == core]) for core in (0, 1))
    assert len(first) == len(second) == 10
    assert not first & second
    alone = group_profiles(net, compartments=10)
    loss = [(g.log_tau_syn**2).sum() for g in (grouped, alone)]
    assert loss[0] < loss[1]


def test_constant_input_reaches_the_same_fraction_of_the_threshold(net):
    """Closed form: v settles at (64 a·4096/(du + 1) + bias)·4096/dv."""
    rng = np.random.default_rng(7)
    net = replace(
        net,
        dv=rng.integers(100, 500, N),
        vth=rng.integers(500, 4000, N),
        bias_mant=rng.integers(-500, 500, N),
        bias_exp=np.full(N, 3),
    )
    grouped = group_profiles(net, compartments=8, thresholds=1)
    assert len(np.unique(grouped.net.vth)) == 1

    def settled(which):
        a = sum(b.weights.sum(axis=1) * 2.0**b.weight_exp for b in which.blocks)
        bias = which.bias_mant * 2.0**which.bias_exp
        drive = 64 * a * 4096 / (which.du + 1.0) + bias
        return drive * 4096 / which.dv / (64.0 * which.vth), np.abs(a).max()

    (before, _), (after, _) = settled(net), settled(grouped.net)
    np.testing.assert_allclose(
        after, before, rtol=0.05, atol=0.05 * np.abs(before).max()
    )
    # Volts at threshold: 64·vth over integers per volt.
    volts = [w.vth / w.state_scale for w in (net, grouped.net)]
    np.testing.assert_allclose(volts[1], volts[0])
    assert not grouped.log_vth.any()
    bare = group_profiles(net, compartments=8, thresholds=1, compensate=False)
    for block, old in zip(bare.net.blocks, net.blocks, strict=True):
        np.testing.assert_array_equal(block.weights, old.weights)
    assert bare.log_vth.any()
    assert any(f.place.startswith("vth") for f in findings_of_grouping(bare))


def test_noise_in_volts_is_said(net):
    net = replace(net, noise_exp=9, dv=np.linspace(50, 500, N).round())
    grouped = group_profiles(net)
    sd = [
        (1 - (1 - w.dv / 4096) ** 2) ** -0.5 / w.state_scale for w in (net, grouped.net)
    ]
    np.testing.assert_allclose(np.exp(grouped.log_noise), sd[1] / sd[0])
    assert any(f.place.startswith("noise_exp") for f in findings_of_grouping(grouped))


def test_clipped_weights_are_a_warning(net):
    blocks = tuple(replace(block, weight_exp=7) for block in net.blocks)
    grouped = group_profiles(replace(net, blocks=blocks), compartments=2)
    (found,) = [f for f in findings_of_grouping(grouped) if "beyond" in f.message]
    assert found.severity is Severity.WARNING
    assert str(grouped.clipped.sum()) in found.message


def test_the_grouped_network_fires_like_the_other(net):
    """Not the same spikes, but about as many: gains are kept."""
    messages = np.random.default_rng(8).integers(0, 60, (300, 2, net.n_in))
    counts = [
        int(np.unpackbits(reference.run(w, messages).spikes.bits).sum())
        for w in (net, group_profiles(net).net)
    ]
    assert counts[0] > 1000
    assert counts[1] == pytest.approx(counts[0], rel=0.1)


def test_wrong_arguments(net):
    with pytest.raises(DoesNotFit, match="compartments: got 0, need 1 to"):
        group_profiles(net, compartments=0)
    with pytest.raises(DoesNotFit, match="thresholds: got 0, need 1 to"):
        group_profiles(net, thresholds=0)
    with pytest.raises(ValueError, match=r"per_core: got shape \(3,\), need \(120,\)"):
        group_profiles(net, per_core=np.zeros(3))
    resting = replace(net, refractory=np.arange(N) % 5)
    with pytest.raises(DoesNotFit, match="profiles: got 5 kinds of neurons on core 0"):
        group_profiles(resting, compartments=4)
