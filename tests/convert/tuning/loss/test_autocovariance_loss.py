"""The timescale term against known processes, brute force and finite differences."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from isotau.convert.tuning.loss.autocovariance_loss import (
    AutocovarianceTarget,
    check_epoch,
    check_lags,
    estimate,
    loss_of,
    unit_states,
)
from isotau.sim.timescales.records.autocorrelation import autocorrelation

STEP = 0.005
SPREAD, TAU = 1.2, 0.05
LAGS = STEP * np.array([0, 1, 2, 4, 8, 16])


def drawn(rng, tau, *, trials, n=1, samples=40, spread=SPREAD):
    """An AR(1) whose mean rises: C(k) = spread² exp(−k·STEP/τ)."""
    phi = np.exp(-STEP / tau)
    x = rng.standard_normal((samples, trials, n))
    for i in range(1, samples):
        x[i] = phi * x[i - 1] + np.sqrt(1 - phi**2) * x[i]
    return torch.tensor(spread * x + np.arange(samples)[:, None, None])


def known(tau=TAU, *, n=1, spread=SPREAD, **fields):
    """The target that `drawn` meets."""
    curve = spread**2 * np.exp(-LAGS / tau)
    values = {
        "covariance": np.repeat(curve[:, None], n, axis=1),
        "lags": LAGS,
        "interval": STEP,
        "volts": np.ones(n),
        "reliability": np.ones(n),
    }
    return AutocovarianceTarget(**values | fields)


def twice(states):
    """A batch whose halves are equal: its loss is made of plain squares."""
    return torch.cat([states, states], dim=1)


def measured(states, **fields):
    """The target that `twice(states)` meets exactly, by brute force."""
    x = states.numpy()
    samples, _, n = x.shape
    curve = np.array(
        [
            [
                np.mean(
                    [
                        np.cov(x[i, :, j], x[i + k, :, j])[0, 1]
                        for i in range(samples - k)
                    ]
                )
                for j in range(n)
            ]
            for k in np.rint(LAGS / STEP).astype(int)
        ]
    )
    return known(n=n, **{"covariance": curve} | fields)


@pytest.fixture
def states():
    return drawn(np.random.default_rng(1), TAU, trials=9, n=3)


def test_covariances_are_those_of_brute_force(states):
    expected = measured(states).covariance
    got = estimate(states, [0, 1, 2, 4, 8, 16]).numpy()
    np.testing.assert_allclose(got, expected, rtol=1e-10)


def test_correlations_are_those_that_are_measured_afterwards():
    many = drawn(np.random.default_rng(2), TAU, trials=4000, n=2)
    covariance = estimate(many, range(9)).numpy()
    rho = autocorrelation(many.numpy(), 8)
    np.testing.assert_allclose(covariance[1:] / covariance[0], rho, atol=3e-3)


def test_the_loss_is_zero_on_average_where_the_target_is_met():
    """Squares of the same errors would be far off."""
    rng, target = np.random.default_rng(3), known()
    losses, squares = [], []
    for _ in range(600):
        states = drawn(rng, TAU, trials=8)
        losses.append(float(loss_of(states, target)))
        squares.append(float(loss_of(twice(states), target)))
    error = np.std(losses) / np.sqrt(len(losses))
    assert abs(np.mean(losses)) < 3.5 * error
    assert np.mean(squares) > 10 * error


def test_an_odd_batch_is_unbiased_too():
    rng, target = np.random.default_rng(4), known()
    losses = [float(loss_of(drawn(rng, TAU, trials=7), target)) for _ in range(600)]
    assert abs(np.mean(losses)) < 3.5 * np.std(losses) / np.sqrt(len(losses))


@pytest.mark.parametrize("samples", [17, 90])
def test_the_loss_of_another_timescale_is_known(samples):
    """The trial's length, which need not be the reference's, does not matter."""
    target = known()
    other = known(0.15).covariance - target.covariance
    expected = np.mean((other / SPREAD**2) ** 2)
    rng = np.random.default_rng(5)
    losses = [
        float(loss_of(drawn(rng, 0.15, trials=60, samples=samples), target))
        for _ in range(500)
    ]
    error = np.std(losses) / np.sqrt(len(losses))
    assert expected > 10 * error
    assert np.mean(losses) == pytest.approx(expected, abs=4 * error)


def test_the_minimum_lies_at_the_right_timescale_and_size():
    target = known()

    def loss(tau, spread):
        rng = np.random.default_rng(6)
        return float(loss_of(drawn(rng, tau, trials=8000, spread=spread), target))

    taus = [loss(TAU * share, SPREAD) for share in (0.4, 0.7, 1.0, 1.4, 2.5)]
    spreads = [loss(TAU, SPREAD * share) for share in (0.7, 0.9, 1.0, 1.1, 1.4)]
    for losses in (taus, spreads):
        assert np.argmin(losses) == 2
        assert losses[2] < 0.1 * min(losses[1], losses[3])


def test_the_gradient_leads_to_the_right_timescale():
    """Of a process whose memory is a parameter, by steps down from both sides."""
    target, rng = known(), np.random.default_rng(11)
    for start in (0.2 * TAU, 4 * TAU):
        ln_tau = torch.tensor(np.log(start), requires_grad=True)
        for _ in range(40):
            phi = torch.exp(-STEP / ln_tau.exp())
            first, *noise = torch.tensor(rng.standard_normal((60, 60, 1)))
            x, rows = first, []
            for step in noise:
                x = phi * x + (1 - phi**2).sqrt() * step
                rows.append(SPREAD * x)
            loss = loss_of(torch.stack(rows), target)
            (slope,) = torch.autograd.grad(loss, ln_tau)
            with torch.no_grad():
                ln_tau -= 2 * slope
        assert ln_tau.exp().item() == pytest.approx(TAU, rel=0.15)


def test_errors_of_amplitude_count_as_often_as_asked(states):
    met = measured(states).covariance
    expected = (((met - 2 * met) / (2 * met[0])) ** 2).mean()
    for amplitude in (0.0, 0.3, 1.0):
        target = measured(states, covariance=2 * met, amplitude=amplitude)
        got = float(loss_of(twice(states), target))
        assert got == pytest.approx(amplitude * expected, rel=1e-9, abs=1e-15)


def test_without_amplitude_what_is_left_is_the_angle_between_curves(states):
    met = measured(states).covariance
    other = known(0.2, n=3).covariance
    target = measured(states, covariance=other, amplitude=0.0)
    cosine = (met * other).sum(axis=0)
    cosine /= np.linalg.norm(met, axis=0) * np.linalg.norm(other, axis=0)
    square = (met**2).sum(axis=0) * (1 - cosine**2) / other[0] ** 2
    expected = square.mean() / len(met)
    assert float(loss_of(twice(states), target)) == pytest.approx(expected)


def test_weights_multiply_and_units_average_by_reliability(states):
    target = measured(states, covariance=known(0.2, n=3).covariance)
    alone = [
        float(loss_of(twice(states), replace(target, reliability=np.eye(3)[j])))
        for j in range(3)
    ]
    mixed = replace(target, reliability=np.array([3.0, 0.0, 1.0]), weight=7.0)
    expected = 7.0 * (3 * alone[0] + alone[2]) / 4
    assert float(loss_of(twice(states), mixed)) == pytest.approx(expected)


def test_units_without_reliability_neither_count_nor_learn(states):
    target = known(0.2, n=3, reliability=np.array([1.0, 0.0, 1.0]))
    states.requires_grad_()
    loss = loss_of(states, target)
    (gradient,) = torch.autograd.grad(loss, states)
    assert not gradient[:, :, 1].any() and gradient[:, :, [0, 2]].any()
    other = states.detach().clone()
    other[:, :, 1] = 50.0
    assert float(loss_of(other, target)) == loss.item()


def test_volts_and_copies_lead_to_the_units(states):
    """Each unit twice, in volts of its own, its copies apart by what cancels."""
    volts = np.array([1e-3, 1e-3, 5e-3, 5e-3, 2e-2, 2e-2])
    apart = torch.linspace(-1, 1, len(states), dtype=torch.float64)[:, None, None]
    pairs = torch.stack([states + apart, states - apart], dim=3).flatten(2)
    target = measured(states, volts=volts, copies=2)
    currents = pairs * torch.tensor(volts)
    torch.testing.assert_close(unit_states(currents, target), states)
    assert float(loss_of(twice(currents), target)) == pytest.approx(0, abs=1e-12)


def test_runaways_are_softened(states):
    """Ten times the error costs ten times as much, not a hundred times."""
    target = measured(states, covariance=known(n=3).covariance)
    sizes = [
        float(loss_of(twice(states * factor**0.5), target)) for factor in (1e3, 1e4)
    ]
    assert 9 < sizes[1] / sizes[0] < 11


@pytest.mark.parametrize("amplitude", [0.25, 1.0])
def test_gradients_are_those_of_finite_differences(amplitude):
    target = known(n=2, amplitude=amplitude)
    states = drawn(np.random.default_rng(7), 0.3, trials=5, n=2, samples=18)
    states[:, :, 1] *= 3.0  # beyond where errors are softened
    assert float(loss_of(states[:, :, [1]], known())) > 1
    states.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: loss_of(x, target), (states,))


def test_float32_is_as_good(states):
    target = known(0.1, n=3)
    single = loss_of(states.float(), target)
    assert single.dtype == torch.float32
    assert float(single) == pytest.approx(float(loss_of(states, target)), rel=1e-3)


@pytest.mark.parametrize(
    ("epoch", "times"),
    [
        (None, range(3, 60, 5)),
        ((0.0, 0.02), (3, 8, 13, 18)),
        ((0.018, 0.033), (23, 28, 33)),
    ],
)
def test_an_epoch_holds_the_samples_within_it(epoch, times):
    """Samples after 3, 8, 13 … steps of 1 ms; the epoch's end counts, its start not."""
    target = known(epoch=epoch)
    after = np.arange(3, 60, 5)
    assert after[target.within(1e-3, 3, 5)].tolist() == list(times)


