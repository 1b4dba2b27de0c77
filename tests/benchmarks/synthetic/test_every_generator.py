"""What holds for all generators alike: seeds, sizes, units from numbers or vectors."""

import copy
import pickle

import numpy as np
import pytest

import benchmarks.synthetic as generators
from isotau.convert.records.spikes import SpikeTimes

FACTORS = np.ones((3, 1)), np.full((3, 1), 0.5)
MAKE = {
    "ou": lambda **kw: generators.ornstein_uhlenbeck([0.1, 0.2, 0.1], **kw),
    "two ou": lambda **kw: generators.two_timescale_ou(
        0.1, [0.2, 0.3, 0.2], share_slow=0.5, **kw
    ),
    "oscillation": lambda **kw: generators.ou_with_oscillation(
        0.1, 2.0, share=[0.5, 0.1, 0.5], **kw
    ),
    "binned ou": lambda **kw: generators.binned_ou(0.1, bin_width=0.1, units=3, **kw),
    "rectified": lambda **kw: generators.doubly_stochastic(
        generators.rectified(20, 10, 0.1, units=3), **kw
    ),
    "log-Gaussian counts": lambda **kw: generators.doubly_stochastic(
        generators.log_gaussian(20, 10, 0.1, units=3), bin_width=0.1, **kw
    ),
    "Hawkes": lambda **kw: generators.hawkes(10, 0.5, 0.1, units=3, **kw),
    "benchmark": lambda rng, **kw: generators.hawkes_benchmark(3, rng, **kw),
    "Poisson": lambda **kw: generators.poisson(10, units=3, **kw),
    "gamma": lambda **kw: generators.gamma_renewal(10, [2.0, 0.5, 1.0], **kw),
    "branching": lambda **kw: generators.branching(100, 0.1, units=3, **kw),
    "membrane": lambda **kw: generators.lif_membrane(0.1, 0.01, units=3, **kw),
    "LIF": lambda **kw: generators.lif_spikes(0.1, units=3, **kw),
    "synapse": lambda **kw: generators.synaptic_noise(
        50, 0.05, 0.002, 0.01, units=3, **kw
    ),
    "linear": lambda **kw: generators.linear_network(*FACTORS, tau=0.02, **kw),
    "tanh": lambda **kw: generators.tanh_network(*FACTORS, tau=0.02, **kw),
}
every = pytest.mark.parametrize("make", MAKE.values(), ids=MAKE.keys())


def run(make, seed):
    return make(trials=4, duration=0.5, rng=np.random.default_rng(seed))


def content(generated):
    data = generated.data
    if isinstance(data, SpikeTimes):
        return np.concatenate((data.times, data.trial, data.neuron))
    return data.values.ravel()


@every
def test_a_seed_gives_the_same_data_again(make):
    first, second = content(run(make, 1)), content(run(make, 1))
    np.testing.assert_array_equal(first, second)
    other = content(run(make, 2))
    assert other.size != first.size or (other != first).any()


@every
def test_sizes_are_those_asked_for(make):
    made = run(make, 1)
    assert made.data.n == made.truth.n == 3
    if isinstance(made.data, SpikeTimes):
        assert (made.data.trials == 4).all() and made.data.duration == 0.5
        assert made.data.source
    else:
        assert made.data.batch == 4
        assert abs(made.data.bins * made.data.bin_width - 0.5) < 1e-9
    assert made.truth.taus.shape[1] == made.truth.mean.size == 3


@every
def test_trials_and_units_differ(make):
    made = run(make, 1)
    if isinstance(made.data, SpikeTimes):
        return
    values = made.data.values
    assert (values[:, 0] != values[:, 1]).any() and (
        values[..., 0] != values[..., 1]
    ).any()


@every
def test_no_trials_are_refused(make):
    with pytest.raises(ValueError, match="trials: got 0, need 1 to"):
        make(trials=0, duration=0.5, rng=np.random.default_rng(0))


@every
def test_the_truth_can_be_copied_and_stored(make):
    truth = run(make, 1).truth
    for other in (copy.deepcopy(truth), pickle.loads(pickle.dumps(truth))):
        np.testing.assert_array_equal(other.taus, truth.taus)
        if truth.autocovariance is not None:
            lags = 0.004 * np.arange(3)
            np.testing.assert_array_equal(
                other.autocovariance(lags), truth.autocovariance(lags)
            )
