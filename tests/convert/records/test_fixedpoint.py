"""`WeightBlock` and `FixedPointNetwork`: ranges of the chip's registers."""

import re
from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from isotau.convert.chip.arithmetic import SignMode
from isotau.convert.ground.errors import DoesNotFit
from isotau.convert.records.fixedpoint import FixedPointNetwork, WeightBlock

BLOCK = {
    "source": "recurrent",
    "pre": np.array([0, 2], dtype=np.int32),
    "weights": np.array([[2, -4], [0, 254], [-256, 6]], dtype=np.int16),
    "weight_exp": -3,
    "num_weight_bits": 8,
    "sign_mode": SignMode.MIXED,
}
DTYPES = {
    "du": np.uint16,
    "dv": np.uint16,
    "vth": np.int32,
    "bias_mant": np.int16,
    "bias_exp": np.int8,
    "refractory": np.uint8,
    "v_reset": np.float64,
    "w_out": np.float64,
    "b_out": np.float64,
    "tau_out": np.float64,
    "u0": np.int32,
    "v0": np.int32,
    "f0": np.float64,
}
NETWORK = {
    "blocks": (WeightBlock(**BLOCK),),
    "n_in": 1,
    "du": np.array([0, 100, 4095]),
    "dv": np.array([0, 100, 4095]),
    "vth": np.array([0, 512, 131071]),
    "bias_mant": np.array([-4096, 0, 4095]),
    "bias_exp": np.array([-16, 0, 7]),
    "refractory": np.array([0, 2, 63]),
    "noise_exp": 7,
    "state_scale": 1e7,
    "v_reset": np.full(3, -0.065),
    "input_scale": 100.0,
    "dt": 0.001,
    "w_out": np.ones((2, 3)),
    "b_out": np.zeros(2),
    "tau_out": np.full(3, 0.02),
    "made_from": "ab",
    "u0": np.array([1 - 2**23, 0, 2**23 - 1]),
    "v0": np.array([1 - 2**23, 7, 2**23 - 1]),
    "f0": np.array([0, 12.5, 300]),
}
NETWORK |= {name: NETWORK[name].astype(dtype) for name, dtype in DTYPES.items()}


def test_block_keeps_read_only_copies():
    weights, pre = BLOCK["weights"].copy(), BLOCK["pre"].copy()
    block = WeightBlock(**BLOCK | {"weights": weights, "pre": pre})
    weights[...], pre[...] = 0, 0
    assert block.weights.tolist() == BLOCK["weights"].tolist()
    assert block.pre.tolist() == [0, 2]
    assert (block.weights.dtype, block.pre.dtype) == (np.int16, np.int32)
    assert not block.weights.flags.writeable
    assert not block.pre.flags.writeable
    with pytest.raises(FrozenInstanceError):
        block.weight_exp = 0


def test_block_takes_the_sign_mode_by_name():
    block = WeightBlock(**BLOCK | {"sign_mode": "mixed"})
    assert block.sign_mode is SignMode.MIXED


BLOCK_REFUSED = [
    ({"source": "output"}, "source: got 'output', need one of input, recurrent"),
    ({"sign_mode": "both"}, "sign_mode: got 'both', need one of mixed, excitatory"),
    ({"weight_exp": 8}, "weight_exp: got 8, need -8 to 7"),
    ({"weight_exp": -9}, "weight_exp: got -9, need -8 to 7"),
    ({"num_weight_bits": 9}, "num_weight_bits: got 9, need 1 to 8"),
    ({"num_weight_bits": 0}, "num_weight_bits: got 0, need 1 to 8"),
    ({"weights": np.zeros(3)}, "weights: got shape (3,), need 2 axes"),
    (
        {"weights": np.array([[256, 0]])},
        "weights: got 256 at [0, 0], need -256 to 255; raise weight_exp or clip",
    ),
    (
        {"weights": np.array([[0, -2]]), "sign_mode": SignMode.EXCITATORY},
        "weights: got -2 at [0, 1], need 0 to 255",
    ),
    (
        {"weights": np.array([[0, 2]]), "sign_mode": SignMode.INHIBITORY},
        "weights: got 2 at [0, 1], need -255 to 0",
    ),
    (
        {"weights": np.array([[-256, 0]]), "sign_mode": SignMode.INHIBITORY},
        "weights: got -256 at [0, 0], need -255 to 0",
    ),
    (
        {"weights": np.array([[2, 3]])},
        "weights: got 3 at [0, 1], need multiples of 2 (8 bits, mixed)",
    ),
    (
        {
            "weights": np.array([[8, 12]]),
            "num_weight_bits": 5,
            "sign_mode": SignMode.EXCITATORY,
        },
        "weights: got 12 at [0, 1], need multiples of 8 (5 bits, excitatory)",
    ),
    ({"pre": np.array([0])}, "pre: got shape (1,), need (2,) (column of weights)"),
    ({"pre": np.array([-1, 0])}, "pre: got -1 at [0], need 0 to 2147483647"),
    ({"pre": np.array([2, 2])}, "pre: got [2, 2], need ascending indices"),
]


