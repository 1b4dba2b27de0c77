"""Sample statistics of independent repeats, with their own errors."""

from collections.abc import Callable

import numpy as np
import pytest

from benchmarks.synthetic.truth import Generated
from isotau.convert.records import spikes as spike_times
from isotau.convert.records.spikes import SpikeTimes
from isotau.sim.timescales.records.series import Series


@pytest.fixture
def agrees() -> Callable[..., None]:
    """Repeats (first axis) whose mean is an exact answer, to within its error."""

    def check(repeats: np.ndarray, exact: np.ndarray, *, precision: float) -> None:
        """Compare; `precision`: the largest error, relative to the largest answer."""
        repeats = np.asarray(repeats, dtype=float)
        error = repeats.std(axis=0, ddof=1) / np.sqrt(len(repeats))
        # A test with errors as large as the answer would pass whatever the answer.
        assert error.max() < precision * np.abs(exact).max()
        distance = np.abs(repeats.mean(axis=0) - exact)
        assert np.all(distance <= 4.5 * error + 1e-12), (distance / error).max()

    return check


@pytest.fixture
def values_of() -> Callable[..., np.ndarray]:
    """A generator's data as bins × trial × unit."""

    def bins(generated: Generated, bin_width: float | None = None) -> np.ndarray:
        data = generated.data
        if isinstance(data, SpikeTimes):
            assert bin_width is not None
            return spike_times.counts(data, bin_width)
        assert isinstance(data, Series)
        return data.values

    return bins


@pytest.fixture
def lagged() -> Callable[..., np.ndarray]:
    """Each unit's sample covariance over trials, averaged over bins as far apart."""

    def covariances(values: np.ndarray, lags: int) -> np.ndarray:
        trials = values.shape[1]
        centred = values - values.mean(axis=1, keepdims=True)
        products = (
            (centred[: len(values) - k] * centred[k:]).mean(axis=0).sum(axis=0)
            for k in range(lags + 1)
        )
        return np.stack(list(products), axis=1) / (trials - 1)

    return covariances
