"""Dynamics of κ against closed forms, the simulated network and brute force."""

import re
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import brentq

from isotau.convert.neuron.activation import ACTIVATIONS
from isotau.convert.simulate.rate_dynamics import simulate_rate
from isotau.sim.lowrank.dynamics import (
    Modes,
    Reduced,
    effective_coupling,
    exact,
    fixed_points,
    flow,
    full_modes,
    in_steps,
    jacobian,
    modes,
    shared_tau,
)
from isotau.sim.lowrank.factors import factors
from isotau.sim.lowrank.trajectories import kappa

RNG = np.random.default_rng(0)
TAU, DT = 0.1, 0.001
SMALL = 1e-3
"""κ in the linear regime."""


def relaxed(net, start, steps=800):
    """κ of a run without input or noise from a small κ, time × mode."""
    found = factors(net, canonical=False)
    x0 = (found.m_vectors @ start)[None]
    still = np.zeros((steps, 1, net.n_in))
    run = simulate_rate(net, still, seed=0, noise=False, x0=x0, keep_x=True)
    return kappa(run.x, found.m_vectors)[:, 0]


def test_rank_one_relaxes_with_tau_over_one_minus_overlap(rank_one):
    """τ/(1 − 0.6) = 250 ms, measured as the slope of ln κ."""
    k = relaxed(rank_one, [SMALL])[:, 0]
    measured = -DT / np.polyfit(np.arange(k.size), np.log(k), 1)[0]
    assert abs(measured / (TAU / (1 - 0.6)) - 1) < 0.01
    predicted = modes(jacobian(exact(rank_one, factors(rank_one)), [0.0]))
    np.testing.assert_allclose(predicted.timescales, TAU / (1 - 0.6))
    stepped = in_steps(predicted, DT).timescales
    np.testing.assert_allclose(measured, stepped, rtol=1e-5)
    assert predicted.stable
    # A direction that is not m decays with the units' own τ.
    other = RNG.standard_normal((1, rank_one.n))
    other -= other @ rank_one.m_vectors @ rank_one.m_vectors.T / rank_one.n
    other -= (
        other
        @ rank_one.n_vectors
        * rank_one.n_vectors.T
        / (rank_one.n_vectors**2).sum()
    )
    run = simulate_rate(
        rank_one, np.zeros((100, 1, 1)), seed=0, x0=SMALL * other, keep_x=True
    )
    size = np.abs(run.x[:, 0]).mean(axis=1)
    np.testing.assert_allclose(-DT / np.log(size[1:] / size[:-1]), TAU, rtol=0.02)


def test_rank_two_turns_with_the_predicted_frequency(rotation):
    """σ = 0.8 ± 0.5 i: 0.5/(2π τ) turns a second, decay of τ/0.2."""
    k = relaxed(rotation, [SMALL, 0.0])
    spin = k[:, 0] + 1j * k[:, 1]
    phase, size = np.unwrap(np.angle(spin)), np.log(np.abs(spin))
    turns = np.abs(np.polyfit(np.arange(800) * DT, phase, 1)[0]) / (2 * np.pi)
    decay = -1 / np.polyfit(np.arange(800) * DT, size, 1)[0]
    found = modes(jacobian(exact(rotation, factors(rotation)), [0.0, 0.0]))
    np.testing.assert_allclose(found.frequencies, 0.5 / (2 * np.pi * TAU))
    np.testing.assert_allclose(found.timescales, TAU / 0.2)
    assert abs(turns / found.frequencies[0] - 1) < 0.01
    stepped = in_steps(found, DT)
    np.testing.assert_allclose(turns, stepped.frequencies[0], rtol=1e-4)
    np.testing.assert_allclose(decay, stepped.timescales[0], rtol=1e-4)


