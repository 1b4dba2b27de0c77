import numpy as np
import pytest

from isotau.convert.records.spikes import of_neuron
from isotau.sim.recorded.read_arrays import from_trials, join


def session(rng, sizes, **options):
    trains = [[rng.uniform(0, 1, 4) for _ in range(k)] for k in sizes]
    return from_trials(trains, window=options.pop("window", (0, 1)), **options)


def test_every_neuron_keeps_its_trials():
    rng = np.random.default_rng(0)
    parts = [
        session(rng, (3, 0), names=("a", "b"), source="one"),
        session(rng, (5,), names=("c",), source="two"),
    ]
    found = join(parts)
    assert found.trials.tolist() == [3, 0, 5]
    assert (found.names, found.source) == (("a", "b", "c"), "one; two")
    apart = [of_neuron(part, k) for part in parts for k in range(part.n)]
    for k, trials in enumerate(apart):
        for one, other in zip(of_neuron(found, k), trials, strict=True):
            np.testing.assert_array_equal(one, other)


def test_names_are_kept_if_all_have_them():
    rng = np.random.default_rng(1)
    assert join([session(rng, (1,), names=("a",)), session(rng, (1,))]).names == ()


def test_windows_are_of_one_length():
    rng = np.random.default_rng(2)
    with pytest.raises(ValueError, match=r"duration: got \[1.0, 2.0\] s, need one for"):
        join([session(rng, (1,)), session(rng, (1,), window=(0, 2))])
    with pytest.raises(ValueError, match=r"duration: got \[\] s"):
        join([])
