"""Weights that are mostly 0, held as what is not: memory in synapses, not N².

Element-wise arithmetic works on `values_of` weights, dense or sparse, and `with_values`
puts the result back in its places, so that both forms of a network get the same bits.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from jaxtyping import Int32, Int64

from isotau.convert.ground.representation import short_repr

DENSE_BYTES = 1 << 29
"""Largest array that sparse weights are spread into, where code needs a dense one."""
MOST_ROWS = (1 << 31) - 1


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SparseWeights:
    """Weights that are not 0, column after column, post × pre (as scipy's CSC).

    Made by `sparse_weights`; a record that takes such weights takes scipy's arrays too.

    Attributes:
        shape: number of rows and of columns.
        data: weights that are not 0, those of the first column first.
        indices: row of each, ascending within a column.
        indptr: where each column begins in `data`; the last is where all end.
    """

    shape: tuple[int, int]
    data: npt.NDArray[Any]
    indices: Int32[np.ndarray, " synapses"]
    indptr: Int64[np.ndarray, " columns_and_end"]

    def __post_init__(self) -> None:
        """Check and freeze every field."""
        post, pre = (int(size) for size in self.shape)
        if not (0 < post <= MOST_ROWS and 0 < pre <= MOST_ROWS):
            raise ValueError(f"shape: got {post} × {pre}, need 1 to {MOST_ROWS} each")
        data = np.array(self.data)
        if data.ndim != 1 or data.dtype.kind not in "fiub":
            raise TypeError(
                f"data: got {data.dtype} of shape {data.shape}, need one row of real "
                "numbers"
            )
        if (data == 0).any():
            raise ValueError("data: got a weight of 0, need others; leave it out")
        indptr = _whole("indptr", self.indptr, pre + 1, np.int64)
        if indptr[0] != 0 or indptr[-1] != data.size or (np.diff(indptr) < 0).any():
            raise ValueError(
                f"indptr: got {indptr[0]} to {indptr[-1]}, need ascending from 0 to "
                f"{data.size}, the number of weights"
            )
        indices = _whole("indices", self.indices, data.size, np.int32)
        if data.size and not (0 <= indices.min() and indices.max() < post):
            raise ValueError(
                f"indices: got {indices.min()} to {indices.max()}, need 0 to {post - 1}"
            )
        # A row twice in a column would be added twice here and once there.
        turns = np.diff(indices) <= 0
        starts = indptr[1:-1]
        turns[starts[(starts > 0) & (starts < data.size)] - 1] = False
        if turns.any():
            raise ValueError("indices: got a column out of order, need ascending rows")
        for array in (data, indices, indptr):
            array.setflags(write=False)
        fields = {"data": data, "indices": indices, "indptr": indptr}
        for name, value in ({"shape": (post, pre)} | fields).items():
            object.__setattr__(self, name, value)

    @property
    def synapses(self) -> int:
        """Number of weights that are not 0."""
        return self.data.size

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Return the dense array, where numpy asks for one: see `dense`."""
        whole = dense(self, "what was asked for")
        return whole if dtype is None else whole.astype(dtype)


Weights = npt.NDArray[Any] | SparseWeights
"""Dense or sparse, post × pre."""


def sparse_weights(matrix: Any) -> SparseWeights:
    """Return a dense array's, or scipy's, numbers that are not 0.

    Raises:
        ValueError: it has not two axes.
    """
    if isinstance(matrix, SparseWeights):
        return matrix
    if len(np.shape(matrix)) != 2:
        raise ValueError(f"weights: got shape {np.shape(matrix)}, need 2 axes")
    # Asked by name: to import scipy.sparse takes a quarter of a second.
    if hasattr(matrix, "tocsc"):
        columns = matrix.tocsc(copy=True)
        columns.sum_duplicates()
        columns.eliminate_zeros()
        data, indices, indptr = columns.data, columns.indices, columns.indptr
    else:
        array = np.asarray(matrix)
        # Of the transpose, whose rows are the columns in order.
        pre, indices = np.nonzero(array.T)
        data = array[indices, pre]
        indptr = _starts(pre, array.shape[1])
    return SparseWeights(
        shape=tuple(np.shape(matrix)), data=data, indices=indices, indptr=indptr
    )


def dense(weights: Weights, purpose: str) -> npt.NDArray[Any]:
    """Return weights as a dense array; those that are one as they are.

    Args:
        weights: dense or sparse.
        purpose: what needs them so, for the message.

    Raises:
        ValueError: the array would be larger than `DENSE_BYTES`.
    """
    if not isinstance(weights, SparseWeights):
        return weights
    size = weights.shape[0] * weights.shape[1] * weights.data.itemsize
    if size > DENSE_BYTES:
        raise ValueError(
            f"weights: got {weights.shape[0]} × {weights.shape[1]} sparse ones "
            f"({weights.data.size} synapses), need a dense array of {size >> 20} MiB "
            f"for {purpose}, at most {DENSE_BYTES >> 20} MiB; take a smaller network"
        )
    whole = np.zeros(weights.shape, weights.data.dtype)
    whole[weights.indices, columns_of(weights)] = weights.data
    return whole


def values_of(weights: Weights) -> npt.NDArray[Any]:
    """Return the numbers of weights, in whatever form: all, or those that are not 0."""
    return weights.data if isinstance(weights, SparseWeights) else weights


def with_values(weights: Weights, values: npt.NDArray[Any]) -> Weights:
    """Return weights of the same form whose numbers are others; zeros are left out.

    Args:
        weights: whose places they have.
        values: of the shape of `values_of(weights)`.
    """
    if not isinstance(weights, SparseWeights):
        return values
    present = values != 0
    if present.all():
        return SparseWeights(
            shape=weights.shape,
            data=values,
            indices=weights.indices,
            indptr=weights.indptr,
        )
    # How many are present before each column begins.
    before = np.concatenate([[0], np.cumsum(present)])
    return SparseWeights(
        shape=weights.shape,
        data=values[present],
        indices=weights.indices[present],
        indptr=before[weights.indptr],
    )


def columns_of(weights: SparseWeights) -> npt.NDArray[np.int32]:
    """Return the column of each weight."""
    counts = np.diff(weights.indptr)
    return np.repeat(np.arange(len(counts), dtype=np.int32), counts)


def per_row(weights: Weights, factors: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return each row's factor, to be multiplied with `values_of` the weights."""
    if isinstance(weights, SparseWeights):
        return factors[weights.indices]
    return factors[:, None]


def where(
    weights: Weights, rows: npt.NDArray[np.bool_], columns: npt.NDArray[np.bool_]
) -> Weights:
    """Return the weights of some rows and columns in their places, the others 0."""
    if isinstance(weights, SparseWeights):
        if rows.all() and columns.all():
            return weights
        inside = rows[weights.indices] & columns[columns_of(weights)]
    else:
        inside = rows[:, None] & columns
    return with_values(weights, np.where(inside, values_of(weights), 0))


def column_counts(weights: Weights) -> npt.NDArray[np.int64]:
    """Return how many weights of each column are not 0."""
    if isinstance(weights, SparseWeights):
        return np.diff(weights.indptr)
    return np.count_nonzero(weights, axis=0).astype(np.int64)


def row_counts(weights: Weights) -> npt.NDArray[np.int64]:
    """Return how many weights of each row are not 0."""
    if isinstance(weights, SparseWeights):
        return np.bincount(weights.indices, minlength=weights.shape[0])
    return np.count_nonzero(weights, axis=1).astype(np.int64)


def row_peaks(weights: Weights) -> npt.NDArray[Any]:
    """Return the largest magnitude of each row."""
    if not isinstance(weights, SparseWeights):
        return np.abs(weights).max(axis=1)
    peaks = np.zeros(weights.shape[0], weights.data.dtype)
    np.maximum.at(peaks, weights.indices, np.abs(weights.data))
    return peaks


def row_lists(
    weights: Weights,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    """Return where each row begins, and the columns that are not 0, row after row."""
    if isinstance(weights, SparseWeights):
        # Stable: columns stay in order within a row.
        order = np.argsort(weights.indices, kind="stable")
        columns = columns_of(weights)[order]
    else:
        columns = np.nonzero(weights)[1].astype(np.int32)
    ends = np.cumsum(row_counts(weights))
    return np.concatenate([[0], ends]), columns


def row_sums(weights: Weights, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return each row's sum of what `values_of` the weights were made into."""
    if isinstance(weights, SparseWeights):
        rows, n = weights.indices, weights.shape[0]
        return np.bincount(rows, values.astype(np.float64), minlength=n)
    return values.sum(axis=1, dtype=np.float64)


def occupied(weights: Weights) -> tuple[npt.NDArray[np.int64], Weights]:
    """Return the columns that are not all 0, and the weights of these alone."""
    columns = np.flatnonzero(column_counts(weights))
    if not isinstance(weights, SparseWeights):
        return columns, weights[:, columns]
    if not columns.size:
        raise ValueError("weights: got none that is not 0, need at least one")
    # Columns without weights begin where the next one does.
    indptr = np.append(weights.indptr[columns], weights.data.size)
    return columns, SparseWeights(
        shape=(weights.shape[0], columns.size),
        data=weights.data,
        indices=weights.indices,
        indptr=indptr,
    )


def spread(
    weights: SparseWeights,
    values: npt.NDArray[Any],
    columns: npt.NDArray[np.integer[Any]],
    width: int,
) -> SparseWeights:
    """Return weights as some columns of a wider matrix, the others all 0.

    Args:
        weights: whose places the values have.
        values: none of them 0.
        columns: of the wider matrix, ascending.
        width: its number of columns.
    """
    counts = np.zeros(width, np.int64)
    counts[columns] = np.diff(weights.indptr)
    return SparseWeights(
        shape=(weights.shape[0], width),
        data=values,
        indices=weights.indices,
        indptr=np.concatenate([[0], np.cumsum(counts)]),
    )


def added(parts: Sequence[SparseWeights]) -> SparseWeights:
    """Return the sum of weights of one shape."""
    if len(parts) == 1:
        return parts[0]
    total = as_scipy(parts[0])
    for part in parts[1:]:
        total = total + as_scipy(part)
    return sparse_weights(total)


def as_scipy(weights: SparseWeights, dtype: npt.DTypeLike | None = None) -> Any:
    """Return weights as `scipy.sparse.csc_array`, of another type if one is named."""
    from scipy.sparse import csc_array

    data = weights.data if dtype is None else weights.data.astype(dtype)
    return csc_array((data, weights.indices, weights.indptr), shape=weights.shape)


def transposed(weights: Weights, dtype: npt.DTypeLike = np.float64) -> Any:
    """Return weights as pre × post, of a type: scipy's CSR array, or a dense one.

    Either is what a batch of messages, trial × pre, is multiplied with.
    """
    if isinstance(weights, SparseWeights):
        return as_scipy(weights, dtype).T
    return np.ascontiguousarray(weights.T, dtype)


def _starts(columns: npt.NDArray[Any], number: int) -> npt.NDArray[np.int64]:
    """Return where each of a number of columns begins, and the end."""
    counts = np.bincount(columns, minlength=number)
    return np.concatenate([[0], np.cumsum(counts)])


def _whole(
    name: str, value: npt.ArrayLike, size: int, dtype: type[np.integer[Any]]
) -> npt.NDArray[Any]:
    """Return whole numbers of one axis as a copy of a type."""
    array = np.asarray(value)
    if array.shape != (size,):
        raise ValueError(f"{name}: got shape {array.shape}, need {(size,)}")
    if array.size and array.dtype.kind not in "iu":
        raise TypeError(f"{name}: got dtype {array.dtype}, need whole numbers")
    # A cast wraps: a number beyond the type would come out as one within.
    if array.size and int(array.max()) > np.iinfo(dtype).max:
        raise ValueError(f"{name}: got {array.max()}, need at most 2^31 − 1")
    return np.array(array, dtype)
