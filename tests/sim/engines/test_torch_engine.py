"""The torch engine against the reference engine, which must give the same bits."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from benchmarks.engine.random_networks import random_messages, random_network
from isotau.convert.chip.arithmetic import SignMode
from isotau.convert.records.chip_state import ChipState
from isotau.convert.records.fixedpoint import WeightBlock
from isotau.convert.records.spikes import unpack
from isotau.convert.simulate import chip_tensors
from isotau.sim.engines import reference, torch_engine
from isotau.sim.engines.diagnostics import ChipOverflow
from isotau.sim.engines.engine import check

M = 2**23
COUNTS = ("sum_wraps", "u_wraps", "v_low", "v_high")
WORST = (-(2**31), 2**31 - 1, -3 * M, -M - 1, -M, -1, 0, 1, M, M + 1, 3 * M)


@pytest.fixture
def densely(monkeypatch):
    """Sum by matrix products, as on a CUDA device, however few neurons spike."""
    monkeypatch.setattr(chip_tensors, "SPARSE", 2**40)


def varied(rng, *, extreme):
    """Return a random network, with delays, resets and binary inputs, and messages."""
    n = int(rng.integers(1, 40))
    net = random_network(rng, n, extreme=extreme, bare=bool(rng.random() < 0.3))
    blocks = tuple(
        replace(block, delay=int(delay), binary=bool(rng.random() < 0.4))
        for block, delay in zip(
            net.blocks, rng.choice([0, 0, 1, 2, 9, 62], len(net.blocks)), strict=True
        )
    )
    net = replace(
        net,
        blocks=blocks,
        reset_interval=int(rng.choice([0, 0, 1, 7])),
        reset_offset=int(rng.integers(20)),
    )
    batch = int(rng.integers(1, 6))
    return net, random_messages(rng, net, 75, batch, extreme=extreme)


def assert_same(got, expected):
    """Every spike, number, state and count that the runs have is the same."""
    np.testing.assert_array_equal(got.spikes.bits, expected.spikes.bits)
    for name in ("u", "v"):
        x, y = getattr(got, name), getattr(expected, name)
        assert (x is None) == (y is None)
        if x is not None:
            assert x.dtype == np.int32
            np.testing.assert_array_equal(x, y)
    for name, x, y in zip(ChipState._fields, got.state, expected.state, strict=True):
        np.testing.assert_array_equal(x, y, err_msg=name)
        assert name == "step" or x.dtype == np.int32
    assert (got.overflow is None) == (expected.overflow is None)
    for name in COUNTS if got.overflow else ():
        x, y = getattr(got.overflow, name), getattr(expected.overflow, name)
        assert x.dtype == np.int64
        np.testing.assert_array_equal(x, y, err_msg=name)


def compared(net, messages, device="cpu", **arguments):
    """Run both engines, compare everything, return the torch engine's run."""
    arguments = {"record": ("u", "v"), "count_overflow": True} | arguments
    got = torch_engine.run(net, messages, device=device, **arguments)
    assert_same(got, reference.run(net, messages, **arguments))
    return got


def drumming(*weights, n=40, exponents, **changes):
    """Return a network of recurrent blocks whose biases make it spike often."""
    rng = np.random.default_rng(0)
    net = random_network(rng, n, extreme=False, bare=True)
    blocks = tuple(
        WeightBlock(
            source="recurrent",
            pre=np.arange(n),
            weights=np.full((n, n), weight),
            weight_exp=exponent,
            num_weight_bits=8,
            sign_mode=SignMode.EXCITATORY,
        )
        for weight, exponent in zip(weights, exponents, strict=True)
    )
    fields = {"blocks": blocks, "bias_mant": rng.integers(500, 4000, n)} | changes
    return replace(net, **fields)


@pytest.mark.parametrize("extreme", [False, True])
def test_same_bits_as_the_reference(device, extreme):
    spikes, overflow = [], dict.fromkeys(COUNTS, 0)
    for seed in range(24):
        net, messages = varied(np.random.default_rng(seed), extreme=extreme)
        trial = 2**32 - messages.shape[1] if seed % 2 else seed
        run = compared(net, messages, device, seed=seed << 40, first_trial=trial)
        spikes.append(unpack(run.spikes.bits, net.n).mean())
        for name in COUNTS:
            overflow[name] += int(getattr(run.overflow, name).sum())
    assert 0.02 < np.mean(spikes) < 0.5
    if extreme:
        assert min(overflow.values()) > 500
    else:
        assert overflow["sum_wraps"] == 0


