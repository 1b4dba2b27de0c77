"""`Spikes`: who spiked when, in which trial; packed eight to a byte.

`SpikeTimes`: when each neuron spiked, in trials that may differ between neurons.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float64, Int64, UInt8

from isotau.convert.ground import validation
from isotau.convert.ground.representation import short_repr
from isotau.convert.ground.validation import Numbers, Size, check_fields, freeze, length
from isotau.convert.records.content import RecordContent

BIN_WIDTH = 0.05
"""Seconds of a bin in which spikes are counted, as Kim & Sejnowski 2021 have it,
doi:10.1038/s41593-020-00753-w."""
LAGS = 14
"""Such bins that autocorrelations reach, from the same source."""
MOST_BYTES = 1 << 17
"""Of packed spikes that are counted at a time."""
PAIRS, FOURS, EIGHTS, BYTES = (
    *(np.uint64(0x5555555555555555), np.uint64(0x3333333333333333)),
    *(np.uint64(0x0F0F0F0F0F0F0F0F), np.uint64(0x0101010101010101)),
)
"""The lower half of every two, four and eight bits of a word; bit 0 of every byte."""


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Spikes(RecordContent):
    """The spikes of a batch of trials, one bit each.

    Attributes:
        bits: steps × batch × ceil(n/8); bit k of byte j is neuron 8j + k (little-endian
            bit order, as `np.packbits(..., bitorder="little")` makes it). Taken as it
            is, since it may fill most of the memory: do not change it afterwards.
        n: number of neurons; the bits beyond it are 0.
        dt: length of a step, in seconds.
        engine: what made them: "rate", "norse", "reference", "lava", "recorded" …
        network: SHA-256 of the network that made them (its `fingerprint`), or "".
    """

    bits: UInt8[np.ndarray, "steps batch bytes"]
    n: int
    dt: float
    engine: str
    network: str = ""

    steps = Size("bits")
    """Number of time steps."""
    batch = Size("bits", 1)
    """Number of trials."""

    def __post_init__(self) -> None:
        """Check and freeze every field."""
        n = validation.whole("n", self.n, 1, 2**31 - 1)
        shape = np.shape(self.bits)
        if len(shape) != 3:
            raise ValueError(
                f"bits: got shape {shape}, need 3 axes (steps × batch × bytes)"
            )
        need = (*shape[:2], (n + 7) // 8)
        layout = "steps × batch × ceil(n/8)"
        # A view, made read-only, leaves the caller's own array as it is.
        bits = np.asarray(self.bits).view()
        if bits.dtype != np.uint8 or shape != need:
            bits = validation.integers(
                "bits", self.bits, need, layout, dtype=np.uint8, low=0, high=255
            )
        bits.setflags(write=False)
        # Counts go over whole bytes, so what pads the last one must not count.
        if n % 8 and (bits[..., -1] >> (n % 8)).any():
            raise ValueError(
                f"bits: got spikes beyond neuron {n - 1}, need zeros there"
            )
        names = {"engine": str(self.engine), "network": str(self.network)}
        freeze(self, {"bits": bits, "n": n} | names)
        check_fields(self, {"dt": Numbers(positive=True)})


def pack(raster: Bool[np.ndarray, "*shape n"]) -> np.ndarray:
    """Return a raster with its last axis packed eight neurons to a byte."""
    return np.packbits(raster, axis=-1, bitorder="little")


def unpack(bits: UInt8[np.ndarray, "*shape bytes"], n: int) -> np.ndarray:
    """Return the boolean raster of `n` neurons that `pack` was given."""
    # Its bytes are 0 and 1, which is how numpy holds booleans.
    return np.unpackbits(bits, axis=-1, count=n, bitorder="little").view(bool)


def count(spikes: Spikes, *, width: int) -> Int64[np.ndarray, "bins batch n"]:
    """Return spike counts in bins of `width` steps, bins × batch × neuron.

    Steps after the last whole bin are left out.
    """
    if width < 1 or width > spikes.steps:
        raise ValueError(
            f"width: got {width} steps, need 1 to {spikes.steps} (the trial's length)"
        )
    bins = spikes.steps // width
    counts = np.empty((bins, spikes.batch, spikes.n), dtype=np.int64)
    # Bin by bin: unpacked, all spikes together take eight times their memory.
    for k in range(bins):
        chunk = spikes.bits[k * width : (k + 1) * width]
        counts[k] = unpack(chunk, spikes.n).sum(axis=0, dtype=np.int64)
    return counts


def window(spikes: Spikes, start: int, stop: int | None = None) -> Spikes:
    """Return the steps `start` to `stop` alone."""
    return replace(spikes, bits=spikes.bits[start:stop])


def select(spikes: Spikes, trials: slice) -> Spikes:
    """Return some of the trials alone."""
    return replace(spikes, bits=spikes.bits[:, trials])


def mean_rate(spikes: Spikes) -> float:
    """Return the mean firing rate over neurons and trials, in Hz."""
    # Some steps at a time: what they are copied to stays in the cache.
    together = max(1, MOST_BYTES // max(1, spikes.bits[0].size))
    events = sum(
        _set_bits(np.ascontiguousarray(spikes.bits[k : k + together]).reshape(-1))
        for k in range(0, spikes.steps, together)
    )
    return events / (spikes.n * spikes.batch * spikes.steps * spikes.dt)


def _set_bits(packed: UInt8[np.ndarray, " bytes"]) -> int:
    """Return how many bits are set."""
    whole = packed.size // 8 * 8
    words = packed[:whole].view(np.uint64)
    # Of pairs, fours and eights of bits in their place; the product adds eight bytes.
    words = words - ((words >> np.uint64(1)) & PAIRS)
    words = (words & FOURS) + ((words >> np.uint64(2)) & FOURS)
    words = (words + (words >> np.uint64(4))) & EIGHTS
    rest = int(np.unpackbits(packed[whole:]).sum())
    return int(((words * BYTES) >> np.uint64(56)).sum()) + rest


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SpikeTimes(RecordContent):
    """The spikes of neurons, as times within the window that every trial covers.

    Neurons recorded together share their trials; neurons of different sessions do not,
    and may have different numbers of them: trial 3 of one neuron then has nothing to do
    with trial 3 of another.

    Attributes:
        times: from the start of the trial's window, in seconds; 0 ≤ t < duration.
        trial: of each spike; 0 ≤ trial < trials[neuron].
        neuron: of each spike.
        trials: in how many trials each neuron was recorded; 0 is allowed.
        duration: length of the window, in seconds.
        names: of the neurons, or () for none.
        source: what made or recorded them.

    The spikes are kept ordered by neuron, then trial, then time.
    """

    times: Float64[np.ndarray, " events"]
    trial: Int64[np.ndarray, " events"]
    neuron: Int64[np.ndarray, " events"]
    trials: Int64[np.ndarray, " n"]
    duration: float
    names: tuple[str, ...] = ()
    source: str = ""

    n = Size("trials")
    """Number of neurons."""

    def __post_init__(self) -> None:
        """Check, order and freeze every field."""
        n, events = length("trials", self.trials, ndim=1), np.size(self.times)
        check_fields(self, EVENT_RULES, n=n, events=events)
        index = Numbers("events", "spike", dtype=np.int64)
        highest = {"neuron": n - 1, "trial": max(int(self.trials.max()) - 1, 0)}
        rules = {name: index._replace(high=high) for name, high in highest.items()}
        check_fields(self, rules, n=n, events=events)
        self._check_ends()
        names = tuple(str(name) for name in self.names)
        if names and len(names) != n:
            raise ValueError(
                f"names: got {len(names)}, need {n} (one per neuron) or none"
            )
        # The last key is the first to sort by.
        order = np.lexsort((self.times, self.trial, self.neuron))
        arrays = {k: getattr(self, k)[order] for k in ("times", "trial", "neuron")}
        for array in arrays.values():
            array.setflags(write=False)
        freeze(self, arrays | {"names": names, "source": str(self.source)})

    def _check_ends(self) -> None:
        """Refuse spikes after the window, or in trials that a neuron does not have."""
        # The window is open at its end: bins of equal width cover it.
        late = self.times >= self.duration
        if late.any():
            k = int(np.argmax(late))
            raise ValueError(
                f"times: got {self.times[k]} s at [{k}], need less than "
                f"{self.duration} s (the duration)"
            )
        trials = self.trials[self.neuron]
        absent = self.trial >= trials
        if absent.any():
            k = int(np.argmax(absent))
            raise ValueError(
                f"trial: got {self.trial[k]} at [{k}], need less than {trials[k]} (the "
                f"trials of neuron {self.neuron[k]})"
            )


EVENT_RULES = {
    "trials": Numbers("n", "neuron", dtype=np.int64),
    "duration": Numbers(positive=True),
    "times": Numbers("events", "spike", minimum=0),
}
"""What the numbers of `SpikeTimes` have to be, but for those that others limit."""


def from_spikes(recording: Spikes) -> SpikeTimes:
    """Return the same spikes as times: step · dt, every neuron in every trial."""
    # Bytes without a spike, most of them, are not unpacked.
    bits = recording.bits.reshape(-1)
    filled = np.flatnonzero(bits != 0)
    step, trial, byte = np.unravel_index(filled, recording.bits.shape)
    held = unpack(bits[filled][:, None], 8)
    place, bit = np.nonzero(held)
    step, trial, neuron = step[place], trial[place], 8 * byte[place] + bit
    return SpikeTimes(
        times=step * recording.dt,
        trial=trial,
        neuron=neuron,
        trials=np.full(recording.n, recording.batch),
        duration=recording.steps * recording.dt,
        source=recording.engine,
    )


def of_neuron(recording: SpikeTimes, k: int) -> list[Float64[np.ndarray, " spikes"]]:
    """Return neuron k's spike times in seconds, one ascending array per trial."""
    k = validation.whole("k", k, 0, recording.n - 1)
    # The record keeps spikes ordered by neuron, then trial, then time.
    start, stop = np.searchsorted(recording.neuron, (k, k + 1))
    trial = recording.trial[start:stop]
    edges = np.searchsorted(trial, np.arange(1, recording.trials[k]))
    if not recording.trials[k]:
        return []
    return np.split(recording.times[start:stop], edges)


def counts(
    recording: SpikeTimes, bin_width: float
) -> Int64[np.ndarray, "bins batch n"]:
    """Return the spikes in bins of `bin_width` seconds, bins × trial × neuron.

    There are as many trials as the neuron with most has; those in which a neuron was
    not recorded count 0. Time after the last whole bin is left out.

    Raises:
        ValueError: `bin_width` is longer than the window.
    """
    width = validation.number("bin_width", bin_width, positive=True)
    # A window of 20 bins must not lose one to rounding.
    bins = int(np.floor(recording.duration / width * (1 + 1e-9)))
    if bins < 1:
        raise ValueError(
            f"bin_width: got {width} s, need at most {recording.duration} s (the "
            "window)"
        )
    shape = bins, int(recording.trials.max()), recording.n
    # A spike on a bin's edge belongs to the bin that begins there, rounding or not.
    place = np.floor(recording.times / width * (1 + 1e-9)).astype(np.int64)
    whole = place < bins
    index = (place[whole], recording.trial[whole], recording.neuron[whole])
    flat = np.ravel_multi_index(index, shape) if whole.any() else np.zeros(0, int)
    return np.bincount(flat, minlength=int(np.prod(shape))).reshape(shape)
