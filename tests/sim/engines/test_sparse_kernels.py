"""Deliveries of sparse weights against sums of numpy's, wraps included."""

import numpy as np
import pytest

from isotau.convert.chip import arithmetic
from isotau.sim.engines.sparse_kernels import TARGET_BITS, send_synapses

N = 150


def network(rng, fan_out):
    """Return words, starts and the same as an array, source × target."""
    words, starts, matrix = [], [0], np.zeros((N, N), dtype=np.int64)
    for source in range(N):
        targets = rng.choice(N, fan_out(rng), replace=False)
        weights = rng.integers(-256, 256, len(targets))
        matrix[source, targets] = weights
        words.append((weights << TARGET_BITS) | targets)
        starts.append(starts[-1] + len(targets))
    return np.concatenate(words).astype(np.int32), np.array(starts), matrix


@pytest.mark.parametrize("exponent", [-8, -3, -1, 0, 1, 7])
@pytest.mark.parametrize("spiking", [0, 1, 3, 60, N])
def test_sums_are_shifted_as_a_whole(exponent, spiking):
    rng = np.random.default_rng(exponent + 10)
    # Sources without a synapse, with one, with more than a line of them.
    words, starts, matrix = network(rng, lambda rng: rng.choice([0, 1, 15, 16, 17, 90]))
    sources = np.sort(rng.choice(N, spiking, replace=False)).astype(np.int64)
    ends = rng.choice([-(2**31), 2**31 - 1], N)
    before = (ends - np.sign(ends) * rng.integers(0, 500, N)).astype(np.int32)
    target, sums = before.copy(), np.zeros(N, np.int32)
    begun = np.stack([0 * starts, starts])
    send_synapses(target, sums, words, begun, 1, sources, spiking, exponent)
    assert not sums.any()  # for the next
    sent = arithmetic.delivered(matrix[sources].sum(axis=0), exponent)
    expected = arithmetic.wrap_int32(before + sent)
    np.testing.assert_array_equal(target, expected)
    if spiking > 3 and exponent >= 0:
        assert (expected != before + sent).any()  # wraps were met
