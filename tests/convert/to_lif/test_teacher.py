"""`Teacher`: what it shows, what it asks for, and what it makes of a fit."""

import dataclasses

import numpy as np
import pytest
from scipy.signal import lfilter

from isotau.convert.neuron.activation import activate
from isotau.convert.neuron.lif_constants import LIFConstants
from isotau.convert.records.rate import RateRNN
from isotau.convert.records.spikes import Spikes, pack
from isotau.convert.to_lif.teacher import CalibrateConfig, LinearFit, Teacher

NEURON = LIFConstants(unit=2e-3, v_leak=-38e-3, burn_in=0.0)
N = 6


def some_net(rank=0, **changed):
    rng = np.random.default_rng(rank)
    m, n = rng.standard_normal((2, N, rank))
    fields = {
        "w_rec": m @ n.T / N if rank else rng.standard_normal((N, N)),
        "w_in": rng.standard_normal((N, 2)),
        "w_out": rng.standard_normal((2, N)),
        "bias": rng.standard_normal(N),
        "b_out": np.array([0.5, -0.5]),
        "tau": np.linspace(0.02, 0.07, N),
        "dale": np.zeros(N, dtype=np.int8),
        "activation": "tanh",
        "noise_std": 0.0,
        "dt": 0.005,
        "x0": rng.standard_normal(N),
        "m_vectors": m,
        "n_vectors": n,
    }
    return RateRNN(**(fields | changed))


def teacher_of(net, neuron=NEURON, **changed):
    return Teacher(net, neuron, CalibrateConfig(**({"swing": 0.01} | changed)), seed=0)


def some_fit(rows, seed=1):
    rng = np.random.default_rng(seed)
    return LinearFit(rng.standard_normal((rows, N)), rng.standard_normal(rows))


def test_states_are_joined_by_straight_lines():
    net = some_net()
    slope = np.random.default_rng(2).standard_normal((3, N))
    x = np.arange(5)[:, None, None] * slope
    shown = np.array(list(teacher_of(net).currents(x)))
    middles = (np.arange(20) + 0.5)[:, None, None] / 5
    assert shown.shape == (20, 3, N)
    np.testing.assert_allclose(shown, 2e-3 * (middles * slope - net.bias), atol=1e-12)


