"""What units say together: p-values that are right, also where units err together."""

import numpy as np
import pytest
from scipy import stats

from isotau.sim.states.of_units import (
    design_effect,
    not_beyond,
    not_within,
    refuted_by_least,
    refuted_by_rest,
    spread_at,
    unit_spread,
)
from isotau.sim.states.paired import LogRatio, PairedTau, paired
from isotau.sim.states.state_tau import StateTau

MARGIN, DRAWS, TAIL = 0.2, 2000, 0.05
EDGE = np.log1p(MARGIN)


def pair_of(log_ratio, error, *, network=0.0, slow=None):
    """A pair of stages that differ by this, each unit with the same error."""
    log_ratio = np.asarray(log_ratio, dtype=float)
    n = len(log_ratio)
    slow = np.zeros(n, dtype=bool) if slow is None else slow
    stage = StateTau(
        tau=np.where(slow, np.nan, 0.1),
        replicates=np.zeros((20, n)),
        sd=np.ones(n),
        autocorrelation=np.zeros((3, n)),
        window=1.0,
        trials=40,
    )
    return PairedTau(
        a=stage,
        b=stage,
        both=~slow,
        beyond=slow,
        log_ratio=np.where(slow, np.nan, log_ratio),
        error=np.where(slow, np.nan, error),
        freedom=38.0,
        network=LogRatio(0.0, network, 38.0),
    )


def test_a_unit_alone_has_the_p_value_of_its_own_test():
    pair = pair_of([0.0, 0.1, -0.1, 0.3], 0.05)
    within = stats.t.sf((EDGE - np.array([0.0, 0.1, 0.1, 0.3])) / 0.05, 38)
    np.testing.assert_allclose(not_within(pair, MARGIN), within)
    np.testing.assert_allclose(not_beyond(pair, MARGIN), 1 - within)
    about = stats.t.sf((EDGE - np.array([0.1, 0.0, 0.2, 0.2])) / 0.05, 38)
    np.testing.assert_allclose(not_within(pair, MARGIN, about=0.1), about)


def test_units_beyond_the_window_are_kept():
    pair = pair_of([0.0, 0.0], 0.05, slow=np.array([False, True]))
    assert not_within(pair, MARGIN)[1] == 0 and not_beyond(pair, MARGIN)[1] == 1


def test_one_unit_that_may_not_be_off_decides_alone():
    assert refuted_by_least(np.array([0.03, 0.001]), 0, 1.0) == pytest.approx(0.03)
    assert refuted_by_least(np.array([0.9, 0.03, 0.001]), 1, 1.0) == pytest.approx(
        stats.combine_pvalues([0.9, 0.03])[1]
    )
    # No evidence is left out, and what is left doubled.
    assert refuted_by_rest(np.array([0.7, 0.02, 0.1]), 0, 1.0) == pytest.approx(
        stats.combine_pvalues([0.04, 0.2])[1]
    )
    assert refuted_by_rest(np.array([0.7, 0.02, 0.1]), 1, 1.0) == pytest.approx(0.2)
    assert refuted_by_rest(np.array([0.7, 0.9]), 0, 1.0) == 1.0
    assert refuted_by_rest(np.array([0.01]), 1, 1.0) == 1.0
    assert refuted_by_rest(np.zeros(9), 2, 1.0) < 1e-300


@pytest.mark.parametrize("together", [0.0, 0.7], ids=["alone", "together"])
def test_errors_are_as_rare_as_they_are_said_to_be(together):
    """5 of 100 may be off: at the margin 6 are within, and 5 far beyond it are few."""
    rng = np.random.default_rng(0)
    n, error, allowed = 100, 0.06, 5
    kept = lost = 0
    shared = n * (together**2 + (1 - together**2) / n)
    spread = error * np.sqrt(shared / n)
    for _ in range(DRAWS):
        common = together * rng.standard_normal()
        own = np.sqrt(1 - together**2) * rng.standard_normal(n)
        true = np.zeros(n)
        true[: allowed + 1] = EDGE
        pair = pair_of(true + error * (common + own), error, network=spread)
        kept += refuted_by_least(not_within(pair, MARGIN), allowed, shared) < TAIL
        true[: allowed + 1], true[allowed] = 0.5, EDGE
        pair = pair_of(true + error * (common + own), error, network=spread)
        lost += refuted_by_rest(not_beyond(pair, MARGIN), allowed, shared) < TAIL
    # Three standard errors of the share.
    most = TAIL + 3 * np.sqrt(TAIL * (1 - TAIL) / DRAWS)
    assert kept / DRAWS <= most and lost / DRAWS <= most


