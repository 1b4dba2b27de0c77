"""Filtered spikes and outputs, against sums over every spike of its decayed share."""

import numpy as np
import pytest

from isotau.convert.records.spikes import pack
from isotau.convert.simulate.filter_kernels import read_trials, sample_trials

STEPS, BATCH, N = 30, 3, 13


@pytest.fixture
def trains():
    rng = np.random.default_rng(0)
    raster = rng.random((STEPS, BATCH, N)) < 0.2
    keep, jump, start = rng.uniform(0.5, 0.99, (3, N))
    # f after step t: what is left of the start, and of every spike up to then
    ages = np.arange(STEPS)[:, None] - np.arange(STEPS)
    left = np.where(ages[..., None] >= 0, keep ** np.maximum(ages, 0)[..., None], 0.0)
    f = np.einsum("tsn,sbn->tbn", left, raster * jump)
    f += (keep ** np.arange(1, STEPS + 1)[:, None])[:, None] * start
    return pack(raster), keep, jump, start, f


def test_outputs(trains):
    *given, f = trains
    weights = np.random.default_rng(1).standard_normal((2, N))
    offset, outputs = np.array([0.5, -1.0]), np.empty((STEPS, BATCH, 2))
    read_trials(*given, weights, offset, outputs)
    np.testing.assert_allclose(outputs, f @ weights.T + offset, atol=1e-12)


@pytest.mark.parametrize("every", [1, 4, 30])
def test_samples(trains, every):
    *given, f = trains
    samples = np.empty((STEPS // every, BATCH, N))
    sample_trials(*given, every, samples)
    np.testing.assert_allclose(samples, f[every - 1 :: every][: len(samples)])
