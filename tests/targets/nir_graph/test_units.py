import nir
import numpy as np
import pytest

from isotau.convert.records.lif import decay_fraction
from isotau.targets.nir_graph.graph import flatten, with_widths
from isotau.targets.nir_graph.units import Clock, clock, step_of_gains


class NIRGraph:
    def __init__(self, nodes):
        self.nodes, self.edges = nodes, []


def flat(*nodes):
    named = {str(k): node for k, node in enumerate(nodes)}
    return with_widths(flatten(NIRGraph(named))[0])[0]


def told(made, metadata=None, **given):
    asked = {"dt": None, "time_unit": None, "scheme": "euler"} | given
    return clock(made, metadata or {}, **asked)


def lif(tau, r):
    tau = np.array(tau, dtype=float)
    return nir.LIF(tau=tau, r=r * np.ones_like(tau), v_leak=0 * tau, v_threshold=tau)


def discrete(cuba, dt, unit=1.0, dtype=np.float64):
    syn, mem = (np.array(t, dtype) * dt for t in ([3, 5.5], [10.25, 20]))
    return cuba(2, tau_syn=syn * unit, tau_mem=mem * unit, w_in=syn / dt, r=mem / dt)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_step_of_snntorch_is_found(cuba, dtype):
    made, found = told(flat(discrete(cuba, 1e-4, dtype=dtype)))
    assert (made.dt, made.unit) == (1e-4, 1.0)
    assert not [f for f in found if f.severity.value == "warning"]
    assert "hold for dt = 0.0001 s" in str(found)


def test_no_step_follows_from_physical_gains(cuba):
    assert step_of_gains(flat(cuba(2))) is None
    assert step_of_gains(flat(lif([0.01, 0.01], 1.0))) is None
    assert step_of_gains(flat(lif([0.01, 0.02], -1.0))) is None
    assert step_of_gains(flat(lif([0.01], 10.0), lif([0.01], 20.0))) is None


def test_nothing_tells_the_step(cuba):
    made, found = told(flat(cuba(2)))
    assert (made.dt, made.unit) == (1e-3, 1.0)
    assert [f.message for f in found if f.severity.value == "warning"] == [
        "nothing tells the step"
    ]


def test_milliseconds_as_hxtorch_writes_them(cuba):
    node = cuba(2, tau_syn=5.0, tau_mem=10.0, w_in=1.0)
    made, found = told(flat(node))
    assert (made.dt, made.unit) == (1e-3, 1e-3)
    assert "taken as milliseconds" in str(found)
    made, _ = told(flat(node), dt=5e-4, time_unit="ms")
    np.testing.assert_allclose(made.loss(np.array([10.0])), 0.05)


def test_steps_as_sinabs_and_spyx_write_them():
    made, found = told(flat(lif([20.0, 5.0], 1.0)), dt=2e-3, time_unit="steps")
    np.testing.assert_allclose(made.loss(np.array([20.0])), 0.05)
    assert made.dt == 2e-3
    both = flat(nir.LIF(*np.array([[20.0, 5], [20, 5], [0, 0], [1, 1], [0, 0]])))
    made, found = told(both, dt=2e-3)
    assert made.unit == 2e-3
    assert "taken as steps, since r and w_in say dt = 1" in str(found)


def test_mixed_magnitudes_are_seconds_with_a_warning():
    made, found = told(flat(lif([0.02, 1.5], 1.0)))
    assert made.unit == 1.0
    assert any(f.place == "time unit" and f.severity == "warning" for f in found)


def test_a_step_at_odds_with_the_gains_is_reported(cuba):
    _, found = told(flat(discrete(cuba, 1e-3)), dt=5e-4)
    message = "got dt = 0.0005 s, while r and w_in say 0.001 s"
    assert [f.message for f in found if f.severity.value == "warning"] == [message]


def test_metadata_come_before_inference_and_arguments_before_them(cuba):
    made = flat(discrete(cuba, 1e-3))
    said = {"dt": 2e-4, "time_unit": "s", "scheme": "exact"}
    got, found = told(made, said, scheme=None)
    assert (got.dt, got.unit, got.scheme) == (2e-4, 1.0, "exact")
    assert "the metadata says exact" in str(found)
    got, _ = told(made, said, dt=1e-4, time_unit="ms", scheme="euler")
    assert (got.dt, got.unit, got.scheme) == (1e-4, 1e-3, "euler")


@pytest.mark.parametrize("scheme", ["euler", "exact"])
def test_time_constants_give_the_decays_of_the_scheme(scheme):
    made = Clock(dt=1e-3, unit=1e-3, scheme=scheme)
    tau = np.array([1.0, 1 + 1e-9, 1.5, 20, 1e5])
    want = 1 / tau if scheme == "euler" else 1 - np.exp(-1 / tau)
    np.testing.assert_allclose(made.loss(tau), want, rtol=1e-8)
    np.testing.assert_allclose(decay_fraction(made.tau(tau), 1e-3), want, rtol=1e-8)
    if scheme == "euler":
        assert decay_fraction(made.tau(tau), 1e-3)[0] == 1.0


def test_neurons_faster_than_the_step_are_named(cuba):
    node = cuba(3, tau_mem=np.array([0.01, 5e-4, 1e-4]))
    _, found = told(flat(node), dt=1e-3)
    wrong = [f for f in found if f.severity.value == "error"]
    assert [(f.place, f.message) for f in wrong] == [
        ("node 0, neurons 1-2", "tau_mem: got 0.0001 s, need at least dt = 0.001 s")
    ]
    assert not [
        f
        for f in told(flat(node), dt=1e-3, scheme="exact")[1]
        if f.severity.value == "error"
    ]
