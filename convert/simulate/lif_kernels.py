"""The LIF step in compiled loops: the LIF stage and tuning's forward pass run this one.

Each function does a part of the step for one trial; a caller's loop inlines them all.
Loops are short and many because LLVM vectorizes a loop only while few arrays may
overlap in it. Index j runs over neurons, and a row is one number per neuron, padded;
all is of the run's type, float32 or float64, but flags (uint8) and steps of rest
(int32):

| row | holds |
|---|---|
| i, v | synaptic current and potential: of the step before, then of this one |
| arriving, returning | parts of the jump: inputs; spikes of the step before |
| lifted | v_leak with the noise of the step |
| x | v′ − v_th |
| flags | `SPIKED`: the neuron spiked; `RESTED`: it was within its refractory period |
| refractory_left, rest_steps | steps at reset: still to come, of each spike |

A step is `add_scaled`, `add_rows`, `jump` (L1), `lift_leak` (L8, L9), `rise` (L2),
`decay` (L3), `compare` (L4), `reset` (L5, L6): Norse's operations in Norse's order,
since in floats the order decides the bits. numba types each function anew for every
caller. Its cache looks at the caller's file alone: after a change here delete the
`*.nbi` files of this folder and of `convert/tuning/forward`.
"""

import numpy as np
from numba import njit

from isotau.convert.chip.compiled_step import bare
from isotau.convert.simulate.normal_kernels import fill_normals, noise_room
from isotau.convert.simulate.normals import MEMBRANE

SPIKED, RESTED = 1, 2
"""Bits of a neuron's flags."""
SPIKES = np.uint64(0x0101010101010101 * SPIKED)
"""The first of them in each of eight bytes."""
GATHER = np.uint64(0x0102040810204080)
"""Times eight bytes of 0 or 1, as a word: the same as eight bits, in the top byte."""
TOGETHER = 32
"""Trials that pass some steps before the next ones do: their state fits the cache."""
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
def pack_flagged(words, spike_list, bits):
    """List who spiked, and pack it, eight neurons to a byte; return how many.

    Args:
        words: flags, eight of them as one number.
        spike_list: room for as many places as there are flags, and one.
        bits: a byte for each word, or none.
    """
    count = 0
    packed = len(bits) > 0
    for k in range(len(bits) if packed else len(words)):
        word = words[k] & SPIKES
        if packed:
            bits[k] = (word * GATHER) >> np.uint64(56)
        # Few neurons spike: most words are 0 and need no look at their bytes.
        if word != 0:
            for j in range(8 * k, 8 * k + 8):
                spike_list[count] = j
                count += word & np.uint64(1)
                word >>= np.uint64(8)
    return count


@exact
def add_rows(total, rows, row_list, count):
    """Set a row to the sum of some others, one after another."""
    for j in range(total.shape[0]):
        total[j] = 0
    # Four at a time, for one read and write of the sums; the order stays.
    whole = count - count % 4
    for k in range(0, whole, 4):
        r0, r1 = rows[row_list[k]], rows[row_list[k + 1]]
        r2, r3 = rows[row_list[k + 2]], rows[row_list[k + 3]]
        for j in range(total.shape[0]):
            total[j] = (((total[j] + r0[j]) + r1[j]) + r2[j]) + r3[j]
    for k in range(whole, count):
        row = rows[row_list[k]]
        for j in range(total.shape[0]):
            total[j] += row[j]


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
def add_scaled(total, rows, factors):
    """Set a row to the sum of some others, each times its factor."""
    for j in range(total.shape[0]):
        total[j] = 0
    for c in range(factors.shape[0]):
        # adding 0 · w would change no bit, but take as long
        factor, row = factors[c], rows[c]
        if factor != 0:
            for j in range(total.shape[0]):
                total[j] += factor * row[j]


@exact
def send(total, rows, synapses, gain, source_list, count):
    """Set a row to what some sources send, by dense rows or, if any, by synapses."""
    if len(synapses[0]) > 0:
        add_synapses(total, synapses, source_list, count)
    else:
        add_rows(total, rows, source_list, count)
    if gain != 1:
        for j in range(total.shape[0]):
            total[j] = gain * total[j]


@exact
def jump(i, arriving, returning):
    """Set i to J: what the step before left, inputs, spikes, in Norse's order."""
    for j in range(i.shape[0]):
        i[j] = (i[j] + arriving[j]) + returning[j]  # (L1)


@exact
def lift_leak(leak, per_step, normal, a_mem, lifted):
    """Set the resting potential that brings the noise along, as `LIFModule` does."""
    # (L8), (L9); the module's noise is a tensor, and so it is rounded here as well.
    for j in range(lifted.shape[0]):
        lifted[j] = leak[j] + (per_step[j] * normal[j]) / a_mem[j]


@exact
def rise(v, i, leak, a_mem):
    """Set v to v′."""
    for j in range(v.shape[0]):
        v[j] = v[j] + a_mem[j] * ((leak[j] - v[j]) + i[j])  # (L2)


@exact
def decay(i, a_syn):
    """Let the current decay."""
    for j in range(i.shape[0]):
        i[j] = i[j] - a_syn[j] * i[j]  # (L3), not (1 − a_syn) i: other bits


@exact
def compare(v, v_th, x, refractory_left, flags):
    """Set v′ − v_th, and who spikes or rests: (L4)."""
    for j in range(v.shape[0]):
        x[j] = v[j] - v_th[j]
    for j in range(v.shape[0]):
        resting = refractory_left[j] > 0
        flags[j] = np.uint8(RESTED) if resting else np.uint8(x[j] > 0)


