"""Counter-based normal numbers: the exact transform, bits, what they look like."""

import math

import numpy as np
from scipy import stats

from isotau.convert.simulate.normal_kernels import draw
from isotau.convert.simulate.vectors.normals import (
    GROUP,
    MEMBRANE,
    RATE,
    Place,
    normals,
    philox4x32,
)

SEED = (1 << 63) + 12345


def exact(seed, stream, step, trial, neuron):
    """One sample in double precision from the words of (P8), by (P9) to (P11)."""
    block, k = 16 * (neuron // 64) + neuron % 16, neuron % 64 // 16
    counter = tuple(np.array([c], np.uint64) for c in (block, step, trial, stream))
    words = [int(word[0]) for word in philox4x32(counter, seed)]
    first, second = words[2 * (k // 2)], words[2 * (k // 2) + 1]
    length = math.sqrt(-2 * math.log((first + 1) / 2**32))
    low = (second & 0x3FFFFFFF) / 2**30
    angle = math.pi / 2 * (low if low < 0.5 else low - 1)
    if second >> 31:
        length = -length
    cosine = bool(second >> 30 & 1) == bool(k % 2)
    return length * (math.cos(angle) if cosine else math.sin(angle))


def test_samples_are_those_of_the_transform():
    for step, trial in ((0, 0), (2**31 - 1, 2**32 - 1), (17, 4)):
        got = normals(Place(SEED, MEMBRANE, step), np.array([trial]), 200)[0]
        expected = [exact(SEED, MEMBRANE, step, trial, j) for j in range(200)]
        np.testing.assert_allclose(got, expected, rtol=2e-6, atol=1e-6)


def test_steps_before_the_first_have_the_upper_half_of_the_counter():
    got = normals(Place(1, MEMBRANE, -3), np.array([5]), 64)[0]
    expected = [exact(1, MEMBRANE, 2**32 - 3, 5, j) for j in range(64)]
    np.testing.assert_allclose(got, expected, rtol=2e-6, atol=1e-6)


def test_a_sample_is_its_neurons_whatever_the_size():
    few, many = (normals(Place(3, MEMBRANE, 7), np.arange(4), n) for n in (70, 500))
    np.testing.assert_array_equal(many[:, :70], few)


def test_moments_and_tails_are_normal():
    x = draw(Place(11, MEMBRANE, 0), (200, 50, 1000)).ravel().astype(float)
    n = len(x)
    # five standard errors each, of the moments of a normal number
    for power, moment, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs((x**power).mean() - moment) < 5 * math.sqrt(variance / n), power
    for edge in (1, 2, 3, 4, 5):
        expected = n * stats.norm.sf(edge)
        for beyond in ((x > edge).sum(), (x < -edge).sum()):
            assert abs(beyond - expected) < 5 * math.sqrt(expected), edge


def test_their_distribution_is_normal():
    x = draw(Place(12, MEMBRANE, 0), (100, 20, 500)).ravel().astype(float)
    assert stats.kstest(x, "norm").pvalue > 1e-3
    small = x[np.abs(x) < 0.01]
    assert stats.kstest(small, "uniform", args=(-0.01, 0.02)).pvalue > 1e-3


def test_counters_do_not_know_of_each_other():
    x = draw(Place(13, MEMBRANE, 0), (200, 40, 2 * GROUP)).astype(float)
    limit = 5 / math.sqrt(x.size)
    shifted = {
        "step": np.roll(x, 1, axis=0),
        "trial": np.roll(x, 1, axis=1),
        **{f"neuron {k}": np.roll(x, k, axis=2) for k in (1, 16, 32, 64)},
        "stream": draw(Place(13, RATE, 0), x.shape),
        "seed": draw(Place(14, MEMBRANE, 0), x.shape),
        "high half of the seed": draw(Place(13 + (1 << 32), MEMBRANE, 0), x.shape),
    }
    for name, y in shifted.items():
        assert abs((x * y).mean()) < limit, name
        # the two numbers of a pair share a length, and must not share a size
        assert abs(((x**2 - 1) * (y**2 - 1)).mean()) < 2 * limit, name
