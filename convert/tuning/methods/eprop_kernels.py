"""e-prop's loops: one trial after another, one block of steps after another.

What a neuron's hidden state s = (i, v, f) owes to a weight, its trace, follows from the
trace before by a matrix that is the same for all of the neuron's synapses (f is its
filtered spike train): (E1) to (E4). So traces need not be brought forward step by step.
Over a block of steps, a trace at the end is linear in the three at the start and in
what arrived through the synapse on the way; the factors are found for all synapses of
a neuron at once, by going back through the block from each of i, v and f at its end,
and a spike that did not come costs nothing. What the block adds to the gradient is
found by going back from the learning signals in the same way. No step back ever leaves
its block, so nothing of a block is kept but the traces.

Indices are b trial, t step of the chunk, k step of the block, j neuron (postsynaptic),
c channel, o output. Voltages are in the module's units, f in Hz; all is of the module's
type. The order of a step is (L1) to (L6), then the readout (L12), (L13) and (E5); the
order of a block is `integrate` and `read` step by step, then `sweep` once for each part
of the traces, `bring_forward`, `arrive`.
"""

from collections import namedtuple
from typing import NamedTuple

import numpy as np

from isotau.convert.ground.compilation import njit

inline = njit(nogil=True, cache=True, error_model="numpy")

BLOCK = 64
"""Steps of a block."""
HIDDEN = 3
"""Hidden variables of a neuron: i, v, f."""
OWN = ("v_leak", "v_th", "a_mem", "a_syn")
"""Parameters of a neuron that have traces."""
Net = namedtuple(
    "Net",
    "w_in w_rec w_out b_out feedback a_mem keep_i keep_v keep_f jump_f v_leak v_th "
    "v_reset damping rest_steps",
)
"""A network's numbers as arrays of one type, but `rest_steps` of int64.

Names are those of `LIFModule`, but w_in is channel × post and w_rec pre × post.
`feedback` (output × neuron) says how much an output's error is a neuron's, `keep_` what
is left of i, v, f after a step, a_mem is 1 − keep_v, `jump_f` what a spike adds to f.
"""
Block = namedtuple("Block", "sent current drive slope stay signal silence")
"""What is known of one trial's block of steps; all step × neuron.

The spikes of the step before (uint8), i right after its jump, v_leak − v + i, which
a_mem is multiplied with, the derivative of the spike by v before the reset (0 at rest),
1 where v was not reset, the derivative of the loss by f in that step, and 0.
"""


class Carried(NamedTuple):
    """What trials carry from chunk to chunk; every first axis is the batch.

    Attributes:
        z: spikes of the step before, batch × neuron, uint8.
        v: potential, batch × neuron, as i, f and resting.
        i: synaptic current.
        f: filtered spikes.
        resting: steps left at reset, int64.
        traces: batch × source × part × neuron. Sources are the neurons, the channels
            and `OWN` parameters; parts the traces of i, v and f, the gradient by the
            learning signals so far and, if wanted, that of the number of spikes.
        by_output: batch × output × neuron: sum of error times f.
        sums: batch × (output + 1), float64: sum of each error, and of the squares.
        counts: spikes that count, batch × neuron, int64.
    """

    z: np.ndarray
    v: np.ndarray
    i: np.ndarray
    f: np.ndarray
    resting: np.ndarray
    traces: np.ndarray
    by_output: np.ndarray
    sums: np.ndarray
    counts: np.ndarray


def start(v0, i0, f0, sizes, parts):
    """Return what trials carry before the first step.

    Args:
        v0: of the neurons, as i0 and f0.
        i0: before the first step.
        f0: before the first step of the trial.
        sizes: numbers of trials, channels and outputs.
        parts: of the traces; see `Carried`.
    """
    n, (batch, n_in, n_out) = len(v0), sizes
    zeros = np.zeros((batch, n), v0.dtype)
    return Carried(
        z=zeros.astype(np.uint8),
        v=zeros + v0,
        i=zeros + i0,
        f=zeros + f0,
        resting=zeros.astype(np.int64),
        # 0: what holds before the first step owes nothing to any parameter
        traces=np.zeros((batch, n + n_in + len(OWN), parts, n), v0.dtype),
        by_output=np.zeros((batch, n_out, n), v0.dtype),
        # float64 whatever the module's type: a trial's squares span many steps
        sums=np.zeros((batch, n_out + 1)),
        counts=zeros.astype(np.int64),
    )


