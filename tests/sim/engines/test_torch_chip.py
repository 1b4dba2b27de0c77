"""What the torch engine takes for granted when it chooses how to sum."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from benchmarks.engine.random_networks import random_messages, random_network
from isotau.sim.engines import reference
from isotau.sim.engines.run import check
from isotau.sim.engines.torch_chip import exact_in_float32, may_wrap, pick

CPU = torch.device("cpu")


def job(net, messages):
    return check(
        net,
        messages,
        seed=0,
        first_trial=0,
        record=(),
        neurons=None,
        state=None,
    )


@pytest.mark.parametrize(
    ("weights", "exact"),
    [
        ([[255.0], [-253.0]], True),
        ([[255.0 / 256], [253.0 * 64]], True),
        ([[257.0], [0.0]], False),
        ([[0.0], [-511.0]], False),
        (np.full((65_793, 2), 255.0), True),
        (np.full((65_794, 2), -255.0), False),
    ],
)
def test_float32_keeps_24_bits_and_bfloat16_eight(weights, exact):
    assert exact_in_float32(np.array(weights)) == exact


def test_what_is_not_expected_to_wrap_does_not():
    expected, happened = [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        net = random_network(rng, 20, extreme=seed % 2 == 1, bare=True)
        # messages of all sizes, and blocks that shift little, for the bound to be close
        blocks = [replace(b, weight_exp=min(b.weight_exp, 1)) for b in net.blocks]
        net = replace(net, blocks=tuple(blocks))
        messages = random_messages(rng, net, 40, 2, extreme=False)
        messages = messages * 2 ** rng.integers(0, 20)
        run = reference.run(net, messages, record=("u",), count_overflow=True)
        left = run.overflow.sum_wraps.any() or np.abs(run.u / 2**29).max() > 1
        expected.append(may_wrap(net, job(net, messages)))
        happened.append(left)
    expected, happened = np.array(expected), np.array(happened)
    assert not (happened & ~expected).any()
    assert happened.sum() > 10
    assert (~expected).sum() > 10


def test_common_networks_are_not_expected_to_wrap():
    """A thousand neurons, weights of all sizes, decay over 20 steps, any activity."""
    rng = np.random.default_rng(0)
    net = random_network(rng, 8, extreme=False)
    weights = rng.integers(0, 256, (8, 8))
    block = replace(
        net.blocks[0],
        pre=np.arange(8),
        weights=weights & ~1,
        weight_exp=7,
        sign_mode="mixed",
    )
    net = replace(net, blocks=(block,), du=np.full(8, 200))
    assert not may_wrap(net, job(net, np.zeros((3, 1, net.n_in), dtype=int)))


@pytest.mark.parametrize("indices", [[], [0], [3, 4, 5], [3, 5], [4, 3], [2, 2]])
def test_pick_selects_the_same(indices):
    chosen = np.array(indices, dtype=np.int64)
    rows = torch.arange(20).reshape(2, 10)
    picked = rows[:, pick(chosen, CPU)]
    np.testing.assert_array_equal(picked.numpy(), rows.numpy()[:, chosen])
