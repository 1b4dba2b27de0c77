"""The large networks are what their page says they are."""

import numpy as np

from benchmarks.large.__main__ import chain_cases, engine_cases
from benchmarks.large.networks import large_chip, large_lif
from isotau.convert.ground.sparse import column_counts, columns_of
from isotau.sim.engines import reference


def test_a_share_of_all_connections_is_there():
    net = large_lif(400, 0.05)
    # Twenty are drawn for each neuron, some of them twice.
    assert 0.9 * 20 < column_counts(net.w_rec).mean() <= 20
    negative = columns_of(net.w_rec)[net.w_rec.data < 0]
    assert negative.min() == 320 and (column_counts(net.w_rec)[320:] > 0).all()


def test_it_fires_some_ten_times_a_second():
    chip = large_chip(300, 0.1)
    spikes = reference.run(chip, np.zeros((300, 1, 2), np.int64)).spikes
    rate = np.unpackbits(spikes.bits).sum() / (300 * 0.3)
    assert 8 < rate < 30


def test_the_cases_cover_what_was_asked_for():
    cases = engine_cases(quick=False)
    assert {case["n"] for case in cases} == {1_000, 10_000, 100_000}
    assert {case["batch"] for case in cases} == {1, 10, 100}
    assert {case["threads"] for case in cases} == {1, 2}
    assert (10_000, 0.01) in {(case["n"], case["density"]) for case in cases}
    assert (100_000, 0.001) in {(case["n"], case["density"]) for case in cases}
    assert len(chain_cases(quick=False)) == 3
