"""The reference engine against a neuron-by-neuron model in Python's own integers.

The model below is written from the description of Lava 0.10.0's fixed-point LIF and
shares no line with the engine: no arrays, no shifts, one loop per sum.
"""

import dataclasses
import math

import numpy as np
import pytest

from isotau.convert.chip.arithmetic import SignMode, on_grid
from isotau.convert.chip.philox import noise_samples
from isotau.convert.records.fixedpoint import FixedPointNetwork, WeightBlock
from isotau.convert.records.spikes import unpack
from isotau.sim.engines import reference

M = 2**23


def int32(x):
    return (x + 2**31) % 2**32 - 2**31


def scaled(x, exponent):
    return int32(x * 2**exponent if exponent >= 0 else x // 2**-exponent)


def truncated(x, factor):
    """Return x·factor/4096 toward zero."""
    return math.copysign(1, x * factor) * (abs(x * factor) // 4096)


def simulate(net, messages, noise):
    """Run one trial; return spikes, u and v of every step as lists of lists."""
    n = net.n
    u, v, rest = [0] * n, [0] * n, [0] * n
    waiting_spikes, waiting_messages = [0] * n, [0] * net.n_in
    history = {"spikes": [], "u": [], "v": []}
    for t, message in enumerate(messages):
        arriving = [0] * n
        for block in net.blocks:
            source = waiting_spikes if block.source == "recurrent" else waiting_messages
            for post in range(n):
                total = 0
                for column, pre in enumerate(block.pre):
                    total += int(block.weights[post, column]) * source[pre]
                arriving[post] += scaled(int32(total), block.weight_exp)
        fired = [0] * n
        for i in range(n):
            kept = int(truncated(u[i], 4096 - (int(net.du[i]) + 1)))
            u[i] = int32(kept + int32(int32(arriving[i]) * 64))
            if u[i] > M:
                u[i] -= 2 * M
            elif u[i] <= -M:
                u[i] += 2 * M
            bias = scaled(int(net.bias_mant[i]), int(net.bias_exp[i]))
            kept = int(truncated(v[i], 4096 - int(net.dv[i])))
            v[i] = int32(kept + u[i] + bias + noise[t][i])
            v[i] = max(1 - M, min(M - 1, v[i]))
            if rest[i]:
                v[i], rest[i] = 0, rest[i] - 1
            if v[i] > 64 * int(net.vth[i]):
                fired[i], v[i], rest[i] = 1, 0, int(net.refractory[i])
        waiting_spikes, waiting_messages = fired, list(message)
        for name, value in (("spikes", fired), ("u", u), ("v", v)):
            history[name].append(list(value))
    return history


def block(rng, source, channels, n, mode, extreme):
    bits = int(rng.integers(1, 9))
    columns = int(rng.integers(1, channels + 1))
    weights = rng.integers(-256, 256, (n, columns))
    sparse = weights * (rng.random((n, columns)) < (1 if extreme else 0.3))
    low, high = (-8, 8) if extreme else (-2, 3)
    return WeightBlock(
        source=source,
        pre=np.sort(rng.choice(channels, columns, replace=False)).astype(np.int32),
        weights=on_grid(sparse, bits, mode).astype(np.int16),
        weight_exp=int(rng.integers(low, high)),
        num_weight_bits=bits,
        sign_mode=mode,
    )


def network(rng, *, n=12, n_in=2, extreme=False, noise_exp=None):
    modes = list(SignMode)
    blocks = [block(rng, "recurrent", n, n, mode, extreme) for mode in modes]
    blocks += [block(rng, "input", n_in, n, modes[rng.integers(3)], extreme)]
    vth = [0, 1, 131071, 100] if extreme else [100, 400, 800]
    return FixedPointNetwork(
        blocks=tuple(blocks),
        n_in=n_in,
        du=rng.integers(0, 4096, n).astype(np.uint16),
        dv=rng.integers(0, 4096 if extreme else 400, n).astype(np.uint16),
        vth=rng.choice(vth, n).astype(np.int32),
        bias_mant=rng.integers(-4096, 4096, n).astype(np.int16),
        bias_exp=rng.integers(-16 if extreme else -4, 8 if extreme else 2, n).astype(
            np.int8
        ),
        refractory=rng.integers(0, 5, n).astype(np.uint8),
        noise_exp=noise_exp,
        state_scale=1e6,
        v_reset=np.zeros(n),
        input_scale=1.0,
        dt=0.001,
        w_out=np.ones((1, n)),
        b_out=np.zeros(1),
        tau_out=np.full(n, 0.02),
    )


def silent(**changes):
    """Return two unconnected neurons that only an input can move."""
    fields = {
        "blocks": (
            WeightBlock(
                source="input",
                pre=np.array([0], dtype=np.int32),
                weights=np.array([[2], [0]], dtype=np.int16),
                weight_exp=0,
                num_weight_bits=8,
                sign_mode=SignMode.MIXED,
            ),
        ),
        "n_in": 1,
        "du": np.array([4095, 4095], dtype=np.uint16),
        "dv": np.array([0, 0], dtype=np.uint16),
        "vth": np.array([10, 10], dtype=np.int32),
        "bias_mant": np.zeros(2, dtype=np.int16),
        "bias_exp": np.zeros(2, dtype=np.int8),
        "refractory": np.zeros(2, dtype=np.uint8),
        "noise_exp": None,
        "state_scale": 1e6,
        "v_reset": np.zeros(2),
        "input_scale": 1.0,
        "dt": 0.001,
        "w_out": np.ones((1, 2)),
        "b_out": np.zeros(1),
        "tau_out": np.full(2, 0.02),
    }
    return FixedPointNetwork(**fields | changes)


def one_channel(*values):
    return np.array(values, dtype=np.int32).reshape(-1, 1, 1)


def raster(run):
    return unpack(run.spikes.bits, run.spikes.n)


@pytest.mark.parametrize("noise_exp", [None, 1, 12, 20])
@pytest.mark.parametrize("extreme", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_against_plain_integers(seed, extreme, noise_exp):
    rng = np.random.default_rng(seed)
    net = network(rng, extreme=extreme, noise_exp=noise_exp)
    limit = 2**31 if extreme else 200
    messages = rng.integers(-limit, limit, (60, 2, net.n_in)).astype(np.int32)
    run = reference.run(net, messages, seed=seed, record=("u", "v"))
    assert 0.01 < raster(run).mean() < 0.9
    for trial in range(2):
        noise = [[0] * net.n] * 60
        if noise_exp is not None:
            drawn = [noise_samples(seed, t, np.arange(2), net.n) for t in range(60)]
            noise = [[scaled(int(s), noise_exp - 7) for s in d[trial]] for d in drawn]
        expected = simulate(net, messages[:, trial].tolist(), noise)
        assert raster(run)[:, trial].tolist() == expected["spikes"]
        assert run.u[:, trial].tolist() == expected["u"]
        assert run.v[:, trial].tolist() == expected["v"]


def test_extreme_networks_are_extreme():
    """The cases above meet u out of 24 bits, v at its limit and wrapped sums."""
    rng = np.random.default_rng(0)
    net = network(rng, extreme=True)
    messages = rng.integers(-(2**31), 2**31, (60, 2, 2)).astype(np.int32)
    run = reference.run(net, messages, record=("u", "v"))
    assert (np.abs(run.u.astype(np.int64)) > M).any()
    assert (np.abs(run.v) == M - 1).any()


def test_an_input_arrives_one_step_later():
    """2 · 3 · 64 = 384 enters u in the second step; du = 4095 forgets all of it."""
    run = reference.run(silent(), one_channel(3, 0, 0), record=("u", "v"))
    assert run.u[:, 0].tolist() == [[0, 0], [384, 0], [0, 0]]
    assert run.v[:, 0].tolist() == [[0, 0], [384, 0], [384, 0]]
    assert not run.spikes.bits.any()


def test_the_threshold_is_strict_and_the_reset_is_zero():
    run = reference.run(silent(), one_channel(5, 0, -5, 6, 0, 0), record=("v",))
    # 640 is not above 10 · 64; 768 is
    assert run.v[:, 0, 0].tolist() == [0, 640, 640, 0, 0, 0]
    assert raster(run)[:, 0, 0].tolist() == [0, 0, 0, 0, 1, 0]


def test_a_spike_takes_one_step_to_the_next_neuron():
    recurrent = WeightBlock(
        source="recurrent",
        pre=np.array([0], dtype=np.int32),
        weights=np.array([[0], [40]], dtype=np.int16),
        weight_exp=0,
        num_weight_bits=8,
        sign_mode=SignMode.EXCITATORY,
    )
    net = silent()
    chain = dataclasses.replace(net, blocks=(*net.blocks, recurrent))
    spikes = raster(reference.run(chain, one_channel(9, 0, 0, 0)))
    assert spikes[:, 0].tolist() == [[0, 0], [1, 0], [0, 1], [0, 0]]


@pytest.mark.parametrize("steps", [0, 1, 2, 5])
def test_refractory_period(steps):
    """With a bias above threshold, a neuron spikes every steps + 1 steps."""
    net = silent(
        bias_mant=np.array([4000, 0], dtype=np.int16),
        refractory=np.array([steps, 0], dtype=np.uint8),
    )
    spikes = raster(reference.run(net, one_channel(*[0] * 20)))
    assert np.flatnonzero(spikes[:, 0, 0]).tolist() == list(range(0, 20, steps + 1))


def test_the_current_goes_on_through_the_refractory_period():
    net = silent(
        du=np.array([2047, 0], dtype=np.uint16),
        refractory=np.array([2, 0], dtype=np.uint8),
    )
    run = reference.run(net, one_channel(100, 0, 0, 0, 0), record=("u", "v"))
    assert run.u[:, 0, 0].tolist() == [0, 12800, 6400, 3200, 1600]
    assert run.v[:, 0, 0].tolist() == [0, 0, 0, 0, 0]
    assert raster(run)[:, 0, 0].tolist() == [0, 1, 0, 0, 1]


def test_noise_does_not_depend_on_the_batch():
    net = network(np.random.default_rng(3), noise_exp=14)
    quiet = np.zeros((40, 6, 2), dtype=np.int32)
    whole = raster(reference.run(net, quiet, seed=9))
    parts = [raster(reference.run(net, quiet[:, :2], seed=9))]
    parts += [raster(reference.run(net, quiet[:, :4], seed=9, first_trial=2))]
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), whole)
    other = raster(reference.run(net, quiet, seed=10))
    assert not np.array_equal(other, whole)
    assert not np.array_equal(whole[:, 0], whole[:, 1])
