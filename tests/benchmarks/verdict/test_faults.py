"""Faults change what they are said to change, and nothing else."""

import dataclasses

import numpy as np

from benchmarks.verdict.faults import (
    LIF_FAULTS,
    slower,
    stronger,
    two_swapped,
    without_noise,
)


def changed(net, other) -> set[str]:
    """Names of the fields in which two networks differ."""
    return {
        field.name
        for field in dataclasses.fields(net)
        if not np.array_equal(getattr(net, field.name), getattr(other, field.name))
    }


def test_faults_are_what_they_are_called(lif_net):
    rng = np.random.default_rng(0)
    net = dataclasses.replace(lif_net, tau_syn=np.linspace(0.02, 0.1, lif_net.n))
    found = slower(1.1)(net, rng)
    np.testing.assert_allclose(found.tau_syn, 1.1 * net.tau_syn)
    assert changed(net, found) == {"tau_syn", "w_in", "w_rec"}
    ratio = slower(0.5, 0.5)(net, rng).tau_syn / net.tau_syn
    assert (ratio == 1).sum() == net.n // 2 and ratio.min() == 0.5
    assert changed(net, stronger(1.05)(net, rng)) == {"w_rec"}
    noisy = dataclasses.replace(net, current_noise_std=np.full(net.n, 1e-3))
    assert not without_noise(noisy, rng).current_noise_std.any()
    swapped = two_swapped(net, rng)
    np.testing.assert_allclose(swapped.tau_syn[[0, -1]], net.tau_syn[[-1, 0]])
    np.testing.assert_array_equal(swapped.tau_syn[1:-1], net.tau_syn[1:-1])
    assert LIF_FAULTS["none"] is None
