"""Running a `LIFNetwork`: batches of trials in compiled loops, spikes kept packed.

The step is Norse's, operation for operation (`lif_kernels`); `norse_module` has it in
Norse itself, for gradients and as what the loops are tested against.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, islice
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from jaxtyping import Float64, Int64, UInt8

from isotau.convert.chip.compiled_step import SPARE_PLACES
from isotau.convert.chip.philox import noise_key
from isotau.convert.chip.vector_step import LANES
from isotau.convert.ground.progress import Progress, silent
from isotau.convert.ground.representation import short_repr
from isotau.convert.ground.validation import (
    choice,
    floats,
    integers,
    length,
    noise_counter,
    whole,
)
from isotau.convert.records.lif import (
    LIFNetwork,
    Ranges,
)
from isotau.convert.records.spikes import Spikes
from isotau.convert.simulate import lif_kernels as kernels
from isotau.convert.simulate.lif_arrays import arrange
from isotau.convert.simulate.moments import Moments, MomentSums, check_lags
from isotau.convert.simulate.shares import LONGEST, Share, share_trials, strides
from isotau.convert.simulate.vectors.normals import GROUP, MAX_STEPS
from isotau.convert.simulate.vectors.rows import blank, tiled
from isotau.convert.simulate.vectors.shared_noise import fill_channels

NAME = "lif"
SIGNALS = ("i", "v", "f")
"""What can be recorded, by the names of `LIFRun`."""
WORD = 64
"""Neurons whose spikes are a word."""
PLAIN = ((1.0, 0.0),)
HELD = 1 << 22
"""Numbers of a signal that are held at once for its moments."""
WIDTHS = ("float32", "float64")
Reals = npt.NDArray[Any]


@short_repr
@dataclass(frozen=True, slots=True, eq=False)
class LIFRun:
    """What a run left behind.

    What is recorded is samples × batch × recorded neuron, None unless asked for.

    Attributes:
        spikes: all of them; without steps if they were not to be kept.
        ranges: how far the states went.
        i: synaptic current before its decay, J of (L1), in volts.
        v: membrane potential after the reset, in volts.
        f: filtered spikes, in Hz.
        moments: of the signals of which they were asked for, by name.
    """

    spikes: Spikes
    ranges: Ranges
    i: Reals | None = None
    v: Reals | None = None
    f: Reals | None = None
    moments: Mapping[str, Moments] = field(default_factory=dict)


def simulate_lif(
    net: LIFNetwork,
    inputs: Float64[np.ndarray, "steps batch n_in"],
    *,
    seed: int | None,
    first_trial: int = 0,
    burn_in: int = 0,
    scalings: Sequence[tuple[float, float]] = PLAIN,
    record: Sequence[str] = (),
    moments: Sequence[str] = (),
    lags: Sequence[int] = (),
    neurons: Sequence[int] | None = None,
    every: int = 1,
    keep_spikes: bool = True,
    dtype: npt.DTypeLike = np.float32,
    threads: int | None = None,
    progress: Progress = silent,
) -> LIFRun:
    """Return the spikes of a batch of trials, by (L1) to (L6).

    Every trial starts in the network's start state, which is rest unless the network
    says otherwise, and passes `burn_in` steps with zero input before the first step
    that counts. A trial's noise is decided by the seed and its number alone.

    Args:
        net: the network.
        inputs: steps of `net.dt`; where the last channels carry noise (`fill_channels`)
            of the others alone, or of all.
        seed: of all noise, 0 ≤ seed < 2^64; None for a run without it.
        first_trial: number of the first trial: a run of trials 5 to 9 has the noise
            that these have in a run of trials 0 to 9.
        burn_in: steps before the trial, in which nothing is recorded.
        scalings: variants of the network, each a factor on all recurrent weights and
            volts added to every v_leak. The trials run once for each, all in one batch
            and with the same noise; the result's batch holds variant after variant.
        record: names from `SIGNALS` of what is recorded.
        moments: names of signals whose `Moments` are summed up while the network runs,
            in memory that does not grow with steps; of one scaling alone.
        lags: of their autocovariance, in samples.
        neurons: where signals are recorded; everywhere if None.
        every: steps between two samples, the first after so many.
        keep_spikes: whether spikes are kept, one bit each.
        dtype: float32 or float64, of the state. float32 is twice as fast; its spikes
            differ in rare near-ties.
        threads: how many share the trials; as many as there are cores if None.
        progress: is given the strides of steps as they pass.

    Raises:
        ValueError: inputs of another shape; an unknown signal; numbers out of range.
    """
    inputs = fill_channels(net, inputs, seed=seed, first_trial=first_trial)
    steps, batch = length("inputs", inputs, ndim=3), np.shape(inputs)[1]
    shape = (steps, batch, net.n_in)
    inputs = floats("inputs", inputs, shape, "steps × batch × channel")
    burn_in = whole("burn_in", burn_in, 0, MAX_STEPS)
    sampling = Sampling(places(neurons, net.n), whole("every", every, 1, MAX_STEPS))
    if moments and len(scalings) > 1:
        raise ValueError(
            f"moments: got {len(scalings)} scalings, need one; run them one by one"
        )
    rows = len(scalings) * batch
    records = _Records(sampling, (steps, rows), dtype, record, moments, lags)
    noise = (seed, first_trial)
    running = _Batch(net, dtype, batch, scalings, noise, filtering=records.filtering)
    bits = np.empty((steps * keep_spikes, rows, -(-net.n // 8)), np.uint8)
    # Contiguous and writable: the loops are compiled for one kind of array.
    shown = np.array(inputs, dtype, order="C")
    silence = np.zeros((1, batch, 0), dtype)
    longest = records.longest
    with share_trials(batch, threads) as share:
        spans = strides(-burn_in, steps, rows, "LIF network", progress, longest=longest)
        for lo, hi in spans:
            if lo < 0:
                running.advance(share, lo, silence.repeat(hi - lo, axis=0))
                continue
            traces = records.room(lo, hi)
            running.advance(
                share, lo, shown[lo:hi], bits=bits[lo:hi], traces=traces, at=sampling
            )
            records.add(share, traces)
    return LIFRun(
        _spikes(net, bits),
        running.ranges(steps),
        moments={name: part.moments() for name, part in records.sums.items()},
        **records.traces,
    )


def respond(
    net: LIFNetwork,
    currents: Iterable[Float64[np.ndarray, "batch n"]],
    *,
    steps: int,
    seed: int | None,
    first_trial: int = 0,
    threads: int | None = None,
    progress: Progress = silent,
) -> Spikes:
    """Return the spikes of the neurons alone under currents that are laid down.

    Weights and time constants of the synapses do not count: i is what it is told to be
    in every step, without noise of its own. In float32.

    Args:
        net: the neurons.
        currents: i of each step, in volts.
        steps: how many there are.
        seed: of the membrane noise, 0 ≤ seed < 2^64; None for none.
        first_trial: number of the first trial, for its noise.
        threads: how many share the trials; as many as there are cores if None.
        progress: is given the strides of steps as they pass.

    Raises:
        ValueError: fewer or more currents than steps, or some of another shape.
    """
    source = iter(currents)
    # The first says how many trials there are.
    head = list(islice(source, 1))
    batch = length("currents", head[0]) if head else 1
    source, layout = chain(head, source), "trial × neuron"
    running = _Batch(net, np.float32, batch, PLAIN, (seed, first_trial))
    bits = np.empty((steps, batch, -(-net.n // 8)), np.uint8)
    what = "neurons under laid-down currents"
    with share_trials(batch, threads) as share:
        for lo, hi in strides(0, steps, batch, what, progress):
            laid = np.empty((hi - lo, batch, net.n), np.float32)
            given = lo
            for given, row in enumerate(islice(source, hi - lo), lo + 1):
                laid[given - 1 - lo] = floats("currents", row, laid.shape[1:], layout)
            if given < hi:
                raise ValueError(
                    f"currents: got {given} steps of them, need {steps}; give as many "
                    "as steps"
                )
            nothing = np.zeros((hi - lo, batch, 0), np.float32)
            running.advance(share, lo, nothing, laid=laid, bits=bits[lo:hi])
    if next(source, None) is not None:
        raise ValueError(
            f"currents: got more than {steps} steps of them, need {steps}; give as "
            "many as steps"
        )
    return _spikes(net, bits)


class Sampling(NamedTuple):
    """Where and when states are sampled.

    Attributes:
        places: numbers of the neurons, int64.
        every: steps between two samples; the first is taken after so many.
    """

    places: Int64[np.ndarray, " places"]
    every: int

    def chosen(self, n: int) -> Int64[np.ndarray, " places"]:
        """Return the places, or none if they are those of all n neurons in order."""
        everywhere = np.array_equal(self.places, np.arange(n))
        return self.places[: 0 if everywhere else None]

    def span(self, lo: int, hi: int) -> slice:
        """Return which samples steps `lo` to `hi` take."""
        return slice(lo // self.every, hi // self.every)


class _Records:
    """What a run leaves of its states: traces, and the sums of moments."""

    def __init__(
        self,
        sampling: Sampling,
        shape: tuple[int, int],
        dtype: npt.DTypeLike,
        record: Sequence[str],
        moments: Sequence[str],
        lags: Sequence[int],
    ) -> None:
        """Make room for the samples of so many steps and rows."""
        for name in (*record, *moments):
            choice("signals", name, SIGNALS)
        (steps, self.rows), self.places = shape, len(sampling.places)
        samples = steps // sampling.every
        self.sampling, self.dtype = sampling, dtype
        self.traces = {
            name: np.empty((samples, self.rows, self.places), dtype) for name in record
        }
        distances = check_lags(lags, samples) if moments else []
        self.sums = {
            name: MomentSums(self.rows, self.places, distances) for name in moments
        }
        self.filtering = "f" in {*record, *moments}
        held = max(1, HELD // (self.rows * self.places))
        self.longest = held if moments else LONGEST

    def room(self, lo: int, hi: int) -> dict[str, Reals]:
        """Return where steps `lo` to `hi` write their samples, by signal."""
        span = self.sampling.span(lo, hi)
        room = {name: trace[span] for name, trace in self.traces.items()}
        for name in self.sums.keys() - room.keys():
            shape = (span.stop - span.start, self.rows, self.places)
            room[name] = np.empty(shape, self.dtype)
        return room

    def add(self, share: Share, samples: Mapping[str, Reals]) -> None:
        """Add the samples of some steps to the moments."""
        for name, part in self.sums.items():
            part.add(share, samples[name])


def places(neurons: Sequence[int] | None, n: int) -> Int64[np.ndarray, " places"]:
    """Return numbers of neurons, all of them for None.

    Raises:
        ValueError: a number that no neuron has.
    """
    if neurons is None:
        return np.arange(n)
    # A copy: `integers` leaves it read-only, and the loops know one kind of array.
    return integers(
        "neurons",
        neurons,
        (len(neurons),),
        "recorded neuron",
        dtype=np.int64,
        low=0,
        high=n - 1,
    ).copy()


class LIFRoom(NamedTuple):
    """What the loops of a thread write to and nobody reads afterwards."""

    normal: Reals
    normal_i: Reals
    arriving: Reals
    returning: Reals
    unread: Reals
    channels: npt.NDArray[np.int64]
    spike_list: npt.NDArray[np.int64]
    before: npt.NDArray[np.int64]


def _room(net: LIFNetwork, dtype: npt.DTypeLike) -> LIFRoom:
    """Return room for the steps of a network."""
    padded, words = (-(-net.n // size) * size for size in (LANES, GROUP))
    return LIFRoom(
        normal=blank((words,), np.float32),
        normal_i=blank((words,), np.float32),
        arriving=blank((padded,), dtype),
        returning=blank((1, padded), dtype),
        unread=blank((padded,), float),
        channels=blank((net.n_in + 1,), np.int64),
        spike_list=blank((words + SPARE_PLACES,), np.int64),
        before=blank((words // WORD,), np.int64),
    )


class _Batch:
    """A batch of trials of a network's variants, between two steps."""

    def __init__(
        self,
        net: LIFNetwork,
        dtype: npt.DTypeLike,
        batch: int,
        scalings: Sequence[tuple[float, float]],
        noise: tuple[int | None, int],
        *,
        filtering: bool = False,
    ) -> None:
        """Put every trial into the network's start state (L14)."""
        self.net, self.batch, seed = net, batch, noise[0]
        kind = np.dtype(choice("dtype", np.dtype(dtype).name, WIDTHS))
        arrays = arrange(net, kind)
        number, first_trial = noise_counter(seed or 0, noise[1], batch)
        key = tuple(np.uint64(half) for half in noise_key(number))
        sizes = [
            size[: None if seed is not None and size.any() else 0]
            for size in (arrays.per_step, arrays.i_per_step)
        ]
        self.noise = (*sizes, key, first_trial)
        gains, drives = np.array(scalings, kind).reshape(-1, 2).T.copy()
        leaks = arrays.v_leak + drives[:, None]
        wanted = slice(None if filtering else 0)
        filters = (arrays.keep_f[wanted], arrays.gain_f[wanted])
        self.constants = (*arrays[:7], leaks, gains, *filters, arrays.synapses)
        rows, padded = len(gains) * batch, len(arrays.v_th)
        shape = (rows, padded)
        fired = blank((rows, -(-padded // WORD)), np.uint64)
        self.state = (
            *(tiled(row, rows) for row in (arrays.i0, arrays.v0, arrays.f0)),
            blank(shape, np.int32),
            *(fired, fired.view(np.uint8)),
        )
        self.extents = (blank(shape, kind), blank(shape, kind), blank(shape, float))

    def advance(
        self,
        share: Share,
        step: int,
        inputs: Reals,
        *,
        laid: Reals | None = None,
        bits: UInt8[np.ndarray, "steps rows bytes"] | None = None,
        traces: Mapping[str, Reals] = MappingProxyType({}),
        at: Sampling | None = None,
    ) -> None:
        """Run some steps; those before step 0 do not count.

        Args:
            share: runs parts of the batch in threads.
            step: number of the first.
            inputs: of these steps, steps × batch × channel.
            laid: J of these steps, in the place of the network's own.
            bits: filled with the spikes.
            traces: filled with samples, by the name of the signal.
            at: where and when they are taken.
        """
        dtype, rows = inputs.dtype, len(self.state[0])
        none = np.empty((0, rows, 0), dtype)
        at = Sampling(np.empty(0, np.int64), 1) if at is None else at
        *sizes, key, first_trial = self.noise
        arguments = (
            step >= 0,
            (inputs, np.empty((0, self.batch, 0), dtype) if laid is None else laid),
            self.constants,
            (*sizes, key, step, first_trial),
            self.state,
            self.extents,
            (
                *(traces.get(name, none) for name in SIGNALS),
                *(at.chosen(self.net.n), at.every, step // at.every),
            ),
            np.empty((0, rows, 0), np.uint8) if bits is None else bits,
        )
        room = partial(_room, self.net, dtype)
        share(lambda first, last: kernels.run_trials(first, last, *arguments, room()))

    def ranges(self, steps: int) -> Ranges:
        """Return how far the states went, with the mean square over so many steps."""
        peaks, lows, powers = (x[:, : self.net.n] for x in self.extents)
        return Ranges(
            i_peak=peaks.max(axis=0).astype(np.float64),
            i_rms=np.sqrt(powers.sum(axis=0) / (steps * len(powers))),
            v_low=lows.max(axis=0).astype(np.float64),
        )


def _spikes(net: LIFNetwork, bits: UInt8[np.ndarray, "steps batch bytes"]) -> Spikes:
    return Spikes(bits=bits, n=net.n, dt=net.dt, engine=NAME, network=net.fingerprint)
