"""Packed runs of the LIF stage against Norse and plain loops."""

import dataclasses

import numpy as np
import pytest
import torch

from isotau.convert.ground.sparse import sparse_weights
from isotau.convert.records.spikes import unpack
from isotau.convert.simulate import shares
from isotau.convert.simulate.lif_dynamics import respond, simulate_lif
from isotau.convert.simulate.norse_module import LIFModule, StepNoise
from isotau.convert.simulate.readout import filter_spikes
from isotau.convert.simulate.vectors.normals import MEMBRANE, SYNAPSE, Place, normals


def eventful(net, n=70):
    """A network of some groups of neurons, with all that a step has."""
    rng = np.random.default_rng(7)
    tau = rng.uniform(0.005, 0.08, (2, n))
    return dataclasses.replace(
        net,
        w_in=2e-3 * rng.standard_normal((n, 2)),
        w_rec=8e-3 / np.sqrt(n) * rng.standard_normal((n, n)),
        w_out=rng.standard_normal((2, n)),
        tau_syn=tau[0],
        tau_mem=tau[1],
        tau_out=tau[0],
        v_th=rng.uniform(-0.042, -0.038, n),
        v_leak=rng.uniform(-0.045, -0.038, n),
        v_reset=np.full(n, -0.065),
        refractory=np.arange(n) % 4 * 1e-3,
        noise_std=3e-3 * (np.arange(n) % 3 > 0),
        current_noise_std=2e-3 * (np.arange(n) % 2 > 0),
        i0=2e-3 * rng.standard_normal(n),
        v0=rng.uniform(-0.065, -0.05, n),
        f0=np.zeros(n),
        population=np.zeros(n, np.int64),
    )


def norse_spikes(net, inputs, dtype, seed, gain=1.0):
    """Norse's spikes, with the noise of the numpy twin."""
    module = LIFModule(net, dtype=dtype)
    steps, batch, _ = inputs.shape
    parameters, state = module.norse_parameters(), module.initial_state(batch)
    sizes, spikes = module.noise_per_step(), []
    with torch.no_grad():
        for t in range(steps):
            parts = []
            for size, stream in zip(sizes, (MEMBRANE, SYNAPSE), strict=True):
                samples = normals(Place(seed, stream, t), np.arange(batch), net.n)
                samples = torch.tensor(samples).to(dtype)
                parts.append(None if size is None else size * samples)
            noise = StepNoise(*parts)
            x = torch.tensor(inputs[t]).to(dtype)
            state = module.step(x, state, parameters, noise, gain)
            spikes.append(state.lif.z.numpy() > 0)
    return np.array(spikes)


@pytest.mark.parametrize("n", [20, 70, 130])
def test_spikes_are_norses_in_float64(lif_net, n):
    """Sums of 130 weights in another order move v by 1e-16 V: no tie is that near."""
    net = eventful(lif_net, n)
    inputs = np.random.default_rng(0).standard_normal((400, 5, 2))
    run = simulate_lif(net, inputs, seed=3, dtype=np.float64)
    expected = norse_spikes(net, inputs, torch.float64, 3)
    assert 0.01 < expected.mean() < 0.3
    np.testing.assert_array_equal(unpack(run.spikes.bits, n), expected)


def test_spikes_are_norses_in_float32_where_sums_are_exact(lif_net):
    """Weights of a few bits: any order of a sum is the same."""
    net = eventful(lif_net)
    grid = 2.0**-17
    net = dataclasses.replace(
        net,
        w_in=np.rint(net.w_in / grid) * grid,
        w_rec=np.rint(net.w_rec / grid) * grid,
    )
    inputs = np.random.default_rng(0).integers(-2, 3, (400, 5, 2)).astype(float)
    run = simulate_lif(net, inputs, seed=4)
    expected = norse_spikes(net, inputs, torch.float32, 4)
    assert 0.01 < expected.mean() < 0.3
    np.testing.assert_array_equal(unpack(run.spikes.bits, 70), expected)
    half = simulate_lif(net, inputs, seed=4, scalings=[(0.5, 0.0)])
    expected = norse_spikes(net, inputs, torch.float32, 4, gain=0.5)
    np.testing.assert_array_equal(unpack(half.spikes.bits, 70), expected)


def test_sparse_weights_give_the_spikes_of_dense_ones(lif_net):
    net = eventful(lif_net)
    few = np.where(np.random.default_rng(5).random((70, 70)) < 0.2, net.w_rec, 0.0)
    inputs = np.random.default_rng(0).standard_normal((300, 5, 2))
    runs = [
        simulate_lif(
            dataclasses.replace(net, w_rec=weights),
            inputs,
            seed=4,
            scalings=[(1, 0), (1.5, 0)],
        )
        for weights in (few, sparse_weights(few))
    ]
    assert runs[0].spikes.bits.any()
    np.testing.assert_array_equal(*(run.spikes.bits for run in runs))
    np.testing.assert_array_equal(*(run.ranges.i_rms for run in runs))


