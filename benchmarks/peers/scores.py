"""How right answers are, and whether ours are nearer to the truth than others'."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import stats

from benchmarks.peers.methods import Found

RESAMPLES = 2000
"""Of the units, for the interval of a ratio of errors."""


def error_of(found: Found, truth: float) -> np.ndarray:
    """Return ln of each unit's τ over the truth; NaN where it has none."""
    tau = np.where(np.isfinite(found.tau) & (found.tau > 0), found.tau, np.nan)
    return np.asarray(np.log(tau / truth))


def scored(found: Found, truths: Mapping[str, float]) -> dict[str, Any]:
    """Return how right an answer is, by each meaning of the truth.

    Units without a τ count in `with_tau` alone.
    """
    has = np.isfinite(error_of(found, 1.0))
    return {
        "units": len(found.tau),
        "with_tau": int(has.sum()),
        "median_s": float(np.median(found.tau[has])) if has.any() else None,
        "by": {name: _score(found, truth, has) for name, truth in truths.items()},
    }


def _score(found: Found, truth: float, has: np.ndarray) -> dict[str, Any]:
    error = error_of(found, truth)[has]
    bounded = has & np.isfinite(found.low) & ~np.isnan(found.high)
    inside = (found.low <= truth) & (truth <= found.high)
    return {
        "bias": float(np.median(error)) if error.size else None,
        "rmse": float(np.sqrt(np.mean(error**2))) if error.size else None,
        "typical": float(np.median(np.abs(error))) if error.size else None,
        "bounded": int(bounded.sum()),
        "covered": int((inside & bounded).sum()),
    }


def nearest(found: Found, truths: Mapping[str, float]) -> np.ndarray:
    """Return errors by that meaning of the truth by which they are smallest.

    Where there are several timescales, a method is not blamed for what it means.
    """
    errors = [error_of(found, truth) for truth in truths.values()]
    sizes = [np.nanmean(e**2) if np.isfinite(e).any() else np.inf for e in errors]
    return errors[int(np.argmin(sizes))]


def compared(
    ours: Found, theirs: Found, truths: Mapping[str, float], rng: np.random.Generator
) -> dict[str, Any]:
    """Return the ratio of our RMSE of ln τ to theirs, on units that both have a τ of.

    Its interval of 95 % comes from resampled units; of fewer than two there is none.
    """
    units = min(len(ours.tau), len(theirs.tau))
    first, second = (nearest(each, truths)[:units] for each in (ours, theirs))
    both = np.isfinite(first) & np.isfinite(second)
    squares = np.stack((first[both], second[both])) ** 2
    count = int(both.sum())
    if count < 2:
        return {"units": count}
    weights = rng.multinomial(count, np.full(count, 1 / count), RESAMPLES)
    top, bottom = squares @ weights.T
    low, high = np.quantile(np.sqrt(top / bottom), (0.025, 0.975))
    rmse = np.sqrt(squares.mean(axis=1))
    return {
        "units": count,
        "ours_rmse": float(rmse[0]),
        "theirs_rmse": float(rmse[1]),
        "ratio": float(rmse[0] / rmse[1]),
        "low": float(low),
        "high": float(high),
    }


def share(part: int, total: int) -> dict[str, float] | None:
    """Return a share with its exact interval of 95 %; None of nothing."""
    if not total:
        return None
    ends = stats.binomtest(part, total).proportion_ci()
    return {
        "share": part / total,
        "low": float(ends.low),
        "high": float(ends.high),
    }
