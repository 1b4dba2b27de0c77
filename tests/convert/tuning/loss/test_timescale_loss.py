"""The timescale term against known processes, brute force and finite differences."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from isotau.convert.records.spikes import Spikes, pack
from isotau.convert.tuning.loss.timescale_loss import (
    LAGS,
    TimescaleTarget,
    estimate,
    loss_of,
    reference_curves,
)
from isotau.sim.timescales.records.autocorrelation import autocorrelation

BIN = 0.05
MEAN, SPREAD, TAU = 4.0, 1.2, 0.15


def drawn(rng, tau, *, trials, n=1, bins=20, spread=SPREAD):
    """Poisson counts whose mean is an AR(1): C(k) = spread² exp(−k·BIN/τ), k ≥ 1."""
    phi = np.exp(-BIN / tau)
    x = rng.standard_normal((bins, trials, n))
    for i in range(1, bins):
        x[i] = phi * x[i - 1] + np.sqrt(1 - phi**2) * x[i]
    return torch.tensor(rng.poisson(np.maximum(MEAN + spread * x, 0)).astype(float))


def known(tau=TAU, *, n=1, lags=8, spread=SPREAD, **weights):
    """The target that `drawn` meets."""
    k = np.arange(1, lags + 1)
    curve = spread**2 * np.exp(-k * BIN / tau)
    return TimescaleTarget(
        covariance=np.repeat(curve[:, None], n, axis=1),
        variance=np.full(n, spread**2 + MEAN),
        mean=np.full(n, MEAN),
        bin_width=BIN,
        reliability=np.ones(n),
        **weights,
    )


def twice(counts):
    """A batch whose halves are equal: its loss is made of plain squares."""
    return torch.cat([counts, counts], dim=1)


def measured(counts, lags=6, **fields):
    """The target that `twice(counts)` meets exactly, by brute force."""
    x = counts.numpy()
    bins, _, n = x.shape
    curve = np.array(
        [
            [
                np.mean(
                    [np.cov(x[i, :, j], x[i + k, :, j])[0, 1] for i in range(bins - k)]
                )
                for j in range(n)
            ]
            for k in range(lags + 1)
        ]
    )
    values = {
        "covariance": curve[1:],
        "variance": curve[0],
        "mean": x.mean(axis=(0, 1)),
        "bin_width": BIN,
        "reliability": np.ones(n),
    }
    return TimescaleTarget(**values | fields)


@pytest.fixture
def counts():
    return drawn(np.random.default_rng(1), TAU, trials=9, n=3, bins=12)


def test_covariances_are_those_of_brute_force(counts):
    expected, moments = measured(counts), estimate(counts, 6)
    covariance = moments.covariance.numpy()
    np.testing.assert_allclose(covariance[1:], expected.covariance, rtol=1e-12)
    np.testing.assert_allclose(covariance[0], expected.variance, rtol=1e-12)
    np.testing.assert_allclose(moments.mean.numpy(), expected.mean, rtol=1e-12)


def test_correlations_are_those_that_are_measured_afterwards():
    many = drawn(np.random.default_rng(2), TAU, trials=4000, n=2)
    covariance = estimate(many, 8).covariance.numpy()
    rho = autocorrelation(many.numpy(), 8)
    np.testing.assert_allclose(covariance[1:] / covariance[0], rho, atol=1e-3)


def test_the_loss_is_zero_on_average_where_the_target_is_met():
    """Squares of the same errors would be 0.02 on average, 30 standard errors off."""
    rng = np.random.default_rng(3)
    target = known(variance_weight=0.5)
    losses, squares = [], []
    for _ in range(3000):
        counts = drawn(rng, TAU, trials=8)
        losses.append(float(loss_of(counts, target)))
        squares.append(float(loss_of(twice(counts), target)))
    error = np.std(losses) / np.sqrt(len(losses))
    assert abs(np.mean(losses)) < 3.5 * error
    assert np.mean(squares) > 30 * error


def test_an_odd_batch_is_unbiased_too():
    rng, target = np.random.default_rng(4), known()
    losses = [float(loss_of(drawn(rng, TAU, trials=5), target)) for _ in range(3000)]
    assert abs(np.mean(losses)) < 3.5 * np.std(losses) / np.sqrt(len(losses))


@pytest.mark.parametrize("bins", [9, 30])
def test_the_loss_of_another_timescale_is_known(bins):
    """The trial's length, which need not be the reference's, does not matter."""
    target = known()
    other = known(0.4).covariance - target.covariance
    expected = np.mean((other / target.variance) ** 2)
    losses = []
    rng = np.random.default_rng(5)
    for _ in range(800):
        losses.append(float(loss_of(drawn(rng, 0.4, trials=60, bins=bins), target)))
    error = np.std(losses) / np.sqrt(len(losses))
    assert expected > 10 * error
    assert np.mean(losses) == pytest.approx(expected, abs=4 * error)


@pytest.mark.parametrize("amplitude", [0.0, 1.0])
def test_the_minimum_lies_at_the_right_timescale(amplitude):
    target = known(amplitude=amplitude)
    taus = TAU * np.array([0.4, 0.7, 1.0, 1.4, 2.5])
    losses = [
        float(loss_of(drawn(np.random.default_rng(6), tau, trials=20000), target))
        for tau in taus
    ]
    assert np.argmin(losses) == 2
    assert losses[2] < 0.1 * min(losses[1], losses[3])


def test_errors_of_amplitude_count_as_often_as_asked(counts):
    met = measured(counts)
    expected = ((met.covariance / 2 / met.variance) ** 2).mean()
    for amplitude in (0.0, 0.3, 1.0):
        target = measured(counts, covariance=met.covariance / 2, amplitude=amplitude)
        got = float(loss_of(twice(counts), target))
        assert got == pytest.approx(amplitude * expected, rel=1e-9, abs=1e-15)


def test_without_amplitude_what_is_left_is_the_angle_between_curves(counts):
    met = measured(counts)
    other = met.covariance[::-1].copy()
    target = measured(counts, covariance=other, amplitude=0.0)
    lengths = (met.covariance**2).sum(axis=0)
    cosine = (met.covariance * other).sum(axis=0) / lengths
    expected = (lengths * (1 - cosine**2) / met.variance**2).mean() / len(other)
    assert float(loss_of(twice(counts), target)) == pytest.approx(expected)


def test_errors_of_mean_and_variance_count_as_often_as_asked(counts):
    met = measured(counts)
    mean = met.mean + np.array([0.1, -0.2, 0.3])
    target = measured(counts, mean=mean, mean_weight=3.0)
    expected = 3.0 * np.mean((met.mean - mean) ** 2 / np.maximum(met.variance, mean))
    assert float(loss_of(twice(counts), target)) == pytest.approx(expected)

    small = met.mean / 4
    target = measured(counts, mean=mean, variance=small, mean_weight=3.0)
    expected = 3.0 * np.mean((met.mean - mean) ** 2 / mean)
    assert float(loss_of(twice(counts), target)) == pytest.approx(expected)

    variance = met.variance * np.array([0.8, 1.25, 1.0])
    target = measured(counts, variance=variance, variance_weight=2.0)
    expected = 2.0 * np.mean([0.25**2, 0.2**2, 0.0])
    assert float(loss_of(twice(counts), target)) == pytest.approx(expected)
    target = measured(counts, variance=variance)
    assert float(loss_of(twice(counts), target)) == pytest.approx(0, abs=1e-15)


def test_weights_multiply_and_neurons_average_by_reliability(counts):
    target = measured(counts, mean=np.zeros(3))
    alone = [
        float(loss_of(twice(counts), replace(target, reliability=np.eye(3)[j])))
        for j in range(3)
    ]
    mixed = replace(target, reliability=np.array([3.0, 0.0, 1.0]), weight=7.0)
    expected = 7.0 * (3 * alone[0] + alone[2]) / 4
    assert float(loss_of(twice(counts), mixed)) == pytest.approx(expected)


def test_neurons_without_reliability_neither_count_nor_learn(counts):
    target = replace(known(n=3), reliability=np.array([1.0, 0.0, 1.0]))
    counts.requires_grad_()
    loss = loss_of(counts, target)
    (gradient,) = torch.autograd.grad(loss, counts)
    assert not gradient[:, :, 1].any() and gradient[:, :, [0, 2]].any()
    other = counts.detach().clone()
    other[:, :, 1] = 50.0
    assert float(loss_of(other, target)) == loss.item()


def test_silence_costs_and_has_a_gradient():
    target = known(n=2, mean_weight=1.0)
    counts = torch.zeros(20, 6, 2, dtype=torch.float64, requires_grad=True)
    loss = loss_of(counts, target)
    curve = target.covariance[:, 0] / target.variance[0]
    square = np.mean(curve**2) + MEAN**2 / target.variance[0]
    assert loss.item() == pytest.approx(2 * np.sqrt(square) - 1)
    (gradient,) = torch.autograd.grad(loss, counts)
    assert torch.isfinite(gradient).all() and (gradient < 0).all()


def test_runaways_are_softened(counts):
    """Ten times the error costs ten times as much, not a hundred times."""
    target = measured(counts, mean=np.zeros(3), mean_weight=1.0)
    sizes = [float(loss_of(twice(counts + shift), target)) for shift in (100.0, 1000.0)]
    assert 8 < sizes[1] / sizes[0] < 10


@pytest.mark.parametrize("amplitude", [0.25, 1.0])
def test_gradients_are_those_of_finite_differences(amplitude):
    target = known(
        n=2, lags=3, amplitude=amplitude, mean_weight=0.7, variance_weight=0.4
    )
    counts = drawn(np.random.default_rng(7), 0.3, trials=5, n=2, bins=5)
    counts[:, :, 1] *= 3.0  # beyond where errors are softened
    assert float(loss_of(counts[:, :, [1]], known(lags=3))) > 1
    counts.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: loss_of(x, target), (counts,))


def test_float32_is_as_good(counts):
    target = known(n=3, amplitude=0.5)
    single = loss_of(counts.float(), target)
    assert single.dtype == torch.float32
    assert float(single) == pytest.approx(float(loss_of(counts, target)), rel=1e-4)


def raster(rng, rates, *, steps=1000, trials=40, dt=1e-3):
    hit = rng.random((steps, trials, len(rates))) < np.array(rates) * dt
    return Spikes(bits=pack(hit), n=len(rates), dt=dt, engine="norse"), hit


def test_reference_curves_are_those_of_the_spikes():
    spikes, hit = raster(np.random.default_rng(8), [20.0, 0.3, 40.0, 0.0])
    target = reference_curves(spikes, weight=2.0, amplitude=0.5, mean_weight=0.1)
    assert target.lags == LAGS and target.bin_width == pytest.approx(BIN)
    assert (target.weight, target.amplitude, target.mean_weight) == (2.0, 0.5, 0.1)
    np.testing.assert_array_equal(target.reliability, [1, 0, 1, 0])
    counts = torch.tensor(hit.reshape(20, 50, 40, 4).sum(axis=1).astype(float))
    expected = measured(counts, lags=LAGS, reliability=target.reliability)
    np.testing.assert_allclose(target.covariance, expected.covariance, atol=1e-12)
    np.testing.assert_allclose(target.variance, expected.variance, atol=1e-12)
    np.testing.assert_allclose(target.mean, expected.mean, atol=1e-12)
    assert float(loss_of(twice(counts), target)) == pytest.approx(0, abs=1e-12)


def test_min_rate_decides_who_counts():
    spikes, _ = raster(np.random.default_rng(9), [20.0, 0.3, 40.0])
    np.testing.assert_array_equal(
        reference_curves(spikes, min_rate=30.0, lags=3).reliability, [0, 0, 1]
    )
    np.testing.assert_array_equal(
        reference_curves(spikes, min_rate=0.0, lags=3).reliability, [1, 1, 1]
    )


def test_references_that_cannot_serve_are_refused():
    rng = np.random.default_rng(10)
    silent, _ = raster(rng, [0.0, 0.0])
    with pytest.raises(
        ValueError, match=r"spikes: got no neuron that varies and .*1 H"
    ):
        reference_curves(silent)
    short, _ = raster(rng, [20.0], steps=700)
    with pytest.raises(ValueError, match=r"bins: got 14, need more than 14 \(the lags"):
        reference_curves(short)
    lone, _ = raster(rng, [20.0], trials=1)
    with pytest.raises(ValueError, match=r"trials: got 1, need at least 2; run more"):
        reference_curves(lone)
    with pytest.raises(ValueError, match=r"min_rate: got -1.0, need numbers of at"):
        reference_curves(silent, min_rate=-1.0)
    with pytest.raises(ValueError, match=r"lags: got 0, need 1 to"):
        reference_curves(silent, lags=0)


def test_batches_that_do_not_fit_the_target_are_refused(counts):
    with pytest.raises(
        ValueError, match=r"timescales: got targets of 2 neurons, ne.* 3"
    ):
        loss_of(counts, known(n=2))
    with pytest.raises(
        ValueError, match=r"trials: got 3 without input, need at least 4"
    ):
        loss_of(counts[:, :3], known(n=3))
    with pytest.raises(ValueError, match=r"bins: got 8, need more than 8 \(the lags\)"):
        loss_of(counts[:8], known(n=3))


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"amplitude": 1.5}, r"amplitude: got 1.5, need 0 to 1"),
        ({"amplitude": -0.1}, r"amplitude: got -0.1, need numbers of at least 0"),
        ({"weight": 0.0}, r"weight: got 0.0, need numbers greater than 0"),
        ({"mean_weight": -1.0}, r"mean_weight: got -1.0, need numbers of at least 0"),
        ({"variance_weight": np.nan}, r"variance_weight: got nan, need finite"),
        ({"bin_width": 0.0}, r"bin_width: got 0.0, need numbers greater than 0"),
        ({"reliability": np.zeros(2)}, r"reliability: got 0 for every neuron, need on"),
        ({"variance": np.array([1.0, 0.0])}, r"variance: got 0 at \[1\], need more wh"),
        ({"mean": np.ones(3)}, r"mean: got shape \(3,\), need \(2,\) \(neuron\)"),
        ({"mean": -np.ones(2)}, r"mean: got -1.0 at \[0\], need numbers of at least 0"),
        ({"covariance": np.zeros((0, 2))}, r"covariance: got shape \(0, 2\), need at"),
    ],
)
def test_bad_targets_are_refused(fields, match):
    with pytest.raises(ValueError, match=match):
        replace(known(n=2), **fields)