@pytest.mark.parametrize("rank", [0, 2])
def test_what_is_to_be_learned_is_the_drive_filtered_as_spikes_are(rank):
    net, rng = some_net(rank), np.random.default_rng(3)
    teacher, x = teacher_of(net), rng.standard_normal((31, 4, N))
    raster = rng.random((150, 4, N)) < 0.05
    spikes = Spikes(bits=pack(raster), n=N, dt=1e-3, engine="test")
    outputs = rng.standard_normal((30, 4, 2))
    lesson = teacher.lesson(spikes, x, outputs)
    matrix = net.n_vectors / N if rank else net.w_rec.T
    # One pole of the middle time constant, in equilibrium with the first state.
    keep = np.exp(-0.005 / 0.045)
    drive = np.tanh((x[1:] + x[:-1]) / 2) @ matrix
    before = np.tanh(x[:1]) @ matrix
    target, _ = lfilter([1 - keep], [1, -keep], drive, axis=0, zi=keep * before)
    flat = target.reshape(120, -1)
    np.testing.assert_allclose(lesson.drive.y, flat.mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(lesson.drive.yy, (flat**2).mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(lesson.output.y, outputs.mean(axis=(0, 1)), atol=1e-12)
    # Spikes for the outputs pass each neuron's own filter, as they do in `read_out`.
    for moments, taus in ((lesson.drive, np.full(N, 0.045)), (lesson.output, net.tau)):
        f = np.empty(raster.shape)
        for k, tau in enumerate(taus):
            one = np.exp(-1e-3 / tau)
            start = np.full((1, 4), one * teacher.f0[k])
            train = raster[:, :, k].astype(float)
            pole = [(1 - one) / 1e-3], [1, -one]
            f[:, :, k], _ = lfilter(*pole, train, axis=0, zi=start)
        expected = f[4::5].reshape(120, N)
        np.testing.assert_allclose(moments.f, expected.mean(axis=0), rtol=1e-5)
        np.testing.assert_allclose(
            moments.ff, expected.T @ expected / 120, rtol=1e-4, atol=1e-2
        )


@pytest.mark.parametrize("rank", [0, 2])
def test_steady_rates_and_inputs_give_the_drive_that_was_fitted(rank):
    """A spike adds w to i, which loses its share q in a step: rates f give w f dt/q."""
    net = some_net(rank)
    fit, output = some_fit(rank or N), some_fit(2, seed=2)
    lif = teacher_of(net).network(fit, output)
    f, u = np.linspace(0, 80, N), np.array([0.3, -2.0])
    q = 1 - np.exp(-1e-3 / net.tau)
    spread = net.m_vectors if rank else np.eye(N)
    wanted = spread @ (fit.weights @ f + fit.offset) + net.bias + net.w_in @ u
    i = lif.w_rec @ f * 1e-3 / q + lif.w_in @ u / q
    np.testing.assert_allclose(i + lif.v_leak, -38e-3 + 2e-3 * wanted, atol=1e-12)
    np.testing.assert_array_equal(lif.w_out, output.weights)
    np.testing.assert_array_equal(lif.b_out, output.offset)
    np.testing.assert_array_equal(lif.tau_syn, net.tau)


@pytest.mark.parametrize("fitted", [False, True])
@pytest.mark.parametrize("rank", [0, 2])
def test_trials_start_at_the_drive_of_x0(rank, fitted):
    net = some_net(rank)
    fits = (some_fit(rank or N), some_fit(2)) if fitted else (None, None)
    lif = teacher_of(net).network(*fits)
    np.testing.assert_allclose(lif.v_leak + lif.i0, -38e-3 + 2e-3 * net.x0, atol=1e-12)
    assert ((NEURON.v_reset <= lif.v0) & (lif.v0 < NEURON.v_th)).all()
    assert np.ptp(lif.v0) > 0.01
    assert bool(lif.w_rec.any()) == fitted


def test_the_prior_of_the_neurons_own_curve_is_its_unit_rate():
    """r of the "lif" activation is the rate over 50 Hz, and f0 follows from x0."""
    net = some_net(activation="lif", x0=np.full(N, 5.0))
    teacher = teacher_of(net, LIFConstants())
    assert teacher.gain == pytest.approx(1 / 50, rel=1e-9)
    np.testing.assert_allclose(teacher.f0, 50 * activate(net.x0, "lif"), rtol=1e-6)


def test_the_lag_shortens_time_constants_down_to_a_step():
    lif = teacher_of(some_net(), lag=0.045).network(None, None)
    expected = [0.001, 0.001, 0.001, 0.005, 0.015, 0.025]
    np.testing.assert_allclose(lif.tau_syn, expected, atol=1e-12)


@pytest.mark.parametrize(
    ("changed", "keep_signs", "signed"),
    [
        ({}, None, False),
        ({}, True, True),
        ({"w_rec": np.tri(N)}, None, True),
        ({"w_rec": np.tri(N)}, False, False),
        ({"w_rec": np.ones((N, N)), "dale": np.ones(N)}, None, True),
    ],
)
def test_signs_are_kept_where_they_mean_something(changed, keep_signs, signed):
    assert teacher_of(some_net(**changed), keep_signs=keep_signs).signed is signed


def test_a_low_rank_network_cannot_keep_its_signs():
    net = some_net(2)
    assert not teacher_of(net).signed
    with pytest.raises(
        ValueError, match="keep_signs: got True for a network of rank 2"
    ):
        teacher_of(net, keep_signs=True)
    bare = dataclasses.replace(
        net, m_vectors=np.zeros((N, 0)), n_vectors=np.zeros((N, 0))
    )
    assert teacher_of(bare, keep_signs=True).signed
