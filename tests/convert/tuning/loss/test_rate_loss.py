"""The rate term against sums by hand and finite differences."""

import numpy as np
import pytest
import torch

from isotau.convert.records.spikes import Spikes, pack
from isotau.convert.tuning.loss.rate_loss import (
    RateTarget,
    rate_error,
    rates_of,
    reference_rates,
    soften,
)

BIN = 0.05


def steady(*rates):
    """Counts of neurons that fire at these rates, in Hz, in every bin."""
    per_bin = BIN * torch.tensor(rates, dtype=torch.float64)
    return per_bin.expand(4, 3, len(rates)).clone()


def loss(counts, target):
    return float(rate_error(counts, BIN, target))


def test_each_neuron_is_held_to_its_rate():
    target = RateTarget(rates=np.array([10.0, 20.0]), weight=3.0)
    assert loss(steady(10.0, 20.0), target) == pytest.approx(0, abs=1e-15)
    expected = 3.0 * ((2 / 15) ** 2 + (5 / 25) ** 2) / 2
    assert loss(steady(12.0, 15.0), target) == pytest.approx(expected)


def test_one_number_serves_all():
    expected = ((4 / 8) ** 2 + (6 / 8) ** 2) / 2
    target = RateTarget(rates=6.0, floor=2.0)
    assert loss(steady(2.0, 12.0), target) == pytest.approx(expected)


def test_the_mean_may_be_held_alone():
    target = RateTarget(rates=np.array([5.0, 15.0]), kind="mean")
    assert loss(steady(20.0, 0.0), target) == pytest.approx(0, abs=1e-15)
    assert loss(steady(20.0, 3.0), target) == pytest.approx((1.5 / 15) ** 2)


def test_a_ceiling_only_lowers():
    target = RateTarget(rates=20.0, kind="most")
    assert loss(steady(0.0, 20.0), target) == 0
    assert loss(steady(0.0, 25.0), target) == pytest.approx((5 / 25) ** 2 / 2)


def test_runaways_are_softened():
    """e = (205 − 5)/10 = 20 costs 2·20 − 1."""
    assert loss(steady(205.0), RateTarget(rates=5.0)) == pytest.approx(39.0)


def test_softening_has_no_step_and_no_bend_backwards():
    x = torch.linspace(-2.0, 9.0, 2001, dtype=torch.float64, requires_grad=True)
    y = soften(x)
    (slope,) = torch.autograd.grad(y.sum(), x)
    below = x <= 1
    assert torch.equal(y[below], x[below])
    assert (slope > 0).all() and (slope.diff() <= 0).all()
    assert slope.diff().abs().max() < 0.01


@pytest.mark.parametrize("kind", ["each", "mean", "most"])
def test_gradients_are_those_of_finite_differences(kind):
    rng = np.random.default_rng(0)
    counts = torch.tensor(rng.poisson(1.5, (4, 3, 5)).astype(float), requires_grad=True)
    target = RateTarget(rates=np.array([1.0, 20.0, 30.0, 60.0, 35.0]), kind=kind)
    assert torch.autograd.gradcheck(lambda x: rate_error(x, BIN, target), (counts,))


def test_silence_has_a_gradient():
    counts = torch.zeros(4, 3, 2, dtype=torch.float64, requires_grad=True)
    value = rate_error(counts, BIN, RateTarget(rates=20.0))
    assert value.item() == pytest.approx((20 / 25) ** 2)
    (gradient,) = torch.autograd.grad(value, counts)
    assert torch.isfinite(gradient).all() and (gradient < 0).all()


def test_the_reference_is_counted():
    hit = np.zeros((50, 4, 3), dtype=bool)
    hit[::10, :, 1] = True
    hit[:25, 0, 2] = True
    spikes = Spikes(bits=pack(hit), n=3, dt=2e-3, engine="norse")
    target = reference_rates(spikes, weight=0.5, kind="most")
    np.testing.assert_allclose(target.rates, [0.0, 50.0, 25 / 0.4])
    assert (target.weight, target.kind) == (0.5, "most")


def test_rates_are_spikes_per_second():
    np.testing.assert_allclose(rates_of(steady(3.0, 70.0), BIN).numpy(), [3.0, 70.0])


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"rates": -1.0}, r"rates: got -1.0, need numbers of at least 0"),
        ({"rates": np.ones((2, 2))}, r"rates: got shape \(2, 2\), need neuron, or one"),
        ({"rates": np.ones(0)}, r"rates: got shape \(0,\), need neuron, or one number"),
        ({"weight": 0.0}, r"weight: got 0.0, need numbers greater than 0"),
        ({"kind": "some"}, r"kind: got 'some', need one of each, mean, most"),
        ({"floor": 0.0}, r"floor: got 0.0, need numbers greater than 0"),
    ],
)
def test_bad_targets_are_refused(fields, match):
    with pytest.raises(ValueError, match=match):
        RateTarget(**{"rates": 10.0} | fields)


def test_batches_that_do_not_fit_are_refused():
    target = RateTarget(rates=np.array([1.0, 2.0]))
    with pytest.raises(ValueError, match=r"rates: got targets of 2 neurons, need 3;"):
        rate_error(steady(1.0, 2.0, 3.0), BIN, target)
    with pytest.raises(ValueError, match=r"counts: got no whole bin of 0.05 s, need a"):
        rate_error(torch.zeros(0, 3, 2), BIN, target)
    none = Spikes(bits=np.zeros((0, 4, 1), np.uint8), n=3, dt=1e-3, engine="norse")
    with pytest.raises(
        ValueError, match=r"spikes: got 0 steps of 4 trials, need at le"
    ):
        reference_rates(none)
