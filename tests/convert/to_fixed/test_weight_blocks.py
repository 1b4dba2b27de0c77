import re

import numpy as np
import pytest

from isotau.convert.chip.arithmetic import SignMode
from isotau.convert.ground.errors import DoesNotFit
from isotau.convert.to_fixed.weight_blocks import (
    QuantizeConfig,
    bits_of,
    clipped,
    largest_weight,
    weight_blocks,
)


def dense(blocks, shape):
    """Return the weights that blocks stand for, and the half step at each entry."""
    total, half = np.zeros(shape), np.zeros(shape)
    for block in blocks:
        value = block.weights * 2.0**block.weight_exp
        assert not (total[:, block.pre] * (value != 0)).any(), "a weight in two blocks"
        total[:, block.pre] += value
        step = 2.0 ** (8 - block.num_weight_bits + block.weight_exp)
        half[:, block.pre] += (value != 0) * step / 2
    return total, half


def one_group(wanted, **chosen):
    rows, columns = np.zeros(wanted.shape[0], int), np.zeros(wanted.shape[1], int)
    config = QuantizeConfig(**chosen)
    return weight_blocks("recurrent", wanted, rows, columns, config)


def heavy(rng, n=60, times=40.0):
    wanted = rng.standard_normal((n, n)) * 3
    wanted[7, 9] = times * np.abs(wanted).max()
    wanted[3, 2] = -times * np.abs(wanted).max()
    return wanted


@pytest.mark.parametrize("bits", [8, 6, 4, 3])
def test_one_large_weight_does_not_zero_the_others(bits):
    wanted = heavy(np.random.default_rng(bits))
    lost = {}
    for outliers in ("keep", "split", "clip"):
        have, _ = dense(
            one_group(wanted, outliers=outliers, num_weight_bits=bits), wanted.shape
        )
        lost[outliers] = np.mean(have == 0)
        if outliers == "clip":
            limits = np.percentile(wanted[wanted > 0], 99.0)
            assert limits < 20
            assert have.max() == pytest.approx(limits, rel=2.0 ** (1 - bits))
        else:
            assert have[7, 9] == pytest.approx(wanted[7, 9], rel=2.0 ** (1 - bits))
            assert have[3, 2] == pytest.approx(wanted[3, 2], rel=2.0 ** (1 - bits))
    assert lost["keep"] > 0.25
    even, _ = dense(
        one_group(np.clip(wanted, -9, 9), outliers="keep", num_weight_bits=bits),
        wanted.shape,
    )
    assert lost["split"] <= np.mean(even == 0) + 0.05
    assert lost["clip"] <= np.mean(even == 0) + 0.05


def test_split_weights_are_the_nearest_of_their_block():
    wanted = heavy(np.random.default_rng(1))
    have, half = dense(one_group(wanted), wanted.shape)
    kept = have != 0
    assert (np.abs(have - wanted)[kept] <= half[kept] * (1 + 1e-12)).all()


@pytest.mark.parametrize("bits", [8, 6, 4])
def test_even_weights_stay_in_two_blocks(bits):
    wanted = np.random.default_rng(0).standard_normal((80, 80))
    blocks = one_group(wanted, num_weight_bits=bits)
    assert [b.sign_mode for b in blocks] == [SignMode.EXCITATORY, SignMode.INHIBITORY]
    kept = one_group(wanted, num_weight_bits=bits, outliers="keep")
    for block, same in zip(blocks, kept, strict=True):
        np.testing.assert_array_equal(block.weights, same.weights)
        assert block.weight_exp == same.weight_exp


def test_three_magnitudes_come_into_three_blocks():
    rng = np.random.default_rng(2)
    wanted = rng.uniform(1, 2, (100, 100)) / 20
    wanted[0, :40] *= 1e3
    wanted[0, 0] *= 3e2
    blocks = one_group(wanted)
    assert len(blocks) == 3
    have, half = dense(blocks, wanted.shape)
    assert (np.abs(have - wanted) <= half).all()


def test_each_pair_of_populations_has_its_own_exponent():
    rng = np.random.default_rng(3)
    scale = np.array([[100.0, 800.0], [10.0, 3000.0]])
    groups = np.repeat([0, 1], [30, 10])
    wanted = rng.uniform(0.5, 1, (40, 40)) * scale[groups[:, None], groups[None, :]]
    blocks = weight_blocks("recurrent", wanted, groups, groups, QuantizeConfig())
    assert len(blocks) == 4
    found = {}
    for block in blocks:
        rows = np.unique(groups[block.weights.any(axis=1)])
        columns = np.unique(groups[block.pre])
        assert len(rows) == len(columns) == 1
        found[rows[0], columns[0]] = block.weight_exp
        assert block.weights.max() > 127
    assert len(set(found.values())) == 4
    have, half = dense(blocks, wanted.shape)
    assert (np.abs(have - wanted) <= half).all()


