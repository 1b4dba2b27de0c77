"""The dynamics of κ: flow, Jacobian, fixed points and the timescales they predict.

With x = m κ + I v + b and one τ, a network of weights m nᵀ/N obeys exactly

    τ dκ/dt = −κ + nᵀφ(x)/N,        Jacobian (σ̃ − 1)/τ,  σ̃ = nᵀ diag(φ′(x)) m/N

so an eigenvalue λ of σ̃ is a mode of timescale τ/(1 − Re λ). Beiran, Dubreuil, Valente,
Mastrogiuseppe & Ostojic 2021, doi:10.1162/neco_a_01381.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from jaxtyping import Complex128, Float64
from scipy.optimize import root

from isotau.convert.ground import validation
from isotau.convert.ground.representation import short_repr
from isotau.convert.neuron.activation import activate, slope
from isotau.convert.records.rate import RateRNN
from isotau.sim.lowrank.factors import Factors

Field = Callable[[np.ndarray], np.ndarray]
FAR = 1e6
"""κ beyond this has run away."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Reduced:
    """The dynamics of κ alone, of a network as it is or in the mean-field limit.

    Attributes:
        rank: number of modes.
        tau: of every unit, in seconds.
        target: κ (… × mode) to what κ relaxes to from there; dκ/dt = (target − κ)/τ.
        coupling: κ (mode) to the derivative of target, σ̃, mode × mode.
    """

    rank: int
    tau: float
    target: Field
    coupling: Field


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Modes:
    """Eigenvalues of a linearization, per second, largest real part first."""

    eigenvalues: Complex128[np.ndarray, " k"]

    @property
    def timescales(self) -> Float64[np.ndarray, " k"]:
        """Time in which each mode decays to 1/e, in seconds; NaN where it does not."""
        # (K9): a mode that grows has no time of decay.
        rate = -self.eigenvalues.real
        return 1.0 / np.where(rate > 0, rate, np.nan)

    @property
    def frequencies(self) -> Float64[np.ndarray, " k"]:
        """Turns per second of each mode; 0 where it does not oscillate."""
        return np.abs(self.eigenvalues.imag) / (2 * np.pi)

    @property
    def stable(self) -> bool:
        """Whether every mode decays."""
        return bool((self.eigenvalues.real < 0).all())


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class FixedPoint:
    """A κ that stays where it is, and how the dynamics look around it."""

    kappa: Float64[np.ndarray, " rank"]
    modes: Modes

    @property
    def kind(self) -> str:
        """ "stable", "saddle" or "unstable"."""
        growing = self.modes.eigenvalues.real >= 0
        if growing.all():
            return "unstable"
        return "saddle" if growing.any() else "stable"


def exact(
    net: RateRNN,
    factors: Factors,
    *,
    inputs: Float64[np.ndarray, " n_in"] | None = None,
    tau: float | None = None,
) -> Reduced:
    """Return the dynamics of κ of a network as it is, under constant input.

    Args:
        net: the network.
        factors: of the network; where they keep less than all of its weights, the rest
            is left out.
        inputs: value of each input channel; None for zeros.
        tau: one τ for all units, in seconds, for a network with several. Its fixed
            points are the same for any τ; their modes are not: see `full_modes`.

    Raises:
        ValueError: factors, inputs or τ that do not fit the network.
    """
    m, n = factors.m_vectors, factors.n_vectors
    still = _still(net, inputs)
    if factors.n != net.n:
        raise ValueError(
            f"factors: got {factors.n} units, need {net.n}; take the network's own"
        )

    def state(kappa: np.ndarray) -> np.ndarray:
        return np.asarray(kappa) @ m.T + still

    def target(kappa: np.ndarray) -> np.ndarray:
        # (K5): what κ relaxes to.
        return activate(state(kappa), net.activation, net.ceiling) @ n / net.n

    def coupling(kappa: np.ndarray) -> np.ndarray:
        return effective_coupling(net, factors, state(kappa))

    # Fixed points do not depend on τ, so that one may stand in for several.
    shared = shared_tau(net) if tau is None else tau
    return Reduced(
        rank=factors.rank,
        tau=validation.number("tau", shared, positive=True),
        target=target,
        coupling=coupling,
    )


def effective_coupling(
    net: RateRNN, factors: Factors, x: Float64[np.ndarray, " n"]
) -> Float64[np.ndarray, "rank rank"]:
    """Return σ̃ = nᵀ diag(φ′(x)) m/N at a state x of the network."""
    x = validation.floats("x", x, (net.n,), "unit")
    # (K6)
    gain = slope(x, net.activation, net.ceiling)
    return (factors.n_vectors * gain[:, None]).T @ factors.m_vectors / net.n


def shared_tau(net: RateRNN) -> float:
    """Return the τ that all units have, in seconds.

    Raises:
        ValueError: they have several.
    """
    if np.ptp(net.tau) > 1e-9 * net.tau.max():
        raise ValueError(
            f"tau: got {net.tau.min():.4g} to {net.tau.max():.4g} s, need one value: "
            "with several κ has no dynamics of its own; give tau or use full_modes"
        )
    return float(net.tau[0])


