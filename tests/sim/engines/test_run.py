"""What counts as an overflow."""

import dataclasses

import numpy as np
import pytest

from benchmarks.engine.random_networks import random_network
from isotau.convert.chip.arithmetic import SignMode
from isotau.convert.records.fixedpoint import WeightBlock
from isotau.sim.engines import compiled, reference, torch_engine
from isotau.sim.engines.run import Overflow, count_payloads, errors_of

NET = random_network(np.random.default_rng(0), 6, extreme=False)


def test_only_what_changes_the_dynamics_counts_as_overflow():
    zero, one = np.zeros(3, dtype=np.int64), np.array([0, 1, 0])
    assert not errors_of(Overflow(zero, zero, zero, one))
    assert errors_of(Overflow(one, zero, zero, zero))
    assert errors_of(Overflow(zero, one, zero, zero))
    assert errors_of(Overflow(zero, zero, one, zero))


@pytest.mark.parametrize(
    ("exponent", "message", "wraps"),
    [
        (0, 2**31 // 255, 0),
        (0, 2**31 // 255 + 1, 1),
        (0, -(2**31) // 255, 1),
        (3, 2**28 // 255, 0),
        (3, 2**28 // 255 + 1, 1),
        (-8, 2**31 - 1, 1),
    ],
)
def test_payloads_that_leave_32_bits_are_counted(exponent, message, wraps):
    """Also where the wrapped sum looks harmless, as 255 · 16843009 = 2^32 − 1 does."""
    block = WeightBlock(
        source="input",
        pre=[0],
        weights=[[0], [255], [0], [0], [0], [0]],
        weight_exp=exponent,
        num_weight_bits=8,
        sign_mode=SignMode.EXCITATORY,
    )
    net = dataclasses.replace(NET, blocks=(block,))
    sent = np.zeros((3, 2, NET.n_in), dtype=np.int64)
    sent[1, 0, 0] = message
    assert count_payloads(net, sent).tolist() == [0, wraps, 0, 0, 0, 0]
    binary = dataclasses.replace(net, blocks=(dataclasses.replace(block, binary=True),))
    assert not count_payloads(binary, sent).any()
    sent[1, 0, 0] = 16843009
    for engine in (reference.run, compiled.run, torch_engine.run):
        harmless = dataclasses.replace(block, weight_exp=0)
        low = dataclasses.replace(net, blocks=(harmless,))
        counted = engine(low, sent, count_overflow=True).overflow
        assert counted.sum_wraps.tolist() == [0, 1, 0, 0, 0, 0]
