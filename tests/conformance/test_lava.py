"""Real Lava gives the reference engine's bits: spikes, u and v of every step."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.engine.random_networks import (
    random_block,
    random_messages,
    random_network,
)
from isotau.convert.chip import arithmetic
from isotau.convert.chip.arithmetic import SignMode
from isotau.convert.records.fixedpoint import FixedPointNetwork, WeightBlock
from isotau.sim.engines import reference
from isotau.targets.on_lava.to_lava import LavaLoad, lava_running, run_lava

STOCK, OWN = "stock", "own"
"""Networks for Lava's own neurons, and those with noise or refractory periods."""
RANDOM = [(neuron, seed) for neuron in (STOCK, OWN) for seed in range(32)]
"""Of every two, the first is extreme: there are delays, binary inputs and resets."""
STEPS = 100
CHIPS = ("loihi1", "loihi2")


def network(n, n_in, blocks, *, noise_exp=None, refractory=0, **registers):
    """Return a network of the given registers; what the chip does not see is 0 or 1."""
    return FixedPointNetwork(
        blocks=tuple(blocks),
        n_in=n_in,
        noise_exp=noise_exp,
        refractory=np.broadcast_to(refractory, n),
        **{name: np.broadcast_to(value, n) for name, value in registers.items()},
        state_scale=1.0,
        v_reset=np.zeros(n),
        input_scale=1.0,
        dt=1e-3,
        w_out=np.zeros((1, n)),
        b_out=np.zeros(1),
        tau_out=np.ones(n),
    )


def random_case(neuron, seed, largest=300):
    """Return a network, and messages for 1 to 3 trials."""
    rng = np.random.default_rng([seed, neuron == OWN])
    n, extreme = int(rng.integers(1, largest + 1)), seed % 2 == 0
    net = random_network(rng, n, extreme=extreme, bare=neuron == STOCK)
    return net, random_messages(rng, net, STEPS, 1 + seed % 3, extreme=extreme)


def assert_same_bits(net, messages, chip="loihi2"):
    chosen = {"seed": 2**63 + 5, "first_trial": 3, "record": ("u", "v")}
    ours = reference.run(net, messages, **chosen)
    lavas = run_lava(net, messages, chip=chip, **chosen)
    np.testing.assert_array_equal(lavas.u, ours.u)
    np.testing.assert_array_equal(lavas.v, ours.v)
    np.testing.assert_array_equal(lavas.spikes.bits, ours.spikes.bits)
    assert (lavas.u.dtype, lavas.v.dtype) == (np.int32, np.int32)
    assert (lavas.spikes.engine, lavas.spikes.n) == ("lava", net.n)
    assert lavas.spikes.network == ours.spikes.network


@pytest.mark.lava
@pytest.mark.parametrize("neuron", [STOCK, OWN])
def test_loads_side_by_side_are_runs_of_their_own(neuron):
    """Of other lengths, seeds and trial numbers, in one Lava."""
    net, messages = random_case(neuron, 2, largest=40)
    loads = [
        LavaLoad(messages, seed=2**63 + 5, first_trial=3),
        LavaLoad(messages[:30, :2][::-1], seed=7),
        LavaLoad(messages[:71, :1], first_trial=1),
    ]
    with lava_running(net, loads, record=("v",)) as job:
        runs = job.finish()
    for load, run in zip(loads, runs, strict=True):
        ours = reference.run(
            net, load.messages, seed=load.seed, first_trial=load.first_trial,
            record=("v",),
        )  # fmt: skip
        assert ours.v.any()
        np.testing.assert_array_equal(run.spikes.bits, ours.spikes.bits)
        np.testing.assert_array_equal(run.v, ours.v)
        assert run.u is None


