import nir
import numpy as np
import pytest

from isotau.convert.records.lif import decay_fraction
from isotau.targets.nir_graph.from_nir import from_nir


@pytest.mark.parametrize(("r", "w_in"), [(1.0, 5.0), (10.0, 5.0), (2.0, 1.0)])
def test_gains_follow_the_formula(chain, cuba, r, w_in):
    graph = chain(fc=nir.Linear(np.array([[3.0]])), lif=cuba(r=r, w_in=w_in))
    net = from_nir(graph, dt=1e-3).net
    volts_of_v = decay_fraction(net.tau_mem, net.dt) * net.w_in[0, 0]
    np.testing.assert_allclose(volts_of_v, 3 * (w_in * 1e-3 / 5e-3) * (r * 1e-3 / 1e-2))


def test_a_scalar_gain_is_that_of_every_neuron(chain, cuba):
    one = chain(fc=nir.Linear(np.ones((3, 1))), lif=cuba(3))
    lif = one.nodes["lif"]
    scalar = nir.CubaLIF(
        tau_syn=lif.tau_syn,
        tau_mem=lif.tau_mem,
        r=lif.r,
        v_leak=lif.v_leak,
        v_threshold=lif.v_threshold,
        w_in=5.0,
    )
    other = chain(fc=nir.Linear(np.ones((3, 1))), lif=scalar)
    a, b = (from_nir(graph, dt=1e-3).net for graph in (one, other))
    np.testing.assert_array_equal(a.w_in, b.w_in)


def test_lif_has_no_synapse(chain):
    values = np.array([[0.01, 0.02], [2, 3], [0, 0], [1, 1], [0, 0]])
    net = from_nir(
        chain(fc=nir.Linear(np.ones((2, 1))), lif=nir.LIF(*values)), dt=1e-3
    ).net
    np.testing.assert_array_equal(decay_fraction(net.tau_syn, net.dt), [1, 1])
    np.testing.assert_allclose(net.w_in[:, 0], [2, 3])


def test_a_bias_is_a_steady_drive_that_builds_up(chain, cuba, brute):
    """v of a silent neuron against forward Euler of NIR's equations, step for step."""
    fc = nir.Affine(np.array([[0.0]]), np.array([0.3]))
    graph = chain(fc=fc, lif=cuba(v_leak=0.1, v_threshold=1e9))
    net = from_nir(graph, dt=1e-3).net
    a_syn, a_mem = (decay_fraction(t, net.dt)[0] for t in (net.tau_syn, net.tau_mem))
    i, v = net.i0[0], net.v0[0]
    current, potential = 0.0, 0.0
    for _ in range(40):
        v += a_mem * (net.v_leak[0] - v + i)
        i *= 1 - a_syn
        current += 0.2 * (-current + 5.0 * 0.3)
        potential += 0.1 * (0.1 - potential + current)
        assert abs(v - potential) < 1e-12
    assert potential > 1
