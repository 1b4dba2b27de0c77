"""The mean-field limit: κ of many units whose entries are a mixture of Gaussians.

A unit of population p has x ~ N(μ_p, Δ_p); averages over it by parts (Stein) give

    nᵀφ(x)/N → Σ_p α_p (mean_n ⟨φ⟩_p + cov(n, x) ⟨φ′⟩_p)

Beiran, Dubreuil, Valente, Mastrogiuseppe & Ostojic 2021, doi:10.1162/neco_a_01381.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from isotau.convert import validation
from isotau.convert.activation import activate, slope
from isotau.convert.rate import RateRNN
from isotau.sim.lowrank.dynamics import Reduced, shared_tau
from isotau.sim.lowrank.overlaps import Overlaps

# The trapezoidal rule with 60 nodes per standard deviation: it converges like
# Gauss–Hermite for smooth φ, and unlike that stays good where Δ is so large that φ is
# nearly a step, and at the corner of relu.
NODES = np.linspace(-8.5, 8.5, 1021)
WEIGHTS = np.exp(-0.5 * NODES**2) / np.exp(-0.5 * NODES**2).sum()
NARROW = 1e-6
"""Standard deviation of x below which its mean stands for all."""


class Averages(NamedTuple):
    """⟨φ⟩, ⟨φ′⟩, ⟨φ″⟩ and ⟨φ‴⟩ over a Gaussian x."""

    value: np.ndarray
    first: np.ndarray
    second: np.ndarray
    third: np.ndarray


def averages(
    mean: Float64[np.ndarray, "*points"],
    variance: Float64[np.ndarray, "*points"],
    activation: str,
    ceiling: float | None = None,
) -> Averages:
    """Return the averages of φ and its derivatives over x ~ N(mean, variance).

    With x = μ + s z, integration by parts gives ⟨φ⁽ᵏ⁾⟩ = ⟨He_k(z) φ(x)⟩/sᵏ with
    Hermite's polynomials, so that no derivative of φ is taken, and corners do no harm.
    Where s < 10⁻⁶ the last two are 0: what they multiply vanishes with s.
    """
    mean, variance = np.asarray(mean, np.float64), np.asarray(variance, np.float64)
    spread = np.sqrt(np.maximum(variance, 0.0))
    wide = spread >= NARROW
    s = np.where(wide, spread, 1.0)
    z = NODES
    r = activate(mean[..., None] + spread[..., None] * z, activation, ceiling)
    local = slope(mean, activation, ceiling)
    return Averages(
        value=r @ WEIGHTS,
        first=np.where(wide, r @ (WEIGHTS * z) / s, local),
        second=np.where(wide, r @ (WEIGHTS * (z**2 - 1)) / s**2, 0.0),
        third=np.where(wide, r @ (WEIGHTS * (z**3 - 3 * z)) / s**3, 0.0),
    )


def mean_field(
    net: RateRNN,
    overlaps: Overlaps,
    *,
    inputs: Float64[np.ndarray, " n_in"] | None = None,
    tau: float | None = None,
) -> Reduced:
    """Return the dynamics of κ in the mean-field limit, under constant input.

    Args:
        net: the network; gives activation and τ.
        overlaps: of the network's vectors, for each population.
        inputs: value of each input channel; None for zeros.
        tau: one τ for all units, in seconds, for a network with several.

    Raises:
        ValueError: overlaps or inputs that do not fit the network.
    """
    a = overlaps
    given = _inputs(a, inputs)
    n, x = a.columns("n"), _sources(a)

    def parts(kappa: np.ndarray) -> tuple[np.ndarray, np.ndarray, Averages]:
        """Return cov(n, x), cov(m, x) (… × population × mode) and averages."""
        kappa = np.asarray(kappa, dtype=np.float64)
        fixed = np.broadcast_to([*given, 1.0], (*kappa.shape[:-1], given.size + 1))
        weight = np.concatenate([kappa, fixed], axis=-1)
        with_x = np.einsum("pax,...x->...pa", a.covariances[:, :, x], weight)
        variance = np.einsum("...px,...x->...p", with_x[..., x], weight)
        over = averages(weight @ a.means[:, x].T, variance, net.activation, net.ceiling)
        return with_x[..., n], with_x[..., : a.rank], over

    def target(kappa: np.ndarray) -> np.ndarray:
        with_n, _, over = parts(kappa)
        each = a.means[:, n] * over.value[..., None] + with_n * over.first[..., None]
        return np.einsum("p,...pr->...r", a.fractions, each)

    def coupling(kappa: np.ndarray) -> np.ndarray:
        with_n, with_m, over = parts(kappa)
        m = a.means[:, : a.rank]
        rise = [  # d⟨φ⟩/dκ and d⟨φ′⟩/dκ, population × mode
            m * low[:, None] + with_m * high[:, None]
            for low, high in pairwise(over[1:])
        ]
        each = (
            a.means[:, n, None] * rise[0][:, None, :]
            + with_n[:, :, None] * rise[1][:, None, :]
            + a.covariances[:, n, : a.rank] * over.first[:, None, None]
        )
        return np.einsum("p,prs->rs", a.fractions, each)

    shared = shared_tau(net) if tau is None else tau
    return Reduced(
        rank=a.rank,
        tau=validation.number("tau", shared, positive=True),
        target=target,
        coupling=coupling,
    )


def effective_connectivity(
    net: RateRNN,
    overlaps: Overlaps,
    kappa: Float64[np.ndarray, " rank"],
    *,
    inputs: Float64[np.ndarray, " n_in"] | None = None,
) -> Float64[np.ndarray, "populations rank sources"]:
    """Return α_p σ_ab⁽ᵖ⁾ ⟨φ′⟩_p: what each population adds to σ̃_ab at a given κ.

    a runs over the n, b over the m and then the inputs; the sum over populations is
    σ̃. Where populations have mean 0, τ dκ/dt = −κ + σ̃_nm κ + σ̃_nI v. At κ = 0 without
    input or bias σ̃_nm is `Reduced.coupling`; elsewhere that also counts how ⟨φ′⟩
    changes with κ.
    """
    a = overlaps
    kappa = validation.floats("kappa", kappa, (a.rank,), "mode")
    x = _sources(a)
    weight = np.array([*kappa, *_inputs(a, inputs), 1.0])
    variance = np.einsum("x,pxy,y->p", weight, a.covariances[:, x][:, :, x], weight)
    over = averages(a.means[:, x] @ weight, variance, net.activation, net.ceiling)
    gain = a.fractions * over.first
    return a.covariances[:, a.columns("n")][:, :, x[:-1]] * gain[:, None, None]


def _sources(overlaps: Overlaps) -> np.ndarray:
    """Return the columns that x is made of: m, I and b."""
    return np.concatenate([overlaps.columns(letter) for letter in "mIb"])


def _inputs(overlaps: Overlaps, inputs: np.ndarray | None) -> np.ndarray:
    channels = overlaps.columns("I").size
    value = np.zeros(channels) if inputs is None else inputs
    return validation.floats("inputs", value, (channels,), "input")
