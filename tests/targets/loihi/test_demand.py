from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isotau.convert.chip.arithmetic import SignMode
from isotau.targets.loihi import demand as synapses
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


def written_out(entries, entry_bits, header=10, word=64, share=64):
    """Bits of a list, entry by entry."""
    bits, open_bits = 0, 0
    for k in range(entries):
        if k % share == 0:
            bits += -(-open_bits // word) * word
            open_bits = header
        open_bits += entry_bits
    return bits + -(-open_bits // word) * word


@given(st.integers(0, 1024), st.integers(1, 30))
def test_list_bits_as_written_out(entries, entry_bits):
    found = synapses.list_bits(LOIHI1, np.array([entries]), entry_bits)
    assert found.tolist() == [written_out(entries, entry_bits)]


def test_list_bits_by_hand():
    # 64 weights of 8 bits and 10 of header: 522 bits, 9 words
    assert synapses.list_bits(LOIHI1, np.array([64, 1, 0]), 8).tolist() == [576, 64, 0]
    # without headers and words
    assert synapses.list_bits(LOIHI2, np.array([65]), 8).tolist() == [520]


@pytest.mark.parametrize(
    ("chip", "bits", "stored"), [(LOIHI1, 7, 8), (LOIHI1, 3, 3), (LOIHI2, 7, 7)]
)
def test_weights_are_stored_in_bits_that_the_chip_has(make_block, chip, bits, stored):
    one = make_block(np.zeros((2, 2)), num_weight_bits=bits)
    assert synapses.weight_bits(chip, one) == stored


@pytest.mark.parametrize(
    ("neurons", "bits"), [(1, 0), (2, 6), (64, 6), (65, 7), (1024, 10)]
)
def test_index_bits(neurons, bits):
    assert synapses.index_bits(LOIHI1, neurons) == bits


@pytest.mark.parametrize(("delay", "bits"), [(0, 0), (1, 1), (8, 4), (62, 6)])
def test_delay_bits(make_block, delay, bits):
    assert synapses.delay_bits(make_block(np.zeros((1, 1)), delay=delay)) == bits


@pytest.mark.parametrize(
    ("delays", "slots"),
    [
        ((), 8),
        ((0,), 8),
        ((6,), 8),
        ((7,), 16),
        ((3, 14), 16),
        ((15,), 32),
        ((62,), 64),
    ],
)
def test_delay_slots(make_block, delays, slots):
    blocks = [make_block(np.zeros((1, 1)), delay=delay) for delay in delays]
    assert synapses.delay_slots(blocks) == slots


def test_lists_choose_the_smaller_format(make_block):
    weights = np.zeros((100, 3), dtype=int)
    weights[:, 0] = 1
    weights[:2, 1] = 1
    one = make_block(weights)
    found = synapses.lists(LOIHI1, one, np.count_nonzero(weights, axis=0), 100)
    assert found.number == 2  # column 2 reaches nobody
    assert found.dense_bits == 2 * written_out(100, 8)
    assert found.sparse_bits == written_out(100, 8 + 7) + written_out(2, 8 + 7)
    assert not found.dense
    assert found.bits == found.sparse_bits
    full = synapses.lists(LOIHI1, one, np.full(3, 100), 100)
    assert full.dense and full.bits == 3 * written_out(100, 8)


def test_a_delay_is_stored_with_every_synapse(make_block):
    one = make_block(np.ones((64, 1)), delay=5)
    found = synapses.lists(replace(LOIHI1, word_bits=1), one, np.array([64]), 64)
    assert found.dense_bits == 64 * (8 + 3) + 10
