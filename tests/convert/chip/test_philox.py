"""The noise source: Random123's own vectors, and the samples made of its words."""

from collections import Counter

import numpy as np
import pytest
from scipy import stats

from isotau.convert.chip.philox import noise_samples, philox4x32

ONES = 0xFFFFFFFF
# Known answers for philox4x32-10 from Random123's kat_vectors: counter, key, output.
KNOWN = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000",
     "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff",
     "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0",
     "d16cfe09 94fdcceb 5001e420 24126ea1"),
]  # fmt: skip


def words(text):
    return [int(word, 16) for word in text.split()]


def plain_philox(counter, key):
    """Philox4x32-10 in Python's integers, after the paper's description."""
    x0, x1, x2, x3 = counter
    k0, k1 = key
    for _ in range(10):
        high0, low0 = divmod(0xD2511F53 * x0, 1 << 32)
        high1, low1 = divmod(0xCD9E8D57 * x2, 1 << 32)
        x0, x1, x2, x3 = high1 ^ x1 ^ k0, low1, high0 ^ x3 ^ k1, low0
        k0, k1 = (k0 + 0x9E3779B9) % (1 << 32), (k1 + 0xBB67AE85) % (1 << 32)
    return [x0, x1, x2, x3]


def sample_of(seed, step, trial, neuron):
    """One membrane sample, from the description in the module's docstring."""
    key = seed % (1 << 32), seed >> 32
    word = plain_philox((neuron // 8, step, trial, 0), key)[neuron % 8 // 2]
    half = word >> 16 if neuron % 2 else word & 0xFFFF
    return (255 * half >> 16) - 127


@pytest.mark.parametrize(("counter", "key", "output"), KNOWN)
def test_known_answers(counter, key, output):
    seed = words(key)[0] | words(key)[1] << 32
    given = tuple(np.array([word], dtype=np.uint64) for word in words(counter))
    got = [int(word[0]) for word in philox4x32(given, seed)]
    assert got == words(output)
    assert plain_philox(words(counter), words(key)) == words(output)


def test_many_counters_at_once():
    rng = np.random.default_rng(0)
    counters = rng.integers(0, 1 << 32, (4, 200), dtype=np.uint64)
    seed = 0x0123456789ABCDEF
    got = np.stack(philox4x32(tuple(counters), seed))
    for k in range(200):
        key = seed % (1 << 32), seed >> 32
        assert got[:, k].tolist() == plain_philox(counters[:, k].tolist(), key)


@pytest.mark.parametrize("seed", [0, 7, (1 << 64) - 1])
@pytest.mark.parametrize("step", [0, 999, ONES])
def test_samples_by_hand(seed, step):
    trials = np.array([0, 5, ONES])
    got = noise_samples(seed, step, trials, 11)
    assert got.shape == (3, 11)
    assert got.dtype == np.int64
    for (k, neuron), value in np.ndenumerate(got):
        assert value == sample_of(seed, step, int(trials[k]), neuron)


def test_a_sample_does_not_depend_on_the_others():
    everything = noise_samples(3, 17, np.arange(40), 200)
    part = noise_samples(3, 17, np.array([8, 31]), 9)
    np.testing.assert_array_equal(part, everything[[8, 31], :9])


def test_every_value_is_equally_likely_but_one():
    counts = Counter(((255 * h) >> 16) - 127 for h in range(1 << 16))
    assert set(counts) == set(range(-127, 128))
    assert sorted(counts.values()) == [257] * 254 + [258]


def test_samples_are_uniform_and_uncorrelated():
    draws = np.stack([noise_samples(1, t, np.arange(20), 64) for t in range(200)])
    _, counts = np.unique(draws, return_counts=True)
    assert counts.size == 255
    assert stats.chisquare(counts).pvalue > 1e-3
    spread = np.sqrt((255**2 - 1) / 12)
    assert abs(draws.mean()) < 4 * spread / np.sqrt(draws.size)
    assert draws.std() == pytest.approx(spread, rel=0.005)
    limit = 4.5 / np.sqrt(draws[1:].size)
    for axis in range(3):  # steps, trials, neurons
        moved = np.moveaxis(draws, axis, 0)
        assert abs(np.corrcoef(moved[1:].ravel(), moved[:-1].ravel())[0, 1]) < limit


def test_other_seeds_give_other_samples():
    draws = [noise_samples(s, 0, np.arange(4), 64) for s in (0, 1, 1 << 32)]
    assert not np.array_equal(draws[0], draws[1])
    assert not np.array_equal(draws[0], draws[2])


@pytest.mark.parametrize("seed", [-1, 1 << 64])
def test_seed_out_of_range(seed):
    with pytest.raises(ValueError, match=rf"seed: got {seed}, need 0 to 2\^64 − 1"):
        noise_samples(seed, 0, np.arange(1), 1)


@pytest.mark.parametrize("step", [-1, 1 << 32])
def test_step_out_of_range(step):
    with pytest.raises(ValueError, match=rf"step: got {step}, need 0 to 2\^32 − 1"):
        noise_samples(0, step, np.arange(1), 1)


@pytest.mark.parametrize("trials", [[-1, 0], [0, 1 << 32]])
def test_trial_out_of_range(trials):
    text = rf"trials: got {trials[0]} to {trials[1]}, need 0 to 2\^32 − 1"
    with pytest.raises(ValueError, match=text):
        noise_samples(0, 0, np.array(trials), 1)
