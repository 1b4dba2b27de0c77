"""Rates that are a function of Gaussian noise, with exact mean and autocovariance.

The latent noise x has mean 0, variance 1 and correlation ρ(u) = Σₖ share_k exp(−u/τₖ).
What a rate makes of it decays faster than ρ itself, the more so the more it bends: τ is
the latent noise's, and the autocovariances here say what a perfect estimator would see.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
from jaxtyping import Float64
from scipy.special import ndtr, owens_t

from benchmarks.synthetic.covariance import Lagged, quadrature
from benchmarks.synthetic.gaussian import two_taus
from benchmarks.synthetic.parameters import count_units, fraction, per_unit
from isotau.convert.ground.representation import short_repr


@runtime_checkable
class RateLaw(Protocol):
    """A rate as a function of latent noise; its call is the rate's autocovariance."""

    @property
    def taus(self) -> np.ndarray:
        """Timescales of the latent noise in seconds, component × unit."""
        ...

    @property
    def shares(self) -> np.ndarray:
        """Shares of the latent variance, component × unit."""
        ...

    def mean(self) -> np.ndarray:
        """Return the mean rate, in Hz."""
        ...

    def rates(self, latent: np.ndarray) -> np.ndarray:
        """Return the rates at values of the latent noise, in Hz."""
        ...

    def __call__(self, lags: np.ndarray) -> np.ndarray:
        """Return the rate's autocovariance at lags in seconds, in Hz²."""
        ...

    def over_bins(self, width: float, lags: int) -> np.ndarray:
        """Return the covariance of integrals over bins 0, 1, … `lags` bins apart."""
        ...


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Rectified:
    """max(0, rate + sd · x): a rate that noise of large sd silences at times.

    Attributes:
        rate: before rectification, in Hz; after it the mean is `mean()`.
        sd: before rectification, in Hz.
        taus: of the latent noise in seconds, component × unit.
        shares: of the latent variance, component × unit.
    """

    rate: Float64[np.ndarray, " n"]
    sd: Float64[np.ndarray, " n"]
    taus: Float64[np.ndarray, "components n"]
    shares: Float64[np.ndarray, "components n"]

    def mean(self) -> Float64[np.ndarray, " n"]:
        """Return the mean rate μ Φ(μ/σ) + σ φ(μ/σ), in Hz."""
        a = self.rate / self.sd
        return self.rate * ndtr(a) + self.sd * _density(a)

    def rates(self, latent: np.ndarray) -> np.ndarray:
        """Return the rates at values of the latent noise, in Hz."""
        return np.maximum(self.rate + self.sd * latent, 0)

    def __call__(self, lags: Float64[np.ndarray, " lags"]) -> Lagged:
        """Return the rate's autocovariance at lags in seconds, in Hz².

        With a = μ/σ: σ² [(a² + ρ) Φ₂(a, a; ρ) + 2 a φ(a) Φ(a √((1 − ρ)/(1 + ρ))) +
        √(1 − ρ²)/(2π) exp(−a²/(1 + ρ))] less the square of the mean. Φ₂ is the law of
        two normal numbers of correlation ρ. Source: S. Rosenbaum 1961,
        doi:10.1111/j.2517-6161.1961.tb00422.x.
        """
        rho = latent_correlation(self.taus, self.shares, lags)
        a = self.rate / self.sd
        slope = np.sqrt((1 - rho) / (1 + rho))
        joint = ndtr(a) - 2 * owens_t(a, slope)
        edge = np.sqrt(1 - rho**2) / (2 * np.pi) * np.exp(-(a**2) / (1 + rho))
        product = (a**2 + rho) * joint + 2 * a * _density(a) * ndtr(a * slope) + edge
        return self.sd**2 * product - self.mean() ** 2

    def over_bins(self, width: float, lags: int) -> Lagged:
        """Return the covariance of integrals over bins 0, 1, … `lags` bins apart."""
        return quadrature(self, width, lags)


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LogGaussian:
    """rate · exp(s x − s²/2), with the s that gives it the standard deviation sd.

    Attributes:
        rate: mean, in Hz.
        sd: of the rate, in Hz.
        taus: of the latent noise in seconds, component × unit.
        shares: of the latent variance, component × unit.
    """

    rate: Float64[np.ndarray, " n"]
    sd: Float64[np.ndarray, " n"]
    taus: Float64[np.ndarray, "components n"]
    shares: Float64[np.ndarray, "components n"]

    def mean(self) -> Float64[np.ndarray, " n"]:
        """Return the mean rate, in Hz."""
        return self.rate

    def rates(self, latent: np.ndarray) -> np.ndarray:
        """Return the rates at values of the latent noise, in Hz."""
        s = np.sqrt(self._variance())
        return self.rate * np.exp(s * latent - s**2 / 2)

    def __call__(self, lags: Float64[np.ndarray, " lags"]) -> Lagged:
        """Return the rate's autocovariance rate² (exp(s² ρ) − 1), in Hz²."""
        rho = latent_correlation(self.taus, self.shares, lags)
        return self.rate**2 * np.expm1(self._variance() * rho)

    def over_bins(self, width: float, lags: int) -> Lagged:
        """Return the covariance of integrals over bins 0, 1, … `lags` bins apart."""
        return quadrature(self, width, lags)

    def _variance(self) -> np.ndarray:
        return np.log1p((self.sd / self.rate) ** 2)


