"""The censored mean: scipy's censored fit, simulated truth, coverage."""

import re

import numpy as np
import pytest
from scipy import stats

from isotau.sim.preservation import Pair, PreservationConfig
from isotau.sim.preservation.attrition import (
    Censored,
    Estimate,
    censored,
    fit_normal,
    ratio_bounds,
)
from isotau.sim.timescales import Status

CONFIG = PreservationConfig(level=0.9)
NAN, INF = float("nan"), float("inf")


def cut(x, ceiling):
    """Numbers above the ceiling are known to lie above it only."""
    over = x > ceiling
    return np.where(over, ceiling, x), np.where(over, INF, x)


def test_fit_is_scipy_s():
    rng = np.random.default_rng(0)
    x = rng.normal(0.3, 0.8, 200)
    low, high = x.copy(), x.copy()
    low[:40], high[:40] = x[:40] - rng.random(40), x[:40] + rng.random(40)
    low[40:70] = -INF
    high[40:70] = x[40:70] + 0.5
    high[70:90] = INF
    data = stats.CensoredData(
        uncensored=x[90:],
        left=high[40:70],
        right=low[70:90],
        interval=np.stack([low[:40], high[:40]], axis=1),
    )
    np.testing.assert_allclose(fit_normal(low, high), stats.norm.fit(data), rtol=1e-3)


def test_far_intervals_do_no_harm():
    low = np.array([0.0, 0.1, -0.1, 0.05, 30.0, -INF])
    high = np.array([0.0, 0.1, -0.1, 0.05, INF, -40.0])
    mean, sd = fit_normal(low, high)
    assert np.isfinite(mean)
    assert sd > 5


def test_too_little_to_fit():
    assert np.isnan(fit_normal(np.array([0.0]), np.array([0.0]))).all()
    assert np.isnan(fit_normal(np.array([0.0, 0]), np.array([1.0, 1]))).all()
    assert fit_normal(np.array([1.0, 1]), np.array([1.0, 1])) == pytest.approx(
        (1, 0), abs=1e-5
    )


def test_truth_is_found_though_the_slow_are_censored(make_timescales):
    # τ beyond 0.5 s are at the bound in b: the intersection is short of them.
    rng = np.random.default_rng(1)
    pairs = []
    for k in range(6):
        a = rng.normal(np.log(0.2), 0.5, 300)
        b = a + 0.4 + 0.2 * rng.normal(size=300)
        low, high = cut(b, np.log(0.4))
        bound = np.isinf(high)
        runs = {
            "a": make_timescales(a),
            "b": make_timescales(
                low,
                ~bound,
                lost=Status.AT_BOUND,
                low=np.exp(low),
                high=np.exp(high),
            ),
        }
        pairs.append(Pair(name=str(k), a_again=runs["a"], b_again=runs["b"], **runs))
    found = censored(pairs, PreservationConfig())
    assert found.censored > 500
    assert found.identified + found.censored == 1800
    assert found.mean.low < 0.4 < found.mean.high
    assert found.mean.value == pytest.approx(0.4, abs=0.03)
    assert found.intersection.high < found.mean.low


def test_bounds(make_timescales):
    a = make_timescales(
        np.log([0.1, NAN, NAN, NAN]),
        low=np.array([0.05, 0.1, 0.0, NAN]),
        high=np.array([0.2, INF, 0.4, NAN]),
    )
    b = make_timescales(np.log([0.2, 0.2, 0.2, 0.2]))
    low, high = ratio_bounds(Pair(name="x", a=a, b=b, a_again=a, b_again=b))
    np.testing.assert_allclose(low, [np.log(2), -INF, np.log(0.5), -INF])
    np.testing.assert_allclose(high, [np.log(2), np.log(2), INF, INF])


def test_counts(make_timescales):
    a = make_timescales(
        np.log([0.1, 0.2, 0.15, NAN, NAN]),
        low=np.array([NAN, NAN, NAN, 0.1, NAN]),
    )
    b = make_timescales(np.log([0.2, 0.2, 0.2, 0.2, 0.2]))
    found = censored([Pair(name="x", a=a, b=b, a_again=a, b_again=b)], CONFIG)
    assert (found.identified, found.censored, found.uninformative) == (3, 1, 1)
    with pytest.raises(ValueError, match=re.escape("censored: got -1, need 0 to")):
        Censored(
            mean=Estimate(value=0),
            intersection=Estimate(value=0),
            identified=0,
            censored=-1,
            uninformative=0,
        )


@pytest.mark.parametrize("networks", [1, 5])
def test_intervals_cover(make_pairs, networks):
    hits = 0
    for seed in range(150):
        found = censored(make_pairs(seed, networks, 60, shift=0.2), CONFIG)
        assert found.mean.value == found.intersection.value
        hits += found.mean.low < 0.2 < found.mean.high
    assert hits / 150 == pytest.approx(0.9, abs=0.06)
