import numpy as np
import pytest

from benchmarks.synthetic.branching import Geometric, branching
from benchmarks.synthetic.truth import bin_covariance, bin_mean


@pytest.mark.parametrize("observed", [1.0, 0.2])
@pytest.mark.parametrize("width", [None, 0.02])
def test_counts_have_exact_mean_and_covariance(agrees, lagged, observed, width):
    made = branching(
        500.0,
        0.05,
        trials=40,
        duration=0.2,
        rng=np.random.default_rng(0),
        observed=observed,
        bin_width=width,
        units=300,
    )
    width = width or 0.004
    assert made.data.bin_width == width and made.data.kind == "counts"
    exact = bin_covariance(made.truth, width, 5)[:, 0]
    agrees(lagged(made.data.values, 5), exact, precision=0.05)
    mean = bin_mean(made.truth, width, made.data.bins)[:, 0]
    agrees(made.data.values.mean(axis=1).T, mean, precision=0.05)


def test_the_variance_is_that_of_an_autoregression():
    # Var = mean/(1 − m²), and a step further m of it is left.
    made = branching(
        250.0, 0.1, trials=1, duration=0.1, rng=np.random.default_rng(0), dt=0.004
    )
    m = np.exp(-0.04)
    steps = bin_covariance(made.truth, 0.004, 3)[:, 0]
    np.testing.assert_allclose(steps, 1 / (1 - m**2) * m ** np.arange(4))
    np.testing.assert_allclose(
        made.truth.autocovariance(0.004 * np.arange(4))[:, 0] * 0.004**2, steps
    )


def test_bins_sum_over_their_steps():
    law = Geometric(
        variance=np.array([3.0, 1.0]),
        single=np.array([0.5, 0.0]),
        tau=np.array([0.02, 0.2]),
        dt=0.004,
    )
    step = np.arange(35)
    lags = 0.004 * np.abs(step[:, None] - step)
    matrix = law(lags.ravel()).reshape(35, 35, 2) * 0.004**2
    expected = [matrix[:7, 7 * k : 7 * k + 7].sum(axis=(0, 1)) for k in range(5)]
    np.testing.assert_allclose(law.over_bins(0.028, 4), expected)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"bin_width": 0.01}, r"bin_width: got 0\.01 s, need a whole number of steps"),
        ({"bin_width": 0.001}, r"bin_width: got 0\.001 s, need a whole number"),
        ({"observed": 1.5}, r"observed: got 1\.5 at \[0\], need at most 1"),
        ({"rate": 0.0}, r"rate: got 0\.0 at \[0\]"),
        ({"tau": -1.0}, r"tau: got -1\.0 at \[0\]"),
        ({"dt": 0.0}, r"dt: got 0\.0, need numbers greater than 0"),
    ],
)
def test_impossible_processes_are_refused(changed, message):
    arguments = {
        "rate": 100.0,
        "tau": 0.1,
        "trials": 2,
        "duration": 1.0,
        "rng": np.random.default_rng(0),
    }
    with pytest.raises(ValueError, match=message):
        branching(**arguments | changed)


def test_other_widths_have_no_covariance():
    made = branching(9.0, 0.1, trials=1, duration=1.0, rng=np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"bin_width: got 0\.05 s, need a whole"):
        bin_covariance(made.truth, 0.05, 1)
