"""Connections as layers: what they deliver is what the blocks deliver, one by one."""

import numpy as np
import pytest

from isotau.convert.chip import arithmetic
from isotau.convert.chip.arithmetic import SignMode
from isotau.convert.records.fixedpoint import WeightBlock
from isotau.convert.tuning.forward.chip_pass import layers_of


def random_blocks(rng, n, columns):
    """Blocks of populations of their own, some with a negative exponent."""
    blocks = []
    for part in (np.arange(n) < n // 2, np.arange(n) >= n // 2):
        for mode in SignMode:
            weights = rng.integers(-255, 256, (n, columns)) * part[:, None]
            if mode is not SignMode.MIXED:
                sign = 1 if mode is SignMode.EXCITATORY else -1
                weights = sign * np.abs(weights)
            blocks.append(
                WeightBlock(
                    source="recurrent",
                    pre=np.arange(columns),
                    weights=arithmetic.on_grid(weights, 8, mode),
                    weight_exp=int(rng.integers(-8, 8)),
                    num_weight_bits=8,
                    sign_mode=mode,
                )
            )
    return blocks


@pytest.mark.parametrize("number", range(10))
def test_layers_deliver_what_the_blocks_do(number):
    rng = np.random.default_rng(number)
    n, columns = 6, 9
    blocks = random_blocks(rng, n, columns)
    layers = layers_of(blocks, n, columns)
    negative = sum(block.weight_exp < 0 for block in blocks)
    # two populations share a layer; what is not floored has one
    assert len(layers.down) <= 1 + negative
    assert not layers.rows[-1].any()
    for _ in range(20):
        z = rng.random(columns) < 0.5
        want = sum(
            arithmetic.delivered(b.weights.astype(np.int64) @ z, b.weight_exp)
            for b in blocks
        )
        have = np.zeros(n, np.int64)
        for row_of, down in zip(layers.row_of, layers.down, strict=True):
            rows = layers.rows[row_of[z]].astype(np.int64)
            have += np.floor(rows.sum(axis=0) / 2.0**down).astype(np.int64)
        np.testing.assert_array_equal(have, want)


def test_populations_share_layers():
    rng = np.random.default_rng(0)
    blocks = random_blocks(rng, 6, 4)
    exponents = (-1, -2, 3, -4, -5, 2)
    blocks = [
        WeightBlock(
            source="recurrent",
            pre=b.pre,
            weights=b.weights,
            weight_exp=e,
            num_weight_bits=8,
            sign_mode=b.sign_mode,
        )
        for b, e in zip(blocks, exponents, strict=True)
    ]
    layers = layers_of(blocks, 6, 4)
    assert len(layers.down) == 3  # both of exponent ≥ 0, and two floors per neuron
    assert not layers.down[0].any()
    assert layers.down[1:].tolist() == [[1] * 3 + [4] * 3, [2] * 3 + [5] * 3]


def test_no_connections_make_one_empty_layer():
    layers = layers_of([], 3, 2)
    assert layers.rows.shape == (3, 3) and (layers.row_of == -1).all()