def test_a_limit_cycle_surrounds_an_unstable_point(make, orthogonal):
    """Overlap 2 ± 1 i: the origin throws out, nothing else stays."""
    e = orthogonal(300, 2, np.random.default_rng(4))
    net = make(e, e @ np.array([[2.0, 1.0], [-1.0, 2.0]]).T)
    reduced = exact(net, factors(net))
    found = fixed_points(reduced, RNG.normal(size=(20, 2)))
    assert [point.kind for point in found] == ["unstable"]
    np.testing.assert_allclose(found[0].kappa, 0, atol=1e-6)
    assert not found[0].modes.stable
    assert np.isnan(found[0].modes.timescales).all()


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_jacobian_is_the_derivative_of_the_flow(activation, make):
    """Central differences, with inputs, biases and a ceiling."""
    rng = np.random.default_rng(8)
    m, n = rng.standard_normal((2, 60, 3))
    net = make(
        m,
        n,
        w_in=rng.standard_normal((60, 2)),
        bias=rng.standard_normal(60),
        activation=activation,
        ceiling=0.8,
    )
    reduced = exact(net, factors(net), inputs=[0.5, -1.0])
    # The f–I curve is a table, its slope another: they agree over some points of it.
    lif = activation == "lif"
    at, h = rng.standard_normal(3), 0.02 if lif else 1e-6
    columns = [
        (flow(reduced, at + h * e) - flow(reduced, at - h * e)) / (2 * h)
        for e in np.eye(3)
    ]
    np.testing.assert_allclose(
        jacobian(reduced, at), np.transpose(columns), atol=0.01 if lif else 1e-4
    )


def test_full_modes_are_the_derivative_of_the_network(full_rank):
    """Eigenvalues of the differences of one time step, a τ for each unit."""
    x = RNG.standard_normal(40)
    h, quiet = 1e-6, np.zeros((1, 80, 2))
    shifted = np.concatenate([x + h * np.eye(40), x - h * np.eye(40)])
    after = simulate_rate(full_rank, quiet, seed=0, x0=shifted, keep_x=True).x[0]
    rows = (after[:40] - after[40:]) / (2 * h)
    of_a_step = np.linalg.eigvals(rows.T)
    found = 1 + full_rank.dt * full_modes(full_rank, x).eigenvalues
    gap = np.abs(found[:, None] - of_a_step[None])
    assert gap.min(axis=0).max() < 1e-6
    assert gap.min(axis=1).max() < 1e-6
    assert (np.diff(found.real) <= 0).all()


def test_full_and_reduced_modes_agree(rotation):
    """The others are N − 2 times −1/τ."""
    reduced = exact(rotation, factors(rotation))
    at = np.array([0.7, -0.4])
    own = modes(jacobian(reduced, at)).eigenvalues
    x = factors(rotation).m_vectors @ at
    full = full_modes(rotation, x).eigenvalues
    np.testing.assert_allclose(full[:2], own, rtol=1e-8)
    np.testing.assert_allclose(full[2:], -1 / TAU, atol=1e-6)
    values = np.linalg.eigvals(effective_coupling(rotation, factors(rotation), x))
    np.testing.assert_allclose(
        np.sort_complex((values - 1) / TAU), np.sort_complex(own), rtol=1e-9
    )


def test_pitchfork_points_solve_their_equation(make, orthogonal):
    """Rank one with overlap 1.8: κ = nᵀtanh(m κ)/N, by bisection; ± and 0."""
    e = orthogonal(400, 2, np.random.default_rng(9))
    net = make(e[:, :1], 1.8 * e[:, :1] + e[:, 1:])
    m, n = net.m_vectors[:, 0], net.n_vectors[:, 0]
    wanted = brentq(lambda k: n @ np.tanh(m * k) / 400 - k, 0.3, 10)
    reduced = exact(net, factors(net, canonical=False))
    found = fixed_points(reduced, np.linspace(-3, 3, 7)[:, None])
    np.testing.assert_allclose(
        [point.kappa[0] for point in found], [-wanted, 0, wanted], atol=1e-8
    )
    assert [point.kind for point in found] == ["stable", "unstable", "stable"]
    # The network itself settles where it is said to.
    end = relaxed(net, [0.1], steps=3000)[-1]
    np.testing.assert_allclose(end, wanted, rtol=1e-6)


def test_saddles_are_found(make, orthogonal):
    """Two overlaps beyond 1: nine points, four of them stable, four saddles."""
    e = orthogonal(2000, 2, np.random.default_rng(10))
    # Units of one mode each: the modes do not know of each other.
    half = np.arange(2000) < 1000
    m = np.where(half[:, None] == [True, False], np.sqrt(2) * e, 0)
    net = make(m, 2.5 * m)
    found = fixed_points(
        exact(net, factors(net, canonical=False)),
        np.random.default_rng(1).uniform(-3, 3, (60, 2)),
    )
    kinds = [point.kind for point in found]
    assert sorted(kinds) == ["saddle"] * 4 + ["stable"] * 4 + ["unstable"]


