"""`SpikeTimes`: when each neuron spiked, in trials that may differ between neurons."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float64, Int64

from isotau.convert import spikes as packed
from isotau.convert import validation
from isotau.convert.spikes import Spikes


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SpikeTimes:
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
    source: str = field(default="")

    def __post_init__(self) -> None:
        """Check, order and freeze every field."""
        trials = validation.integers(
            "trials", self.trials, (validation.length("trials", self.trials, ndim=1),),
            "neuron", dtype=np.int64, low=0, high=2**31 - 1,
        )  # fmt: skip
        duration = validation.number("duration", self.duration, positive=True)
        times = self._times(duration)
        neuron = self._index("neuron", trials.size - 1)
        trial = self._index("trial", int(trials.max()) - 1)
        late = trial >= trials[neuron]
        if late.any():
            k = int(np.argmax(late))
            raise ValueError(
                f"trial: got {trial[k]} at [{k}], need less than {trials[neuron[k]]} "
                f"(the trials of neuron {neuron[k]})"
            )
        names = tuple(str(name) for name in self.names)
        if names and len(names) != trials.size:
            raise ValueError(
                f"names: got {len(names)}, need {trials.size} (one per neuron) or none"
            )
        order = np.lexsort((times, trial, neuron))
        ordered = {"times": times, "trial": trial, "neuron": neuron}
        for name, array in ordered.items():
            ordered[name] = array[order]
            ordered[name].setflags(write=False)
        validation.freeze(
            self,
            ordered
            | {"trials": trials, "duration": duration, "names": names}
            | {"source": str(self.source)},
        )

    def _times(self, duration: float) -> np.ndarray:
        shape = (np.size(self.times),)
        times = validation.floats("times", self.times, shape, "spike", minimum=0)
        late = times >= duration
        if late.any():
            k = int(np.argmax(late))
            raise ValueError(
                f"times: got {times[k]} s at [{k}], need less than {duration} s (the "
                "duration)"
            )
        return times

    def _index(self, name: str, high: int) -> np.ndarray:
        shape = (np.size(self.times),)
        value = getattr(self, name)
        if not shape[0]:
            return np.zeros(0, dtype=np.int64)
        return validation.integers(
            name, value, shape, "spike", dtype=np.int64, low=0, high=max(high, 0)
        )

    @property
    def n(self) -> int:
        """Number of neurons."""
        return self.trials.shape[0]


def from_spikes(recording: Spikes) -> SpikeTimes:
    """Return the same spikes as times: step · dt, every neuron in every trial."""
    # Bytes without a spike, most of them, are not unpacked.
    bits = recording.bits.reshape(-1)
    filled = np.flatnonzero(bits != 0)
    step, trial, byte = np.unravel_index(filled, recording.bits.shape)
    held = packed.unpack(bits[filled][:, None], 8)
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
    place = np.floor(recording.times / width * (1 + 1e-9)).astype(np.int64)
    whole = place < bins
    index = (place[whole], recording.trial[whole], recording.neuron[whole])
    flat = np.ravel_multi_index(index, shape) if whole.any() else np.zeros(0, int)
    return np.bincount(flat, minlength=int(np.prod(shape))).reshape(shape)
