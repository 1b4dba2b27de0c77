import numpy as np
import pytest

from isotau.convert.chip.arithmetic import SignMode
from isotau.targets.loihi.demand import demand
from isotau.targets.loihi.limits import LOIHI1, LOIHI2


@pytest.mark.parametrize("seed", range(5))
def test_neurons_need_what_counting_one_by_one_says(random_net, seed):
    net = random_net(seed)
    found = demand(net, LOIHI1)
    for neuron in range(net.n):
        into = [
            block
            for block in net.blocks
            for column in range(len(block.pre))
            if block.weights[neuron, column]
        ]
        assert found.fan_in[neuron] == found.in_axons[neuron] == len(into)
        assert found.memory_bits[neuron] == 64 * len(into)  # each list takes one word
        out = [
            [post for post in range(net.n) if block.weights[post, column]]
            for block in net.blocks
            for column, pre in enumerate(block.pre)
            if block.source == "recurrent" and pre == neuron
        ]
        assert found.fan_out[neuron] == sum(len(targets) for targets in out)
        assert found.out_axons[neuron] == sum(bool(targets) for targets in out)


def test_profiles_are_told_apart(random_net):
    net = random_net(3)
    found = demand(net, LOIHI1)
    registers = list(zip(net.du, net.dv, net.refractory, strict=True))
    assert found.compartment_profiles == len(set(registers))
    assert found.threshold_profiles == len(set(net.vth.tolist()))
    for a in range(net.n):
        for b in range(net.n):
            same = found.compartment_profile[a] == found.compartment_profile[b]
            assert same == (registers[a] == registers[b])
            same = found.threshold_profile[a] == found.threshold_profile[b]
            assert same == (net.vth[a] == net.vth[b])


def test_blocks(make_block, make_network):
    dense = np.full((1100, 2), 4)
    sparse = np.zeros((1100, 1100), dtype=int)
    sparse[0, 0] = -16
    net = make_network(
        [
            make_block(dense, "input"),
            make_block(sparse, sign_mode=SignMode.INHIBITORY, num_weight_bits=4),
        ],
        1100,
        n_in=2,
    )
    first, second = demand(net, LOIHI1).blocks
    assert (first.source, first.synapses, first.entries, first.axons) == (
        "input",
        2200,
        2200,
        2,
    )
    # 1,024 neurons on one core, 16 parts of 9 words; 76 on the next, 9 + 2 words
    assert first.dense_bits == 2 * 64 * (16 * 9 + 11)
    assert first.list_format == "dense"
    assert (second.synapses, second.axons, second.list_format) == (1, 1, "sparse")
    assert second.sparse_bits == 64
    assert (second.weight_bits, second.delay_bits) == (4, 0)


def test_state_takes_memory_where_it_shares_it(make_network):
    net = make_network([], 3)
    assert demand(net, LOIHI2).memory_bits.tolist() == [48] * 3
    assert demand(net, LOIHI1).memory_bits.tolist() == [0] * 3
