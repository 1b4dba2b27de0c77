"""Estimators of timescales that can be called alike, and those of ours among them."""

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.peers.known import Cell, cell_named, drawn
from isotau.sim.states import autocovariance_blocks, state_tau
from isotau.sim.timescales import Timescales, direct, exponential, kim, ml
from isotau.sim.timescales.records.series import Series

BOTH = ("signal", "counts")
PIECE = 100
"""Samples of a state that `ml` takes together; what it takes grows with their cube."""
COARSE = 2
"""Bins of counts that are put together for methods that are meant for 50 ms."""


class Found(NamedTuple):
    """What a method finds of every unit, in seconds; NaN for what it does not say.

    Attributes:
        tau: the timescale.
        low: lower end of its interval of 95 %.
        high: upper end of it, infinite where the data set no limit.
    """

    tau: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Method:
    """One way to estimate timescales.

    Attributes:
        name: as it is shown.
        run: what it finds in data.
        kinds: of data that it is for.
        most: units that it is given, at most; None for all.
        cells: names of those that it is given; None for all of its kinds.
        warm: whether it is called once before it is timed.
    """

    name: str
    run: Callable[[Series], Found]
    kinds: tuple[str, ...] = BOTH
    most: int | None = None
    cells: tuple[str, ...] | None = None
    warm: bool = True

    def takes(self, cell: Cell) -> bool:
        """Return whether a cell is for this method."""
        named = self.cells is None or cell.name in self.cells
        return named and cell.kind in self.kinds


class Answer(NamedTuple):
    """What a method said of a cell.

    Attributes:
        cell: its name.
        method: its name.
        found: of the cell's first units, or of all.
        seconds: of one core, for each unit.
    """

    cell: str
    method: str
    found: Found
    seconds: float


def answered(method: Method, cell: Cell, series: Series) -> Answer:
    """Return what a method says of a cell's data, and what that took."""
    if method.most is not None:
        series = first_units(series, method.most)
    # The process's own time: what else the machine does is not the method's.
    begun = time.process_time()
    found = method.run(series)
    seconds = (time.process_time() - begun) / series.n
    return Answer(cell.name, method.name, found, seconds)


def first_units(series: Series, most: int) -> Series:
    """Return the data of the first units alone."""
    values = series.values[:, :, :most]
    return Series(values=values, bin_width=series.bin_width, kind=series.kind)


def without_interval(tau: np.ndarray) -> Found:
    """Return what a method found that does not say how sure it is."""
    nothing = np.full(len(tau), np.nan)
    return Found(np.asarray(tau, dtype=np.float64), nothing, nothing)


def coarser(series: Series, times: int = COARSE) -> Series:
    """Return counts in bins so many times as wide; a signal as it is."""
    if series.kind != "counts":
        return series
    shape = (-1, times, *series.values.shape[1:])
    return Series(
        values=series.values.reshape(shape).sum(axis=1),
        bin_width=times * series.bin_width,
    )


def in_pieces(series: Series, most: int) -> Series:
    """Return trials cut into equal pieces of at most so many bins, as trials."""
    pieces = -(-series.bins // most)
    each = series.bins // pieces
    cut = series.values[: each * pieces].reshape(pieces, each, series.batch, series.n)
    values = cut.swapaxes(0, 1).reshape(each, pieces * series.batch, series.n)
    return Series(values=values, bin_width=series.bin_width, kind=series.kind)


def _state(series: Series) -> Found:
    # All lags that there are: a fall to 1/e late in a trial is one too.
    blocks = autocovariance_blocks(series.values, series.bin_width, series.bins - 1)
    found = state_tau(blocks)
    return Found(found.tau, *found.interval())


def _ml(series: Series, *, every: bool) -> Found:
    if series.kind == "signal":
        series = in_pieces(series, PIECE)
    # Of a signal it would leave out samples by itself.
    return _spoken(ml(series, bin_width=series.bin_width), every=every)


def _spoken(timescales: Timescales, *, every: bool = False) -> Found:
    """Return a table as `Found`, with `every` also the τ that are not believed."""
    assert timescales.low is not None
    assert timescales.high is not None
    assert timescales.estimate is not None
    tau = timescales.estimate if every else timescales.tau
    none = ~np.isfinite(tau)
    ends = (timescales.low, timescales.high)
    return Found(tau, *(np.where(none, np.nan, end) for end in ends))


STATE, ML, ML_ALL = "state τ", "ml", "ml, every value"
OURS = (
    Method(name=STATE, run=_state, kinds=("signal",)),
    Method(name=ML, run=lambda x: _ml(x, every=False)),
    Method(name=ML_ALL, run=lambda x: _ml(x, every=True), kinds=("counts",)),
    Method(
        name="exponential",
        run=lambda x: _spoken(exponential(coarser(x))),
        kinds=("counts",),
    ),
    Method(name="kim", run=lambda x: _spoken(kim(coarser(x))), kinds=("counts",)),
    Method(name="direct, corrected", run=lambda x: _spoken(direct(x, corrected=True))),
)
BASELINE = Method(name="direct fit", run=lambda x: _spoken(direct(x)))
"""What anybody would do: an exponential through the autocorrelation within trials."""


def answers(
    methods: Sequence[Method], cells: Sequence[str], units: int, seed: int
) -> Iterator[Answer]:
    """Yield what methods say of cells, one after the other.

    Args:
        methods: to be asked, each of the cells that are for it.
        cells: their names.
        units: of each cell.
        seed: of the data.
    """
    warm: set[tuple[str, str]] = set()
    with threadpool_limits(1), warnings.catch_warnings():
        # Fits that fail are counted, not told.
        warnings.simplefilter("ignore")
        for name in cells:
            cell = cell_named(name)
            asked = [method for method in methods if method.takes(cell)]
            if not asked:
                continue
            series = drawn(cell, units, seed)
            for method in asked:
                # What compiles at first is not timed.
                if method.warm and (method.name, cell.kind) not in warm:
                    method.run(first_units(series, 2))
                    warm.add((method.name, cell.kind))
                yield answered(method, cell, series)
