"""A low-rank network read at every stage: κ, its fixed points, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest

from isotau.convert.read.read_rate import read_rate
from isotau.jobs.read_low_rank import read_low_rank
from isotau.jobs.run_config import RunConfig


def test_every_stage_is_read_along_the_networks_own_modes(low_rank_reading):
    reading = low_rank_reading
    assert list(reading.kappa.traces) == ["rate", "lif", "fixed"]
    assert reading.factors.rank == 1 == reading.reduced.rank
    assert reading.factors.energy == 1.0
    names = reading.overlaps.names
    assert names == ("m1", "n1", "I1", "b", "w1")
    m, n = reading.factors.m_vectors[:, 0], reading.factors.n_vectors[:, 0]
    along = reading.overlaps.matrix[names.index("m1"), names.index("n1")]
    np.testing.assert_allclose(along, m @ n / m.size)


def test_the_origin_is_the_one_point_of_rest(low_rank_reading):
    """nᵀm/N = 1.4 before the canonical form: more than 1, so it has two more."""
    rests, net = low_rank_reading.rests, low_rank_reading.result.rate
    kinds = [rest.point.kind for rest in rests]
    assert kinds == ["stable", "unstable", "stable"]
    np.testing.assert_allclose(rests[1].point.kappa, 0, atol=1e-9)
    np.testing.assert_allclose(rests[0].point.kappa, -rests[2].point.kappa)
    # At the origin tanh has a slope of 1: λ = (1.4 − 1)/τ, and −1/τ for all others.
    tau = net.tau[0]
    np.testing.assert_allclose(rests[1].point.modes.eigenvalues, [0.4 / tau], rtol=1e-5)
    values = rests[1].all_units.eigenvalues
    np.testing.assert_allclose(values[:2].real, [0.4 / tau, -1 / tau], rtol=1e-5)
    steps = np.log(1 + 0.4 * net.dt / tau) / net.dt
    np.testing.assert_allclose(rests[1].in_steps.eigenvalues, [steps], rtol=1e-5)


def test_starts_reach_beyond_what_the_trials_visit(low_rank_reading):
    largest = np.abs(low_rank_reading.kappa.traces["rate"][0]).max()
    assert low_rank_reading.reach == pytest.approx(1.5 * largest)


def test_networks_without_factors_are_refused(low_rank_file):
    net = read_rate(low_rank_file).net
    none = np.zeros((net.n, 0))
    full = replace(net, m_vectors=none, n_vectors=none)
    with pytest.raises(ValueError, match="got 48 units without low-rank factors, need"):
        read_low_rank(full, RunConfig(task="rdm"))
