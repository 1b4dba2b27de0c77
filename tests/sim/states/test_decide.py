"""Decisions: each outcome where it belongs, and errors within what is allowed."""

import dataclasses

import numpy as np
import pytest
from scipy import stats

from isotau.sim.states.decide import (
    FEWEST,
    Margins,
    Outcome,
    decide,
    share_of_errors,
)
from isotau.sim.states.of_units import not_beyond, not_within
from isotau.sim.states.paired import LogRatio, PairedTau
from isotau.sim.states.state_tau import StateTau

N = 100


def stage(tau, error=0.01, *, window=1.0, sd=None):
    """Timescales with given errors: replicates to either side by turns."""
    tau = np.asarray(tau, dtype=float)
    blocks = 20
    signs = np.resize([1.0, -1.0], blocks)[:, None]
    step = error / np.sqrt(blocks - 1)
    with np.errstate(invalid="ignore"):
        replicates = np.log(tau) + step * signs
    return StateTau(
        tau=tau,
        replicates=replicates,
        sd=np.ones(len(tau)) if sd is None else np.asarray(sd, dtype=float),
        autocorrelation=np.zeros((3, len(tau))),
        window=window,
        trials=40,
    )


SURE = LogRatio(0.0, 0.005, 38.0)


def pair_of(a, b, network=SURE):
    both = a.known & b.known
    ratio = np.where(both, np.log(b.tau / a.tau), np.nan)
    return PairedTau(
        a=a,
        b=b,
        both=both,
        beyond=a.beyond & b.beyond,
        log_ratio=ratio,
        error=np.hypot(a.error, b.error),
        freedom=38.0,
        network=network,
    )


def shifted(ratio, error=0.005):
    tau = np.full(N, 0.05)
    return pair_of(
        stage(tau), stage(ratio * tau), LogRatio(float(np.log(ratio)), error, 38.0)
    )


@pytest.mark.parametrize(
    ("pair", "outcome"),
    [
        (shifted(1.0), Outcome.PRESERVED),
        (shifted(1.01), Outcome.PRESERVED),
        (shifted(1.06), Outcome.SHIFTED),
        (shifted(0.94), Outcome.SHIFTED),
        (shifted(1.14), Outcome.NOT_PRESERVED),
        (shifted(0.86), Outcome.NOT_PRESERVED),
        (shifted(1.0, 0.1), Outcome.NOT_IDENTIFIABLE),
        (shifted(1.06, 0.1), Outcome.NOT_IDENTIFIABLE),
    ],
)
def test_the_networks_ratio_decides(pair, outcome):
    found = decide(pair, Margins())
    assert found.outcome is outcome
    assert (found.lacking == "") == (outcome is not Outcome.NOT_IDENTIFIABLE)
    assert found.low < found.ratio < found.high


@pytest.mark.parametrize(("off", "outcome"), [(3, "preserved"), (20, "not preserved")])
def test_so_do_the_units(off, outcome):
    tau = np.full(N, 0.05)
    tau[:off] *= 1.5
    found = decide(pair_of(stage(np.full(N, 0.05)), stage(tau)), Margins())
    assert found.outcome.value == outcome
    assert (found.beyond, found.within) == (off, N - off)


def test_units_that_are_not_sure_do_not_count_as_within():
    tau = np.full(N, 0.05)
    found = decide(pair_of(stage(tau), stage(tau, 0.2)), Margins())
    assert found.outcome is Outcome.NOT_IDENTIFIABLE
    assert "are not shown to be within" in found.lacking and found.beyond == 0


def test_units_beyond_the_window_at_both_stages_count_as_kept():
    tau = np.full(N, np.nan)
    found = decide(pair_of(stage(tau), stage(tau)), Margins())
    assert found.outcome is Outcome.PRESERVED and found.within == N
    tau[: FEWEST - 1] = 0.05
    slow = decide(pair_of(stage(tau), stage(tau)), Margins())
    assert slow.outcome is Outcome.PRESERVED
    # Of a few outputs or κ all can be looked at; of six units four are too few.
    few = decide(pair_of(stage(tau[:4]), stage(tau[:4])), Margins())
    assert few.outcome is Outcome.PRESERVED
    known, slow = np.full(6, 0.05), np.full(6, 0.05)
    slow[4:] = np.nan
    lost = decide(pair_of(stage(known), stage(slow, window=0.055)), Margins())
    assert lost.outcome is Outcome.NOT_IDENTIFIABLE
    assert "4 units have a τ at both stages, need 5" in lost.lacking


def test_a_unit_that_leaves_the_window_at_one_stage_is_lost():
    """If its τ was far within it; near its end nothing can be said."""
    tau, slow = np.full(N, 0.05), np.full(N, 0.05)
    tau[:2], slow[:2] = [0.05, 0.95], np.nan
    pair = pair_of(stage(tau), stage(slow))
    for each in (pair, pair_of(pair.b, pair.a)):
        off = not_beyond(each, 0.2) < 0.025
        np.testing.assert_array_equal(np.flatnonzero(off), [0])
        assert (not_within(each, 0.2)[:2] == 1).all()


def test_a_unit_that_stands_still_at_one_stage_is_lost():
    tau, sd = np.full(N, 0.05), np.ones(N)
    still, sd[0] = tau.copy(), 0
    still[0] = np.nan
    pair = pair_of(stage(tau), stage(still, sd=sd))
    np.testing.assert_array_equal(np.flatnonzero(not_beyond(pair, 0.2) < 0.025), [0])


