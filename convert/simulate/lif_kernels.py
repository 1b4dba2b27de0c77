"""The LIF step in compiled loops: the LIF stage and tuning's forward pass run this one.

A step is a handful of passes over a trial's neurons, each in vectors of LLVM
(`isotau.convert.simulate.vectors`). Index j runs over neurons, and a row is one number
per neuron, padded; all is of the run's type, float32 or float64, but flags (uint8) and
steps of rest (int32):

| row | holds |
|---|---|
| i, v | synaptic current and potential: of the step before, then of this one |
| arriving, returning | parts of the jump: inputs; spikes of the step before |
| x | v′ − v_th |
| flags | `SPIKED`: the neuron spiked; `RESTED`: it was within its refractory period |
| refractory_left, rest_steps | steps at reset: still to come, of each spike |
| fired | who spiked, a bit per neuron, in words of 64 |

A step is `stir`, `weigh` and `jump` (L1), `fill_normals` (L8, L19), `advance` (L2 to
L6, L9), `list_bits`: Norse's operations in Norse's order, since in floats the order
decides the bits. numba types each function anew for every caller.
"""

from isotau.convert.chip.compiled_step import (
    bare,
    copy_row,
    inlined,
    list_bits,
    list_senders,
)
from isotau.convert.chip.vector_step import LANES
from isotau.convert.ground.compilation import njit
from isotau.convert.simulate.vectors.normals import MEMBRANE, SYNAPSE
from isotau.convert.simulate.vectors.vector_lif import (
    SPIKED,
    advance,
    filter_spikes,
    stir,
)
from isotau.convert.simulate.vectors.vector_normals import fill_normals
from isotau.convert.simulate.vectors.vector_sums import jump, weigh

TURN = 32
"""Steps of a trial before the next has its turn: its state fits the nearest cache."""
exact = njit(nogil=True, cache=True, error_model="numpy")
"""Each operation rounds, as torch's do: a product and a sum are not made one."""


@exact
def list_spikes(z, spike_list, n):
    """List the places that are not 0; return how many."""
    count = 0
    for j in range(n):
        # written always, counted where it holds: no branch to mispredict
        spike_list[count] = j
        count += z[j] != 0
    return count


@exact
def list_flagged(flags, spike_list, n):
    """List who spiked; return how many."""
    count = 0
    for j in range(n):
        spike_list[count] = j
        count += flags[j] & SPIKED
    return count


@exact
def add_synapses(total, synapses, source_list, count):
    """Set a row to the sum of sparse ones, as `add_rows` in order and bits.

    Args:
        total: row.
        synapses: where each source's begin, their targets, their weights.
        source_list: sources.
        count: how many.
    """
    starts, targets, weights = synapses
    for j in range(total.shape[0]):
        total[j] = 0
    for k in range(count):
        source = source_list[k]
        for s in range(starts[source], starts[source + 1]):
            total[targets[s]] += weights[s]


@exact
def copy(source, target):
    """Copy as many as the target takes."""
    for j in range(target.shape[0]):
        target[j] = source[j]


@inlined
def record(trace, place, row, values, places):
    """Keep a row of values, or those at some places, if they are to be kept."""
    if len(trace) > 0:
        target = trace[place, row]
        if len(places) == 0:
            copy_row(target, values)
        for j in range(len(places)):
            target[j] = values[places[j]]


@inlined
def settle(vectors, neurons, net, leak, noises, noisy, fired, ranges, tape):
    """Do what follows the jump, with noise or without: `advance`."""
    constants = (net[2], net[3], net[4], net[5], net[6])
    # What is None is not compiled, and what is compiled in has no question to ask.
    if noisy:
        advance(vectors, neurons, constants, leak, noises, fired, ranges, tape)
    else:
        advance(vectors, neurons, constants, leak, None, fired, ranges, tape)


@exact
def arrive(vectors, i, arriving, net, gain, spike_list, count, returning):
    """Set i to J, by dense rows of weights or, if there are any, by synapses: (L1)."""
    w_rec, synapses = net[1], net[11]
    if len(synapses[0]) > 0:
        # What they send is the one row to be added.
        add_synapses(returning[0], synapses, spike_list, count)
        spike_list[0] = 0
        jump(vectors, i, returning, spike_list, 1, arriving, gain)
    else:
        jump(vectors, i, w_rec, spike_list, count, arriving, gain)


