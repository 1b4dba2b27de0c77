import numpy as np
import pytest

from isotau.targets.loihi.neurobench import neurobench

NAMES = {
    "Footprint",
    "ParameterCount",
    "ConnectionSparsity",
    "ActivationSparsity",
    "SynapticOperations",
    "MembraneUpdates",
}
"""Classes of neurobench 2.3.0, by which its results are keyed."""


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("readout", [True, False])
def test_against_matrices_written_out(random_net, random_spikes, seed, readout):
    net = random_net(seed)
    raster, spikes = random_spikes(seed, net, steps=15, batch=4)
    messages = np.random.default_rng(seed).integers(-1, 2, (15, 4, net.n_in))
    found = neurobench(net, spikes, messages, readout=readout)
    assert set(found) == NAMES
    layers = {}
    for block in net.blocks:
        wide = np.zeros((net.n, net.n_in if block.source == "input" else net.n))
        wide[:, block.pre] = block.weights
        key = (block.source, block.delay)
        layers[key] = layers.get(key, 0) + np.abs(wide)
    matrices = [
        (matrix, messages if source == "input" else raster)
        for (source, _), matrix in layers.items()
    ]
    if readout:
        matrices.append((net.w_out, raster))
    effective = dense = 0
    for matrix, events in matrices:
        for t in range(15):
            for b in range(4):
                effective += int((matrix[:, events[t, b] != 0] != 0).sum())
                dense += matrix.size
    operations = found["SynapticOperations"]
    assert operations["Effective_ACs"] == pytest.approx(effective / 4, rel=1e-12)
    assert operations["Effective_MACs"] == 0
    assert operations["Dense"] == dense / 4
    size = sum(matrix.size for matrix, _ in matrices)
    zeros = sum(int((matrix == 0).sum()) for matrix, _ in matrices)
    assert found["ConnectionSparsity"] == round(zeros / size, 4)
    assert found["ActivationSparsity"] == pytest.approx(1 - raster.mean(), rel=1e-12)
    assert found["ParameterCount"] == size + net.n + readout * net.n_out
    assert found["MembraneUpdates"] == net.n * 15


def test_graded_input_is_multiplied(make_block, make_network, random_spikes):
    weights = np.array([[2, 0], [4, 6]])
    net = make_network([make_block(weights, "input")], 2, n_in=2)
    _, spikes = random_spikes(0, net, steps=3, batch=1, rate=0)
    messages = np.array([[[0, 5]], [[1, 0]], [[-7, 2]]])
    found = neurobench(net, spikes, messages, readout=False)["SynapticOperations"]
    assert found == {"Effective_MACs": 1 + 2 + 3, "Effective_ACs": 0, "Dense": 12}
    found = neurobench(net, spikes, np.sign(messages), readout=False)
    assert found["SynapticOperations"]["Effective_ACs"] == 6
    taken_as_spikes = make_network(
        [make_block(weights, "input", binary=True)], 2, n_in=2
    )
    found = neurobench(taken_as_spikes, spikes, messages, readout=False)
    assert found["SynapticOperations"]["Effective_ACs"] == 6


def test_membrane_updates_are_changes(make_network, random_spikes):
    net = make_network([], 2)
    _, spikes = random_spikes(0, net, steps=4, batch=1, rate=0)
    v = np.array([[[1, 5]], [[1, 6]], [[2, 7]], [[2, 7]]], dtype=np.int32)
    messages = np.zeros((4, 1, 1), dtype=np.int64)
    assert neurobench(net, spikes, messages, v=v)["MembraneUpdates"] == 2 + 3


def test_footprint_by_hand(make_block, make_network, random_spikes):
    net = make_network([make_block(np.full((3, 3), 2), delay=1)], 3)
    _, spikes = random_spikes(0, net, steps=2, batch=1)
    messages = np.zeros((2, 1, 1), dtype=np.int64)
    found = neurobench(net, spikes, messages, readout=False)
    # 9 weights; du, dv 2, vth 4, bias 2 + 1, refractory 1 + 1, u, v 4; 2 slots of 4
    assert found["Footprint"] == 9 + 3 * (2 + 2 + 4 + 2 + 1 + 1 + 1 + 4 + 4 + 2 * 4)
    with_readout = neurobench(net, spikes, messages)
    assert with_readout["Footprint"] == found["Footprint"] + 8 * (3 + 1)


def test_what_does_not_belong_together(random_net, random_spikes, make_network):
    net = random_net(0)
    _, spikes = random_spikes(0, net)
    good = np.zeros((20, 2, 3), dtype=np.int64)
    with pytest.raises(ValueError, match="spikes: got 12 neurons, need 4"):
        neurobench(make_network([], 4), spikes, good)
    with pytest.raises(ValueError, match=r"messages: got shape \(20, 2, 1\), need"):
        neurobench(net, spikes, good[..., :1])
    with pytest.raises(ValueError, match=r"v: got shape \(20, 2, 3\), need"):
        neurobench(net, spikes, good, v=good)