def flow(reduced: Reduced, kappa: Float64[np.ndarray, "*points rank"]) -> np.ndarray:
    """Return dκ/dt, per second, at one κ or many."""
    kappa = np.asarray(kappa, dtype=np.float64)
    return (reduced.target(kappa) - kappa) / reduced.tau


def jacobian(
    reduced: Reduced, kappa: Float64[np.ndarray, " rank"]
) -> Float64[np.ndarray, "rank rank"]:
    """Return d(dκ/dt)/dκ = (σ̃ − 1)/τ, per second, at one κ."""
    kappa = validation.floats("kappa", kappa, (reduced.rank,), "mode")
    # (K7)
    return (reduced.coupling(kappa) - np.eye(reduced.rank)) / reduced.tau


def modes(matrix: Float64[np.ndarray, "k k"]) -> Modes:
    """Return the modes of a Jacobian."""
    return _sorted(np.linalg.eigvals(matrix).astype(np.complex128))


def full_modes(net: RateRNN, x: Float64[np.ndarray, " n"]) -> Modes:
    """Return the modes of all units at a state x: (−1 + W diag(φ′(x))) v = λ diag(τ) v.

    Any network will do, also one with a τ for each unit and without factors.
    """
    x = validation.floats("x", x, (net.n,), "unit")
    gain = slope(x, net.activation, net.ceiling)
    # (K8): each row by its own τ, which is why κ alone would not do.
    return modes((net.w_rec * gain - np.eye(net.n)) / net.tau[:, None])


def in_steps(continuous: Modes, dt: float) -> Modes:
    """Return the modes as steps of dt show them: ln(1 + λ dt)/dt for each λ.

    A network that runs in Euler steps decays and turns at these; they differ from λ
    by about λ²dt/2.
    """
    dt = validation.number("dt", dt, positive=True)
    # (K10): what one Euler step multiplies a mode by.
    factor = 1 + continuous.eigenvalues * dt
    values = np.empty_like(factor)
    with np.errstate(divide="ignore"):  # a mode that one step removes: −∞
        values.real = np.log(np.abs(factor)) / dt
    values.imag = np.angle(factor) / dt
    return _sorted(values)


def fixed_points(
    reduced: Reduced,
    starts: Float64[np.ndarray, "starts rank"],
    *,
    settling: int = 200,
    tolerance: float = 1e-9,
    apart: float = 1e-4,
) -> tuple[FixedPoint, ...]:
    """Return the fixed points found from many starts, sorted by κ.

    Newton's method goes from every start, from where the dynamics have carried it after
    some time, from the origin, and from the middle between any two points found. The
    dynamics lead to what is stable, the others also to saddles. Nothing tells whether
    points are missing: compare two sets of starts.

    Args:
        reduced: the dynamics.
        starts: where to start from.
        settling: time that the dynamics run, in τ.
        tolerance: largest |target − κ| of a fixed point.
        apart: points nearer than this, relative to 1 + |κ|, are one.
    """
    count = validation.length("starts", starts)
    starts = validation.floats("starts", starts, (count, reduced.rank), "start × mode")
    settled = starts.copy()
    # Steps of τ/10: far below τ, so that no stable point is jumped over.
    for _ in range(10 * settling):
        step = 0.1 * (reduced.target(settled) - settled)
        # What has run away stops: it would overflow before the loop ends.
        settled += np.where(np.abs(settled).max(axis=1, keepdims=True) < FAR, step, 0)
    points: list[np.ndarray] = []
    origin = np.zeros((1, reduced.rank))
    _search(
        reduced, np.concatenate([settled, origin, starts]), points, tolerance, apart
    )
    # Between two stable points there often is one that is not.
    between = [(a + b) / 2 for a, b in combinations(points, 2)]
    _search(reduced, between, points, tolerance, apart)
    # Rounded: equal coordinates would be ordered by the solver's last digits.
    points.sort(key=lambda kappa: np.round(kappa, 6).tolist())
    return tuple(
        FixedPoint(kappa=kappa, modes=modes(jacobian(reduced, kappa)))
        for kappa in points
    )


def _search(
    reduced: Reduced,
    starts: Iterable[np.ndarray],
    points: list[np.ndarray],
    tolerance: float,
    apart: float,
) -> None:
    """Append to `points` what Newton's method reaches from each start and is new."""
    for start in starts:
        end = root(
            lambda k: reduced.target(k) - k,
            start,
            jac=lambda k: reduced.coupling(k) - np.eye(reduced.rank),
        )
        # The solver's own flag is about its steps; what counts is what is left.
        stays = np.abs(end.fun).max() <= tolerance and np.abs(end.x).max() < FAR
        size = apart * (1 + np.abs(end.x).max())
        if stays and all(np.abs(end.x - other).max() > size for other in points):
            points.append(end.x)


def _sorted(values: Complex128[np.ndarray, " k"]) -> Modes:
    # Slowest first; of a pair that oscillates the one with positive frequency.
    return Modes(eigenvalues=values[np.lexsort((-values.imag, -values.real))])


def _still(net: RateRNN, inputs: np.ndarray | None) -> Float64[np.ndarray, " n"]:
    """Return I v + b."""
    if inputs is None:
        return net.bias
    return net.w_in @ validation.floats("inputs", inputs, (net.n_in,), "input") + (
        net.bias
    )
