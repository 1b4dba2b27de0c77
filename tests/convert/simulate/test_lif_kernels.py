"""The loops of the LIF step: who is listed, and what sparse weights send."""

import numpy as np

from isotau.convert.simulate import lif_kernels as kernels
from isotau.convert.simulate.vectors.vector_lif import RESTED, SPIKED


def row(*numbers, dtype=np.float32):
    return np.array(numbers, dtype)


def test_lists_are_those_that_spiked():
    z, flags = row(0, 1, 0, 1, 1), row(1, 0, RESTED, SPIKED, 1, dtype=np.uint8)
    chosen = np.empty(6, np.int64)
    assert kernels.list_spikes(z, chosen, 5) == 3
    assert chosen[:3].tolist() == [1, 3, 4]
    assert kernels.list_flagged(flags, chosen, 4) == 2
    assert chosen[:2].tolist() == [0, 3]


def test_synapses_are_added_in_the_order_of_their_sources():
    starts, targets = row(0, 2, 2, 3, dtype=np.int64), row(1, 3, 3, dtype=np.int32)
    total = np.full(4, 9, np.float32)
    synapses = starts, targets, row(0.5, 2, 4)
    kernels.add_synapses(total, synapses, row(0, 1, 2, dtype=np.int64), 3)
    assert total.tolist() == [0, 0.5, 0, 6]
