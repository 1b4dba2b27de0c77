"""The engine of another checkout, here of this one: the same spikes, and a time."""

import numpy as np
import pytest

from benchmarks.engine.earlier import CHECKED, earlier
from benchmarks.engine.networks import network, silence
from benchmarks.repository import ROOT
from isotau.sim.engines import compiled


@pytest.mark.slow
def test_another_checkout_runs_the_same_network(tmp_path):
    net = network(50, 150)
    state = compiled.run(net, silence(net, 60, 3)).state._replace(step=0)
    ours = compiled.run(net, silence(net, 20, 3), state=state).spikes.bits
    with earlier(ROOT, tmp_path, net, state) as measure:
        timed, long = measure(20), measure(CHECKED + 1)
    np.testing.assert_array_equal(timed.bits, ours)
    assert timed.us > 0
    assert long.bits is None and long.us > 0