def test_the_random_networks_reach_the_extremes():
    cases = [random_case(*named) for named in RANDOM]
    runs = [reference.run(*case, record=("u", "v")) for case in cases]
    limit = arithmetic.STATE_LIMIT
    assert sum(run.spikes.bits.any() for run in runs) > 60
    assert any(run.v.min() == 1 - limit for run in runs)
    assert any(
        np.abs(np.diff(run.u.astype(np.int64), axis=0)).max() > limit for run in runs
    )
    assert any(np.abs(run.u.astype(np.int64)).max() > limit for run in runs)
    sizes = [net.n for net, _ in cases]
    assert min(sizes) < 10 and max(sizes) > 290
    for half in (cases[:32], cases[32:]):
        blocks = [(net, block) for net, _ in half for block in net.blocks]
        assert {net.reset_interval for net, _ in half} >= {0, 1, 7, 50}
        assert {block.delay for _, block in blocks} >= {0, 1, 2, 7, 62}
        assert any(block.binary and block.source == "input" for _, block in blocks)


@pytest.mark.lava
@pytest.mark.parametrize(("neuron", "seed"), RANDOM[::8])
def test_small_random_networks(neuron, seed):
    chip = CHIPS[seed // 8 % 2]
    assert_same_bits(*random_case(neuron, seed, largest=60), chip)


@pytest.mark.lava
@pytest.mark.long
@pytest.mark.parametrize(("neuron", "seed"), RANDOM)
def test_random_networks(neuron, seed):
    assert_same_bits(*random_case(neuron, seed), CHIPS[seed // 2 % 2])


@pytest.mark.lava
@pytest.mark.slow
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("neuron", [STOCK, OWN])
def test_two_hundred_neurons(neuron, batch):
    rng = np.random.default_rng(200 + batch)
    net = random_network(rng, 200, extreme=False, bare=neuron == STOCK)
    assert_same_bits(net, random_messages(rng, net, 500, batch, extreme=False))


@pytest.mark.lava
@pytest.mark.slow
def test_five_hundred_neurons_at_the_extremes():
    rng = np.random.default_rng(500)
    net = random_network(rng, 500, extreme=True)
    assert_same_bits(net, random_messages(rng, net, 300, 1, extreme=True))


@pytest.mark.lava
@pytest.mark.parametrize("neuron", [STOCK, OWN])
@pytest.mark.parametrize(("interval", "offset"), [(1, 0), (10, 3), (10, 23)])
def test_resets(neuron, interval, offset):
    rng = np.random.default_rng(12)
    drawn = random_network(rng, 20, extreme=False, bare=neuron == STOCK)
    net = replace(drawn, reset_interval=interval, reset_offset=offset)
    messages = random_messages(rng, net, 60, 2, extreme=False)
    plain, reset = (reference.run(which, messages) for which in (drawn, net))
    assert (plain.spikes.bits != reset.spikes.bits).any()
    assert_same_bits(net, messages)


@pytest.mark.lava
@pytest.mark.parametrize("interval", [0, 10])
@pytest.mark.parametrize("neuron", [STOCK, OWN])
@pytest.mark.parametrize("extreme", [False, True])
def test_start_states(extreme, neuron, interval):
    rng = np.random.default_rng([14, extreme, interval])
    drawn = random_network(rng, 20, extreme=extreme, bare=neuron == STOCK)
    high = arithmetic.STATE_LIMIT if extreme else 1 << 17
    net = replace(
        drawn,
        u0=rng.integers(1 - high, high, 20),
        v0=rng.integers(1 - high, high, 20),
        reset_interval=interval,
        reset_offset=4,
    )
    messages = random_messages(rng, net, 40, 2, extreme=extreme)
    started = reference.run(net, messages)
    rested = reference.run(replace(net, u0=np.zeros(20), v0=np.zeros(20)), messages)
    assert (started.spikes.bits != rested.spikes.bits).any()
    assert_same_bits(net, messages)


@pytest.mark.lava
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("delay", [1, 5, arithmetic.DELAY_MAX])
def test_delays_and_binary_inputs(delay, batch):
    rng = np.random.default_rng(13)
    drawn = random_network(rng, 20, extreme=False, bare=True)
    kinds = [{"delay": delay}, {"delay": delay}, {"binary": True}, {}]
    net = replace(
        drawn,
        blocks=tuple(
            replace(b, **kind) for b, kind in zip(drawn.blocks, kinds, strict=True)
        ),
    )
    net = replace(
        net, blocks=(*net.blocks, replace(net.blocks[1], delay=2, binary=True))
    )
    assert_same_bits(net, random_messages(rng, net, 150, batch, extreme=False))


@pytest.mark.lava
@pytest.mark.slow
@pytest.mark.parametrize("chip", CHIPS)
def test_input_as_spikes(chip):
    """A raster of booleans, by connections that are binary and by graded ones."""
    rng = np.random.default_rng(15)
    drawn = random_network(rng, 20, extreme=False, bare=True)
    blocks = tuple(
        replace(b, binary=b.source == "input", weight_exp=2, delay=k)
        for k, b in enumerate(drawn.blocks)
    )
    net = replace(drawn, blocks=blocks, bias_mant=np.zeros(20))
    raster = rng.random((60, 2, net.n_in)) < 0.3
    spiking = reference.run(net, raster).spikes.bits
    assert spiking.any()
    assert_same_bits(net, raster, chip)
    graded = replace(net, blocks=tuple(replace(b, binary=False) for b in blocks))
    np.testing.assert_array_equal(run_lava(graded, raster).spikes.bits, spiking)
    np.testing.assert_array_equal(run_lava(net, 7 * raster).spikes.bits, spiking)


@pytest.mark.lava
@pytest.mark.parametrize("batch", [1, 2])
def test_a_delayed_sum_beyond_32_bits_wraps_before_it_is_shifted(batch):
    block = WeightBlock(
        source="input",
        pre=np.arange(3),
        weights=np.full((2, 3), 2),
        weight_exp=-8,
        num_weight_bits=8,
        sign_mode=SignMode.EXCITATORY,
        delay=3,
    )
    net = network(2, 3, [block], du=100, dv=100, vth=9000, bias_mant=1, bias_exp=0)
    messages = np.full((20, batch, 3), 2**30 - 1)
    assert_same_bits(net, messages)


@pytest.mark.lava
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("sources", ["", "input", "recurrent", "silent"])
def test_missing_and_silent_connections(sources, batch):
    rng = np.random.default_rng(7)
    n, n_in = 9, 2
    wired = {"silent": ["input", "recurrent"], "": []}.get(sources, [sources])
    blocks = [random_block(rng, s, n, n_in, extreme=False) for s in wired]
    if sources == "silent":
        blocks = [
            WeightBlock(
                source=block.source,
                pre=block.pre,
                weights=np.zeros_like(block.weights),
                weight_exp=0,
                num_weight_bits=8,
                sign_mode=SignMode.MIXED,
            )
            for block in blocks
        ]
    net = network(
        n,
        n_in,
        blocks,
        du=400,
        dv=100,
        vth=900,
        bias_mant=100 * np.arange(n),
        bias_exp=7,
    )
    messages = rng.integers(0, 100, (60, batch, n_in))
    assert reference.run(net, messages).spikes.bits.any()
    assert_same_bits(net, messages)


@pytest.mark.lava
def test_refractory_period_without_noise_and_noise_without_refractory_period():
    rng = np.random.default_rng(11)
    drawn = random_network(rng, 17, extreme=False, bare=True)
    names = ("du", "dv", "vth", "bias_mant", "bias_exp")
    registers = {name: getattr(drawn, name) for name in names}
    messages = random_messages(rng, drawn, 100, 2, extreme=False)
    for more in ({"refractory": 4}, {"noise_exp": 14}):
        net = network(17, drawn.n_in, drawn.blocks, **registers, **more)
        assert_same_bits(net, messages)


@pytest.mark.lava
def test_one_step_and_one_neuron():
    net = network(1, 1, [], du=0, dv=0, vth=0, bias_mant=1, bias_exp=0)
    run = run_lava(net, np.zeros((1, 1, 1), dtype=np.int64))
    assert run.spikes.bits.tolist() == [[[1]]]
    assert run.u is None
    assert run.v is None