@exact
def reset(v, v_reset, refractory_left, rest_steps, flags):
    """Put back who spiked or rests (L5), and count the steps of rest (L6)."""
    for j in range(v.shape[0]):
        # Both are read before the choice, so that it needs no branch.
        start, before = v_reset[j], v[j]
        v[j] = start if flags[j] != 0 else before
    for j in range(v.shape[0]):
        less = max(refractory_left[j] - np.int32(1), np.int32(0))
        refractory_left[j] = rest_steps[j] if flags[j] == SPIKED else less


@exact
def settle(v, i, leak, net, refractory_left, x, flags):
    """Do what follows the jump: membrane, decay, threshold, reset.

    Args:
        v: row.
        i: row.
        leak: row.
        net: W_in, W_rec, a_mem, a_syn, v_reset, v_th, steps of rest, …
        refractory_left: row.
        x: row, set.
        flags: row, set.
    """
    rise(v, i, leak, net[2])
    decay(i, net[3])
    compare(v, net[5], x, refractory_left, flags)
    reset(v, net[4], refractory_left, net[6], flags)


@exact
def copy(source, target):
    """Copy as many as the target takes."""
    for j in range(target.shape[0]):
        target[j] = source[j]


@exact
def pick(source, places, target):
    """Copy some places of a row."""
    for j in range(places.shape[0]):
        target[j] = source[places[j]]


@exact
def filter_flagged(f, keep, gain, flags):
    """Update the filtered spikes: (L12)."""
    for j in range(f.shape[0]):
        f[j] = keep[j] * f[j] + gain[j] * (flags[j] & SPIKED)


@exact
def note_current(i, peak):
    """Widen the range of J: (L16)."""
    for j in range(i.shape[0]):
        peak[j] = max(peak[j], abs(i[j]))


@exact
def note_power(i, power):
    """Add J², in float64: (L16)."""
    for j in range(i.shape[0]):
        current = np.float64(i[j])
        power[j] += current * current


@exact
def note_depth(v, v_reset, low):
    """Widen the range of v below reset: (L16)."""
    for j in range(v.shape[0]):
        low[j] = max(low[j], v_reset[j] - v[j])


@exact
def run_trials(first, last, counting, drives, net, noise, state, ranges, traces, bits):
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
        noise: SD of a step, padded, or of length 0 for none; the halves of the seed;
            number of the first step; number of trial 0.
        state: i, v, f, row × padded; steps left at reset, int32; lists of who spiked,
            row × padded + 1, and their lengths. All are left as after the last step.
        ranges: of |J| and v_reset − v, float; sums of J², float64: row × padded.
        traces: of J, v and f, samples × row × place, each with no samples if unwanted;
            places that are sampled; interval; sample that trace 0 stands for.
        bits: steps × row × byte, or no steps.
    """
    inputs, currents = bare(drives[0]), bare(drives[1])
    w_in, w_rec, a_mem, v_reset = bare(net[0]), bare(net[1]), net[2], net[4]
    leaks, gains, keep_f, gain_f = bare(net[7]), net[8], net[9], net[10]
    per_step, key, step, first_trial = noise
    all_i, all_v, all_f = bare(state[0]), bare(state[1]), bare(state[2])
    pauses, spike_lists, counts = bare(state[3]), bare(state[4]), state[5]
    peaks, lows, powers = bare(ranges[0]), bare(ranges[1]), bare(ranges[2])
    trace_i, trace_v, trace_f = bare(traces[0]), bare(traces[1]), bare(traces[2])
    places, every, sample = traces[3], traces[4], traces[5]
    raster = bare(bits)
    steps, batch, _ = inputs.shape
    variants, padded = leaks.shape
    noisy, laid = len(per_step) > 0, len(currents) > 0
    filtering, unpacked = counting and len(keep_f) > 0, np.empty(0, np.uint8)
    arriving, returning = np.zeros_like(a_mem), np.zeros_like(a_mem)
    lifted, x = np.empty_like(a_mem), np.empty_like(a_mem)
    flags = np.zeros(padded, np.uint8)
    words = flags.view(np.uint64)
    normal, room = noise_room(padded)
    for start in range(first, last, TOGETHER):
        # Trials inside, steps outside: a row of weights that several trials need is
        # still in the cache.
        for t in range(steps):
            now = step + t
            sampled = counting and (now + 1) % every == 0
            place = (now + 1) // every - 1 - sample
            for b in range(start, min(start + TOGETHER, last)):
                if noisy:  # variants of a trial share it
                    fill_normals(normal, room, key, now, first_trial + b, MEMBRANE)
                add_scaled(arriving, w_in, inputs[t, b])
                for k in range(variants):
                    row = k * batch + b
                    i, v, leak = all_i[row], all_v[row], leaks[k]
                    if laid:
                        copy(currents[t, b], i)
                    else:
                        source_list, count = spike_lists[row], counts[row]
                        send(returning, w_rec, net[11], gains[k], source_list, count)
                        jump(i, arriving, returning)
                    note_current(i, peaks[row])
                    if counting:
                        note_power(i, powers[row])
                    if sampled and len(trace_i) > 0:
                        pick(i, places, trace_i[place, row])
                    if noisy:
                        lift_leak(leak, per_step, normal, a_mem, lifted)
                        leak = lifted
                    settle(v, i, leak, net, pauses[row], x, flags)
                    note_depth(v, v_reset, lows[row])
                    packed = raster[t, row] if len(raster) > 0 else unpacked
                    counts[row] = pack_flagged(words, spike_lists[row], packed)
                    if sampled and len(trace_v) > 0:
                        pick(v, places, trace_v[place, row])
                    if filtering:  # (L14): f0 is that of the trial
                        filter_flagged(all_f[row], keep_f, gain_f, flags)
                    if sampled and len(trace_f) > 0:
                        pick(all_f[row], places, trace_f[place, row])
