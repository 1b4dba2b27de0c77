"""Who was lost, why, and whether rates have to do with it."""

import re

import numpy as np
import pytest
from scipy import stats

from isotau.sim.preservation.attrition import Attrition, attrition
from isotau.sim.timescales import Status

NAN = float("nan")


def run(make_timescales, statuses, rate=10.0):
    ok = np.array([status is Status.OK for status in statuses])
    found = make_timescales(np.where(ok, 0.0, NAN), rate=rate)
    return type(found)(
        tau=found.tau,
        status=tuple(statuses),
        amplitude=found.amplitude,
        offset=found.offset,
        rate=found.rate,
        method="ml",
        bin_width=0.05,
        lags=14,
    )


OK, FEW, BOUND, NONE = (
    Status.OK,
    Status.TOO_FEW_SPIKES,
    Status.AT_BOUND,
    Status.NOT_IDENTIFIABLE,
)


def test_table(make_timescales):
    first = run(make_timescales, [OK, OK, OK, FEW, BOUND, NONE])
    second = run(make_timescales, [OK, FEW, FEW, OK, OK, NONE])
    found = attrition([(first, second), (first, first)])
    assert (found.both, found.only_first, found.only_second, found.neither) == (
        4,
        2,
        2,
        4,
    )
    assert found.lost == {"too few spikes": 2}
    assert found.gained == {"too few spikes": 1, "at bound": 1}


def test_rate_effect_is_mann_whitney_s(make_timescales):
    rng = np.random.default_rng(0)
    rates = np.round(rng.uniform(1, 20, 40))
    kept = rng.random(40) < 0.6
    statuses = [OK if k else NONE for k in kept]
    first = run(make_timescales, [OK] * 40, rates)
    found = attrition([(first, run(make_timescales, statuses, rates))])
    u = stats.mannwhitneyu(rates[~kept], rates[kept]).statistic
    assert found.rate_effect == pytest.approx(u / (kept.sum() * (~kept).sum()))


def test_rate_effect_needs_both_kinds(make_timescales):
    first = run(make_timescales, [OK, OK])
    assert np.isnan(attrition([(first, first)]).rate_effect)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"both": -1}, "both: got -1, need 0 to"),
        ({"lost": {"odd": 2}}, "lost: got 'odd', need one of ok, too few spikes"),
        ({"lost": {"at bound": 1}}, "lost: got 1 neurons, need 2 as in only_first"),
        ({"gained": {"at bound": 0}}, "gained['at bound']: got 0, need 1 to"),
        ({"rate_effect": 2.0}, "rate_effect: got 2.0, need 0 to 1 or NaN"),
    ],
)
def test_refusals(changes, text):
    fields = {
        "both": 1,
        "only_first": 2,
        "only_second": 0,
        "neither": 0,
        "lost": {"at bound": 2},
        "gained": {},
        "rate_effect": NAN,
    }
    with pytest.raises(ValueError, match=re.escape(text)):
        Attrition(**fields | changes)