def test_what_differs_between_runs_of_one_stage_counts_against_it():
    """20 of 100 units off between stages: found, unless as many are between runs."""
    tau, other = np.full(N, 0.05), np.full(N, 0.05)
    other[:20] *= 1.5
    pair = pair_of(stage(tau), stage(other))
    quiet, noisy = pair_of(stage(tau), stage(tau)), pair_of(stage(tau), stage(other))
    found = decide(pair, Margins(), 1, (quiet, quiet))
    assert found.outcome is Outcome.NOT_PRESERVED
    for repeats in ((quiet, noisy), (noisy, quiet)):
        found = decide(pair, Margins(), 1, repeats)
        assert found.outcome is Outcome.NOT_IDENTIFIABLE


def test_runs_of_one_stage_that_differ_leave_everything_open():
    """Errors that do not hold between them do not hold between stages."""
    for ratio in (1.0, 1.06, 1.14):
        found = decide(shifted(ratio), Margins(), 1, (shifted(1.0), shifted(1.05)))
        assert found.outcome is Outcome.NOT_IDENTIFIABLE
        assert "two runs of one stage differ" in found.lacking
        sure = decide(shifted(ratio), Margins(), 1, (shifted(1.0), shifted(1.001)))
        assert sure.outcome is decide(shifted(ratio), Margins()).outcome


def spreading(sd, error=0.004):
    """Units whose ratios are a Gaussian's quantiles, and runs of both stages."""
    tau = np.full(N, 0.05)
    other = tau * np.exp(sd * stats.norm.ppf((np.arange(N) + 0.5) / N))
    a, b = stage(tau, error), stage(other, error)
    return pair_of(a, b), (pair_of(a, a), pair_of(b, b))


@pytest.mark.parametrize(
    ("sd", "outcome"),
    [
        (0.05, Outcome.PRESERVED),
        (0.085, Outcome.PRESERVED),
        (0.093, Outcome.NOT_IDENTIFIABLE),
        (0.105, Outcome.NOT_PRESERVED),
    ],
)
def test_how_far_units_spread_decides_where_units_one_by_one_do_not(sd, outcome):
    pair, repeats = spreading(sd)
    found = decide(pair, Margins(), 3, repeats)
    assert found.outcome is outcome
    assert np.sqrt(found.spread.square) == pytest.approx(sd, rel=0.05)
    if sd > 0.08:
        # Without runs of its own a stage has no spread.
        alone = decide(pair, Margins(), 3)
        assert alone.outcome is Outcome.NOT_IDENTIFIABLE
        assert np.isinf(alone.spread.error)


def test_spread_and_the_number_of_units_that_seem_off_have_to_agree():
    """A tenth off by 30 % spreads little; but the tenth is there."""
    tau, other = np.full(N, 0.05), np.full(N, 0.05)
    other[:10] *= 1.3
    a, b = stage(tau, 0.04), stage(other, 0.04)
    repeats = pair_of(a, a), pair_of(b, b)
    found = decide(pair_of(a, b), Margins(), 3, repeats)
    assert found.spread.ends(0.01)[1] < Margins().spread
    assert found.outcome is not Outcome.PRESERVED


def test_without_noise_nothing_moves():
    nothing = stage(np.full(N, np.nan), sd=np.zeros(N))
    found = decide(pair_of(nothing, nothing), Margins())
    assert found.outcome is Outcome.NOT_IDENTIFIABLE
    assert found.lacking == "nothing moves: noise"


def test_looks_share_the_errors():
    shares = [share_of_errors(0.05, look) for look in range(1, 100_000)]
    assert sum(shares) == pytest.approx(0.05, rel=1e-4)
    assert shares == sorted(shares, reverse=True)
    # A later look asks for more.
    edge = shifted(1.0, 0.03)
    assert decide(edge, Margins(), 1).outcome is Outcome.PRESERVED
    assert decide(edge, Margins(), 8).outcome is Outcome.NOT_IDENTIFIABLE


def test_false_decisions_of_one_look_are_within_what_it_may_make():
    """Errors drawn as they are said to be, at the margin and at ratio 1."""
    rng = np.random.default_rng(1)
    margins = Margins()
    at_margin = preserved = wrong = 0
    for _ in range(2000):
        error = 0.03
        edge = np.log1p(margins.ratio) + error * rng.standard_t(38)
        found = decide(shifted(float(np.exp(edge)), error), margins)
        at_margin += found.outcome is Outcome.PRESERVED
        equal = decide(
            shifted(float(np.exp(error * rng.standard_t(38))), error), margins
        )
        wrong += equal.outcome is Outcome.NOT_PRESERVED
        preserved += equal.outcome is Outcome.PRESERVED
    assert at_margin / 2000 <= 0.05 and wrong / 2000 <= 0.05
    assert preserved > 100


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ratio", 0.0),
        ("unit", -1.0),
        ("shift", 0.1),
        ("share", 0.5),
        ("alpha", 0.6),
    ],
)
def test_margins_are_checked(name, value):
    with pytest.raises(ValueError, match=f"{name}: got"):
        Margins(**{name: value})
    assert dataclasses.replace(Margins(), ratio=0.2).ratio == 0.2