def test_a_trial_does_not_depend_on_batch_stride_or_threads(lif_net, monkeypatch):
    net = eventful(lif_net)
    inputs = np.random.default_rng(0).standard_normal((120, 40, 2))

    def bits(first, last, **kwargs):
        run = simulate_lif(
            net, inputs[:, first:last], seed=2**64 - 1, burn_in=30, **kwargs
        )
        return run.spikes.bits

    whole = bits(0, 40, threads=1)
    assert whole.any()
    np.testing.assert_array_equal(bits(0, 40, threads=3), whole)
    part = bits(7, 12, threads=2, first_trial=7)
    np.testing.assert_array_equal(part, whole[:, 7:12])
    monkeypatch.setattr(shares, "STRIDE", 7)
    monkeypatch.setattr(shares, "TRIALS", 1)
    np.testing.assert_array_equal(bits(0, 40), whole)


def test_steps_before_the_trial_have_the_noise_of_negative_numbers(lif_net):
    """One neuron that hears its noise alone shows it in v."""
    net = dataclasses.replace(
        eventful(lif_net, 20), w_rec=np.zeros((20, 20)), v_leak=np.full(20, -0.1)
    )
    net = dataclasses.replace(
        net, v0=net.v_leak, i0=np.zeros(20), current_noise_std=0.0
    )
    run = simulate_lif(
        net, np.zeros((1, 3, 2)), seed=9, burn_in=2, record=("v",), dtype=np.float64
    )
    a = 1 - np.exp(-net.dt / net.tau_mem)
    v = np.tile(net.v0, (3, 1))
    for t in (-2, -1, 0):
        noise = normals(Place(9, MEMBRANE, t), np.arange(3), 20)
        v = v + a * (net.v_leak - v) + net.noise_std * np.sqrt(1 - (1 - a) ** 2) * noise
    np.testing.assert_allclose(run.v[0], v, rtol=1e-12)


def test_states_are_recorded_where_and_when_they_are_asked_for(lif_net):
    net = eventful(lif_net)
    net = dataclasses.replace(net, f0=np.full(70, 10.0))
    inputs = np.random.default_rng(0).standard_normal((50, 3, 2))
    run = simulate_lif(net, inputs, seed=1, record=("v", "f", "i"))
    part = simulate_lif(
        net, inputs, seed=1, record=("i", "v", "f"), neurons=[69, 3], every=4
    )
    for name in ("i", "v", "f"):
        whole, some = getattr(run, name), getattr(part, name)
        assert whole.shape == (50, 3, 70)
        np.testing.assert_array_equal(some, whole[3::4, :, [69, 3]])
    fired = unpack(run.spikes.bits, 70)
    assert (run.v[fired] == np.float32(-0.065)).all()
    filtered = filter_spikes(run.spikes, tau=net.tau_out, f0=net.f0)
    np.testing.assert_allclose(run.f, filtered, rtol=1e-4, atol=1e-4)
    assert simulate_lif(net, inputs, seed=1).i is None


def test_spikes_need_not_be_kept(lif_net):
    inputs = np.zeros((30, 2, 2))
    run = simulate_lif(lif_net, inputs, seed=1, keep_spikes=False, record=("v",))
    assert run.spikes.steps == 0
    kept = simulate_lif(lif_net, inputs, seed=1, record=("v",))
    np.testing.assert_array_equal(run.v, kept.v)
    np.testing.assert_array_equal(run.ranges.i_rms, kept.ranges.i_rms)


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"record": ("x",)}, "signals: got 'x', need one of i, v, f"),
        ({"moments": ("x",)}, "signals: got 'x', need one of i, v, f"),
        ({"moments": ("v",), "lags": [2]}, r"lags: got 2 at \[0\], need 1 to 1; run"),
        (
            {"moments": ("v",), "scalings": [(1, 0), (2, 0)]},
            "moments: got 2 scalings, need one; run them",
        ),
        ({"neurons": [20]}, r"neurons: got 20 at \[0\], need 0 to 19"),
        ({"seed": -1}, r"seed: got -1, need 0 to 2\^64 − 1"),
        ({"first_trial": 2**32}, "first_trial: got 4294967296, need 0 to"),
        ({"dtype": np.float16}, "dtype: got 'float16', need one of float32, float64"),
        ({"burn_in": -1}, "burn_in: got -1, need 0 to"),
        ({"threads": 2000}, "threads: got 2000, need 1 to 1024"),
    ],
)
def test_what_cannot_be_run_is_named(lif_net, wrong, text):
    with pytest.raises(ValueError, match=text):
        simulate_lif(lif_net, np.zeros((2, 1, 2)), **({"seed": 0} | wrong))