def test_lags_are_whole_steps_of_the_network():
    target = known()
    assert target.steps(0.08, 1e-3) == 80
    with pytest.raises(ValueError, match=r"timescales: got samples every 5 ms, need a"):
        target.steps(target.interval, 2e-3)


def test_batches_that_do_not_fit_the_target_are_refused(states):
    with pytest.raises(ValueError, match=r"timescales: got a target of 2 neurons, nee"):
        loss_of(states, known(n=2))
    with pytest.raises(ValueError, match=r"trials: got 3 for the timescales, need at"):
        loss_of(states[:, :3], known(n=3))
    with pytest.raises(ValueError, match=r"samples: got 16, need more than 16, the lo"):
        loss_of(states[:16], known(n=3))
    with pytest.raises(ValueError, match=r"trials: got 1, need at least 2; run more"):
        estimate(states[:, :1], [0])


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"weight": 0.0}, r"weight: got 0.0, need numbers greater than 0"),
        ({"amplitude": 1.5}, r"amplitude: got 1.5, need 0 to 1"),
        ({"amplitude": -0.1}, r"amplitude: got -0.1, need numbers of at least 0"),
        ({"interval": 0.0}, r"interval: got 0.0, need numbers greater than 0"),
        ({"copies": 0}, r"copies: got 0, need 1 to"),
        ({"volts": np.ones(3)}, r"volts: got shape \(3,\), need \(2,\) \(neuron\)"),
        ({"volts": np.zeros(2)}, r"volts: got 0.0 at \[0\], need numbers greater"),
        ({"reliability": np.zeros(2)}, r"reliability: got 0 for every unit, need one"),
        ({"covariance": np.zeros((6, 2))}, r"covariance: got a variance of 0 or less"),
        ({"covariance": np.zeros((0, 2))}, r"covariance: got shape \(0, 2\), need at"),
        ({"lags": LAGS[:5]}, r"lags: got shape \(5,\), need \(6,\) \(lag\)"),
        ({"epoch": (0.2, 0.1)}, r"epoch: got 0.2 to 0.1 s, need an end after"),
    ],
)
def test_bad_targets_are_refused(fields, match):
    with pytest.raises(ValueError, match=match):
        replace(known(n=2), **fields)


def test_bad_lags_and_epochs_are_refused():
    with pytest.raises(
        ValueError, match=r"lags: got \[0.005\], need a rising row from"
    ):
        check_lags([0.005], 1, STEP)
    with pytest.raises(ValueError, match=r"lags: got .* need a rising row from 0"):
        check_lags([0.0, 0.01, 0.01], 3, STEP)
    with pytest.raises(ValueError, match=r"lags: got 0.007 s, need multiples of the 0"):
        check_lags([0.0, 0.007], 2, STEP)
    with pytest.raises(ValueError, match=r"epoch: got -1.0, need numbers of at least"):
        check_epoch((-1.0, 2.0))
