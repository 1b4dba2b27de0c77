"""The plain loops do what the stages do: the same rasters and outputs without noise."""

from dataclasses import replace

import numpy as np

from benchmarks.chain.plain_loops import plain_lif, plain_rate, unpacked_counts
from isotau.convert.records.spikes import count, unpack
from isotau.convert.simulate.lif_dynamics import simulate_lif
from isotau.convert.simulate.rate_dynamics import simulate_rate


def test_lif_rasters_are_the_stages(lif_net):
    net = replace(lif_net, noise_std=0.0)
    inputs = np.random.default_rng(0).standard_normal((200, 4, net.n_in))
    spikes = simulate_lif(net, inputs, seed=None).spikes
    raster = plain_lif(net, inputs, np.random.default_rng(0))
    assert spikes.bits.any()
    # Sums of float32 in another order: a near-tie may turn out otherwise.
    assert np.mean(raster != unpack(spikes.bits, net.n)) < 0.01
    np.testing.assert_array_equal(unpacked_counts(spikes, 30), count(spikes, width=30))


def test_outputs_are_the_stages(rate_net):
    net = replace(rate_net, noise_std=0.0, x0_std=0.0)
    inputs = np.random.default_rng(0).standard_normal((50, 3, net.n_in))
    expected = simulate_rate(net, inputs, seed=1).outputs
    outputs = plain_rate(net, inputs, np.random.default_rng(1))
    np.testing.assert_allclose(outputs, expected, atol=1e-12)
