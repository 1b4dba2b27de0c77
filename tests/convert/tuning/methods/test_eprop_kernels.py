"""The block-wise traces against the textbook's, which go step by step."""

import numpy as np
import pytest
import torch
from norse.torch.functional.threshold import threshold

from isotau.convert.records.lif import LIFNetwork
from isotau.convert.simulate.norse_module import LIFModule
from isotau.convert.simulate.trainable import SURROGATES
from isotau.convert.tuning.forward.dynamics import NorseLoop
from isotau.convert.tuning.methods import eprop_kernels as kernels

N, N_IN, N_OUT, BATCH = 6, 2, 2, 3
STEPS = 2 * kernels.BLOCK + 5
DAMPING = 0.7


@pytest.mark.parametrize("surrogate", SURROGATES)
def test_slopes_are_norses(surrogate):
    x = torch.linspace(-4, 4, 41, dtype=torch.float64, requires_grad=True)
    threshold(x, surrogate, 1.0).sum().backward()
    number = SURROGATES.index(surrogate)
    # Norse has the root of π of "heavi_erfc" in single precision
    found = [kernels.slope_at(float(value), number) for value in x.detach()]
    np.testing.assert_allclose(found, x.grad.numpy(), rtol=1e-7, atol=1e-15)


@pytest.fixture
def net():
    rng = np.random.default_rng(5)
    keep_v, keep_f = rng.uniform(0.9, 0.97, N), rng.uniform(0.9, 0.99, N)
    return kernels.Net(
        w_in=rng.normal(0, 0.5, (N_IN, N)),
        w_rec=rng.normal(0, 0.3, (N, N)),
        w_out=rng.normal(0, 0.05, (N_OUT, N)),
        b_out=rng.normal(0, 0.1, N_OUT),
        feedback=rng.normal(0, 0.05, (N_OUT, N)),
        a_mem=1 - keep_v,
        keep_i=rng.uniform(0.7, 0.95, N),
        keep_v=keep_v,
        keep_f=keep_f,
        jump_f=1e3 * (1 - keep_f),
        v_leak=rng.uniform(0.8, 1.5, N),
        v_th=rng.uniform(0.9, 1.1, N),
        v_reset=rng.uniform(-0.2, 0, N),
        damping=np.full(N, DAMPING),
        rest_steps=np.arange(N) % 4,
    )


@pytest.fixture
def drive():
    rng = np.random.default_rng(6)
    x = rng.normal(0, 0.5, (STEPS, BATCH, N_IN)) * (rng.random((STEPS, BATCH, 1)) < 0.5)
    noise = rng.normal(0, 0.05, (STEPS, BATCH, N))
    targets = rng.normal(0, 1, (STEPS, BATCH, N_OUT))
    return x, noise, targets, rng.random((STEPS, BATCH)) < 0.7


def begun(parts=5):
    state = np.linspace(-0.2, 0.8, N)
    return kernels.start(state, state / 5, 10 * state, (BATCH, N_IN, N_OUT), parts)


def bring(net, now, drive, first=0, last=BATCH, labels=False):
    x, noise, targets, mask = drive
    scored = (targets, mask * 1.0, labels)
    kernels.run_trials(first, last, net, 0, now, x, (noise, 0.5 * noise), *scored)
    return now


def textbook(net, drive, b):
    """Return traces (source × part × neuron), summed errors and counts of one trial."""
    x, noise, targets, mask = (part[:, b] for part in drive)
    first = begun()
    z, rest, counts = np.zeros(N), np.zeros(N, int), np.zeros(N)
    v, i, f = first.v[b].copy(), first.i[b].copy(), first.f[b].copy()
    e_i, e_v, e_f = (np.zeros((N + N_IN, N)) for _ in range(3))
    gradient, by_spikes = np.zeros((N + N_IN, N)), np.zeros((N + N_IN, N))
    by_output = np.zeros((N_OUT, N))
    for t in range(STEPS):
        arriving = np.concatenate([z, x[t]])
        jump = i + 0.5 * noise[t] + x[t] @ net.w_in + z @ net.w_rec
        e_jump = e_i + arriving[:, None]
        v = v + net.a_mem * (net.v_leak - v + jump) + noise[t]
        e_v = (1 - net.a_mem) * e_v + net.a_mem * e_jump
        i, e_i = net.keep_i * jump, net.keep_i * e_jump
        awake = rest == 0
        z = (v > net.v_th) & awake
        eligibility = awake * DAMPING / (1 + np.abs(v - net.v_th)) ** 2 * e_v
        held = z | ~awake
        v, e_v = np.where(held, net.v_reset, v), np.where(held, 0, e_v)
        rest = np.where(z, net.rest_steps, np.maximum(rest - 1, 0))
        f = net.keep_f * f + net.jump_f * z
        e_f = net.keep_f * e_f + net.jump_f * eligibility
        error = mask[t] * (net.w_out @ f + net.b_out - targets[t])
        gradient += error @ net.feedback * e_f
        by_spikes += eligibility
        by_output += error[:, None] * f
        counts += z
    return np.stack([e_i, e_v, e_f, gradient, by_spikes], axis=1), by_output, counts


