"""A small task, its rule, and networks that solve it, for all tests of conversion."""

import dataclasses
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest

from isotau.convert.records.rate import RateRNN
from isotau.convert.records.trials import Trials
from isotau.convert.simulate.rate_dynamics import simulate_rate


@pytest.fixture
def step_task() -> SimpleNamespace:
    """Its `trials(batch, seed)`, its `score`, and a `network(activation, dale=…)`."""
    return SimpleNamespace(trials=_trials, score=_score, network=_stepping)


@pytest.fixture
def uncoupled() -> Callable[..., RateRNN]:
    """A function of τ and dt: units that do not hear each other, every x an AR(1)."""
    return _uncoupled


def _uncoupled(tau: np.ndarray, dt: float = 0.005) -> RateRNN:
    n = len(tau)
    return RateRNN(
        w_rec=np.zeros((n, n)),
        w_in=np.zeros((n, 1)),
        w_out=np.zeros((1, n)),
        bias=np.zeros(n),
        b_out=np.zeros(1),
        tau=tau,
        dale=np.zeros(n, np.int8),
        activation="sigmoid",
        noise_std=0.1,
        dt=dt,
    )


def _trials(batch: int, seed: int = 0) -> Trials:
    """A step of input, up or down, asks for an output of ±1."""
    rng = np.random.default_rng(seed)
    sign = rng.choice([-1, 1], batch)
    inputs, targets = np.zeros((2, 50, batch, 1))
    inputs[10:, :, 0] = sign
    targets[30:, :, 0] = sign
    inputs = inputs + 0.1 * rng.standard_normal(inputs.shape)
    mask = np.zeros((50, batch), dtype=bool)
    mask[30:] = True
    return Trials(
        inputs=inputs, targets=targets, mask=mask, labels=sign, dt=0.01, task="step"
    )


def _score(outputs: np.ndarray, shown: Trials) -> np.ndarray:
    late = outputs[-shown.steps // 4 :, :, 0].mean(axis=0)
    return np.abs(late - shown.labels) < 0.5


def _stepping(activation: str, *, dale: bool = False) -> RateRNN:
    """Return a random network whose readout is fitted to the task by least squares."""
    rng = np.random.default_rng(2)
    n = 32
    signs = np.where(np.arange(n) < 24, 1, -1)
    w = rng.standard_normal((n, n)) / np.sqrt(n) * 0.5
    w = np.abs(w) * signs * (rng.random((n, n)) < 0.5) if dale else w
    net = RateRNN(
        w_rec=w,
        w_in=rng.standard_normal((n, 1)),
        w_out=np.zeros((1, n)),
        bias=0.2 * rng.standard_normal(n),
        b_out=[0.0],
        tau=rng.uniform(0.03, 0.1, n),
        dale=signs if dale else np.zeros(n),
        activation=activation,
        noise_std=0.05,
        dt=0.01,
        ceiling=20.0 if activation in ("relu", "softplus") else None,
    )
    shown = _trials(40, 7)
    rates = simulate_rate(net, shown.inputs, seed=0).rates[shown.mask]
    ones = np.ones((len(rates), 1))
    both = np.hstack([rates, ones])
    gram = both.T @ both + 0.05 * len(both) * np.eye(n + 1) / n
    fit = np.linalg.solve(gram, both.T @ shown.targets[shown.mask])
    return dataclasses.replace(net, w_out=fit[:-1].T, b_out=fit[-1])
