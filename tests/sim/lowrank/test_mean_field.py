"""The mean field: Gaussian averages in closed form, and networks of many units."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import erf
from scipy.stats import norm

from isotau.convert.activation import activate, slope
from isotau.sim.lowrank.dynamics import exact, fixed_points, flow, jacobian, modes
from isotau.sim.lowrank.factors import factors
from isotau.sim.lowrank.mean_field import averages, effective_connectivity, mean_field
from isotau.sim.lowrank.overlaps import overlaps

SMOOTH = ("sigmoid", "tanh", "softplus")


@pytest.mark.parametrize("activation", (*SMOOTH, "relu", "lif"))
@pytest.mark.parametrize(("mean", "variance"), [(0.4, 0.8), (-1.0, 30.0)])
def test_averages_are_those_of_a_sample(activation, mean, variance):
    """Of φ and of its slope, over 400 000 quantiles of the Gaussian."""
    x = norm.ppf((np.arange(400_000) + 0.5) / 400_000, mean, np.sqrt(variance))
    found = averages(np.array(mean), np.array(variance), activation)
    assert abs(found.value - activate(x, activation).mean()) < 1e-4
    assert abs(found.first - slope(x, activation).mean()) < 1e-4


def test_averages_of_relu_in_closed_form():
    """⟨φ⟩ = μΦ + sϕ, ⟨φ′⟩ = Φ, ⟨φ″⟩ = ϕ/s, ⟨φ‴⟩ = −μϕ/s³, at μ/s."""
    mean, s = np.array([0.0, 1.0, -2.0]), np.array([1.0, 2.0, 1.5])
    got = averages(mean, s**2, "relu")
    cdf, pdf = norm.cdf(mean / s), norm.pdf(mean / s)
    for found, wanted in zip(
        got, (mean * cdf + s * pdf, cdf, pdf / s, -mean * pdf / s**3), strict=True
    ):
        np.testing.assert_allclose(found, wanted, atol=1e-4)


@pytest.mark.parametrize("activation", SMOOTH)
def test_averages_are_each_others_derivatives(activation):
    """d/dμ of one is the next; d/dΔ half the one after."""
    mean, variance, h = np.array(0.3), np.array(0.6), 1e-5
    here = averages(mean, variance, activation)
    up, down = (averages(mean + d, variance, activation) for d in (h, -h))
    wide, thin = (averages(mean, variance + d, activation) for d in (h, -h))
    for k in range(3):
        np.testing.assert_allclose((up[k] - down[k]) / (2 * h), here[k + 1], atol=1e-8)
    for k in range(2):
        np.testing.assert_allclose((wide[k] - thin[k]) / h, here[k + 2], atol=1e-8)


def test_averages_of_a_point_are_the_values_there():
    mean = np.array([0.5, -1.0])
    for variance in (0.0, 1e-13, 1e-10):
        got = averages(mean, np.full(2, variance), "tanh")
        np.testing.assert_allclose(got.value, np.tanh(mean), atol=1e-9)
        np.testing.assert_allclose(got.first, 1 - np.tanh(mean) ** 2, atol=1e-6)


def test_averages_obey_the_ceiling():
    got = averages(np.array(0.0), np.array(100.0), "relu", 2.0)
    wanted, _ = quad(
        lambda x: norm.pdf(x / 10) / 10 * min(max(x, 0), 2), -85, 85, points=[0, 2]
    )
    np.testing.assert_allclose(got.value, wanted, atol=1e-4)


def gaussian_net(make, units, sigma, seed, **fields):
    """m and n drawn from Gaussians with covariance `sigma` of n with m."""
    rng = np.random.default_rng(seed)
    rank = len(sigma)
    m = rng.standard_normal((units, rank))
    return make(
        m, m @ np.transpose(sigma) + rng.standard_normal((units, rank)), **fields
    )


def test_pitchfork_of_the_mean_field(make, orthogonal):
    """κ = λ0 κ ⟨1 − tanh²(κ z)⟩; the average by quadrature, κ by bisection."""
    e = orthogonal(100, 2, np.random.default_rng(1))
    net = make(e[:, :1], 1.7 * e[:, :1] + e[:, 1:])

    def gain(k):
        return quad(lambda z: norm.pdf(z) / np.cosh(k * z) ** 2, -12, 12)[0]

    wanted = brentq(lambda k: 1.7 * gain(k) - 1, 0.1, 10)
    reduced = mean_field(net, overlaps(net, factors(net, canonical=False)))
    found = fixed_points(reduced, np.linspace(-2, 2, 5)[:, None])
    np.testing.assert_allclose(
        [point.kappa[0] for point in found], [-wanted, 0, wanted], atol=1e-6
    )
    at_zero = found[1].modes
    np.testing.assert_allclose(at_zero.eigenvalues, [0.7 / 0.1])


def test_erf_has_a_closed_form():
    """The rule's nodes and weights: ⟨erf(a z + b)⟩ = erf(b/√(1 + 2a²))."""
    from isotau.sim.lowrank.mean_field import NODES, WEIGHTS

    for a, b in ((0.5, 0.3), (30.0, 5.0)):
        np.testing.assert_allclose(
            erf(a * NODES + b) @ WEIGHTS, erf(b / np.sqrt(1 + 2 * a * a)), atol=1e-12
        )


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "relu"])
def test_many_units_follow_the_mean_field(activation, make):
    """20 000 units drawn from Gaussians, with bias, input and centres off zero."""
    rng = np.random.default_rng(3)
    units = 20_000
    m = rng.normal([0.5, 0.0], 1.0, (units, 2))
    n = m @ np.array([[1.5, 0.4], [-0.6, 1.2]]) + rng.standard_normal((units, 2)) + 0.3
    fields = {
        "w_in": rng.standard_normal((units, 1)) + 0.5 * m[:, :1],
        "bias": 0.4 * rng.standard_normal(units) - 0.2,
        "activation": activation,
        "tau": np.full(units, 0.1),
    }
    net = thin(make, m, n, **fields)
    part = factors_of(net, m, n)
    few = mean_field(net, overlaps(net, part), inputs=[0.7])
    kappa = np.array([[0.5, -0.8], [0.0, 0.0], [2.0, 1.0]])
    x = kappa @ m.T + (fields["w_in"][:, 0] * 0.7 + fields["bias"])
    r = activate(x, activation)
    np.testing.assert_allclose(few.target(kappa), r @ n / units, atol=0.05)
    sigma = (n * slope(x[0], activation)[:, None]).T @ m / units
    np.testing.assert_allclose(few.coupling(kappa[0]), sigma, atol=0.06)


