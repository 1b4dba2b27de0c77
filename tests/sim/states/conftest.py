"""States with known timescales."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.signal import lfilter

from isotau.sim.states import StateSource, StateTrials


def ou(tau, samples, trials, interval, seed):
    """Stationary Ornstein–Uhlenbeck states of SD 1, sample × trial × unit."""
    rng = np.random.default_rng(seed)
    keep = np.exp(-interval / np.asarray(tau))
    x = np.empty((samples, trials, len(keep)))
    for k, a in enumerate(keep):
        noise = rng.standard_normal((samples, trials)) * np.sqrt(1 - a**2)
        start = a * rng.standard_normal((1, trials))
        x[..., k], _ = lfilter([1], [1, -a], noise, axis=0, zi=start)
    return x


@pytest.fixture
def states() -> Callable[..., np.ndarray]:
    """A function of τ, samples, trials, interval and seed."""
    return ou


@pytest.fixture
def ou_source() -> Callable[..., StateSource]:
    """A function of a name and τ: a stage whose states are such processes."""

    def source(name, tau, interval=0.01):
        def draw(trials, first, length, seed):
            x = ou(tau, round(length / interval), trials, interval, [seed, first])
            return StateTrials(x)

        return StateSource(name=name, interval=interval, n=len(tau), draw=draw)

    return source