def test_the_seed_decides_the_noise(lif_net):
    inputs = np.zeros((80, 3, 2))
    runs = [simulate_lif(lif_net, inputs, seed=seed) for seed in (1, 1, 2)]
    first, again, other = (run.spikes.bits for run in runs)
    assert (first == again).all()
    assert (first != other).any()


def test_scalings_share_trials_and_noise(lif_net):
    inputs = np.random.default_rng(1).standard_normal((120, 3, 2))
    both = simulate_lif(
        lif_net,
        inputs,
        seed=4,
        burn_in=20,
        scalings=[(1.0, 0.0), (0.5, 1e-3)],
    ).spikes.bits
    changed = dataclasses.replace(
        lif_net, w_rec=0.5 * lif_net.w_rec, v_leak=lif_net.v_leak + 1e-3
    )
    for part, net in ((both[:, :3], lif_net), (both[:, 3:], changed)):
        alone = simulate_lif(net, inputs, seed=4, burn_in=20)
        # float32 rounds i·0.5 and (0.5·w)·z alike, v_leak + drive nearly so
        assert (alone.spikes.bits != part).mean() < 0.01


def test_burn_in_is_silence_before_the_trial(lif_net):
    quiet = dataclasses.replace(lif_net, noise_std=0.0)
    inputs = np.random.default_rng(2).standard_normal((60, 1, 2))
    led = np.concatenate([np.zeros((30, 1, 2)), inputs])
    whole = simulate_lif(quiet, led, seed=None).spikes.bits
    burnt = simulate_lif(quiet, inputs, seed=None, burn_in=30).spikes.bits
    np.testing.assert_array_equal(burnt, whole[30:])


def test_ranges_bound_what_was_visited(lif_net):
    """A lone pulse: i jumps to w_in·x and v falls below reset by a known amount."""
    net = dataclasses.replace(
        lif_net,
        w_rec=np.zeros((20, 20)),
        w_in=np.full((20, 2), -0.01),
        v_leak=np.full(20, -0.065),
        noise_std=0.0,
        tau_syn=np.full(20, 0.02),
    )
    inputs = np.zeros((200, 1, 2))
    inputs[0] = 1.0
    ranges = simulate_lif(net, inputs, seed=None).ranges
    np.testing.assert_allclose(ranges.i_peak, 0.02, rtol=1e-5)
    a, keep = 1 - np.exp(-0.1), np.exp(-1 / 20)
    v, i, deepest, power = 0.0, 0.02, 0.0, 0.0
    for _ in range(200):
        v, power = (1 - a) * v - a * i, power + i * i
        i, deepest = i * keep, min(deepest, v)
    np.testing.assert_allclose(ranges.v_low, -deepest, rtol=1e-4)
    np.testing.assert_allclose(ranges.i_rms, np.sqrt(power / 200), rtol=1e-4)


def test_wrong_inputs_are_named(lif_net):
    with pytest.raises(ValueError, match=r"inputs: got shape \(9, 1, 3\), need"):
        simulate_lif(lif_net, np.zeros((9, 1, 3)), seed=None)


def start_of(n):
    rng = np.random.default_rng(8)
    return {"i0": 0.01 * rng.standard_normal(n), "v0": rng.uniform(-0.08, -0.02, n)}


def test_every_trial_and_scaling_begins_in_the_start_state(lif_net):
    """A lone step without input: v moves as the equation says, from v0 and i0."""
    net = dataclasses.replace(lif_net, noise_std=0.0, **start_of(20))
    run = simulate_lif(
        net,
        np.zeros((1, 3, 2)),
        seed=None,
        scalings=[(1.0, 0.0), (2.0, 0.0)],
        record=("i",),
    )
    v = net.v0 + (1 - np.exp(-0.1)) * (net.v_leak - net.v0 + net.i0)
    fired = unpack(run.spikes.bits, 20)
    assert 0 < (v > net.v_th).sum() < 20
    assert (fired == (v > net.v_th)).all()
    np.testing.assert_allclose(run.i, np.tile(net.i0, (1, 6, 1)), rtol=1e-6)