class Thin:
    """The fields of a RateRNN that the mean field reads, without N × N weights."""

    def __init__(self, **fields):
        self.__dict__.update(fields)


def thin(make, m, n, **fields):
    units = len(m)
    return Thin(
        n=units, n_in=1, n_out=1, w_out=np.zeros((1, units)), ceiling=None, **fields
    )


def factors_of(net, m, n):
    return Thin(n=net.n, rank=m.shape[1], m_vectors=m, n_vectors=n)


def test_jacobian_is_the_derivative_of_the_flow(make):
    """Three populations with centres of their own; central differences."""
    rng = np.random.default_rng(5)
    m, n = rng.standard_normal((2, 60, 3)) + 0.4
    net = make(m, n, w_in=rng.standard_normal((60, 2)), bias=rng.standard_normal(60))
    found = overlaps(net, factors(net), rng.integers(0, 3, 60))
    for activation in (net.activation, "softplus"):
        other = make(m, n, w_in=net.w_in, bias=net.bias, activation=activation)
        reduced = mean_field(other, found, inputs=[0.3, -0.2])
        for at in (np.zeros(3), rng.standard_normal(3)):
            h = 1e-6
            columns = [
                (flow(reduced, at + h * e) - flow(reduced, at - h * e)) / (2 * h)
                for e in np.eye(3)
            ]
            np.testing.assert_allclose(
                jacobian(reduced, at), np.transpose(columns), atol=1e-5
            )


