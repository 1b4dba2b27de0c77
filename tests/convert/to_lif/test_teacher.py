"""`Teacher`: what it shows, asks for, and makes of a fit; the fits themselves."""

import dataclasses
from itertools import pairwise

import numpy as np
import pytest
from scipy.optimize import lsq_linear
from scipy.signal import lfilter

from isotau.convert.neuron.activation import activate
from isotau.convert.neuron.lif_constants import LIFConstants
from isotau.convert.records.rate import RateRNN
from isotau.convert.records.spikes import Spikes, pack
from isotau.convert.to_lif import teacher as regression
from isotau.convert.to_lif.change_variables import replicate
from isotau.convert.to_lif.teacher import (
    SPREAD,
    CalibrateConfig,
    LinearFit,
    Teacher,
    left_over,
    moments,
    noise_at_rest,
    pool,
    ridge,
    signed_ridge,
)

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
    drive = np.tanh((x[1:] + x[:-1]) / 2) @ matrix
    before = np.tanh(x[:1]) @ matrix
    for kind, part in zip(teacher.kinds, lesson.drives, strict=True):
        # One pole of the kind's time constant, in equilibrium with the first state.
        keep, rows = np.exp(-0.005 / kind.tau), kind.rows
        pole, zi = ([1 - keep], [1, -keep]), keep * before[..., rows]
        target, _ = lfilter(*pole, drive[..., rows], axis=0, zi=zi)
        flat = target.reshape(120, -1)
        np.testing.assert_allclose(part.y, flat.mean(axis=0), atol=1e-12)
        np.testing.assert_allclose(part.yy, (flat**2).mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(lesson.output.y, outputs.mean(axis=(0, 1)), atol=1e-12)
    # Spikes for the outputs pass each neuron's own filter, as they do in `read_out`.
    filters = [np.full(N, kind.tau) for kind in teacher.kinds]
    parts = zip([*lesson.drives, lesson.output], [*filters, net.tau], strict=True)
    for part, taus in parts:
        f = np.empty(raster.shape)
        for k, tau in enumerate(taus):
            one = np.exp(-1e-3 / tau)
            start = np.full((1, 4), one * teacher.f0[k])
            train = raster[:, :, k].astype(float)
            pole = [(1 - one) / 1e-3], [1, -one]
            f[:, :, k], _ = lfilter(*pole, train, axis=0, zi=start)
        expected = f[4::5].reshape(120, N)
        np.testing.assert_allclose(part.f, expected.mean(axis=0), rtol=1e-5)
        np.testing.assert_allclose(
            part.ff, expected.T @ expected / 120, rtol=1e-4, atol=1e-2
        )


def test_units_of_similar_tau_are_of_one_kind():
    net = some_net(0)
    kinds = teacher_of(net).kinds
    assert sorted(np.concatenate([kind.rows for kind in kinds])) == list(range(N))
    ends = [(net.tau[kind.rows].min(), net.tau[kind.rows].max()) for kind in kinds]
    assert all(low < after for (_, low), (after, _) in pairwise(ends))
    for kind in kinds:
        assert kind.tau == np.median(net.tau[kind.rows])
    alike = dataclasses.replace(net, tau=np.full(N, 0.03))
    (kind,) = teacher_of(alike).kinds
    assert kind.rows.tolist() == list(range(N))
    (kind,) = teacher_of(some_net(2)).kinds  # drives along both vectors
    assert kind.rows.tolist() == [0, 1]


@pytest.mark.parametrize("share", [0.0, 1.0, 2.0])
def test_currents_have_the_noise_that_x_has(share):
    net = dataclasses.replace(some_net(0), noise_std=0.2)
    lif = teacher_of(net, current_noise=share).network(None, None)
    rng, x = np.random.default_rng(0), np.zeros((4000, N))
    for _ in range(100):  # (R2) without drive
        x += net.dt / net.tau * -x + 0.2 * rng.standard_normal(x.shape)
    sd = share * teacher_of(net).neuron.unit * x.std(axis=0)
    np.testing.assert_allclose(lif.current_noise_std, sd, rtol=0.05)


def test_units_that_keep_nothing_have_the_noise_of_one_step():
    net = dataclasses.replace(some_net(0), noise_std=0.2)
    for factor in (1.0, 2.5):
        fast = dataclasses.replace(net, tau=np.full(N, net.dt / factor))
        np.testing.assert_allclose(noise_at_rest(fast), 0.2, rtol=1e-12)


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


SAMPLES, M, K = 90, 12, 5
STRENGTHS = [1e-6, 1e-2, 1.0, 30.0]


def some_data(seed=0):
    """Regressors far from zero mean, as firing rates are, and targets they explain."""
    rng = np.random.default_rng(seed)
    f = 50 + 20 * rng.standard_normal((SAMPLES, M)) @ rng.standard_normal((M, M))
    y = 0.01 * f @ rng.standard_normal((M, K)) + rng.standard_normal((SAMPLES, K)) + 3
    prior = 0.01 * rng.standard_normal((K, M)) * (rng.random((K, M)) < 0.7)
    return f, y, prior


def stacked(f, y, prior, strength):
    """The penalized problem as plain least squares: rows of samples, then of prior.

    The last column is the offset, which the prior's rows do not see.
    """
    root = np.sqrt(strength * f.var(axis=0).mean())
    rows = np.column_stack([f, np.ones(len(f))]) / np.sqrt(len(f))
    more = np.column_stack([root * np.eye(M), np.zeros(M)])
    goal = np.concatenate([y / np.sqrt(len(f)), root * prior.T])
    return np.concatenate([rows, more]), goal


def test_moments_are_means_of_products(monkeypatch):
    monkeypatch.setattr(regression, "CHUNK", 7)
    f, y, _ = some_data()
    seen = moments(f.astype(np.float32), y)
    f = f.astype(np.float32).astype(float)
    assert seen.samples == SAMPLES
    np.testing.assert_allclose(seen.f, f.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(seen.y, y.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(seen.ff, np.einsum("si,sj->ij", f, f) / SAMPLES)
    np.testing.assert_allclose(seen.fy, np.einsum("si,sj->ij", f, y) / SAMPLES)
    np.testing.assert_allclose(seen.yy, (y**2).mean(axis=0), rtol=1e-12)


def test_pooled_moments_are_those_of_all_samples():
    f, y, _ = some_data()
    parts = [moments(f[some], y[some]) for some in np.split(np.arange(90), [10, 55])]
    for got, wanted in zip(pool(parts), moments(f, y), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-12)


@pytest.mark.parametrize("strength", STRENGTHS)
def test_ridge_is_least_squares_of_the_stacked_problem(strength):
    f, y, prior = some_data()
    fit = ridge(moments(f, y), prior=prior, strength=strength)
    expected = np.linalg.lstsq(*stacked(f, y, prior, strength), rcond=None)[0].T
    np.testing.assert_allclose(fit.weights, expected[:, :M], rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(fit.offset, expected[:, M], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("strength", STRENGTHS)
def test_signed_ridge_is_least_squares_with_bounds(strength):
    f, y, prior = some_data()
    fit = signed_ridge(moments(f, y), prior=prior, strength=strength)
    for row in range(K):
        rows, goal = stacked(f, y, prior, strength)
        kept = np.append(prior[row] != 0, True)
        low = np.append(np.where(prior[row] > 0, 0.0, -np.inf), -np.inf)[kept]
        high = np.append(np.where(prior[row] < 0, 0.0, np.inf), np.inf)[kept]
        solved = lsq_linear(
            rows[:, kept], goal[:, row], (low, high), tol=1e-14, max_iter=1000
        )
        weights = np.zeros(M)
        weights[kept[:M]] = solved.x[:-1]
        np.testing.assert_allclose(fit.weights[row], weights, atol=1e-6)
        assert fit.offset[row] == pytest.approx(solved.x[-1], abs=1e-4)


def test_signs_and_zeros_are_kept_and_some_bound_binds():
    f, y, prior = some_data()
    weights = signed_ridge(moments(f, y), prior=prior, strength=1e-3).weights
    assert not weights[prior == 0].any()
    assert not (weights * prior < 0).any()
    assert ((weights == 0) & (prior != 0)).any()


def test_where_no_bound_binds_the_two_agree():
    f, _, prior = some_data()
    prior = np.where(prior == 0, 0.01, prior)
    seen = moments(f, f @ prior.T + 1)
    fits = [solve(seen, prior=prior, strength=0.1) for solve in (ridge, signed_ridge)]
    for fit in fits:
        np.testing.assert_allclose(fit.weights, prior, rtol=1e-7)
        np.testing.assert_allclose(fit.offset, 1, atol=1e-6)


@pytest.mark.parametrize("solve", [ridge, signed_ridge])
def test_silent_regressors_leave_the_prior(solve):
    _, y, prior = some_data()
    fit = solve(moments(np.zeros((SAMPLES, M)), y), prior=prior, strength=0.01)
    np.testing.assert_allclose(fit.weights, prior, atol=1e-12)
    np.testing.assert_allclose(fit.offset, y.mean(axis=0))


@pytest.mark.parametrize("solve", [ridge, signed_ridge])
def test_the_units_of_rates_do_not_matter(solve):
    f, y, prior = some_data()
    fit = solve(moments(f, y), prior=prior, strength=0.1)
    scaled = solve(moments(1e3 * f, y), prior=1e-3 * prior, strength=0.1)
    np.testing.assert_allclose(1e3 * scaled.weights, fit.weights, rtol=1e-6, atol=1e-9)


def test_a_row_without_connections_has_an_offset_alone():
    f, y, prior = some_data()
    prior[2] = 0
    fit = signed_ridge(moments(f, y), prior=prior, strength=0.01)
    assert not fit.weights[2].any()
    assert fit.offset[2] == pytest.approx(y[:, 2].mean())


@pytest.mark.parametrize("solve", [ridge, signed_ridge])
def test_what_is_left_over_is_the_residuals_share(solve):
    f, y, prior = some_data()
    seen = moments(f, y)
    fit = solve(seen, prior=prior, strength=0.01)
    rest = y - f @ fit.weights.T - fit.offset
    share = (rest**2).sum() / ((y - y.mean(axis=0)) ** 2).sum()
    assert left_over(seen, fit) == pytest.approx(share, rel=1e-8)
    assert 0 < share < 1


def test_nothing_is_left_over_of_targets_that_do_not_vary():
    f, _, _ = some_data()
    seen = moments(f, np.zeros((SAMPLES, K)))
    assert left_over(seen, LinearFit(np.zeros((K, M)), np.zeros(K))) == 0


QUIET = dataclasses.replace(NEURON, noise_std=0.0)


@pytest.mark.parametrize(
    ("changed", "noise_std", "volts"),
    [({}, 0.0, SPREAD), ({"spread": 0.0}, 0.0, 0.0), ({}, 0.1, 0.0)],
    ids=["by default", "not asked for", "noise keeps them apart"],
)
def test_drives_of_copies_are_spread_where_nothing_keeps_them_apart(
    changed, noise_std, volts
):
    wide = replicate(some_net(noise_std=noise_std), 4)
    teacher = teacher_of(wide, QUIET, **changed)
    leak = teacher.network(None, None).v_leak.reshape(N, 4)
    expected = volts * np.array([-0.75, -0.25, 0.25, 0.75])
    np.testing.assert_allclose(
        leak - leak.mean(axis=1, keepdims=True), [expected] * N, atol=1e-12
    )
    alone = teacher_of(some_net(noise_std=noise_std), QUIET, **changed)
    np.testing.assert_allclose(leak.mean(axis=1), alone.network(None, None).v_leak)
    # The rates at the start are those of these drives.
    spread = np.ptp(teacher.f0.reshape(N, 4), axis=1)
    assert (spread > 0).any() == (volts > 0)


@pytest.mark.parametrize("rank", [0, 2])
def test_copies_that_nothing_tells_apart_are_fitted_as_one(rank):
    """Their lessons are those of units that say what all copies say together."""
    net, rng = some_net(rank, noise_std=0.1), np.random.default_rng(4)
    teacher = teacher_of(replicate(net, 4), QUIET)
    alone = teacher_of(net, QUIET)
    assert teacher.copies == 4
    x = rng.standard_normal((31, 3, 4 * N))
    raster = rng.random((150, 3, 4 * N)) < 0.05
    spikes = Spikes(bits=pack(raster), n=4 * N, dt=1e-3, engine="test")
    outputs = rng.standard_normal((30, 3, 2))
    lesson = teacher.lesson(spikes, x, outputs)
    means = x.reshape(31, 3, N, 4).mean(axis=-1)
    silence = Spikes(
        bits=pack(np.zeros((150, 3, N), bool)), n=N, dt=1e-3, engine="test"
    )
    targets = alone.lesson(silence, means, outputs)
    for kind, part, target in zip(
        alone.kinds, lesson.drives, targets.drives, strict=True
    ):
        np.testing.assert_allclose(part.y, target.y, atol=1e-12)
        np.testing.assert_allclose(part.yy, target.yy, atol=1e-12)
        keep = np.exp(-1e-3 / kind.tau)
        start = keep * teacher.f0 * np.ones((1, 3, 1))
        f, _ = lfilter(
            [(1 - keep) / 1e-3], [1, -keep], raster.astype(float), axis=0, zi=start
        )
        f = f[4::5].reshape(30, 3, N, 4).mean(axis=-1).reshape(90, N)
        np.testing.assert_allclose(part.f, f.mean(axis=0), rtol=1e-5)
        np.testing.assert_allclose(part.ff, f.T @ f / 90, rtol=1e-4, atol=1e-2)
    drive, output, left = teacher.fit([lesson])
    assert 0 < left < 1
    # As many weights as neurons have, a quarter of the unit's for each.
    whole, *_ = alone.fit([lesson])
    repeated = np.repeat(whole.weights, 4, axis=1) / 4
    offsets = whole.offset
    if not rank:
        repeated, offsets = np.repeat(repeated, 4, axis=0), np.repeat(offsets, 4)
    np.testing.assert_allclose(drive.weights, repeated, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(drive.offset, offsets, rtol=1e-9)
    assert output.weights.shape == (2, 4 * N)
    made = teacher.network(drive, output)
    assert (made.n, made.w_rec.shape) == (4 * N, (4 * N, 4 * N))


def test_copies_with_drives_of_their_own_have_weights_of_their_own():
    wide = replicate(some_net(), 4)
    assert teacher_of(wide, QUIET).copies == 1
    assert teacher_of(wide, QUIET, spread=0.0).copies == 4


def test_more_copies_of_some_units_than_of_others_are_no_population():
    net = some_net(noise_std=0.1)
    twice = np.repeat(np.arange(N), [1, 1, 1, 1, 1, 2])
    wide = dataclasses.replace(
        net,
        w_rec=net.w_rec[np.ix_(twice, twice)],
        w_in=net.w_in[twice],
        w_out=net.w_out[:, twice],
        shared_noise=net.shared_noise[twice],
        **{name: getattr(net, name)[twice] for name in ("bias", "tau", "dale", "x0")},
        readout_bias=net.readout_bias[twice],
        m_vectors=net.m_vectors[twice],
        n_vectors=net.n_vectors[twice],
    )
    assert teacher_of(wide, QUIET).copies == 1


def test_membranes_with_noise_need_no_spread():
    assert not teacher_of(replicate(some_net(), 2)).spread.any()


def test_a_spread_below_zero_is_refused():
    with pytest.raises(ValueError, match=r"spread: got -0\.001"):
        CalibrateConfig(spread=-0.001)


@pytest.mark.parametrize("share", [1.0, 0.5, 0.0])
def test_noise_that_units_share_comes_through_channels(share):
    """Each source gives i the SD that it gives x, times the share that is carried."""
    loadings = np.random.default_rng(1).standard_normal((N, 2)) / 10
    net = some_net(shared_noise=np.hstack([loadings, np.zeros((N, 1))]))
    teacher = Teacher(
        net, QUIET, CalibrateConfig(current_noise=share), seed=0, input_peak=2.0
    )
    lif = teacher.network(None, None)
    assert lif.n_shown == 2 and lif.n_in == (4 if share else 2)
    if not share:
        return
    np.testing.assert_array_equal(lif.input_noise_std, [0.5, 0.5])
    kept = 1 - net.dt / net.tau[:, None]
    at_rest = share * 2e-3 * loadings / np.sqrt(1 - kept**2)
    fine = np.exp(-QUIET.dt / net.tau[:, None])
    measured = lif.w_in[:, 2:] * lif.input_noise_std / np.sqrt(1 - fine**2)
    np.testing.assert_allclose(measured, at_rest)
