"""The discriminant analysis beside scikit-learn's."""

import numpy as np
import pytest
from sklearn.covariance import ledoit_wolf
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from isotau.sim.coding.shrinkage_lda import ShrinkageLDA, shrunk_covariance


def classes(rng, rows, n):
    """Correlated Gaussian units of unequal size; the last is the same in every row."""
    y = rng.permutation(np.arange(rows) % 3 == 0).astype(int)
    x = rng.normal(size=(rows, n)) @ rng.normal(size=(n, n)) * 2.0 ** np.arange(n)
    x[:, -1] = 0.1
    return x + y[:, None] * rng.normal(size=n), y


@pytest.mark.parametrize(("rows", "n"), [(60, 1), (60, 2), (30, 5), (12, 9), (9, 12)])
def test_sides_are_those_of_scikit_learn(rows, n):
    rng = np.random.default_rng([rows, n])
    x, y = classes(rng, rows, n)
    oracle = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto").fit(x, y)
    found = ShrinkageLDA().fit(x, y)
    tests = np.vstack([x, classes(rng, 40, n)[0]])
    wanted = oracle.decision_function(tests)
    assert np.ptp(wanted) > 0.1 or n == 1
    np.testing.assert_allclose(found.decision_function(tests), wanted, rtol=1e-6)


@pytest.mark.parametrize("shape", [(50, 4), (5, 20), (7, 1)])
def test_covariances_of_standard_units_are_those_of_ledoit_and_wolf(shape):
    z = np.random.default_rng(shape).normal(size=shape)
    z = (z - z.mean(axis=0)) / z.std(axis=0)
    wanted, share = ledoit_wolf(z)
    assert 0 < share <= 1 or shape[1] == 1
    np.testing.assert_allclose(shrunk_covariance(z), wanted, rtol=1e-9, atol=1e-12)
    # In other units it is the same covariance.
    scale = 10.0 ** np.arange(shape[1])
    np.testing.assert_allclose(
        shrunk_covariance(z * scale + 3),
        scale[:, None] * wanted * scale,
        rtol=1e-6,
        atol=1e-9 * scale.max() ** 2,
    )


def test_units_that_never_fire_have_no_weight():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(20, 3)), np.repeat([0, 1], 10)
    x[:, 1] = 0
    found = ShrinkageLDA().fit(x, y)
    assert found.weights[1] == 0 and (found.weights[[0, 2]] != 0).all()
    silent = ShrinkageLDA().fit(np.zeros((20, 3)), y)
    np.testing.assert_array_equal(silent.decision_function(x), 0.0)
