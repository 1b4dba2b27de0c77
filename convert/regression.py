"""Least squares with a prior: weights that turn filtered spikes into drives."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64
from scipy.linalg import cho_factor, cho_solve, cholesky, solve_triangular
from scipy.optimize import nnls

CHUNK = 1 << 14
"""Samples that are summed at a time."""


class Moments(NamedTuple):
    """Means and second moments of regressors F and targets Y over samples."""

    samples: int
    f: Float64[np.ndarray, " n"]
    y: Float64[np.ndarray, " k"]
    ff: Float64[np.ndarray, "n n"]
    fy: Float64[np.ndarray, "n k"]
    yy: Float64[np.ndarray, " k"]


class Fit(NamedTuple):
    """Y ≈ weights F + offset."""

    weights: Float64[np.ndarray, "k n"]
    offset: Float64[np.ndarray, " k"]


def moments(f: np.ndarray, y: np.ndarray) -> Moments:
    """Return the moments of samples × n regressors and samples × k targets."""
    n, k = f.shape[1], y.shape[1]
    shapes = (n, k, (n, n), (n, k), k)
    total = Moments(len(f), *(np.zeros(shape) for shape in shapes))
    for start in range(0, len(f), CHUNK):
        a = f[start : start + CHUNK].astype(np.float64)
        b = y[start : start + CHUNK].astype(np.float64)
        total.f[:] += a.sum(axis=0)
        total.y[:] += b.sum(axis=0)
        total.ff[:] += a.T @ a
        total.fy[:] += a.T @ b
        total.yy[:] += (b * b).sum(axis=0)
    for sums in total[1:]:
        sums /= len(f)
    return total


def pool(parts: list[Moments]) -> Moments:
    """Return the moments of several sets of samples taken together."""
    samples = sum(part.samples for part in parts)
    shares = [part.samples / samples for part in parts]
    means = [
        np.tensordot(shares, np.stack(kind), axes=1)
        for kind in list(zip(*parts, strict=True))[1:]
    ]
    return Moments(samples, *means)


def ridge(seen: Moments, *, prior: Float64[np.ndarray, "k n"], strength: float) -> Fit:
    """Return the weights that minimize ⟨|Y − wF − b|²⟩ + ρ|w − prior|².

    ρ is `strength` times the mean variance of a regressor, so that it means the same
    whatever the firing rates; the offset b is not penalized.
    """
    gram, cross, penalty = _centred(seen, strength)
    factor = cho_factor(gram + penalty * np.eye(len(gram)))
    weights = cho_solve(factor, cross + penalty * prior.T).T
    return Fit(weights, seen.y - weights @ seen.f)


def signed_ridge(
    seen: Moments, *, prior: Float64[np.ndarray, "k n"], strength: float
) -> Fit:
    """Return the same where every weight keeps the prior's sign, zeros staying zero.

    Each row is a non-negative least-squares problem over the prior's support.
    """
    gram, cross, penalty = _centred(seen, strength)
    weights = np.zeros_like(prior)
    for row, before in enumerate(prior):
        kept = np.flatnonzero(before)
        if not kept.size:
            continue
        signs = np.sign(before[kept])
        part = gram[np.ix_(kept, kept)] * np.outer(signs, signs)
        part[np.diag_indices_from(part)] += penalty
        wanted = signs * cross[kept, row] + penalty * np.abs(before[kept])
        upper = cholesky(part)
        goal = solve_triangular(upper, wanted, trans="T")
        weights[row, kept] = signs * nnls(upper, goal)[0]
    return Fit(weights, seen.y - weights @ seen.f)


def left_over(seen: Moments, fit: Fit) -> float:
    """Return the share of the targets' variance that a fit leaves; 0 if none varies."""
    gram, cross, _ = _centred(seen, 0.0)
    total = float((seen.yy - seen.y**2).sum())
    left = float((fit.weights @ gram * fit.weights).sum())
    left += total - 2 * float((fit.weights * cross.T).sum())
    return left / total if total > 0 else 0.0


def _centred(seen: Moments, strength: float) -> tuple[np.ndarray, np.ndarray, float]:
    """Return covariances of F with F and with Y, and ρ."""
    gram = seen.ff - np.outer(seen.f, seen.f)
    cross = seen.fy - np.outer(seen.f, seen.y)
    scale = float(np.diagonal(gram).mean())
    return gram, cross, strength * max(scale, 1e-12)