def test_traces_are_those_of_one_step_after_another(net, drive):
    now = bring(net, begun(), drive)
    for b in range(BATCH):
        traces, by_output, counts = textbook(net, drive, b)
        assert counts.sum() > 20
        assert len(now.traces[b]) == N + N_IN + len(kernels.OWN)
        np.testing.assert_allclose(
            now.traces[b, : N + N_IN], traces, rtol=1e-9, atol=1e-12
        )
        np.testing.assert_allclose(now.by_output[b], by_output, rtol=1e-10)
        np.testing.assert_array_equal(now.counts[b], counts)


def test_part_of_the_trials_leaves_the_others(net, drive):
    whole, parts, untouched = bring(net, begun(), drive), begun(), begun()
    bring(net, parts, drive, 1, 2)
    for found, all_, before in zip(parts, whole, untouched, strict=True):
        np.testing.assert_array_equal(found[1], all_[1])
        np.testing.assert_array_equal(found[::2], before[::2])


def test_a_pause_at_any_step_changes_nothing_but_roundings(net, drive):
    whole, paused = bring(net, begun(), drive), begun()
    for some in (slice(0, 1), slice(1, 70), slice(70, STEPS)):
        bring(net, paused, tuple(part[some] for part in drive))
    for found, expected in zip(paused, whole, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def test_sums_of_outputs_or_of_errors(net, drive):
    *_, targets, mask = drive
    outputs = bring(net, begun(), drive, labels=True).sums
    errors = bring(net, begun(), drive).sums
    wanted = (mask[:, :, None] * targets).sum(axis=0)
    np.testing.assert_allclose(outputs[:, :-1] - wanted, errors[:, :-1], rtol=1e-9)


def test_before_the_trial_nothing_is_read_out(net, drive):
    x, noise, targets, mask = drive
    frozen = net._replace(jump_f=np.zeros(N))
    now = bring(frozen, begun(), (x, noise, targets[:0], mask[:0]))
    full = bring(net, begun(), drive)
    np.testing.assert_array_equal(now.f, begun().f)
    np.testing.assert_array_equal(now.v, full.v)
    np.testing.assert_array_equal(now.traces[:, :, :2], full.traces[:, :, :2])
    assert not now.traces[:, :, 2:].any()
    assert not now.counts.any() and not now.sums.any() and not now.by_output.any()


def test_states_are_those_of_norses_loop(drive):
    rng, dt = np.random.default_rng(8), 1e-3
    lif = LIFNetwork(
        w_in=rng.normal(0, 0.5, (N, N_IN)),
        w_rec=rng.normal(0, 0.3, (N, N)),
        w_out=np.zeros((1, N)),
        b_out=np.zeros(1),
        tau_syn=rng.uniform(3e-3, 2e-2, N),
        tau_mem=rng.uniform(5e-3, 3e-2, N),
        v_th=np.ones(N),
        v_leak=rng.uniform(0.8, 1.5, N),
        v_reset=np.zeros(N),
        refractory=dt * (np.arange(N) % 4),
        noise_std=0.0,
        dt=dt,
    )
    module, x = LIFModule(lif), torch.tensor(drive[0])
    run = NorseLoop().prepare(module)
    with torch.no_grad():
        spikes, state, _ = run.run(x, run.start(BATCH), seed=None, step=0)
    numbers = dict.fromkeys(kernels.Net._fields, np.ones(N)) | {
        "w_in": np.ascontiguousarray(lif.w_in.T),
        "w_rec": np.ascontiguousarray(lif.w_rec.T),
        "w_out": np.zeros((1, N)),
        "feedback": np.zeros((1, N)),
        "b_out": np.zeros(1),
        "a_mem": -np.expm1(-dt / lif.tau_mem),
        "keep_i": np.exp(-dt / lif.tau_syn),
        "keep_v": np.exp(-dt / lif.tau_mem),
        "v_leak": lif.v_leak.copy(),
        "v_th": lif.v_th.copy(),
        "v_reset": lif.v_reset.copy(),
        "rest_steps": np.arange(N) % 4,
    }
    now = kernels.start(*np.zeros((3, N)), (BATCH, N_IN, 1), 5)
    none, targets = np.zeros((0, 0, 0)), np.zeros((STEPS, BATCH, 1))
    bring(kernels.Net(**numbers), now, (drive[0], none, targets, targets[:, :, 0]))
    np.testing.assert_array_equal(now.counts, spikes.sum(dim=0).numpy())
    assert now.counts.sum() > 50
    np.testing.assert_array_equal(now.z, state.z.numpy())
    np.testing.assert_array_equal(now.resting, state.rest.numpy())
    np.testing.assert_allclose(now.v, state.v.numpy(), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(now.i, state.i.numpy(), rtol=1e-10, atol=1e-12)
