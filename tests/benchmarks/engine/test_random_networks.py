"""The random networks are what they say: repeatable, mild or extreme, bare or not."""

import numpy as np
import pytest

from benchmarks.engine.random_networks import random_messages, random_network
from isotau.convert.chip import arithmetic
from isotau.convert.records.storage import same


@pytest.mark.parametrize("extreme", [False, True])
def test_the_generator_decides_everything(extreme):
    def draw(seed):
        return random_network(np.random.default_rng(seed), 12, extreme=extreme)

    assert same(draw(1), draw(1))
    assert not same(draw(1), draw(2))


def test_extreme_ones_reach_the_ends_of_the_ranges():
    nets = [
        random_network(np.random.default_rng(k), 40, extreme=True) for k in range(60)
    ]
    for name, ends in (
        ("du", (0, 4095)),
        ("dv", (0, 4095)),
        ("vth", (0, 131071)),
        ("bias_mant", (-4096, 4095)),
        ("bias_exp", (-16, 7)),
        ("refractory", (0, 63)),
    ):
        values = np.concatenate([getattr(net, name) for net in nets])
        assert (values.min(), values.max()) == ends, name
    blocks = [block for net in nets for block in net.blocks]
    assert {block.num_weight_bits for block in blocks} == set(range(1, 9))
    assert {block.weight_exp for block in blocks} == set(range(-8, 8))
    assert len({block.sign_mode for block in blocks}) == 3
    assert {block.delay for block in blocks} >= {0, arithmetic.DELAY_MAX}
    assert {block.binary for block in blocks} == {False, True}
    assert {net.reset_interval for net in nets} >= {0, 1}
    sent = random_messages(np.random.default_rng(0), nets[0], 500, 4, extreme=True)
    assert sent.min() < -(2**30) and sent.max() > 2**30


def test_mild_ones_have_neither_delays_nor_resets():
    net = random_network(np.random.default_rng(3), 30, extreme=False)
    assert not any(block.delay or block.binary for block in net.blocks)
    assert net.reset_interval == 0


def test_bare_ones_have_neither_noise_nor_rest():
    net = random_network(np.random.default_rng(3), 30, extreme=True, bare=True)
    assert not net.noisy and not net.refractory.any()
    drawn = [
        random_network(np.random.default_rng(seed), 30, extreme=True)
        for seed in range(20)
    ]
    for name in ("noise_exp", "current_noise_exp"):
        kinds = {len(set(getattr(net, name).tolist())) > 1 for net in drawn}
        assert kinds == {False, True}