def test_the_largest_weight_is_held_and_nothing_beyond_it():
    for bits in (1, 4, 8):
        top = float(largest_weight(bits))
        (block,) = one_group(np.array([[top]]), num_weight_bits=bits)
        assert block.weight_exp == 7
        text = f"need at most {top:.0f}; lower state_scale"
        with pytest.raises(DoesNotFit, match=re.escape(text)):
            one_group(np.array([[2 * top]]), num_weight_bits=bits)


def test_no_weights_make_no_blocks():
    assert one_group(np.zeros((4, 3))) == ()


def squared_error(blocks, wanted):
    return np.square(dense(blocks, wanted.shape)[0] - wanted).sum()


@pytest.mark.parametrize("bits", range(1, 9))
def test_fit_is_the_best_of_all_exponents(bits):
    """And so never worse than the exponent of the largest weight."""
    rng = np.random.default_rng(bits)
    better = 0
    for size in (1e-3, 1.0, 900.0):
        wanted = size * rng.standard_t(2, (12, 15))
        error = squared_error(
            one_group(wanted, num_weight_bits=bits, outliers="fit"), wanted
        )
        steps, step = 1 << bits, 1 << (8 - bits)
        best = 0.0
        for part in (np.maximum(wanted, 0), np.maximum(-wanted, 0)):
            best += min(
                np.square(
                    step * np.rint(part / unit).clip(0, steps - 1) * 2.0**e - part
                ).sum()
                for e in range(-8, 8)
                for unit in [step * 2.0**e]
            )
        assert error == pytest.approx(best, rel=1e-9)
        if np.abs(wanted).max() <= largest_weight(bits):
            kept = one_group(wanted, num_weight_bits=bits, outliers="keep")
            assert error <= squared_error(kept, wanted)
            better += error < 0.9 * squared_error(kept, wanted)
    assert better or bits > 3


def test_fit_cuts_what_no_exponent_holds():
    (block,) = one_group(np.array([[1.0, 1e6]]), outliers="fit")
    assert block.weight_exp == 7 and block.weights.max() == 255


def test_one_bit_is_nothing_or_one_magnitude():
    wanted = np.random.default_rng(0).standard_normal((30, 30))
    for outliers in ("fit", "keep"):
        blocks = one_group(wanted, num_weight_bits=1, outliers=outliers)
        assert [set(np.unique(b.weights)) for b in blocks] == [{0, 128}, {-128, 0}]


def test_bits_come_by_name_and_the_finer_name_wins():
    named = {"recurrent": 3, "recurrent.inhibitory": 5, "input.excitatory": 2}
    expected = {
        ("recurrent", SignMode.EXCITATORY): 3,
        ("recurrent", SignMode.INHIBITORY): 5,
        ("input", SignMode.EXCITATORY): 2,
        ("input", SignMode.INHIBITORY): 8,
    }
    assert {kind: bits_of(named, *kind) for kind in expected} == expected
    assert {bits_of(4, *kind) for kind in expected} == {4}
    wanted = np.random.default_rng(0).standard_normal((9, 9))
    for outliers in ("split", "keep", "clip", "fit"):
        blocks = one_group(wanted, num_weight_bits=named, outliers=outliers)
        for block in blocks:
            assert block.num_weight_bits == expected["recurrent", block.sign_mode]


@pytest.mark.parametrize(
    ("match", "bits"),
    [
        ("num_weight_bits: got 'recurent', need one of input, rec", {"recurent": 4}),
        (r"num_weight_bits\['input'\]: got 0, need 1 to 8", {"input": 0}),
        ("num_weight_bits: got 9, need 1 to 8", 9),
    ],
)
def test_bits_are_checked(match, bits):
    with pytest.raises(ValueError, match=match):
        QuantizeConfig(num_weight_bits=bits)


@pytest.mark.parametrize("outliers", ["split", "keep", "clip", "fit"])
def test_clipped_weights_are_those_off_by_more_than_half_a_step(outliers):
    rng = np.random.default_rng(4)
    wanted = heavy(rng) if outliers == "split" else rng.standard_normal((60, 60))
    blocks = one_group(wanted, num_weight_bits=2, outliers=outliers)
    have, half = dense(blocks, wanted.shape)
    expected = (have != 0) & (np.abs(have - wanted) > half * (1 + 1e-6))
    np.testing.assert_array_equal(clipped("recurrent", blocks, wanted), expected)
    assert expected.any() == (outliers in ("clip", "fit"))
    assert (np.abs(have) < np.abs(wanted))[expected].all()
    assert not clipped("input", blocks, wanted).any()
