"""Low-rank networks whose dynamics are known."""

import numpy as np
import pytest

from isotau.convert.records.rate import RateRNN

TAU, DT = 0.1, 0.001


def low_rank(m, n, **fields):
    """A network of weights m nᵀ/N without noise, one τ, one input, one output."""
    units = len(m)
    usual = {
        "w_in": np.zeros((units, 1)),
        "w_out": np.zeros((1, units)),
        "bias": np.zeros(units),
        "b_out": np.zeros(1),
        "tau": np.full(units, TAU),
        "dale": np.zeros(units, dtype=np.int8),
        "activation": "tanh",
        "noise_std": 0.0,
        "dt": DT,
        "x0_std": 0.0,
        "m_vectors": m,
        "n_vectors": n,
    }
    return RateRNN(w_rec=m @ n.T / units, **usual | fields)


def white(units, count, rng):
    """Vectors with orthogonal, centred entries of mean square 1."""
    raw = rng.standard_normal((units, count))
    q, _ = np.linalg.qr(raw - raw.mean(axis=0))
    return np.sqrt(units) * (q - q.mean(axis=0))


@pytest.fixture
def make():
    return low_rank


@pytest.fixture
def orthogonal():
    return white


@pytest.fixture
def rank_one():
    """Overlap λ0 = 0.6 exactly; the rest of n is orthogonal to m and to the input."""
    e = white(200, 3, np.random.default_rng(1))
    return low_rank(e[:, :1], 0.6 * e[:, :1] + 0.8 * e[:, 1:2], w_in=e[:, 2:3])


@pytest.fixture
def rotation():
    """σ = [[0.8, 0.5], [−0.5, 0.8]]: eigenvalues 0.8 ± 0.5 i."""
    e = white(300, 4, np.random.default_rng(2))
    m = e[:, :2]
    return low_rank(m, m @ np.array([[0.8, 0.5], [-0.5, 0.8]]).T + e[:, 2:])


@pytest.fixture
def full_rank():
    """A sigmoid network without factors, with biases and a τ for each unit."""
    rng = np.random.default_rng(3)
    n = 40
    return RateRNN(
        w_rec=rng.standard_normal((n, n)) * 1.2 / np.sqrt(n),
        w_in=rng.standard_normal((n, 2)),
        w_out=rng.standard_normal((1, n)),
        bias=rng.standard_normal(n),
        b_out=[0.0],
        tau=rng.uniform(0.02, 0.1, n),
        dale=np.zeros(n, dtype=np.int8),
        activation="sigmoid",
        noise_std=0.0,
        dt=0.005,
    )