def test_many_units_that_are_a_little_sure_are_sure_together():
    rng = np.random.default_rng(0)
    same = pair_of(0.05 * rng.standard_normal(200), 0.05)
    assert refuted_by_least(not_within(same, MARGIN), 10, 1.0) < 0.01
    assert (not_within(same, MARGIN) > 0.03).sum() > 10
    off = np.zeros(200)
    off[:20] = np.log(1.3)
    faulty = pair_of(off + 0.03 * rng.standard_normal(200), 0.03)
    assert refuted_by_rest(not_beyond(faulty, MARGIN), 10, 1.0) < 0.01


def test_units_that_err_together_are_worth_fewer():
    alone = pair_of(np.zeros(50), 0.1, network=0.1 / np.sqrt(50))
    assert design_effect(alone) == pytest.approx(1)
    assert design_effect(pair_of(np.zeros(50), 0.1, network=0.1)) == pytest.approx(50)
    assert design_effect(pair_of(np.zeros(50), 0.1, network=9.0)) == 50
    assert design_effect(pair_of(np.zeros(50), 0.1, network=0.0)) == 1
    assert design_effect(pair_of(np.zeros(1), 0.1)) == 1
    assert design_effect(pair_of(np.zeros(9), 0.0)) == 1
    p = np.full(20, 0.2)
    assert refuted_by_least(p, 19, 20.0) == pytest.approx(0.2)
    assert refuted_by_least(p, 19, 1.0) < 0.05 < refuted_by_least(p, 19, 5.0)


def test_a_gaussian_that_spreads_so_far_has_its_share_beyond():
    for margin, share in ((0.2, 0.05), (0.1, 0.01)):
        spread = spread_at(margin, share)
        beyond = 2 * stats.norm.sf(np.log1p(margin) / spread)
        assert beyond == pytest.approx(share)


def two_runs(log_tau, error, rng, *, blocks=20, unknown=()):
    """Two runs of a stage, whose blocks' errors make up those of their τ."""
    runs = []
    for _ in range(2):
        parts = error * np.sqrt(blocks) * rng.standard_normal((blocks, len(log_tau)))
        values = log_tau + parts
        tau = np.exp(values.mean(axis=0))
        tau[list(unknown)] = np.nan
        rest = (values.sum(axis=0) - values) / (blocks - 1)
        runs.append(
            StateTau(
                tau=tau,
                replicates=rest,
                sd=np.ones(len(tau)),
                autocorrelation=np.zeros((3, len(tau))),
                window=1.0,
                trials=40,
            )
        )
    return paired(*runs)


@pytest.mark.parametrize("allowed", [0, 10])
@pytest.mark.parametrize("true", [0.0, 0.05, 0.1])
def test_spread_is_that_without_errors_and_so_is_its_interval(true, allowed):
    """Gaussian units, of which some are left out as if they might be anywhere."""
    rng = np.random.default_rng(0)
    n, draws = 200, 400
    apart = true * rng.permutation(stats.norm.ppf((np.arange(n) + 0.5) / n))
    square, inside = [], 0
    for _ in range(draws):
        log_tau = np.log(0.1) + 0.3 * rng.standard_normal(n)
        a, b = (two_runs(x, 0.06, rng) for x in (log_tau, log_tau + apart))
        found = unit_spread(a, b, allowed)
        square.append(found.square)
        low, high = found.ends(TAIL)
        inside += low <= true <= high
    assert np.mean(square) == pytest.approx(true**2, abs=3e-4 + 0.03 * true**2)
    # The jackknife's error of a square is rather too great.
    assert inside / draws > 1 - 2 * TAIL - 0.04


def test_units_that_may_be_off_do_not_make_the_others_spread():
    rng = np.random.default_rng(0)
    log_tau, off = np.full(100, np.log(0.1)), np.zeros(100)
    off[:5] = 3.0
    a, b = (two_runs(x, 0.01, rng) for x in (log_tau, log_tau + off))
    assert abs(unit_spread(a, b, 5).square) < 1e-3 < unit_spread(a, b, 4).square
    # About what all share.
    _, b = (two_runs(x, 0.01, rng) for x in (log_tau, log_tau + off + 0.2))
    assert abs(unit_spread(a, b, 5, about=0.2).square) < 1e-3


def test_units_that_are_not_known_in_a_run_may_be_anywhere():
    rng = np.random.default_rng(0)
    log_tau = np.full(30, np.log(0.1))
    a, b = (two_runs(log_tau, 0.01, rng, unknown=u) for u in ((), (3, 4)))
    assert np.isfinite(unit_spread(a, b, 2).error)
    assert not np.isfinite(unit_spread(a, b, 1).error)
    # Beyond the window in all runs they are alike.
    a = two_runs(log_tau, 0.01, rng, unknown=(3, 4))
    assert np.isfinite(unit_spread(a, b, 0).error)
    same = two_runs(log_tau, 0.0, rng)
    assert unit_spread(same, same, 0) == (0.0, 0.0, 76.0)