def rectified(
    rate: npt.ArrayLike,
    sd: npt.ArrayLike,
    tau: npt.ArrayLike,
    *,
    tau_slow: npt.ArrayLike | None = None,
    share_slow: npt.ArrayLike = 0.5,
    units: int | None = None,
) -> Rectified:
    """Return the law of rates that are OU noise, cut at 0; in Hz and seconds.

    With `tau_slow` the latent noise is the sum of two, of which the slow one has the
    share `share_slow` of the variance.
    """
    return Rectified(**_checked(rate, sd, tau, tau_slow, share_slow, units))


def log_gaussian(
    rate: npt.ArrayLike,
    sd: npt.ArrayLike,
    tau: npt.ArrayLike,
    *,
    tau_slow: npt.ArrayLike | None = None,
    share_slow: npt.ArrayLike = 0.5,
    units: int | None = None,
) -> LogGaussian:
    """Return the law of rates whose logarithm is OU noise; arguments as `rectified`.

    `rate` and `sd` are the mean and the standard deviation of the rate itself.
    """
    return LogGaussian(**_checked(rate, sd, tau, tau_slow, share_slow, units))


def latent_correlation(
    taus: np.ndarray, shares: np.ndarray, lags: Float64[np.ndarray, " lags"]
) -> Lagged:
    """Return ρ(u) of the latent noise at lags in seconds."""
    lags = np.abs(np.asarray(lags, dtype=np.float64))[:, None, None]
    return np.minimum((shares * np.exp(-lags / taus)).sum(axis=1), 1.0)


def _checked(
    rate: npt.ArrayLike,
    sd: npt.ArrayLike,
    tau: npt.ArrayLike,
    tau_slow: npt.ArrayLike | None,
    share_slow: npt.ArrayLike,
    units: int | None,
) -> dict[str, np.ndarray]:
    """Return a law's fields, one entry per unit."""
    slow = tau if tau_slow is None else tau_slow
    n = count_units(units, rate, sd, tau, slow, share_slow)
    if tau_slow is None:
        taus = per_unit("tau", tau, n, positive=True)[None]
        shares = np.ones((1, n))
    else:
        taus = two_taus(tau, tau_slow, n)
        share = fraction("share_slow", share_slow, n)
        shares = np.stack((1 - share, share))
    fields = {
        "rate": per_unit("rate", rate, n, positive=True),
        "sd": per_unit("sd", sd, n, positive=True),
        "taus": taus,
        "shares": shares,
    }
    for array in fields.values():
        array.setflags(write=False)
    return fields


def _density(x: np.ndarray) -> np.ndarray:
    return np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)
