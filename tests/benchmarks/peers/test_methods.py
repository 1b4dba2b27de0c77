"""Estimators that are called alike, and ours among them."""

import numpy as np
import pytest

from benchmarks.peers.known import cell_named, drawn
from benchmarks.peers.methods import (
    BASELINE,
    ML,
    ML_ALL,
    OURS,
    STATE,
    Method,
    answered,
    answers,
    coarser,
    first_units,
    in_pieces,
    without_interval,
)
from isotau.sim.timescales.records.series import Series

STATES, SPIKES = "OU 50 ms, 40 × 1 s", "log rate 100 ms, 40 × 1 s"
NAMED = {method.name: method for method in OURS}


def numbered(kind: str) -> Series:
    """8 bins of 2 trials of 3 units, each value told apart."""
    values = np.arange(48.0).reshape(8, 2, 3)
    return Series(values=values, bin_width=0.025, kind=kind)


def test_trials_are_cut_in_order():
    pieces = in_pieces(numbered("signal"), 4)
    assert pieces.values.shape == (4, 4, 3) and pieces.kind == "signal"
    whole = numbered("signal").values
    np.testing.assert_array_equal(pieces.values[:, :2], whole[:4])
    np.testing.assert_array_equal(pieces.values[:, 2:], whole[4:])
    assert in_pieces(numbered("signal"), 8).values.shape == (8, 2, 3)
    # Three pieces of two bins, and two bins too many.
    assert in_pieces(numbered("signal"), 3).values.shape == (2, 6, 3)


def test_counts_are_added_up_and_signals_left():
    wide = coarser(numbered("counts"))
    assert wide.bin_width == 0.05 and wide.values.shape == (4, 2, 3)
    assert wide.values.sum() == numbered("counts").values.sum()
    assert wide.values[0, 0, 0] == 0 + 6
    assert coarser(numbered("signal")).bin_width == 0.025


def test_a_method_takes_its_kind_its_cells_and_as_many_units():
    cell, spikes = cell_named(STATES), cell_named(SPIKES)
    assert NAMED[STATE].takes(cell) and not NAMED[STATE].takes(spikes)
    seen = []

    def run(series):
        seen.append(series.n)
        return without_interval(np.full(series.n, 0.05))

    few = Method(name="few", run=run, most=2, cells=(STATES,), warm=False)
    assert few.takes(cell) and not few.takes(cell_named("OU 20 ms, 40 × 1 s"))
    answer = answered(few, cell, drawn(cell, 5, 0))
    assert seen == [2] and answer.found.tau.tolist() == [0.05, 0.05]
    assert np.isnan(answer.found.low).all() and answer.seconds >= 0


def test_what_compiles_at_first_is_not_timed():
    calls = []

    def run(series):
        calls.append((series.kind, series.n))
        return without_interval(np.full(series.n, 0.05))

    list(answers([Method(name="a", run=run)], [STATES, STATES, SPIKES], 4, 0))
    assert calls == [("signal", 2), *[("signal", 4)] * 2, ("counts", 2), ("counts", 4)]


@pytest.mark.parametrize("name", [STATE, ML, "direct, corrected"])
def test_ours_find_the_timescale_of_states(name):
    cell = cell_named(STATES)
    found = NAMED[name].run(drawn(cell, 12, 0))
    assert np.isfinite(found.tau).all()
    assert np.median(found.tau) == pytest.approx(0.05, rel=0.1)
    if name != "direct, corrected":
        assert ((found.low < 0.05) & (found.high > 0.05)).sum() >= 9
        assert (found.low < found.tau).all() and (found.tau < found.high).all()


def test_the_likelihood_is_given_every_sample():
    # By itself it takes every fifth one, which leaves nothing of a τ of one sample.
    found = NAMED[ML].run(drawn(cell_named("OU 5 ms, 40 × 4 s"), 4, 0))
    np.testing.assert_allclose(found.tau, 0.005, rtol=0.1)


def test_the_plain_fit_is_biased_as_it_should_be():
    series = drawn(cell_named("OU 200 ms, 40 × 1 s"), 12, 0)
    assert np.median(BASELINE.run(series).tau) < 0.12


def test_of_spikes_every_value_is_more_than_what_is_believed():
    series = drawn(cell_named("linear rate 50 ms, 40 × 1 s"), 30, 0)
    kept, every = (NAMED[name].run(series) for name in (ML, ML_ALL))
    known = np.isfinite(kept.tau)
    assert known.sum() < 30 and np.isfinite(every.tau).all()
    np.testing.assert_array_equal(kept.tau[known], every.tau[known])
    assert np.isnan(kept.high[~known]).all() and (every.high >= every.tau).all()
    assert first_units(series, 3).n == 3
