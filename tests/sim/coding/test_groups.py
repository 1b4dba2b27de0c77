"""Quartiles of τ over networks, and pairs of units of one rate."""

import numpy as np
import pytest

from isotau.sim.coding.groups import Groups, match_rates, split_quartiles


def test_quartiles_are_those_of_all_networks_together(of_tau):
    """MATLAB: quantile(1:8, [0.25 0.75]) is 2.5 and 6.5."""
    first = of_tau(np.array([0.008, np.nan, 0.002, 0.005, 0.001]))
    second = of_tau(np.array([0.003, 0.007, 0.004, 0.006]))
    found = split_quartiles([first, second])
    assert found.edges == pytest.approx((0.0025, 0.0065))
    assert found.long[0].tolist() == [True, False, False, False, False]
    assert found.short[0].tolist() == [False, False, True, False, True]
    assert found.long[1].tolist() == [False, True, False, False]
    assert found.short[1].tolist() == [False] * 4
    assert found.sizes == (2, 2)


def test_too_few_timescales_are_refused(of_tau):
    with pytest.raises(ValueError, match="timescales: got 3 units with one, need at"):
        split_quartiles([of_tau(np.array([0.1, 0.2, np.nan, 0.3]))])
    with pytest.raises(ValueError, match=r"quantiles: got \(0.75, 0.25\), need two"):
        split_quartiles([of_tau(np.ones(4))], (0.75, 0.25))


def test_groups_are_checked():
    yes, no = np.array([True]), np.array([False])
    with pytest.raises(ValueError, match="short: got 2 networks, need 1 as long"):
        Groups(long=(yes,), short=(no, no), edges=(0.1, 0.2))
    with pytest.raises(
        ValueError, match=r"short\[0\]: got int64 of shape \(1,\), need"
    ):
        Groups(long=(yes,), short=(np.array([0]),), edges=(0.1, 0.2))
    with pytest.raises(ValueError, match=r"long\[0\]: got a unit that is short too"):
        Groups(long=(yes,), short=(yes,), edges=(0.1, 0.2))


def halves(networks, n):
    """The first half of every network long, the second short."""
    long = np.arange(n) < n // 2
    return Groups(long=(long,) * networks, short=(~long,) * networks, edges=(0.1, 0.1))


def test_pairs_have_one_rate():
    rng = np.random.default_rng(0)
    groups = halves(5, 40)
    rates = [np.exp(rng.normal(2 + (np.arange(40) < 20), 0.5)) for _ in range(5)]
    found = match_rates(groups, rates, rng, factor=1.2)
    assert found.sizes[0] == found.sizes[1] > 20
    for long, short, rate in zip(found.long, found.short, rates, strict=True):
        # In order of rate, units of one network still pair within the factor.
        ratio = np.sort(rate[long]) / np.sort(rate[short])
        assert np.abs(np.log(ratio)).max() <= np.log(1.2) + 1e-12
    together = match_rates(groups, rates, rng, factor=1.2, within=False)
    assert together.sizes[0] == together.sizes[1] >= found.sizes[0]


def test_another_order_makes_other_pairs():
    """Nine long units want the one short unit of their rate."""
    long, short = np.arange(10) < 9, np.arange(10) == 9
    groups = Groups(long=(long,), short=(short,), edges=(0.1, 0.1))
    taken = set()
    for seed in range(8):
        found = match_rates(groups, [np.ones(10)], np.random.default_rng(seed))
        assert found.sizes == (1, 1)
        taken.add(int(np.argmax(found.long[0])))
    assert len(taken) > 2


def test_units_without_a_partner_are_left_out():
    rng = np.random.default_rng(0)
    groups, rates = halves(2, 4), [np.array([10.0, 0, 1, 0]), np.array([8.0, 9, 1, 2])]
    found = match_rates(groups, rates, rng)
    # Silent units pair with silent ones.
    assert found.long[0].tolist() == [False, True, False, False]
    assert found.short[0].tolist() == [False, False, False, True]
    assert not found.long[1].any() and not found.short[1].any()
    none = match_rates(groups, [np.array([9.0, 9, 1, 1])] * 2, rng)
    assert none.sizes == (0, 0)


def test_matching_is_checked():
    groups, rng = halves(2, 4), np.random.default_rng(0)
    with pytest.raises(ValueError, match=r"factor: got 0.5, need at least 1"):
        match_rates(groups, [np.ones(4)] * 2, rng, factor=0.5)
    with pytest.raises(ValueError, match=r"rates: got \[4\] units, need \[4, 4\]"):
        match_rates(groups, [np.ones(4)], rng)
