"""Slopes of log ratios against least squares with dummies, and coverage."""

import numpy as np
import pytest

from isotau.sim.preservation import Pair, PreservationConfig
from isotau.sim.preservation.agreement import covariates


@pytest.fixture
def make_networks(make_timescales):
    def networks(seed, count=6, n=80, *, by_rate=0.2, by_tau=-0.3, by_sign=0.1):
        rng = np.random.default_rng(seed)
        found = []
        for k in range(count):
            rate = rng.uniform(2, 30, n)
            tau_syn = rng.uniform(0.02, 0.1, n)
            excitatory = rng.random(n) < 0.8
            a = rng.normal(-2, 0.5, n)
            b = a + rng.normal() + by_rate * np.log(rate) + by_tau * np.log(tau_syn)
            b += by_sign * excitatory
            runs = {
                name: make_timescales(
                    base + 0.2 * rng.normal(size=n), rng.random(n) < 0.9, rate=rate
                )
                for name, base in (("a", a), ("a_again", a), ("b", b), ("b_again", b))
            }
            found.append(
                Pair(name=str(k), tau_syn=tau_syn, excitatory=excitatory, **runs)
            )
        return found

    return networks


def measured(networks, draws=300):
    config = PreservationConfig(level=0.9, draws=draws)
    return covariates(networks, config, rng=np.random.default_rng(0))


def test_slopes_are_those_of_least_squares_with_dummies(make_networks):
    networks = make_networks(0)
    rows, targets = [], []
    for k, pair in enumerate(networks):
        a, again, b, b_again = (
            np.log(run.tau) for run in (pair.a, pair.a_again, pair.b, pair.b_again)
        )
        with np.errstate(all="ignore"):
            cross = np.stack([b - a, b_again - a, b - again, b_again - again])
        some = np.isfinite(cross).any(axis=0)
        dummies = np.zeros((pair.n, 6))
        dummies[:, k] = 1
        columns = [np.log(pair.a.rate), np.log(pair.tau_syn), pair.excitatory]
        rows.append(np.column_stack([*columns, dummies])[some])
        targets.append(np.nanmean(cross[:, some], axis=0))
    expected = np.linalg.lstsq(
        np.concatenate(rows), np.concatenate(targets), rcond=None
    )[0][:3]
    found = measured(networks)
    assert list(found) == ["log_rate", "log_tau_syn", "excitatory"]
    np.testing.assert_allclose([e.value for e in found.values()], expected, rtol=1e-9)


@pytest.mark.parametrize("count", [1, 8])
def test_intervals_cover(make_networks, count):
    hits = []
    for seed in range(60):
        found = measured(make_networks(seed, count), draws=200)
        truth = {"log_rate": 0.2, "log_tau_syn": -0.3, "excitatory": 0.1}
        hits.append(
            [found[name].low < x < found[name].high for name, x in truth.items()]
        )
    assert 0.82 < np.mean(hits) <= 1


def test_what_is_not_given_or_does_not_vary_is_left_out(make_pairs):
    assert measured(make_pairs(0, 2, 30)) == {}
    rng = np.random.default_rng(0)
    with_tau = make_pairs(0, 1, 30, tau_syn=rng.uniform(0.01, 0.1, 30))
    assert list(measured(with_tau)) == ["log_tau_syn"]
    assert measured(with_tau + make_pairs(1, 1, 30)) == {}
    constant = make_pairs(0, 1, 30, excitatory=np.ones(30, dtype=bool))
    assert measured(constant) == {}
    assert measured([]) == {}


def test_a_covariate_given_twice_has_no_slope(make_networks):
    networks = make_networks(1, 2)
    doubled = [
        Pair(
            name=pair.name,
            a=pair.a,
            b=pair.b,
            a_again=pair.a_again,
            b_again=pair.b_again,
            tau_syn=pair.a.rate**2,
        )
        for pair in networks
    ]
    found = measured(doubled)
    assert np.isnan([e.value for e in found.values()]).all()


def test_signals_have_no_rate(make_timescales):
    rng = np.random.default_rng(2)
    runs = [make_timescales(rng.normal(size=20), rate=np.full(20, np.nan))] * 4
    a, b, c, d = runs
    pair = Pair(name="x", a=a, b=b, a_again=c, b_again=d, tau_syn=rng.random(20) + 1)
    assert list(measured([pair])) == ["log_tau_syn"]
