"""Pairs of timescales whose truth is known."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from isotau.sim.preservation import Pair
from isotau.sim.timescales import Status, Timescales


def timescales(
    log_tau: np.ndarray,
    kept: np.ndarray | None = None,
    *,
    method: str = "ml",
    rate: np.ndarray | float = 10.0,
    lost: Status = Status.NOT_IDENTIFIABLE,
    **fields: object,
) -> Timescales:
    """Timescales of given log τ where kept, or finite."""
    kept = np.isfinite(log_tau) if kept is None else kept & np.isfinite(log_tau)
    n = log_tau.size
    return Timescales(
        tau=np.where(kept, np.exp(log_tau), np.nan),
        status=tuple(Status.OK if k else lost for k in kept),
        amplitude=np.full(n, np.nan),
        offset=np.full(n, np.nan),
        rate=np.full(n, rate) if np.isscalar(rate) else rate,
        method=method,
        bin_width=0.05,
        lags=14,
        **fields,
    )


def pair(
    rng: np.random.Generator,
    n: int,
    *,
    name: str = "net",
    shift: float = 0.0,
    scatter: float = 0.0,
    permuted: bool = False,
    noise: float = 0.3,
    spread: float = 0.5,
    kept: float = 0.9,
    lost: float = 0.0,
    method: str = "ml",
    **fields: object,
) -> Pair:
    """A network of known truth: log τ_b = log τ_a + shift + scatter · N(0, 1).

    Runs add noise of their own; a neuron is identified with a probability of its own.
    """
    a = rng.normal(np.log(0.1), spread, n)
    b = (rng.permutation(a) if permuted else a) + shift + scatter * rng.normal(size=n)
    odds = rng.beta(5 * kept, 5 * (1 - kept), n) if 0 < kept < 1 else np.full(n, kept)
    gone = rng.random(n) < lost

    def run(log_tau: np.ndarray, gone: np.ndarray | bool) -> Timescales:
        found = log_tau + noise * rng.normal(size=n)
        return timescales(found, (rng.random(n) < odds) & ~gone, method=method)

    none = np.zeros(n, dtype=bool)
    return Pair(
        name=name,
        a=run(a, none),
        a_again=run(a, none),
        b=run(b, gone),
        b_again=run(b, gone),
        **fields,
    )


@pytest.fixture
def make_timescales() -> Callable[..., Timescales]:
    return timescales


@pytest.fixture
def make_pair() -> Callable[..., Pair]:
    return pair


@pytest.fixture
def make_pairs() -> Callable[..., Sequence[Pair]]:
    def pairs(seed: int, networks: int, n: int, **truth: object) -> list[Pair]:
        rng = np.random.default_rng(seed)
        return [pair(rng, n, name=f"net {k}", **truth) for k in range(networks)]

    return pairs
