from dataclasses import replace

import numpy as np
import pytest

from isotau.targets.loihi.limits import LOIHI1, LOIHI2
from isotau.targets.loihi.place import place
from isotau.targets.loihi.traffic import hops, links, reach, spike_counts, tile, traffic

FOUR = replace(LOIHI1, neurons=4)


@pytest.mark.parametrize("seed", range(4))
def test_reach_and_traffic_synapse_by_synapse(random_net, random_spikes, seed):
    net = random_net(seed)
    placement = place(net, FOUR)
    raster, spikes = random_spikes(seed, net)
    for source, width in (("recurrent", net.n), ("input", net.n_in)):
        found = reach(net, placement, source)
        expected = np.zeros((3, width, placement.cores))
        for number, block in enumerate(net.blocks):
            if block.source != source:
                continue
            for column, pre in enumerate(block.pre):
                for k in range(placement.cores):
                    on = np.flatnonzero(placement.core == k)
                    there = sum(block.weights[j, column] != 0 for j in on)
                    if there:
                        dense = placement.dense[number, k]
                        expected[:, pre, k] += (there, len(on) if dense else there, 1)
        arrays = [x.toarray() for x in (found.synapses, found.entries, found.lists)]
        assert (np.stack(arrays) == expected).all()
    flow = np.zeros((placement.cores, placement.cores))
    lists = reach(net, placement, "recurrent").lists.toarray()
    for _, _, neuron in np.argwhere(raster).tolist():
        flow[placement.core[neuron]] += lists[neuron] / spikes.batch
    assert np.allclose(traffic(net, placement, spikes), flow, rtol=1e-12)
    assert np.allclose(spike_counts(spikes), raster.sum(axis=(0, 1)) / spikes.batch)


def test_tiles_hold_four_cores_and_go_along_the_rows():
    assert [tile(LOIHI1, core) for core in (0, 3, 4, 31, 32, 127, 128)] == [
        (0, 0),
        (0, 0),
        (1, 0),
        (7, 0),
        (0, 1),
        (7, 3),
        (0, 0),
    ]
    assert tile(LOIHI2, 5) is None


def test_hops_and_links_are_counted_along_the_way():
    flow = np.zeros((140, 140))
    flow[0, 127] = 2  # from (0, 0) to (7, 3)
    flow[4, 0] = 5  # one tile to the left
    flow[1, 2] = 100  # within a tile
    flow[0, 130] = 50  # to another chip
    assert hops(LOIHI1, flow) == (2 * 7 + 5, 2 * 3)
    loads = links(LOIHI1, flow)
    assert loads[(0, 0), (1, 0)] == 7
    assert loads[(6, 0), (7, 0)] == 2
    assert loads[(7, 2), (7, 3)] == 2
    assert len(loads) == 10
    assert links(LOIHI1, flow, 1) == {}


def test_without_a_public_mesh_there_are_no_hops():
    flow = np.ones((3, 3))
    assert hops(LOIHI2, flow) is None
    assert links(LOIHI2, flow) == {}
