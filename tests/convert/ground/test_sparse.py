"""Sparse weights against numpy's own operations on the dense array."""

import re

import numpy as np
import pytest
import scipy.sparse

from isotau.convert.ground import sparse
from isotau.convert.ground.sparse import SparseWeights, sparse_weights

RNG = np.random.default_rng(4)
ARRAY = RNG.standard_normal((7, 5)) * (RNG.random((7, 5)) < 0.4)
ARRAY[:, 2] = 0  # a column and a row without weights
ARRAY[3] = 0
WEIGHTS = sparse_weights(ARRAY)


def alike(weights, array):
    np.testing.assert_array_equal(sparse.dense(weights, "a test"), array)


def test_dense_and_back():
    alike(WEIGHTS, ARRAY)
    assert WEIGHTS.shape == (7, 5)
    assert WEIGHTS.synapses == np.count_nonzero(ARRAY)
    assert sparse.dense(ARRAY, "a test") is ARRAY
    assert sparse_weights(WEIGHTS) is WEIGHTS
    np.testing.assert_array_equal(np.asarray(WEIGHTS), ARRAY)
    assert np.asarray(WEIGHTS, dtype=np.float32).dtype == np.float32


@pytest.mark.parametrize("kind", ["csr_array", "csc_matrix", "coo_array"])
def test_scipys_arrays_become_the_same(kind):
    other = sparse_weights(getattr(scipy.sparse, kind)(ARRAY))
    for name in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(other, name), getattr(WEIGHTS, name))
    back = sparse.as_scipy(WEIGHTS, np.float32)
    assert back.dtype == np.float32
    np.testing.assert_array_equal(back.toarray(), ARRAY.astype(np.float32))


def test_places_given_twice_add_up_and_zeros_are_left_out():
    places = ([1.0, 2.0, 0.0, 4.0, -4.0], ([0, 0, 1, 2, 2], [1, 1, 0, 0, 0]))
    weights = sparse_weights(scipy.sparse.coo_array(places, shape=(3, 2)))
    assert weights.synapses == 1
    alike(weights, [[0, 3], [0, 0], [0, 0]])