def test_near_the_origin_the_modes_do_not_jump(make):
    """Where x has no variance at κ = 0 the derivative is a limit."""
    net = gaussian_net(make, 50, [[0.5]], 6)
    reduced = mean_field(net, overlaps(net, factors(net)))
    at = [reduced.coupling(np.array([k]))[0, 0] for k in (0.0, 1e-7, 1e-5, 1e-3)]
    np.testing.assert_allclose(at, at[0], atol=1e-5)


def test_saturating_a_population_removes_its_connectivity(make):
    """Two populations of opposite sign cancel until an input silences one of them.

    σ21 of population 1 is +1, of population 2 it is −1; input 1 reaches only the
    second, whose ⟨φ′⟩ goes to 0.
    """
    rng = np.random.default_rng(7)
    units, first = 400, np.arange(400) < 200
    m = rng.standard_normal((units, 2))
    sign = np.where(first, 1.0, -1.0)
    n = np.stack([m[:, 0], sign * m[:, 0]], axis=1)
    net = make(m, n, w_in=np.where(first, 0, rng.standard_normal(units))[:, None])
    found = overlaps(net, factors(net, canonical=False), (~first).astype(int))
    quiet = effective_connectivity(net, found, [0.1, 0.1])
    driven = effective_connectivity(net, found, [0.1, 0.1], inputs=[50.0])
    assert quiet.shape == (2, 2, 3)
    assert abs(quiet[:, 1, 0].sum()) < 0.1
    assert driven[:, 1, 0].sum() > 0.35
    np.testing.assert_allclose(driven[0], quiet[0], atol=1e-12)
    assert np.abs(driven[1]).max() < 0.05


def test_effective_connectivity_is_the_flow_of_centred_populations(make):
    """τ dκ/dt = −κ + σ̃_nm κ + σ̃_nI v where means are 0."""
    rng = np.random.default_rng(8)
    raw = rng.standard_normal((200, 5))
    labels = np.arange(200) % 2
    for p in (0, 1):
        raw[labels == p] -= raw[labels == p].mean(axis=0)
    net = make(raw[:, :2], raw[:, 2:4], w_in=raw[:, 4:])
    found = overlaps(net, factors(net, canonical=False), labels)
    kappa, v = np.array([0.6, -1.1]), 0.9
    sigma = effective_connectivity(net, found, kappa, inputs=[v]).sum(axis=0)
    reduced = mean_field(net, found, inputs=[v])
    np.testing.assert_allclose(reduced.target(kappa), sigma @ [*kappa, v], atol=1e-12)
    at_zero = effective_connectivity(net, found, [0.0, 0.0]).sum(axis=0)[:, :2]
    np.testing.assert_allclose(
        mean_field(net, found).coupling(np.zeros(2)), at_zero, atol=1e-6
    )


def test_timescale_of_the_mean_field_is_the_networks(make):
    """At the origin of a tanh network both see nᵀm/N less the means."""
    net = gaussian_net(make, 500, [[0.5]], 9)
    part = factors(net)
    one = modes(jacobian(exact(net, part), [0.0])).timescales
    other = modes(jacobian(mean_field(net, overlaps(net, part)), [0.0])).timescales
    np.testing.assert_allclose(one, other, rtol=1e-6)


def test_refusals(make, full_rank):
    net = gaussian_net(make, 50, [[0.5]], 6)
    found = overlaps(net, factors(net))
    with pytest.raises(ValueError, match="inputs: got shape"):
        mean_field(net, found, inputs=[1.0, 2.0])
    with pytest.raises(ValueError, match="inputs: got shape"):
        effective_connectivity(net, found, [0.0], inputs=[1.0, 2.0])
    with pytest.raises(ValueError, match="kappa: got shape"):
        effective_connectivity(net, found, [0.0, 1.0])
    wide = overlaps(full_rank, factors(full_rank, 2))
    with pytest.raises(ValueError, match="tau: got"):
        mean_field(full_rank, wide)
    with pytest.raises(ValueError, match="tau: got 0"):
        mean_field(full_rank, wide, tau=0.0)
