"""Who was lost, why, and whether rates have to do with it.

The censored mean: scipy's censored fit, simulated truth, coverage.
"""

import re

import numpy as np
import pytest
from scipy import stats

from isotau.sim.preservation import Pair, PreservationConfig
from isotau.sim.preservation.attrition import (
    Attrition,
    Censored,
    Estimate,
    attrition,
    censored,
    fit_normal,
    ratio_bounds,
)
from isotau.sim.timescales import Status

NAN = float("nan")


def run(make_timescales, statuses, rate=10.0):
    ok = np.array([status is Status.OK for status in statuses])
    found = make_timescales(np.where(ok, 0.0, NAN), rate=rate)
    return type(found)(
        tau=found.tau,
        status=tuple(statuses),
        amplitude=found.amplitude,
        offset=found.offset,
        rate=found.rate,
        method="ml",
        bin_width=0.05,
        lags=14,
    )


OK, FEW, BOUND, NONE = (
    Status.OK,
    Status.TOO_FEW_SPIKES,
    Status.AT_BOUND,
    Status.NOT_IDENTIFIABLE,
)


def test_table(make_timescales):
    first = run(make_timescales, [OK, OK, OK, FEW, BOUND, NONE])
    second = run(make_timescales, [OK, FEW, FEW, OK, OK, NONE])
    found = attrition([(first, second), (first, first)])
    assert (found.both, found.only_first, found.only_second, found.neither) == (
        4,
        2,
        2,
        4,
    )
    assert found.lost == {"too few spikes": 2}
    assert found.gained == {"too few spikes": 1, "at bound": 1}


def test_rate_effect_is_mann_whitney_s(make_timescales):
    rng = np.random.default_rng(0)
    rates = np.round(rng.uniform(1, 20, 40))
    kept = rng.random(40) < 0.6
    statuses = [OK if k else NONE for k in kept]
    first = run(make_timescales, [OK] * 40, rates)
    found = attrition([(first, run(make_timescales, statuses, rates))])
    u = stats.mannwhitneyu(rates[~kept], rates[kept]).statistic
    assert found.rate_effect == pytest.approx(u / (kept.sum() * (~kept).sum()))


def test_rate_effect_needs_both_kinds(make_timescales):
    first = run(make_timescales, [OK, OK])
    assert np.isnan(attrition([(first, first)]).rate_effect)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"both": -1}, "both: got -1, need 0 to"),
        ({"lost": {"odd": 2}}, "lost: got 'odd', need one of ok, too few spikes"),
        ({"lost": {"at bound": 1}}, "lost: got 1 neurons, need 2 as in only_first"),
        ({"gained": {"at bound": 0}}, "gained['at bound']: got 0, need 1 to"),
        ({"rate_effect": 2.0}, "rate_effect: got 2.0, need 0 to 1 or NaN"),
    ],
)
def test_refusals(changes, text):
    fields = {
        "both": 1,
        "only_first": 2,
        "only_second": 0,
        "neither": 0,
        "lost": {"at bound": 2},
        "gained": {},
        "rate_effect": NAN,
    }
    with pytest.raises(ValueError, match=re.escape(text)):
        Attrition(**fields | changes)


CONFIG = PreservationConfig(level=0.9)
NO_NUMBER, INF = float("nan"), float("inf")


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
        np.log([0.1, NO_NUMBER, NO_NUMBER, NO_NUMBER]),
        low=np.array([0.05, 0.1, 0.0, NO_NUMBER]),
        high=np.array([0.2, INF, 0.4, NO_NUMBER]),
    )
    b = make_timescales(np.log([0.2, 0.2, 0.2, 0.2]))
    low, high = ratio_bounds(Pair(name="x", a=a, b=b, a_again=a, b_again=b))
    np.testing.assert_allclose(low, [np.log(2), -INF, np.log(0.5), -INF])
    np.testing.assert_allclose(high, [np.log(2), np.log(2), INF, INF])


def test_counts(make_timescales):
    a = make_timescales(
        np.log([0.1, 0.2, 0.15, NO_NUMBER, NO_NUMBER]),
        low=np.array([NO_NUMBER, NO_NUMBER, NO_NUMBER, 0.1, NO_NUMBER]),
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