def test_arrays_cannot_be_written_to():
    for name in ("data", "indices", "indptr"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(WEIGHTS, name)[0] = 1


def test_prints_its_size():
    count = np.count_nonzero(ARRAY)
    assert repr(WEIGHTS).startswith(f"SparseWeights(synapses={count}, shape=(7, 5)")


@pytest.mark.parametrize("weights", [ARRAY, WEIGHTS], ids=["dense", "sparse"])
def test_what_is_asked_of_both_forms(weights):
    rows, columns = np.arange(7) < 4, np.arange(5) != 1
    factors = np.arange(1.0, 8.0)
    values = sparse.values_of(weights) * sparse.per_row(weights, factors)
    alike(sparse.with_values(weights, values), ARRAY * factors[:, None])
    positive = np.maximum(sparse.values_of(weights), 0)
    alike(sparse.with_values(weights, positive), np.maximum(ARRAY, 0))
    alike(
        sparse.where(weights, rows, columns),
        np.where(rows[:, None] & columns, ARRAY, 0),
    )
    np.testing.assert_array_equal(
        sparse.column_counts(weights), np.count_nonzero(ARRAY, axis=0)
    )
    np.testing.assert_array_equal(
        sparse.row_counts(weights), np.count_nonzero(ARRAY, axis=1)
    )
    np.testing.assert_array_equal(sparse.row_peaks(weights), np.abs(ARRAY).max(axis=1))
    sums = sparse.row_sums(weights, sparse.values_of(weights))
    np.testing.assert_allclose(sums, ARRAY.sum(axis=1), rtol=1e-12)
    pre, occupied = sparse.occupied(weights)
    assert pre.tolist() == np.flatnonzero(ARRAY.any(axis=0)).tolist()
    alike(occupied, ARRAY[:, pre])
    starts, listed = sparse.row_lists(weights)
    for row in range(7):
        expected = np.flatnonzero(ARRAY[row]).tolist()
        assert listed[starts[row] : starts[row + 1]].tolist() == expected
    sources = RNG.integers(-3, 4, (4, 5)).astype(float)
    np.testing.assert_allclose(
        sources @ sparse.transposed(weights), sources @ ARRAY.T, rtol=1e-12
    )


def test_all_rows_and_columns_are_the_weights_themselves():
    every = np.ones(7, bool), np.ones(5, bool)
    assert sparse.where(WEIGHTS, *every) is WEIGHTS


def test_columns_of_a_wider_matrix_add_up():
    columns = np.array([0, 2, 3, 5, 7])
    parts = [sparse.spread(WEIGHTS, f * WEIGHTS.data, columns, 9) for f in (1.0, 2.0)]
    expected = np.zeros((7, 9))
    expected[:, columns] = 3 * ARRAY
    alike(sparse.added(parts), expected)
    assert sparse.added(parts[:1]) is parts[0]


def fields(**changed):
    whole = {"shape": (3, 2), "data": [1.0, 2.0, 3.0], "indices": [0, 2, 1]}
    return whole | {"indptr": [0, 2, 3]} | changed


@pytest.mark.parametrize(
    ("changed", "error", "text"),
    [
        ({"shape": (0, 2)}, ValueError, "shape: got 0 × 2, need 1 to 2147483647"),
        ({"data": ["a"] * 3}, TypeError, "data: got <U1 of shape (3,), need one row"),
        ({"data": [1.0, 0.0, 2.0]}, ValueError, "data: got a weight of 0, need others"),
        ({"indptr": [0, 2]}, ValueError, "indptr: got shape (2,), need (3,)"),
        ({"indptr": [0, 2, 4]}, ValueError, "indptr: got 0 to 4, need ascending"),
        ({"indptr": [0, 4, 3]}, ValueError, "indptr: got 0 to 3, need ascending"),
        ({"indptr": [0.0, 2.0, 3.0]}, TypeError, "indptr: got dtype float64, need who"),
        ({"indices": [0, 3, 1]}, ValueError, "indices: got 0 to 3, need 0 to 2"),
        ({"indices": [-1, 2, 1]}, ValueError, "indices: got -1 to 2, need 0 to 2"),
        ({"indices": [0, 2]}, ValueError, "indices: got shape (2,), need (3,)"),
        ({"indices": [2, 0, 1]}, ValueError, "indices: got a column out of order"),
        ({"indices": [2, 2, 1]}, ValueError, "indices: got a column out of order"),
        (
            {"indices": np.array([0, 2, 1 << 32])},
            ValueError,
            "indices: got 4294967296, need at most 2^31",
        ),
    ],
)
def test_arrays_that_contradict_each_other(changed, error, text):
    assert SparseWeights(**fields()).synapses == 3
    with pytest.raises(error, match=re.escape(text)):
        SparseWeights(**fields(**changed))


def test_columns_may_be_empty_anywhere():
    for indptr in ([0, 0, 2], [0, 2, 2]):
        made = SparseWeights(**fields(data=[1.0, 2.0], indices=[0, 2], indptr=indptr))
        assert sparse.column_counts(made).tolist() == np.diff(indptr).tolist()
    none = SparseWeights(**fields(data=[], indices=[], indptr=[0, 0, 0]))
    alike(none, np.zeros((3, 2)))


def test_another_number_of_axes():
    with pytest.raises(ValueError, match=r"weights: got shape \(3,\), need 2 axes"):
        sparse_weights(np.ones(3))


def test_no_weights_at_all_have_no_columns():
    with pytest.raises(ValueError, match="weights: got none that is not 0, need at le"):
        sparse.occupied(sparse_weights(np.zeros((2, 2))))


def test_a_large_matrix_is_not_spread():
    large = SparseWeights(
        shape=(100_000, 100_000),
        data=[1.0],
        indices=[0],
        indptr=np.append([0], np.ones(100_000, int)),
    )
    text = r"got 100000 × 100000 sparse ones \(1 synapses\), need a dense array of "
    with pytest.raises(ValueError, match=f"{text}76293 MiB for tuning, at most 512"):
        sparse.dense(large, "tuning")
    with pytest.raises(ValueError, match=text):
        np.abs(large)
