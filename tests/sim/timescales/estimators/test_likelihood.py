"""The gridded likelihood, against determinants and inverses taken one by one.

κ against the scatter of estimates over many data sets.
"""

import numpy as np
import pytest

from isotau.sim.timescales.estimators import likelihood
from isotau.sim.timescales.estimators.likelihood import (
    BOUNDS,
    Point,
    TrialMoments,
    evaluate,
    inflation,
)
from isotau.sim.timescales.estimators.likelihood_grid import (
    GAINS,
    REGULARITY,
    RHOS,
    build_grids,
    correlation_matrix,
)

TAUS = (0.02, 0.06, 0.2)
WIDTH, BINS, LONG = 0.05, 8, 20
AT = Point(tau=0.1, rho=0.0, gain=4.0, white=0.5, regularity=0.0, free=True)


def moments(kind, n=3, trials=30, seed=0):
    rng = np.random.default_rng(seed)
    shared = np.linalg.cholesky(correlation_matrix("signal", 0.1, WIDTH, BINS))
    values = 2 + shared @ rng.standard_normal((n, BINS, trials))
    covariance = np.array([np.cov(v) for v in values])
    shot = np.full(n, 1.3) if kind == "counts" else np.full(n, np.nan)
    return TrialMoments(covariance, shot, np.full(n, float(trials)))


def by_hand(kind, moments, k, tau, rho, gain, c):
    """The log likelihood of the better d, priors and all; and that d."""
    sample, trials = moments.covariance[k], moments.trials[k]
    noise = np.eye(BINS) - c * (np.eye(BINS, k=1) + np.eye(BINS, k=-1))
    shared = (1 - rho) * correlation_matrix(kind, tau, WIDTH, BINS) + rho * np.ones(
        (BINS, BINS)
    )
    inner = noise + gain * shared
    half = (trials - 1) / 2

    def log_density(d):
        _, log_det = np.linalg.slogdet(d * inner)
        return -half * (log_det + np.trace(np.linalg.solve(d * inner, sample)))

    prior = np.log(0.5 if rho == 0 else 0.5 / 7)
    best = np.trace(np.linalg.solve(inner, sample)) / BINS
    free = log_density(best) + prior - np.log(len(REGULARITY[kind]))
    if kind == "signal":
        return free, best
    shot, spread = moments.shot[k], likelihood.SPREAD
    # one more parameter, known to the SD that the curvature gives it
    sd = 1 / np.sqrt(half * BINS)
    free += np.log(sd / spread) - np.log(best / shot) ** 2 / (2 * spread**2)
    free += np.log(0.1)
    poisson = log_density(shot) + prior + np.log(0.9) if c == 0 else -np.inf
    return max((poisson, shot), (free, best))


@pytest.mark.parametrize("kind", ["counts", "signal"])
def test_every_point_of_the_grid(kind):
    given = moments(kind)
    fit = evaluate(build_grids(kind, BINS, WIDTH, TAUS), given)
    step = np.log(GAINS[kind][2] / GAINS[kind][1])
    for k in range(3):
        points = {
            (tau, rho, gain, c): by_hand(kind, given, k, tau, rho, gain, c)
            for tau in TAUS
            for rho in RHOS
            for gain in GAINS[kind]
            for c in REGULARITY[kind]
        }
        top = max(points, key=points.get)
        assert (fit.tau[k], fit.rho[k], fit.regularity[k]) == (*top[:2], top[3])
        assert abs(np.log(fit.gain[k] / top[2])) <= step
        # between the points of the grid the peak is what a fine search finds
        near = top[2] * np.exp(np.linspace(-step, step, 801))
        value, d = max(by_hand(kind, given, k, *top[:2], g, top[3]) for g in near)
        assert fit.profile[k].max() == pytest.approx(value, abs=0.02)
        assert fit.white[k] == pytest.approx(d, rel=0.04)
        for t, tau in enumerate(TAUS):
            highest = max(v for at, (v, _) in points.items() if at[0] == tau)
            assert -1e-9 < fit.profile[k, t] - highest < 0.3


@pytest.mark.parametrize("kind", ["counts", "signal"])
def test_the_adjustment_is_what_the_gain_is_known_by(kind):
    """At the highest τ: from matrices, not from eigenvalues."""
    given = moments(kind)
    fit = evaluate(build_grids(kind, BINS, WIDTH, TAUS), given)
    span = np.log(GAINS[kind][-1] / GAINS[kind][1])
    for k in range(3):
        shared = (1 - fit.rho[k]) * correlation_matrix(
            kind, fit.tau[k], WIDTH, BINS
        ) + fit.rho[k]
        c = fit.regularity[k]
        noise = np.eye(BINS) - c * (np.eye(BINS, k=1) + np.eye(BINS, k=-1))
        whole = noise + fit.gain[k] * shared
        by_gain = np.linalg.solve(whole, fit.gain[k] * shared)
        known = np.trace(by_gain @ by_gain)
        if fit.free[k]:
            known -= np.trace(by_gain) ** 2 / BINS
        known = known * (given.trials[k] - 1) / 2 + 12 / span**2
        t = fit.profile[k].argmax()
        less = fit.profile[k, t] - fit.adjusted[k, t]
        assert less == pytest.approx(np.log(known) / 2, abs=1e-6)


@pytest.mark.parametrize("kind", ["counts", "signal"])
def test_nothing_but_drift_is_the_null(kind):
    given = moments(kind)
    fit = evaluate(build_grids(kind, BINS, WIDTH, TAUS), given)
    for k in range(3):
        nulls = []
        for c in REGULARITY[kind]:
            # rho = 1 leaves drift alone, whatever τ
            drift = max(by_hand(kind, given, k, 0.1, 1.0, g, c) for g in GAINS[kind])
            nulls.append(drift[0] - np.log(0.5 / 7) + np.log(0.5))
            nulls.append(by_hand(kind, given, k, 0.1, 0.0, 0.0, c)[0])
        assert fit.null[k] == pytest.approx(max(nulls))


def test_neurons_do_not_meet(monkeypatch):
    given = moments("counts", n=5)
    grids = build_grids("counts", BINS, WIDTH, TAUS)
    together = evaluate(grids, given)
    monkeypatch.setattr(likelihood, "MOST_TERMS", 2 * len(RHOS) * BINS)
    for whole, parts in zip(together, evaluate(grids, given), strict=True):
        np.testing.assert_allclose(whole, parts, rtol=1e-12)


def draw(trials, rng, *, spread=0.0):
    """Trials of the covariance at AT; their sizes vary by a factor e^±spread."""
    shared = AT.white * (
        np.eye(LONG) + AT.gain * correlation_matrix("signal", AT.tau, WIDTH, LONG)
    )
    size = np.exp(spread * rng.standard_normal(trials) - spread**2)
    return np.linalg.cholesky(shared) @ rng.standard_normal((LONG, trials)) * size


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
    found = inflation(rng.standard_normal((LONG, 30)), "signal", WIDTH, at)
    assert found == (BOUNDS[1], 1.0)
