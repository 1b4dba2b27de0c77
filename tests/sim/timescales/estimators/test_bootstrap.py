"""Resampled trials: how often each is drawn, and the interval that draws give."""

import numpy as np
import pytest

from isotau.sim.timescales.estimators.decay_fit import (
    DecayFit,
    of_fits,
    percentiles,
    resamples,
)
from isotau.sim.timescales.records.record import Status


def test_draws_are_of_recorded_trials_and_as_many():
    observed = np.ones((30, 4), dtype=bool)
    observed[20:, 2] = False
    observed[:, 3] = False
    drawn = list(resamples(observed, 200, np.random.default_rng(0)))
    assert len(drawn) == 200
    for weights in drawn:
        assert weights.sum(axis=0).tolist() == [30, 30, 20, 0]
        assert not weights[20:, 2].any()
        # Recorded together, drawn together.
        np.testing.assert_array_equal(weights[:, 0], weights[:, 1])
    mean = np.mean(drawn, axis=0)
    assert np.abs(mean[:, 0] - 1).max() < 5 / np.sqrt(200)
    left_out = np.mean([weights[:, 0] == 0 for weights in drawn])
    assert left_out == pytest.approx((1 - 1 / 30) ** 30, abs=0.01)


def test_no_resamples():
    assert list(resamples(np.ones((3, 1), dtype=bool), 0, None)) == []


@pytest.mark.parametrize(
    ("many", "rng", "text"),
    [
        (19, np.random.default_rng(0), "bootstrap: got 19, need 0 or at least 20"),
        (-1, np.random.default_rng(0), "bootstrap: got -1, need 0 to"),
        (20, None, "rng: got None, need a generator for the bootstrap"),
    ],
)
def test_refusals(many, rng, text):
    with pytest.raises(ValueError, match=text):
        resamples(np.ones((3, 1), dtype=bool), many, rng)


def test_percentiles_are_draws():
    draws = np.random.default_rng(0).permutation(np.arange(101.0))[:, None]
    assert np.ravel(percentiles(draws, draws, 0.9)).tolist() == [5, 95]
    gaps = np.concatenate((draws, np.full((50, 1), np.nan)))
    assert np.ravel(percentiles(gaps, gaps, 0.9)).tolist() == [5, 95]
    endless = np.where(draws > 94.5, np.inf, draws)
    assert np.ravel(percentiles(endless, endless, 0.9)).tolist() == [5, np.inf]
    none = np.full((20, 1), np.nan)
    assert np.isnan(percentiles(none, none, 0.95)).all()


def test_resamples_without_a_decay_count_for_both_ends():
    def fit(tau, status):
        none = np.zeros(1)
        return DecayFit(np.array([tau]), none, none, none, (status,))

    sound = [fit(0.1, Status.OK)] * 30
    at = {
        (0.1, Status.OK): (0.1, 0.1),
        (np.nan, Status.NO_DECAY): (0.0, np.inf),
        (0.01, Status.AT_BOUND): (0.0, 0.1),
        (2.0, Status.AT_BOUND): (0.1, np.inf),
        (np.nan, Status.UNDEFINED): (0.1, 0.1),
    }
    for (tau, status), ends in at.items():
        low, high = of_fits([*sound, *[fit(tau, status)] * 3], 0.01, 2.0, 0.9)
        assert (low[0], high[0]) == ends
