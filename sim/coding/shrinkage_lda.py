"""Linear discriminant analysis of two classes, with Ledoit and Wolf's covariance.

scikit-learn's `LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")`, whose
checks of its input take ten times as long as fits as small as a decoder's.
"""

import numpy as np
from jaxtyping import Float64, Int
from scipy.linalg import lstsq


class ShrinkageLDA:
    """Tells two classes, 0 and 1, that share their covariance; see `fit`."""

    def __init__(self) -> None:
        """Nothing is learned yet."""
        self.weights: Float64[np.ndarray, " n"] = np.zeros(0)
        self.bias = 0.0

    def fit(
        self, x: Float64[np.ndarray, "rows n"], y: Int[np.ndarray, " rows"]
    ) -> "ShrinkageLDA":
        """Learn to tell y, 0 or 1 with rows of each, from x.

        With the means μ, the shares π and the classes' shrunk covariances, weighted by
        their shares, Σ: w = Σ⁻¹ (μ₁ − μ₀), b = −(μ₁ + μ₀)·w/2 + log π₁/π₀.
        """
        classes = [x[y == label] for label in (0, 1)]
        shares = [len(rows) / len(x) for rows in classes]
        means = [rows.mean(axis=0) for rows in classes]
        covariance = sum(
            share * shrunk_covariance(rows)
            for share, rows in zip(shares, classes, strict=True)
        )
        # The shortest solution: of a unit that never fires the weight is 0.
        self.weights = lstsq(covariance, means[1] - means[0], check_finite=False)[0]
        self.bias = np.log(shares[1] / shares[0]) - 0.5 * (means[1] + means[0]) @ (
            self.weights
        )
        return self

    def decision_function(
        self, x: Float64[np.ndarray, "rows n"]
    ) -> Float64[np.ndarray, " rows"]:
        """Return x·w + b of every row, above 0 for class 1."""
        return np.asarray(x @ self.weights + self.bias)


def shrunk_covariance(x: Float64[np.ndarray, "rows n"]) -> Float64[np.ndarray, "n n"]:
    """Return Ledoit and Wolf's covariance of x in units of its standard deviations.

    The sample covariance and a multiple of the identity are mixed so that the expected
    squared error is least, doi:10.1016/S0047-259X(03)00096-4; standardized first, so
    that units of high rates do not set the share.
    """
    rows, n = x.shape
    mean, variance = x.mean(axis=0), x.var(axis=0)
    # A unit that is the same in every row has what rounding leaves of it.
    eps = np.finfo(np.float64).eps
    constant = variance <= rows * eps * variance + (rows * mean * eps) ** 2
    scale = np.where(constant, 1.0, np.sqrt(variance))
    z = (x - mean) / scale
    z -= z.mean(axis=0)
    sample = z.T @ z / rows
    if n == 1:
        return scale * sample * scale
    squares = np.square(z).sum(axis=1)
    level = squares.mean() / n
    # Distance² of the sample covariance from the level's identity, and its error².
    distance = np.sum(sample**2) - n * level**2
    error = (np.mean(squares**2) - np.sum(sample**2)) / rows
    share = min(error, distance) / distance if error > 0 < distance else 0.0
    mixed = (1 - share) * sample + share * level * np.eye(n)
    return scale[:, None] * mixed * scale