def test_input_moves_the_fixed_point(rank_one):
    """Against the settled network, under constant input."""
    net = replace(rank_one, w_in=rank_one.w_in + rank_one.m_vectors)
    found = factors(net)
    reduced = exact(net, found, inputs=[0.8])
    (point,) = fixed_points(reduced, [[0.0], [1.0]])
    drive = np.full((4000, 1, 1), 0.8)
    run = simulate_rate(net, drive, seed=0, keep_x=True)
    settled = kappa(run.x[-1, 0], found.m_vectors, inputs=net.w_in)
    np.testing.assert_allclose(point.kappa, settled, atol=1e-8)
    assert abs(point.kappa[0]) > 0.1


def test_what_runs_away_is_no_fixed_point(make, orthogonal):
    """relu with overlap 3: κ grows for ever; 0 alone stays."""
    e = orthogonal(100, 1, np.random.default_rng(11))
    net = make(e, 6 * e, activation="relu", bias=np.full(100, -1.0))
    found = fixed_points(exact(net, factors(net)), [[0.0], [5.0], [-5.0]])
    assert all(np.abs(point.kappa).max() < 5 for point in found)
    assert any(np.abs(point.kappa).max() < 1e-9 for point in found)


def test_in_steps_of_a_network_without_leak():
    """dt = τ and σ̃ = −0.5: x ← −x/2, a turn every two steps."""
    found = in_steps(Modes(eigenvalues=np.array([(-0.5 - 1) / 0.1 + 0j])), 0.1)
    np.testing.assert_allclose(found.timescales, 0.1 / np.log(2))
    np.testing.assert_allclose(found.frequencies, 1 / 0.2)
    gone = in_steps(Modes(eigenvalues=np.array([-10 + 0j])), 0.1)
    np.testing.assert_array_equal(gone.timescales, 0)


def test_several_tau_need_one(full_rank):
    found = factors(full_rank, 2)
    with pytest.raises(ValueError, match=r"tau: got 0.02\d* to 0\.\d+ s, need one val"):
        exact(full_rank, found)
    assert exact(full_rank, found, tau=0.05).tau == 0.05


def test_shared_tau(rotation):
    assert shared_tau(rotation) == TAU


def test_fixed_points_do_not_depend_on_tau(full_rank):
    """Full rank, a τ for each unit: the reduced point is the network's own."""
    slow = replace(full_rank, w_rec=0.5 * full_rank.w_rec)
    found = factors(slow, 40)
    (point,) = fixed_points(exact(slow, found, tau=1.0), np.zeros((1, 40)))
    run = simulate_rate(slow, np.zeros((2000, 1, 2)), seed=0, keep_x=True)
    x = found.m_vectors @ point.kappa + slow.bias
    np.testing.assert_allclose(run.x[-1, 0], x, atol=1e-8)


def linear(tau=1.0):
    return Reduced(
        rank=1, tau=tau, target=lambda k: 0 * k, coupling=lambda k: np.zeros((1, 1))
    )


def test_refusals(rank_one, rotation):
    with pytest.raises(ValueError, match="factors: got 300 units, need 200"):
        exact(rank_one, factors(rotation))
    with pytest.raises(
        ValueError, match=re.escape("inputs: got shape (2,), need (1,)")
    ):
        exact(rank_one, factors(rank_one), inputs=[1.0, 2.0])
    with pytest.raises(ValueError, match="tau: got -1"):
        exact(rank_one, factors(rank_one), tau=-1.0)
    with pytest.raises(ValueError, match="x: got shape"):
        full_modes(rank_one, np.zeros(3))
    with pytest.raises(ValueError, match="x: got shape"):
        effective_coupling(rank_one, factors(rank_one), np.zeros(3))
    with pytest.raises(ValueError, match="kappa: got shape"):
        jacobian(linear(), [0.0, 1.0])
    with pytest.raises(ValueError, match="starts: got shape"):
        fixed_points(linear(), [[0.0, 1.0]])
    with pytest.raises(ValueError, match="dt: got 0"):
        in_steps(Modes(eigenvalues=np.array([-1 + 0j])), 0)
