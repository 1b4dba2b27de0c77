"""Populations whose code is known: stable, rotating, or a mixture of both."""

from collections.abc import Callable

import numpy as np
import pytest

from isotau.sim.coding.responses import Responses
from isotau.sim.timescales.records.record import Status, Timescales

DT = 0.05


def synthetic(
    rng: np.random.Generator,
    *,
    persistence: np.ndarray,
    samples: int = 24,
    trials: int = 40,
    noise: float = 4.0,
    strength: float = 2.0,
    dt: float = DT,
) -> Responses:
    """A network whose unit i differs between conditions by 2 s_i(t) in every trial.

    s_i is a stationary Gaussian process of SD `strength` with correlation
    exp(−lag/persistence_i), infinite for a code that stays; noise is white, of SD
    `noise`. Labels 0 and 1 belong to condition 0, labels 2 and 3 to condition 1.
    """
    n = len(persistence)
    keep = np.exp(-dt / np.asarray(persistence, dtype=float))
    signal = np.empty((samples, n))
    signal[0] = rng.normal(size=n)
    for t in range(1, samples):
        fresh = rng.normal(size=n) * np.sqrt(1 - keep**2)
        signal[t] = keep * signal[t - 1] + fresh
    labels = np.tile([0, 1, 2, 3], trials // 2)
    condition = labels // 2
    sign = 1 - 2 * condition
    rates = 20 + strength * signal[:, None] * sign[:, None]
    rates = rates + noise * rng.normal(size=(samples, labels.size, n))
    return Responses(rates=rates, condition=condition, labels=labels, dt=dt)


def timescales(tau: np.ndarray) -> Timescales:
    """A record with these τ; NaN where a neuron has none."""
    ok = np.isfinite(tau)
    blank = np.full(len(tau), np.nan)
    return Timescales(
        tau=tau,
        status=tuple(Status.OK if k else Status.NO_DECAY for k in ok),
        amplitude=blank,
        offset=blank,
        rate=np.full(len(tau), 20.0),
        method="given",
        bin_width=0.05,
        lags=14,
    )


@pytest.fixture
def make() -> Callable[..., Responses]:
    return synthetic


@pytest.fixture
def of_tau() -> Callable[..., Timescales]:
    return timescales