@pytest.mark.parametrize("seed", range(10))
def test_any_state_is_a_start(device, seed):
    """u, v and what is under way may be any 32 bits; one wrap does not tame them."""
    rng = np.random.default_rng(seed)
    net, messages = varied(rng, extreme=seed % 2 == 1)
    shape = (messages.shape[1], net.n)
    state = ChipState(
        u=rng.choice(WORST, shape).astype(np.int32),
        v=rng.choice(WORST, shape).astype(np.int32),
        rest=rng.integers(0, 64, shape).astype(np.int32),
        ring=rng.choice(WORST, (net.slots, *shape)).astype(np.int32),
        step=int(rng.integers(2**31)),
    )
    compared(net, messages, device, state=state)


@pytest.mark.parametrize("du", [0, 20, 300])
@pytest.mark.parametrize(
    ("message", "away"),
    [(1032, False), (1100, True), (4100, True), (33000, True), (2**31 - 1, False)],
)
def test_an_input_that_drives_u_away(message, away, du):
    """Where 64·254·message exceeds the 2M that one wrap takes off, u runs away.

    The last message is −1 to a sum of 32 bits.
    """
    block = WeightBlock(
        source="input",
        pre=np.array([0]),
        weights=np.array([[254], [-254]]),
        weight_exp=0,
        num_weight_bits=8,
        sign_mode=SignMode.MIXED,
    )
    net = drumming(n=2, exponents=(), du=np.full(2, du))
    net = replace(net, blocks=(block,), n_in=1)
    run = compared(net, np.full((150, 1, 1), message))
    assert (np.abs(run.u.astype(np.int64)).max() > M) == away


@pytest.mark.parametrize("room", [1, 3000])
def test_windows_do_not_show(monkeypatch, room):
    """With room for one step, or a few, between two transfers."""
    monkeypatch.setattr(torch_engine, "CHUNK_BYTES", room)
    for seed in range(4):
        net, messages = varied(np.random.default_rng(seed), extreme=seed > 1)
        compared(net, messages, seed=seed)


def test_a_run_in_parts_is_one_run():
    for seed in range(6):
        net, messages = varied(np.random.default_rng(seed), extreme=seed % 2 == 1)
        whole = torch_engine.run(net, messages, seed=3)
        parts, state = [], None
        for cut in (slice(0, 1), slice(1, 40), slice(40, None)):
            run = torch_engine.run(net, messages[cut], seed=3, state=state)
            state = run.state
            parts.append(run.spikes.bits)
        np.testing.assert_array_equal(np.concatenate(parts), whole.spikes.bits)
        for x, y in zip(state, whole.state, strict=True):
            np.testing.assert_array_equal(x, y)


def test_a_state_goes_from_engine_to_engine(device):
    for seed in range(6):
        net, messages = varied(np.random.default_rng(seed), extreme=seed % 2 == 1)
        whole = reference.run(net, messages, record=("u",))
        first = reference.run(net, messages[:20])
        second = torch_engine.run(
            net, messages[20:50], state=first.state, device=device
        )
        third = reference.run(net, messages[50:], state=second.state, record=("u",))
        np.testing.assert_array_equal(third.u, whole.u[50:])
        np.testing.assert_array_equal(third.spikes.bits, whole.spikes.bits[50:])
        assert third.state.step == 75


@pytest.mark.parametrize("neurons", [None, [4], [2, 3, 4], [5, 0, 5], []])
@pytest.mark.parametrize("record", [(), ("v",), ("v", "u")])
def test_some_neurons_are_recorded(neurons, record):
    rng = np.random.default_rng(5)
    net = random_network(rng, 9, extreme=False)
    chosen = None if neurons is None else np.array(neurons, dtype=np.int64)
    messages = random_messages(rng, net, 30, 3, extreme=False)
    run = compared(net, messages, record=record, neurons=chosen, count_overflow=False)
    assert (run.u is None) == ("u" not in record)


