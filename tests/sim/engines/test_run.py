"""What all engines check before they start."""

import dataclasses

import numpy as np
import pytest

from benchmarks.engine.random_networks import random_network
from isotau.convert.chip.arithmetic import SignMode
from isotau.convert.records.fixedpoint import WeightBlock
from isotau.sim.engines import compiled, reference, torch_engine
from isotau.sim.engines.run import (
    Overflow,
    check,
    count_payloads,
    initial_state,
    overflowed,
)

NET = random_network(np.random.default_rng(0), 6, extreme=False)


def attempt(**change):
    given = {
        "messages": np.zeros((4, 2, NET.n_in), dtype=np.int64),
        "seed": 0,
        "first_trial": 0,
        "record": (),
        "neurons": None,
        "state": None,
    }
    given |= change
    return check(NET, given.pop("messages"), **given)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"messages": np.zeros((4, 2))}, r"messages: got shape \(4, 2\), need 3 axes"),
        ({"messages": np.zeros((4, 2, 9))}, r"messages: got shape \(4, 2, 9\), need"),
        ({"messages": np.full((4, 2, NET.n_in), 2**31)}, "messages: got 2147483648"),
        ({"seed": 2**64}, "seed: got 18446744073709551616, need 0 to"),
        ({"first_trial": -1}, "first_trial: got -1"),
        ({"record": ("w",)}, "record: got 'w', need one of u, v"),
        ({"neurons": [6]}, r"neurons: got 6 at \[0\], need 0 to 5"),
        ({"state": initial_state(NET, 3)}, r"state.u: got shape \(3, 6\), need \(2, 6"),
    ],
)
def test_what_does_not_fit_is_named(change, said):
    with pytest.raises(ValueError, match=said):
        attempt(**change)


def test_a_network_with_delays_has_room_for_them():
    late = dataclasses.replace(NET.blocks[0], delay=62)
    net = dataclasses.replace(NET, blocks=(late, *NET.blocks[1:]))
    assert initial_state(net, 5).ring.shape == (63, 5, 6)
    assert initial_state(NET, 5).ring.shape == (1, 5, 6)


@pytest.mark.parametrize(
    "engine",
    [reference.run, compiled.run, torch_engine.run],
    ids=lambda e: e.__module__,
)
def test_the_first_step_decays_the_start_state(engine):
    """By hand: u·(4096 − du − 1)/4096 and v·(4096 − dv)/4096, cut towards zero."""
    u0, v0 = [-1000, 1000, 5, 0, 8388607, -8388607], [0, -70, 3000, 40000, 1, -1]
    net = dataclasses.replace(
        NET,
        blocks=(),
        noise_exp=None,
        refractory=np.zeros(6),
        du=np.full(6, 99),
        dv=np.full(6, 200),
        vth=np.full(6, 131071),
        bias_mant=np.arange(6),
        bias_exp=np.zeros(6),
        u0=u0,
        v0=v0,
    )
    run = engine(net, np.zeros((1, 3, NET.n_in), dtype=np.int64), record=("u", "v"))
    for k in range(6):
        u = int(u0[k] * 3996 / 4096)
        v = int(v0[k] * 3896 / 4096) + u + k
        for trial in range(3):
            assert (run.u[0, trial, k], run.v[0, trial, k]) == (u, v)


def test_power_up_is_the_start_state_in_every_trial():
    net = dataclasses.replace(NET, u0=np.arange(6), v0=-np.arange(6))
    state = initial_state(net, 3)
    assert state.u.tolist() == [list(range(6))] * 3
    assert (state.v == -state.u).all()
    assert (state.u.dtype, state.v.dtype) == (np.int32, np.int32)
    assert not state.rest.any() and not state.ring.any() and state.step == 0


def test_only_what_changes_the_dynamics_counts_as_overflow():
    zero, one = np.zeros(3, dtype=np.int64), np.array([0, 1, 0])
    assert not overflowed(Overflow(zero, zero, zero, one))
    assert overflowed(Overflow(one, zero, zero, zero))
    assert overflowed(Overflow(zero, one, zero, zero))
    assert overflowed(Overflow(zero, zero, one, zero))


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


def test_input_blocks_too_wide_for_exact_sums_are_named():
    many = 2**14 + 1
    block = WeightBlock(
        source="input",
        pre=np.arange(many),
        weights=np.zeros((6, many)),
        weight_exp=0,
        num_weight_bits=8,
        sign_mode=SignMode.EXCITATORY,
    )
    net = dataclasses.replace(NET, blocks=(block,), n_in=many)
    with pytest.raises(ValueError, match=r"blocks\[0\].pre: got 16385 input channels"):
        reference.run(net, np.zeros((1, 1, many), dtype=np.int64))