@pytest.mark.parametrize("every", [1, 4, 99])
def test_currents_are_those_that_the_spikes_gave(lif_net, every):
    rng = np.random.default_rng(3)
    inputs = rng.standard_normal((60, 2, 2))
    net = dataclasses.replace(lif_net, **start_of(20))
    run = simulate_lif(
        net,
        inputs,
        seed=0,
        record=("i",),
        every=every,
    )
    i, z = np.tile(net.i0, (2, 1)), np.zeros((2, 20))
    for t in range(60):
        i = i + inputs[t] @ net.w_in.T + z @ net.w_rec.T
        if t % every == every - 1:
            got = run.i[t // every]
            np.testing.assert_allclose(got, i, rtol=1e-4, atol=1e-8)
        i = i * np.exp(-1e-3 / net.tau_syn)
        z = unpack(run.spikes.bits[t], 20).astype(float)
    assert run.i.shape == (60 // every, 2, 20)


def test_currents_are_kept_after_the_burn_in_alone(lif_net):
    inputs = np.zeros((20, 1, 2))
    run = simulate_lif(lif_net, inputs, seed=None, burn_in=7, record=("i",), every=5)
    whole = simulate_lif(lif_net, np.zeros((27, 1, 2)), seed=None, record=("i",))
    np.testing.assert_array_equal(run.i, whole.i[11::5])


def test_neurons_respond_as_the_equations_say(lif_net):
    net = dataclasses.replace(
        lif_net,
        noise_std=0.0,
        refractory=np.arange(20) % 4 * 1e-3,
        tau_mem=np.linspace(0.005, 0.02, 20),
        **start_of(20),
    )
    rng = np.random.default_rng(4)
    held = np.repeat(0.015 * rng.standard_normal((20, 3, 20)), 10, axis=0)
    spikes = respond(net, iter(held), steps=200, seed=None)
    v, rest = np.tile(net.v0, (3, 1)), np.zeros((3, 20))
    a, pause = 1 - np.exp(-net.dt / net.tau_mem), np.rint(net.refractory / net.dt)
    expected = np.zeros((200, 3, 20), dtype=bool)
    for t in range(200):
        v = v + a * (net.v_leak - v + held[t])
        v = np.where(rest > 0, net.v_reset, v)
        expected[t] = v > net.v_th
        v = np.where(expected[t], net.v_reset, v)
        rest = np.where(expected[t], pause, np.maximum(rest - 1, 0))
    assert expected.sum() > 300
    np.testing.assert_array_equal(unpack(spikes.bits, 20), expected)
    assert (spikes.n, spikes.dt) == (20, 1e-3)


def test_neurons_respond_to_a_networks_own_currents_as_they_did_in_it(lif_net):
    """Noise included: the same seed draws the same."""
    net = dataclasses.replace(lif_net, **start_of(20))
    inputs = np.random.default_rng(5).standard_normal((100, 3, 2))
    run = simulate_lif(
        net,
        inputs,
        seed=1,
        record=("i",),
    )
    said = []

    def told(steps, what):
        said.append((steps, what))
        return steps

    alone = respond(
        net,
        run.i.astype(float),
        steps=100,
        seed=1,
        progress=told,
    )
    assert said == [(range(1), "neurons under laid-down currents")]
    np.testing.assert_array_equal(alone.bits, run.spikes.bits)
    other = respond(
        net,
        run.i.astype(float),
        steps=100,
        seed=2,
    )
    assert (other.bits != alone.bits).any()


@pytest.mark.parametrize(
    ("given", "got"), [(0, "0 steps"), (9, "9 steps"), (11, "more than 10 steps")]
)
def test_as_many_currents_as_steps_are_needed(lif_net, given, got):
    with pytest.raises(ValueError, match=f"currents: got {got} of them, need 10; give"):
        respond(lif_net, np.zeros((given, 1, 20)), steps=10, seed=None)


def test_currents_of_another_width_are_named(lif_net):
    with pytest.raises(ValueError, match=r"currents: got shape \(1, 19\), need"):
        respond(lif_net, np.zeros((10, 1, 19)), steps=10, seed=None)


def test_an_interval_below_one_is_named(lif_net):
    with pytest.raises(ValueError, match="every: got 0, need 1 to"):
        simulate_lif(lif_net, np.zeros((2, 1, 2)), seed=None, every=0)


def test_ranges_of_synapses_without_memory(lif_net):
    """i before its decay is what arrived, though nothing of it is left afterwards."""
    net = dataclasses.replace(
        lif_net,
        w_rec=np.zeros((20, 20)),
        w_in=np.outer(np.linspace(1, 2, 20), [1e-3, 2e-3]),
        noise_std=0.0,
        tau_syn=np.where(np.arange(20) % 2, 0.02, 1e-3 / 50),
    )
    inputs = np.zeros((10, 1, 2))
    inputs[3] = 1.0
    run = simulate_lif(net, inputs, seed=None, record=("i",))
    peak = 3e-3 * np.linspace(1, 2, 20)
    np.testing.assert_allclose(run.ranges.i_peak, peak, rtol=1e-5)
    np.testing.assert_allclose(run.i[3, 0], peak, rtol=1e-5)
    np.testing.assert_array_equal(run.i[4, 0, ::2], 0.0)
