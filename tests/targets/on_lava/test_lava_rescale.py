from dataclasses import replace

import numpy as np
import pytest

from benchmarks.engine.random_networks import random_network
from isotau.convert.chip.arithmetic import SignMode
from isotau.convert.records.fixedpoint import WeightBlock
from isotau.convert.records.storage import same
from isotau.targets.on_lava.profiles import scale_rows, scale_states


@pytest.fixture
def net():
    return random_network(np.random.default_rng(1), 6, extreme=False)


def with_block(net, weights, mode, exponent, bits=8):
    block = WeightBlock(
        source="recurrent",
        pre=np.arange(2),
        weights=np.asarray(weights),
        weight_exp=exponent,
        num_weight_bits=bits,
        sign_mode=mode,
    )
    return replace(net, blocks=(block,))


def real(net):
    """Return the weights, in units of 2^6 of state, post × pre."""
    total = np.zeros((net.n, net.n))
    for block in net.blocks:
        total[:, block.pre] += block.weights * 2.0**block.weight_exp
    return total


def test_factors_of_one_change_nothing(net):
    ones = np.ones(6)
    scaled, clipped = scale_states(net, ones, ones)
    assert same(scaled, net) and not clipped.any()
    scaled, error, clipped = scale_rows(net, ones)
    assert same(scaled, net)
    assert not error.any() and not clipped.any()


def test_states_and_biases_are_scaled(net):
    net = replace(
        net,
        u0=np.arange(6) * 100,
        v0=np.arange(6) * -10,
        bias_mant=np.full(6, 4000),
        bias_exp=np.full(6, 2),
    )
    drive, state = np.array([1, 1, 2, 2, 0.5, 0.5]), np.array([1, 3, 1, 3, 1, 3.0])
    scaled, clipped = scale_states(net, drive, state)
    assert not clipped.any()
    assert scaled.u0.tolist() == [0, 100, 400, 600, 200, 250]
    assert scaled.v0.tolist() == [0, -30, -20, -90, -40, -150]
    assert scaled.state_scale.tolist() == [1, 3, 1, 3, 1, 3]
    got = scaled.bias_mant * 2.0**scaled.bias_exp
    assert got.tolist() == [16000, 16000, 32000, 32000, 8000, 8000]


def test_what_is_beyond_its_register_is_clipped_and_counted(net):
    net = replace(
        net,
        bias_mant=[4000, -4000, 1, 1, 1, 1],
        bias_exp=np.full(6, 7),
        u0=[0, -(2**22) - 9, 2**22 - 9, 0, 0, 0],
        v0=[0, 0, 0, 2**23 - 1, 0, 0],
    )
    scaled, clipped = scale_states(net, np.full(6, 2.0), np.full(6, 1.5))
    assert clipped.tolist() == [1, 2, 0, 1, 0, 0]
    bias = scaled.bias_mant * 2 ** scaled.bias_exp.astype(int)
    assert bias.tolist() == [4095 << 7, -4096 << 7, 256, 256, 256, 256]
    assert scaled.u0.tolist() == [0, 1 - 2**23, 2**23 - 18, 0, 0, 0]
    assert scaled.v0[3] == 2**23 - 1


@pytest.mark.parametrize("mode", list(SignMode))
@pytest.mark.parametrize("exponent", [-3, 0, 4])
def test_rows_are_scaled_to_the_nearest_weights(net, mode, exponent):
    rng = np.random.default_rng(2)
    low, high = {"mixed": (-60, 60), "excitatory": (0, 60), "inhibitory": (-60, 0)}[
        mode.value
    ]
    net = with_block(net, 4 * rng.integers(low, high + 1, (6, 2)), mode, exponent, 7)
    factors = np.array([0.5, 0.9, 1.0, 1.1, 2.0, 4.2])
    scaled, error, clipped = scale_rows(net, factors)
    wanted = real(net) * factors[:, None]
    # The grid is 2 or 4 wide; what needs more goes up to three exponents higher.
    off = np.abs(real(scaled) - wanted) / 2.0**exponent
    assert off[:4].max() <= 2
    assert off.max() <= 16
    assert not clipped.any()
    rows = np.sqrt((wanted**2).sum(axis=1))
    lost = np.sqrt(((real(scaled) - wanted) ** 2).sum(axis=1)) / np.maximum(rows, 1)
    np.testing.assert_allclose(error[rows > 1], lost[rows > 1])


def test_large_weights_get_a_block_of_their_own(net):
    net = with_block(net, np.tile([200, 10], (6, 1)), SignMode.EXCITATORY, 2)
    scaled, _, clipped = scale_rows(net, np.full(6, 1.5))
    assert [block.weight_exp for block in scaled.blocks] == [2, 4]
    assert scaled.blocks[0].weights[0].tolist() == [0, 15]
    assert scaled.blocks[1].weights[0].tolist() == [75, 0]
    assert not clipped.any()


def test_what_no_exponent_holds_is_clipped_and_counted(net):
    net = with_block(net, np.tile([200, 10], (6, 1)), SignMode.EXCITATORY, 7)
    scaled, error, clipped = scale_rows(net, np.full(6, 1.5))
    (block,) = scaled.blocks
    assert block.weights[0].tolist() == [255, 15]
    assert clipped.tolist() == [1] * 6
    assert error[0] == pytest.approx(45 / np.hypot(300, 15))
