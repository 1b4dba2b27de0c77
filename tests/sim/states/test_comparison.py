"""A comparison as a table: every unit, with what was found of it."""

import numpy as np

from isotau.sim.states import StateBudget, compare_states

TAU = np.geomspace(0.03, 0.06, 12)


def comparison(ou_source):
    off = TAU * np.where(np.arange(12) == 3, 2.0, 1.0)
    stages = [ou_source("lif", TAU), ou_source("fixed", off)]
    budget = StateBudget(seconds=60)
    return compare_states(stages, [("lif", "fixed")], budget=budget)[0]


def test_every_unit_has_a_row(ou_source):
    found = comparison(ou_source)
    frame = found.to_frame()
    assert list(frame["unit"]) == list(range(12))
    np.testing.assert_array_equal(frame["tau_lif"], found.pair.a.tau)
    low, high = found.pair.b.interval()
    np.testing.assert_array_equal(frame["low_fixed"], low)
    np.testing.assert_array_equal(frame["high_fixed"], high)
    ratio = frame["tau_fixed"] / frame["tau_lif"]
    np.testing.assert_allclose(frame["ratio"], ratio)
    np.testing.assert_array_equal(
        frame["tau_integral_lif"], found.shapes[0].tau_integral
    )
    assert list(frame["lost"]) == [k == 3 for k in range(12)]
    assert not frame["kept"][3] and frame["kept"].sum() >= 10
    assert frame["frequency_lif"].isna().all()