@inline
def slope_at(x, surrogate):
    """Return h(x) of a surrogate (U2), by its place in `trainable.SURROGATES`."""
    if surrogate == 0:  # super
        return 1.0 / (1.0 + abs(x)) ** 2
    if surrogate == 1:  # tanh
        return 1.0 - np.tanh(x) ** 2
    if surrogate == 2:  # triangle
        return max(0.0, 1.0 - abs(x))
    if surrogate == 3:  # heavi_erfc
        return 2.0 / np.sqrt(np.pi) * np.exp(-x * x)
    return (1.0 + x * x) ** -1.5  # circ


@inline
def integrate(net, surrogate, x, noise, b, t, k, carried, block):
    """Update trial b by step t of the chunk, which is step k of the block."""
    z, v, i, resting = carried.z[b], carried.v[b], carried.i[b], carried.resting[b]
    n = v.shape[0]
    block.sent[k] = z
    # (L1): inputs before spikes, as Norse adds them
    jump = block.current[k]
    jump[:] = i
    to_v, to_i = noise
    if to_i.shape[0]:
        for j in range(n):
            jump[j] += to_i[t, b, j]
    for c in range(x.shape[2]):
        if x[t, b, c] != 0:
            for j in range(n):
                jump[j] += net.w_in[c, j] * x[t, b, c]
    for pre in range(n):
        if z[pre]:
            for j in range(n):
                jump[j] += net.w_rec[pre, j]
    for j in range(n):
        drive = (net.v_leak[j] - v[j]) + jump[j]
        before = v[j] + net.a_mem[j] * drive  # (L2)
        if to_v.shape[0]:
            before += to_v[t, b, j]  # (U4): as good as the lift of v_leak (L9)
        awake = resting[j] <= 0
        above = before - net.v_th[j]
        spike = awake and above > 0  # (L4)
        slope = net.damping[j] * slope_at(above, surrogate) if awake else 0.0  # (U3)
        stay = awake and not spike
        block.drive[k, j] = drive
        block.slope[k, j] = slope
        block.stay[k, j] = 1.0 if stay else 0.0
        z[j] = spike
        v[j] = before if stay else net.v_reset[j]  # (L5)
        i[j] = net.keep_i[j] * jump[j]  # (L3)
        resting[j] = net.rest_steps[j] if spike else max(resting[j] - 1, 0)  # (L6)


@inline
def read(net, targets, mask, labels, b, t, k, carried, error, block):
    """Update the readout of trial b by step t; set the learning signals of the block.

    The error is output − target. Where `labels` is set the loss depends on the mean
    output alone: errors are then outputs, and the signal is the mask.
    """
    z, f, counted = carried.z[b], carried.f[b], mask[t, b]
    carried.counts[b] += z
    for j in range(f.shape[0]):
        f[j] = net.keep_f[j] * f[j] + net.jump_f[j] * z[j]  # (L12)
    block.signal[k] = counted if labels else 0.0
    # most steps of most tasks are not scored: they need no output
    if counted == 0:
        return
    n_out = net.w_out.shape[0]
    # all errors first: a neuron's signal below is a sum over outputs
    for o in range(n_out):
        out = net.b_out[o]
        for j in range(f.shape[0]):
            out += net.w_out[o, j] * f[j]  # (L13)
        off = out if labels else out - targets[t, b, o]
        error[o] = counted if labels else counted * off
        carried.sums[b, o] += counted * off
        carried.sums[b, n_out] += counted * off * off
    for o in range(n_out):
        for j in range(f.shape[0]):
            carried.by_output[b, o, j] += error[o] * f[j]  # (E10)
            if not labels:
                block.signal[k, j] += net.feedback[o, j] * error[o]  # (E5)


@inline
def sweep(net, block, steps, signal, direct, back, gains, by_own):
    """Go back through a block, from `back` (i, v, f × neuron) at its end to its start.

    Args:
        net: the network.
        block: what its forward pass left.
        steps: of the block.
        signal: derivatives by f of each step.
        direct: derivative by every spike.
        back: derivatives by i, v, f after the block; becomes those before it.
        gains: is set to the derivatives by what enters i, step × neuron.
        by_own: is added the derivatives by v_leak, v_th, a_mem, a_syn.
    """
    n = back.shape[1]
    for k in range(steps - 1, -1, -1):
        slope, stay, wish, gain = block.slope[k], block.stay[k], signal[k], gains[k]
        drive, current = block.drive[k], block.current[k]
        for j in range(n):
            # (E7), in its order
            by_f = back[2, j] + wish[j]
            by_z = net.jump_f[j] * by_f + direct[j]
            by_v = stay[j] * back[1, j] + slope[j] * by_z
            by_i = net.keep_i[j] * back[0, j] + net.a_mem[j] * by_v
            # (U9), with back[0] still that of i after its decay
            by_own[0, j] += net.a_mem[j] * by_v
            by_own[1, j] -= slope[j] * by_z
            by_own[2, j] += by_v * drive[j]
            by_own[3, j] -= back[0, j] * current[j]
            gain[j] = by_i
            # (E8)
            back[0, j] = by_i
            back[1, j] = net.keep_v[j] * by_v
            back[2, j] = net.keep_f[j] * by_f


