"""κ, against the scatter of estimates over many data sets."""

import numpy as np
import pytest

from isotau.sim.timescales.estimators.likelihood import BOUNDS, Point, inflation, matrix

AT = Point(tau=0.1, rho=0.0, gain=4.0, white=0.5, regularity=0.0, free=True)
WIDTH, BINS = 0.05, 20


def draw(trials, rng, *, spread=0.0):
    """Trials of the covariance at AT; their sizes vary by a factor e^±spread."""
    shared = AT.white * (np.eye(BINS) + AT.gain * matrix("signal", AT.tau, WIDTH, BINS))
    size = np.exp(spread * rng.standard_normal(trials) - spread**2)
    return np.linalg.cholesky(shared) @ rng.standard_normal((BINS, trials)) * size


def test_gaussian_data_need_no_remedy():
    rng = np.random.default_rng(1)
    found = [inflation(draw(60, rng), "signal", WIDTH, AT) for _ in range(60)]
    kappa = np.array([f.kappa for f in found])
    assert abs(kappa.mean() - 1) < 3 * kappa.std() / np.sqrt(60) + 0.02
    # the score of many bins is nearly Gaussian: nearly as many degrees as trials
    assert 25 < np.median([f.freedom for f in found]) < 60


def test_heavy_tails_widen_by_their_fourth_moment():
    """For x = s z with E s² = 1 the score's variance grows, in part, by E s⁴."""
    rng = np.random.default_rng(2)
    spread = 0.4
    kappa = [
        inflation(draw(4000, rng, spread=spread), "signal", WIDTH, AT).kappa
        for _ in range(4)
    ]
    assert np.mean(kappa) == pytest.approx(np.exp(4 * spread**2), rel=0.1)


def test_drift_is_a_parameter_only_where_there_is_some():
    rng = np.random.default_rng(3)
    drifting = AT._replace(rho=0.2)
    found = inflation(draw(50, rng), "signal", WIDTH, drifting)
    assert BOUNDS[0] <= found.kappa <= BOUNDS[1]


def test_parameters_that_do_the_same():
    """At τ far below a bin R is the identity: g and d cannot be told apart."""
    rng = np.random.default_rng(4)
    at = AT._replace(tau=1e-5)
    found = inflation(rng.standard_normal((BINS, 30)), "signal", WIDTH, at)
    assert found == (BOUNDS[1], 1.0)
