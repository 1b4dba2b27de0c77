"""Simulating on a user's inputs; accuracy and errors are in test_quantize_foreign."""

import numpy as np

from isotau.convert.read.read_inputs import Inputs
from isotau.convert.records.spikes import mean_rate
from isotau.jobs.simulate_on import describe, simulate_on


def test_noise_comes_from_the_seed_and_the_text_gives_the_rate(lif_net):
    inputs = Inputs(np.zeros((100, 2, 2)), np.zeros(2, dtype=int), None)
    a, b, c = (simulate_on(lif_net, inputs, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(a.spikes.bits, b.spikes.bits)
    assert (a.spikes.bits != c.spikes.bits).any()
    text = describe(a)
    assert f"{mean_rate(a.spikes):.2f} Hz" in text and "accuracy: " in text
    assert "accuracy" not in describe(a._replace(accuracy=None))
