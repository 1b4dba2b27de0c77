"""The compiled fit against MINPACK, and tiling against sums over all pairs."""

import numpy as np
import pytest
from scipy.optimize import leastsq

from isotau.sim.timescales.estimators.estimator_kernels import levenberg_marquardt, tile


def minpack(y):
    x = np.arange(1.0, y.size + 1)
    with np.errstate(over="ignore", invalid="ignore"):
        return leastsq(
            lambda p: p[0] * (np.exp(p[1] * x) + p[2]) - y,
            np.zeros(3),
            ftol=1e-14,
            xtol=1e-14,
            maxfev=5000,
            full_output=True,
        )[0]


@pytest.mark.parametrize("noise", [0.0, 0.01, 0.03])
@pytest.mark.parametrize("k", [-1.0, -0.5, -0.125])
def test_the_fit_ends_where_minpack_does(k, noise):
    rng = np.random.default_rng(7)
    for _ in range(10):
        y = 0.3 * np.exp(k * np.arange(1, 15)) + 0.05
        y += noise * rng.standard_normal(14)
        expected = minpack(y)
        # A valley has no minimum to agree on.
        if -3 < expected[1] < -0.05:
            assert levenberg_marquardt(y) == pytest.approx(expected, rel=2e-4, abs=1e-5)


def test_the_same_fit_ends_at_the_same_bits():
    """Also where there is no minimum, wherever the curve lies in memory."""
    rng = np.random.default_rng(1)
    for _ in range(20):
        y = 0.05 * rng.standard_normal(14)
        first = np.array(levenberg_marquardt(y))
        for shift in range(4):
            moved = np.empty(20)[shift : shift + 14]
            moved[:] = y
            assert np.array(levenberg_marquardt(moved)).tobytes() == first.tobytes()


def all_pairs(trains, duration, lag, dt):
    """Return the six sums, by comparing everything with everything."""
    rows = []
    for times in trains:
        a = times[times < duration - lag]
        b = times[times >= lag] - lag
        close = np.abs(a[:, None] - b) <= dt
        # Between two neighbouring ends of windows all is covered or nothing is.
        cover = []
        for train in (a, b):
            edges = np.concatenate(([0, duration - lag], train - dt, train + dt))
            edges = np.unique(edges.clip(0, duration - lag))
            middle = (edges[1:] + edges[:-1]) / 2
            near = (np.abs(middle[:, None] - train) <= dt).any(axis=1)
            cover.append(np.sum(np.diff(edges)[near]))
        matched = close.any(axis=1).sum(), close.any(axis=0).sum()
        rows.append((matched[0], a.size, cover[0], matched[1], b.size, cover[1]))
    return np.array(rows, dtype=float)


@pytest.mark.parametrize("rate", [0, 3, 40])
@pytest.mark.parametrize("dt", [0.005, 0.025, 0.3])
def test_tiles_against_all_pairs(rate, dt):
    rng = np.random.default_rng(rate)
    trains = [np.sort(rng.uniform(0, 1, rng.poisson(rate))) for _ in range(6)]
    edges = np.concatenate(([0], np.cumsum([t.size for t in trains])))
    lags = np.array([0.0, 0.05, 0.31, 0.9])
    sums = np.zeros((6, 4, 6))
    tile(np.concatenate(trains), edges, 1.0, lags, dt, sums)
    for k, lag in enumerate(lags):
        expected = all_pairs(trains, 1.0, lag, dt)
        np.testing.assert_allclose(sums[:, k], expected, atol=1e-12)