@pytest.mark.usefixtures("densely")
def test_same_bits_by_matrix_products():
    for seed in range(10):
        net, messages = varied(np.random.default_rng(seed), extreme=seed % 2 == 1)
        compared(net, messages)


@pytest.mark.usefixtures("densely")
@pytest.mark.parametrize("precision", ["high", "medium"])
def test_same_bits_at_reduced_precision(device, precision):
    """One block of 8 bits is exact in bfloat16; two on each other, of 14, are not.

    Rounding shows only on hardware that has TF32 or sums of bfloat16.
    """
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision(precision)
        for exponents in ((0,), (0, 5), (-3, 1)):
            net = drumming(
                *[255, 253][: len(exponents)],
                n=64,
                exponents=exponents,
                du=np.full(64, 2000),
                noise_exp=15,
            )
            nothing = np.zeros((40, 64, net.n_in), dtype=int)
            run = compared(net, nothing, device)
            assert unpack(run.spikes.bits, net.n).mean() > 0.1
    finally:
        torch.set_float32_matmul_precision(before)


def test_nobody_spikes_and_everybody_spikes():
    for bias, share in ((0, 0.0), (4095, 1.0)):
        net = drumming(
            100,
            exponents=(-8,),
            n=20,
            bias_mant=np.full(20, bias),
            bias_exp=np.full(20, 7),
        )
        run = compared(net, np.zeros((10, 3, net.n_in), dtype=int))
        assert unpack(run.spikes.bits, 20).mean() == share


def test_a_network_without_connections():
    net = drumming(exponents=())
    compared(net, np.ones((10, 3, net.n_in), dtype=int))


def test_strict():
    rng = np.random.default_rng(1)
    net, messages = varied(rng, extreme=True)
    with pytest.raises(ChipOverflow) as expected:
        reference.run(net, messages, strict=True, first_trial=7)
    with pytest.raises(ChipOverflow, match=re.escape(str(expected.value))):
        torch_engine.run(net, messages, strict=True, first_trial=7)
    calm = drumming(1, exponents=(0,))
    nothing = np.zeros((10, 1, calm.n_in), dtype=int)
    run = torch_engine.run(calm, nothing, strict=True)
    assert run.overflow.u_wraps.sum() == 0


def test_nothing_of_torch_is_changed():
    """The engine leaves gradients, precision and random numbers as they were."""
    before = torch.get_float32_matmul_precision(), torch.get_rng_state()
    net = drumming(3, exponents=(0,), noise_exp=9)
    torch_engine.run(net, np.zeros((3, 2, net.n_in), dtype=int))
    assert torch.is_grad_enabled()
    assert torch.get_float32_matmul_precision() == before[0]
    assert torch.equal(torch.get_rng_state(), before[1])


@pytest.mark.parametrize("device", ["cuda:99", "mps", "gpu", "cpu:1"])
def test_a_device_that_is_not_there(device):
    net = drumming(3, exponents=(0,))
    nothing = np.zeros((3, 2, net.n_in), dtype=int)
    with pytest.raises(ValueError, match=f"device: got '{device}', need one of cpu"):
        torch_engine.run(net, nothing, device=device)


@pytest.mark.skipif(torch.cuda.is_available(), reason="torch finds a CUDA device")
def test_without_a_cuda_device():
    net = drumming(3, exponents=(0,))
    text = "device: got 'cuda', need one of cpu; another needs its hardware"
    with pytest.raises(ValueError, match=text):
        torch_engine.run(net, np.zeros((3, 2, net.n_in), dtype=int), device="cuda")


def test_steps_that_the_noise_has_not():
    net = drumming(3, exponents=(0,), noise_exp=9)
    nothing = np.zeros((2, 1, net.n_in), dtype=int)
    late = torch_engine.run(net, nothing[:1]).state._replace(step=2**32 - 1)
    with pytest.raises(ValueError, match="steps: got 4294967295 to 4294967296"):
        torch_engine.run(net, nothing, state=late)


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
        expected.append(torch_engine.may_wrap(check(net, messages)))
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
    assert not torch_engine.may_wrap(check(net, np.zeros((3, 1, net.n_in), dtype=int)))