@inline
def bring_forward(traces, back):
    """Bring all traces to the end of a block in which nothing arrived.

    Args:
        traces: source × part × neuron.
        back: part × (i, v, f) × neuron: each part at the end, by the hidden variables
            at the start.
    """
    parts, n = traces.shape[1], traces.shape[2]
    for source in range(traces.shape[0]):
        i, v, f = traces[source, 0], traces[source, 1], traces[source, 2]
        # (E9) without arrivals; the gradients first, as they need the old traces
        for part in range(HIDDEN, parts):
            by, sum_ = back[part], traces[source, part]
            for j in range(n):
                sum_[j] += by[0, j] * i[j] + by[1, j] * v[j] + by[2, j] * f[j]
        # f before v before i: each needs those that come after it
        for j in range(n):
            f[j] = back[2, 0, j] * i[j] + back[2, 1, j] * v[j] + back[2, 2, j] * f[j]
            v[j] = back[1, 0, j] * i[j] + back[1, 1, j] * v[j]
            i[j] = back[0, 0, j] * i[j]


@inline
def arrive(traces, gains, sent, x, b, lo, steps):
    """Add what arrived through each synapse in a block's steps, times its gain (E9)."""
    parts, n = traces.shape[1], traces.shape[2]
    for k in range(steps):
        for pre in range(n):
            # few spikes come: this is what makes blocks cheaper than steps
            if sent[k, pre]:
                for part in range(parts):
                    sum_, gain = traces[pre, part], gains[part, k]
                    for j in range(n):
                        sum_[j] += gain[j]
        for c in range(x.shape[2]):
            value = x[lo + k, b, c]
            if value != 0:
                for part in range(parts):
                    sum_, gain = traces[n + c, part], gains[part, k]
                    for j in range(n):
                        sum_[j] += gain[j] * value


@inline
def run_trials(first, last, net, surrogate, carried, x, noise, targets, mask, labels):
    """Bring trials first … last − 1 forward by a chunk, in place.

    Args:
        first: trial.
        last: trial after the last.
        net: the network.
        surrogate: its number in `trainable.SURROGATES`.
        carried: what the trials carry.
        x: steps × batch × channel.
        noise: what is added to v and to i, steps × batch × neuron, or no steps.
        targets: steps × batch × output; no steps before the trial, where nothing is
            read out and no spike counts.
        mask: steps × batch.
        labels: whether only the mean output matters; see `read`.
    """
    n, parts, dtype = carried.v.shape[1], carried.traces.shape[2], carried.v.dtype
    begun = targets.shape[0] > 0
    sent, rows = np.empty((BLOCK, n), np.uint8), np.zeros((6, BLOCK, n), dtype)
    block = Block(sent, rows[0], rows[1], rows[2], rows[3], rows[4], rows[5])
    gains, error = np.empty((parts, BLOCK, n), dtype), np.empty(net.b_out.size, dtype)
    back = np.empty((parts, HIDDEN, n), dtype)
    by_own = np.empty((parts, len(OWN), n), dtype)
    # only the count of spikes wants spikes themselves, and only after the lead
    direct = np.zeros((parts, n), dtype)
    direct[HIDDEN + 1 :] = begun
    for b in range(first, last):
        for lo in range(0, x.shape[0], BLOCK):
            steps = min(BLOCK, x.shape[0] - lo)
            for k in range(steps):
                t = lo + k
                integrate(net, surrogate, x, noise, b, t, k, carried, block)
                if begun:
                    read(net, targets, mask, labels, b, t, k, carried, error, block)
            back[:] = 0
            by_own[:] = 0
            for part in range(parts):
                # i, v and f at the end are swept back from 1 each, gradients from 0
                if part < HIDDEN:
                    back[part, part] = 1
                signal = block.signal if part == HIDDEN else block.silence
                by_z, way = direct[part], back[part]
                sweep(net, block, steps, signal, by_z, way, gains[part], by_own[part])
            # traces of the start, then what arrived: arrivals of this block have
            # their way to its end in their gains
            bring_forward(carried.traces[b], back)
            arrive(carried.traces[b], gains, block.sent, x, b, lo, steps)
            for k in range(len(OWN)):
                carried.traces[b, n + x.shape[2] + k] += by_own[:, k]
