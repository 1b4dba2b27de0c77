"""Fano factors of counts with a known one."""

import numpy as np
import pytest

from isotau.convert.records.spikes import Spikes, pack
from isotau.sim.coding.fano import (
    CountStatistics,
    count_moments,
    fano_by_group,
    fano_factors,
    matched_fano,
)
from isotau.sim.timescales.records.series import Series, from_signal


def series(values, **more):
    return Series(values=np.asarray(values, dtype=float), bin_width=0.05, **more)


def test_first_bin_is_dropped_and_the_others_summed():
    values = np.zeros((3, 4, 2))
    values[0] = 100
    values[1, :, 0] = [1, 2, 3, 4]
    values[2, :, 0] = [0, 1, 0, 1]
    found = fano_factors(series(values))
    # Sums 1, 3, 3, 5: mean 3, variance 8/3.
    assert found[0] == pytest.approx(8 / 9)
    assert np.isnan(found[1])
    moments = count_moments(series(values), skipped=0)
    assert moments.mean[1] == 100 and moments.variance[1] == 0


def test_poisson_and_binomial_counts():
    """1 and 1 − p; SE of 4000 trials is 0.022."""
    rng = np.random.default_rng(0)
    values = np.stack(
        [rng.poisson(2, (21, 4000)), rng.binomial(5, 0.3, (21, 4000))], axis=2
    )
    np.testing.assert_allclose(fano_factors(series(values)), [1, 0.7], atol=0.09)


def test_spikes_and_missing_trials():
    rng = np.random.default_rng(0)
    raster = rng.random((1050, 6, 3)) < 0.02
    recording = Spikes(bits=pack(raster), n=3, dt=1e-3, engine="recorded")
    total = raster[50:].sum(axis=0)
    want = total.var(axis=0, ddof=1) / total.mean(axis=0)
    np.testing.assert_allclose(fano_factors(recording), want)
    seen = np.ones((6, 3), dtype=bool)
    seen[2:, 1], seen[1:, 2] = False, False
    counted = raster.reshape(21, 50, 6, 3).sum(axis=1)
    found = fano_factors(series(counted, observed=seen))
    two = total[:2, 1]
    assert found[1] == pytest.approx(two.var(ddof=1) / two.mean())
    assert np.isnan(found[2])


def test_a_signal_has_none():
    with pytest.raises(ValueError, match="source: got a signal, need counts of spikes"):
        fano_factors(from_signal(np.ones((4, 3, 2)), 0.05))


def test_matching_makes_equals_of_groups_that_differ_in_counts_alone():
    """Variance m (1 + m/10) in both groups; one has larger counts."""
    rng = np.random.default_rng(0)
    groups = {}
    for name, center in (("few", 1.5), ("many", 2.3)):
        mean = np.exp(rng.normal(center, 0.6, 3000))
        groups[name] = CountStatistics(mean, mean * (1 + mean / 10))
    raw = {k: (g.variance / g.mean).mean() for k, g in groups.items()}
    assert raw["many"] - raw["few"] > 0.5
    found = matched_fano(groups, rng)
    assert found["few"].fano == pytest.approx(found["many"].fano, rel=0.02)
    assert raw["few"] < found["few"].fano < raw["many"]
    assert found["few"].points == found["many"].points > 1000
    assert 0 < found["few"].spread < 0.05


def test_matching_one_group_keeps_all_of_it():
    """The slope through the origin, weighted by 1/mean², by another library."""
    rng = np.random.default_rng(0)
    mean = rng.uniform(1, 9, 30)
    variance = rng.uniform(1, 9, 30)
    found = matched_fano({"all": CountStatistics(mean, variance)}, rng, repeats=2)[
        "all"
    ]
    slope = np.linalg.lstsq((mean / mean)[:, None], variance / mean, rcond=None)[0]
    assert found.fano == pytest.approx(slope[0]) and found.points == 30
    assert found.spread == pytest.approx(0)


def test_groups_that_share_nothing_have_no_matched_factor():
    rng = np.random.default_rng(0)
    low = CountStatistics(np.array([1.0, 0, np.nan]), np.array([1.0, 0, np.nan]))
    high = CountStatistics(np.array([9.0]), np.array([3.0]))
    for found in matched_fano({"low": low, "high": high}, rng).values():
        assert np.isnan(found.fano) and found.points == 0


def test_groups_of_units():
    rng = np.random.default_rng(0)
    values = [rng.poisson(1, (21, 50, 8)) for _ in range(2)]
    values[1][:, :, 5] = 0
    sources = [series(v) for v in values]
    masks = {"long": [np.arange(8) < 3] * 2, "short": [np.arange(8) > 4] * 2}
    found = fano_by_group(sources, masks, rng)
    each = np.concatenate([fano_factors(source) for source in sources])
    assert found["all"] == pytest.approx(np.nanmedian(each))
    short = np.concatenate(masks["short"])
    assert found["short"] == pytest.approx(np.nanmedian(each[short]))
    assert found["long_matched"].points == found["short_matched"].points <= 5
    assert fano_by_group([], masks, rng) == {}
    none = {"long": [np.zeros(8, dtype=bool)] * 2}
    assert np.isnan(fano_by_group(sources, none, rng)["long"])


def test_arguments_are_checked():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="groups: got none, need at least one"):
        matched_fano({}, rng)
    with pytest.raises(ValueError, match="factor: got 1, need more than 1"):
        matched_fano({"a": CountStatistics(np.ones(1), np.ones(1))}, rng, factor=1)
