"""Autocovariances of stationary processes: at any lag, and between bins."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Complex128, Float64

from isotau.convert.ground import validation
from isotau.convert.ground.representation import short_repr

NODES = 48
"""Of the quadrature over a bin: 12 digits down to time constants of a 200th of it."""
Lagged = Float64[np.ndarray, "lags n"]


@runtime_checkable
class Autocovariance(Protocol):
    """A stationary process's autocovariance, and what bins make of it.

    For spikes it is the covariance density of two different spikes, in Hz²; what a
    neuron's own spikes add at lag 0 is `Truth`'s to say.
    """

    def __call__(self, lags: Float64[np.ndarray, " lags"]) -> Lagged:
        """Return the autocovariance at lags in seconds, lag × neuron."""
        ...

    def over_bins(self, width: float, lags: int) -> Lagged:
        """Return the covariance of integrals over bins 0, 1, … `lags` bins apart."""
        ...


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Exponentials:
    """C(u) = Re Σₖ aₖ exp(−bₖ |u|): OU processes, Hawkes processes, linear networks.

    Attributes:
        weights: a, component × neuron; variances, or Hz² for spikes.
        decays: b, in 1/s; a real part of at least 0. An imaginary part oscillates,
            b = 0 is what trials differ by as wholes.
    """

    weights: Complex128[np.ndarray, "components n"]
    decays: Complex128[np.ndarray, "components n"]

    def __post_init__(self) -> None:
        """Check and freeze every field."""
        weights, decays = (np.array(x, complex) for x in (self.weights, self.decays))
        if weights.ndim != 2 or weights.shape != decays.shape:
            raise ValueError(
                f"decays: got shape {decays.shape} with weights of {weights.shape}, "
                "need equal ones (component × neuron)"
            )
        if not (np.isfinite(weights) & np.isfinite(decays) & (decays.real >= 0)).all():
            raise ValueError(
                "decays: got one that is negative or not finite, or a weight that is "
                "not finite; need an autocovariance that does not grow"
            )
        for array in (weights, decays):
            array.setflags(write=False)
        validation.freeze(self, {"weights": weights, "decays": decays})

    def __call__(self, lags: Float64[np.ndarray, " lags"]) -> Lagged:
        """Return the autocovariance at lags in seconds, lag × neuron."""
        lags = np.abs(np.asarray(lags, dtype=np.float64))
        total = np.zeros((lags.size, self.weights.shape[1]))
        for weight, decay in zip(self.weights, self.decays, strict=True):
            total += (weight * np.exp(-lags[:, None] * decay)).real
        return total

    def over_bins(self, width: float, lags: int) -> Lagged:
        """Return the covariance of integrals over bins 0, 1, … `lags` bins apart.

        With x = b w: 2 a w² (x − 1 + e⁻ˣ)/x² within a bin and
        a w² ((1 − e⁻ˣ)/x)² e⁻⁽ᵏ⁻¹⁾ˣ between bins k ≥ 1 apart.
        """
        x = self.decays * width
        within = 2 * self.weights * _ramp(x)
        apart = self.weights * _mean_decay(x) ** 2
        later = np.arange(lags)[:, None, None]
        terms = np.concatenate((within[None], apart * np.exp(-later * x)))
        return width**2 * terms.sum(axis=1).real


def single_exponential(weight: np.ndarray, tau: np.ndarray) -> Exponentials:
    """Return weight · exp(−|u|/tau), one entry per neuron; tau in seconds."""
    return Exponentials(weights=weight[None] + 0j, decays=1 / tau[None] + 0j)


def quadrature(
    autocovariance: Callable[[Float64[np.ndarray, " lags"]], Lagged],
    width: float,
    lags: int,
) -> Lagged:
    """Return the covariance of integrals over bins 0, 1, … `lags` bins apart.

    ∫ (w − |u|) C(kw + u) du over −w < u < w, by Gauss and Legendre's rule on each side
    of 0 in √u, in which the autocovariance of a rectified process is smooth.
    """
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    root = (nodes + 1) / 2
    u = width * root**2
    du = width * root * weights
    starts = width * np.arange(lags + 1)
    values = autocovariance((starts[:, None] + u).ravel())
    values = values.reshape(lags + 1, NODES, -1)
    falling = np.einsum("knj,n->kj", values, (width - u) * du)
    rising = np.einsum("knj,n->kj", values, u * du)
    falling[0] *= 2
    falling[1:] += rising[:-1]
    return falling


def _ramp(x: np.ndarray) -> np.ndarray:
    """Return (x − 1 + e⁻ˣ)/x², which is 1/2 at 0."""
    small = np.abs(x) < 0.1
    near, far = np.where(small, x, 0), np.where(small, 1, x)
    series = sum((-near) ** j / math.factorial(j + 2) for j in range(12))
    return np.where(small, series, (far + np.expm1(-far)) / far**2)


def _mean_decay(x: np.ndarray) -> np.ndarray:
    """Return (1 − e⁻ˣ)/x, which is 1 at 0."""
    zero = x == 0
    safe = np.where(zero, 1, x)
    return np.where(zero, 1, -np.expm1(-safe) / safe)