@pytest.mark.parametrize(("changes", "text"), BLOCK_REFUSED)
def test_block_refusals(changes, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        WeightBlock(**BLOCK | changes)


def test_limits_of_the_chip_are_does_not_fit():
    with pytest.raises(DoesNotFit):
        WeightBlock(**BLOCK | {"weights": np.array([[2, 3]])})
    with pytest.raises(DoesNotFit):
        FixedPointNetwork(**NETWORK | {"du": np.array([0, 0, 4096])})


def test_sizes_and_types():
    net = FixedPointNetwork(**NETWORK)
    assert (net.n, net.n_in, net.n_out) == (3, 1, 2)
    assert {name: getattr(net, name).dtype for name in DTYPES} == DTYPES


@pytest.mark.parametrize("name", DTYPES)
def test_arrays_are_read_only_copies(name):
    given = NETWORK[name].copy()
    kept = getattr(FixedPointNetwork(**NETWORK | {name: given}), name)
    given[...] = 0
    assert kept.tolist() == NETWORK[name].tolist()
    assert not kept.flags.writeable


def test_it_is_frozen_and_its_blocks_are_a_tuple():
    net = FixedPointNetwork(**NETWORK | {"blocks": [WeightBlock(**BLOCK)]})
    assert isinstance(net.blocks, tuple)
    with pytest.raises(FrozenInstanceError):
        net.dt = 1.0


def test_a_volt_of_current_is_as_much_of_u_as_reaches_v_in_a_step():
    per_volt = FixedPointNetwork(**NETWORK).u_per_volt
    assert per_volt.tolist() == [0, 1e7 * 100 / 4096, 1e7 * 4095 / 4096]


def test_without_a_start_it_powers_up_at_zero():
    given = {k: v for k, v in NETWORK.items() if k not in ("u0", "v0", "f0")}
    net = FixedPointNetwork(**given)
    for name in ("u0", "v0", "f0"):
        assert getattr(net, name).tolist() == [0, 0, 0]
        assert getattr(net, name).dtype == DTYPES[name]


def test_no_noise_and_no_blocks():
    net = FixedPointNetwork(**NETWORK | {"noise_exp": None, "blocks": ()})
    assert not net.noisy
    assert net.noise_exp.shape == (3,)


def outside(name, low, high):
    too_low, too_high = NETWORK[name].astype(int), NETWORK[name].astype(int)
    too_low[1], too_high[2] = low - 1, high + 1
    return [
        ({name: too_low}, f"{name}: got {low - 1} at [1], need {low} to {high}"),
        ({name: too_high}, f"{name}: got {high + 1} at [2], need {low} to {high}"),
    ]


NETWORK_REFUSED = [
    *outside("du", 0, 4095),
    *outside("dv", 0, 4095),
    *outside("vth", 0, 131071),
    *outside("bias_mant", -4096, 4095),
    *outside("bias_exp", -16, 7),
    *outside("refractory", 0, 63),
    *outside("u0", 1 - 2**23, 2**23 - 1),
    *outside("v0", 1 - 2**23, 2**23 - 1),
    ({"u0": np.zeros(2)}, "u0: got shape (2,), need (3,) (neuron)"),
    ({"u0": np.array([0, 2**23, 0])}, "need -8388607 to 8388607; lower state_scale"),
    ({"f0": np.array([0, 1, np.nan])}, "f0: got nan at [2], need finite numbers"),
    ({"du": np.zeros((1, 3))}, "du: got shape (1, 3), need 1 axes"),
    ({"dv": np.zeros(2)}, "dv: got shape (2,), need (3,) (neuron)"),
    ({"n_in": 0}, "n_in: got 0, need 1 to"),
    ({"noise_exp": 24}, "noise_exp: got 24 at [0], need 0 to 23"),
    ({"current_noise_exp": -1}, "current_noise_exp: got -1 at [0], need 0 to 23"),
    ({"current_noise_exp": [1, 2]}, "current_noise_exp: got shape (2,), need (3,)"),
    ({"state_scale": 0.0}, "state_scale: got 0.0 at [0], need numbers greater than 0"),
    ({"input_scale": -1.0}, "input_scale: got -1.0, need numbers greater than 0"),
    ({"dt": 0.0}, "dt: got 0.0, need numbers greater than 0"),
    ({"v_reset": np.zeros(2)}, "v_reset: got shape (2,), need (3,) (neuron)"),
    ({"w_out": np.zeros(3)}, "w_out: got shape (3,), need 2 axes"),
    ({"w_out": np.ones((2, 2))}, "w_out: got shape (2, 2), need (2, 3)"),
    ({"b_out": np.zeros(3)}, "b_out: got shape (3,), need (2,) (output)"),
    ({"tau_out": np.zeros(3)}, "tau_out: got 0.0 at [0], need numbers greater than 0"),
    (
        {"blocks": (WeightBlock(**BLOCK | {"weights": np.array([[2, 4]])}),)},
        "blocks[0].weights: got 1 rows, need 3 (post × pre)",
    ),
    (
        {"blocks": (WeightBlock(**BLOCK | {"pre": np.array([0, 3])}),)},
        "blocks[0].pre: got index 3, need less than 3 (source recurrent)",
    ),
    (
        {"blocks": (*NETWORK["blocks"], WeightBlock(**BLOCK | {"source": "input"}))},
        "blocks[1].pre: got index 2, need less than 1 (source input)",
    ),
]


@pytest.mark.parametrize(("changes", "text"), NETWORK_REFUSED)
def test_network_refusals(changes, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        FixedPointNetwork(**NETWORK | changes)


def test_blocks_must_be_blocks():
    with pytest.raises(TypeError, match=r"blocks\[0\]: got dict, need WeightBlock"):
        FixedPointNetwork(**NETWORK | {"blocks": ({},)})