@exact
def run_trials(
    first, last, counting, drives, net, noise, state, ranges, traces, bits, room
):
    """Run the trials `first` … `last` − 1 of every variant, some steps.

    Row k · batch + b of state, ranges, traces and bits is trial b of variant k.

    Args:
        first: trial.
        last: trial, not included.
        counting: whether the steps count: their spikes, J² and traces.
        drives: inputs, steps × batch × channel; J itself, steps × batch × neuron, or
            no steps where inputs and spikes make it.
        net: W_in and W_rec transposed, a_mem, a_syn, v_reset, v_th, all padded; steps
            of rest, int32; then of each variant v_leak, padded, and the factor on
            W_rec; what is kept of f, and what a spike adds, of length 0 without f;
            sparse W_rec as `add_synapses` has it, or of length 0.
        noise: SD of a step in v and in i, padded, or of length 0 for none; the halves
            of the seed; number of the first step; number of trial 0.
        state: i, v, f, row × padded; steps left at reset, int32; who spiked, row ×
            word, and the same as bytes. All are left as after the last step.
        ranges: of |J| and v_reset − v, float; sums of J², float64: row × padded.
        traces: of J, v and f, samples × row × place, each with no samples if unwanted;
            places that are sampled, none for all; interval; sample that trace 0 stands
            for.
        bits: steps × row × byte, or no steps.
        room: a `LIFRoom`, of this call alone.
    """
    inputs, currents, raster = bare(drives[0]), bare(drives[1]), bare(bits)
    net, room, state, ranges = bare(net), bare(room), bare(state), bare(ranges)
    leaks, gains, keep_f, gain_f = net[7], net[8], net[9], net[10]
    per_step, i_per_step, key, step, first_trial = noise
    all_i, all_v, all_f, pauses, words, words_bytes = state
    peaks, lows, powers = ranges
    trace_i, trace_v, trace_f = bare(traces[0]), bare(traces[1]), bare(traces[2])
    places, every, sample = bare(traces[3]), traces[4], traces[5]
    steps, batch, _ = inputs.shape
    variants, vectors = len(leaks), leaks.shape[1] // LANES
    noises, noisy = (per_step, room.normal), len(per_step) > 0
    laid, filtering = len(currents) > 0, len(keep_f) > 0
    # What is laid down has all that it shall have.
    stirred = len(i_per_step) > 0 and not laid
    # What some trials write lies together: it is written before it leaves the cache.
    for start in range(0, steps, TURN):
        for b in range(first, last):
            for t in range(start, min(start + TURN, steps)):
                now = step + t
                sampled = counting and (now + 1) % every == 0
                place = (now + 1) // every - 1 - sample
                trial = first_trial + b
                if noisy:  # variants of a trial share it
                    fill_normals(vectors, room.normal, key, now, trial, MEMBRANE)
                if stirred:
                    fill_normals(vectors, room.normal_i, key, now, trial, SYNAPSE)
                shown = inputs[t, b]
                channels = list_senders(shown, room.channels)
                weigh(vectors, room.arriving, net[0], room.channels, channels, shown)
                for k in range(variants):
                    row = k * batch + b
                    i, v, leak, fired = all_i[row], all_v[row], leaks[k], words[row]
                    if laid:
                        copy_row(i[: currents.shape[2]], currents[t, b])
                    else:
                        if stirred:
                            stir(vectors, i, i_per_step, room.normal_i)
                        count = list_bits(fired, room.spike_list, room.before)
                        arrive(
                            *(vectors, i, room.arriving, net, gains[k]),
                            *(room.spike_list, count, room.returning),
                        )
                    if sampled:
                        record(trace_i, place, row, i, places)
                    # J² of a step that does not count is added to what nobody reads.
                    power = powers[row] if counting else room.unread
                    neurons, extent = (
                        (v, i, pauses[row]),
                        (peaks[row], lows[row], power),
                    )
                    settle(
                        vectors, neurons, net, leak, noises, noisy, fired, extent, None
                    )
                    if len(raster) > 0:
                        copy_row(raster[t, row], words_bytes[row])
                    if filtering and counting:  # (L14): f0 is that of the trial
                        filter_spikes(vectors, all_f[row], keep_f, gain_f, fired)
                    if sampled:
                        record(trace_v, place, row, v, places)
                        record(trace_f, place, row, all_f[row], places)
