"""Resampled trials, the interval that their fits give, and what it decides."""

import numpy as np
import pytest

from isotau.sim.timescales.estimators.judge import (
    NeuronFits,
    find_quiet,
    find_status,
    interval,
    judge,
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


NAN = np.nan


def fits_of(tau, status, least=None, most=None):
    tau = np.array(tau, dtype=float)
    none = np.full(tau.shape, NAN)
    least, most = tau if least is None else least, tau if most is None else most
    status = np.array(status, dtype=object)
    return NeuronFits(tau, none, none, none, status, np.array(least), np.array(most))


@pytest.mark.parametrize(
    ("least", "most", "ends"),
    [
        (0.1, 0.1, (0.1, 0.1)),
        (0.0, np.inf, (0.0, np.inf)),
        (0.0, 0.01, (0.0, 0.1)),
        (2.0, np.inf, (0.1, np.inf)),
        (NAN, NAN, (0.1, 0.1)),
    ],
)
def test_each_end_is_that_of_what_the_fits_count_as(least, most, ends):
    sound = [fits_of([0.1], [Status.OK])] * 30
    odd = [fits_of([NAN], [Status.NO_DECAY], [least], [most])] * 3
    low, high = interval([*sound, *odd], 0.9)
    assert (low[0], high[0]) == ends


def test_without_fits_there_is_no_interval():
    assert interval([], 0.9) is None


def test_fits_are_judged_by_spikes_interval_and_their_own_status():
    fits = fits_of([0.1, 0.2, 0.3, 0.4, 0.5], [Status.OK] * 4 + [Status.AT_BOUND])
    low = np.array([0.05, 0.0, NAN, 0.0, 0.0])
    few = np.array([False, False, False, True, False])
    settings = {"rate": np.full(5, 9.0), "method": "x", "bin_width": 0.05, "lags": 14}

    def judged(**more):
        return judge(
            fits, (low, np.full(5, 1.0)), few=few, level=0.9, **settings, **more
        )

    record = judged()
    assert record.status == (
        Status.OK,
        Status.NOT_IDENTIFIABLE,
        Status.OK,
        Status.TOO_FEW_SPIKES,
        Status.AT_BOUND,
    )
    np.testing.assert_array_equal(record.tau, [0.1, NAN, 0.3, NAN, NAN])
    np.testing.assert_array_equal(record.estimate, fits.tau)
    assert judged(decisive=False).status[1] is Status.OK
    unresampled = judge(fits, None, few=few, level=0.9, **settings)
    assert np.isnan([unresampled.low, unresampled.high]).all()
    assert unresampled.status[1] is Status.OK


def test_statuses_are_found():
    status = np.array([Status.OK, Status.NO_DECAY, Status.OK], dtype=object)
    assert find_status(status, Status.OK).tolist() == [True, False, True]
    assert find_status(status, Status.OK, Status.NO_DECAY).all()


def test_a_quiet_neuron_is_silent_or_below_the_least_rate():
    rates = np.array([0.0, 0.4, 1.0, NAN])
    assert find_quiet(rates, 0.0).tolist() == [True, False, False, True]
    assert find_quiet(rates, 1.0).tolist() == [True, True, False, True]
    assert not find_quiet(rates, 1.0, "signal").any()
