"""EventProp's backward loops: the adjoint equations, event by event.

λ_u and λ_i are a loss's derivatives with respect to a neuron's u and i at some time
(`eventprop_kernels`). Between events (V9)

    λ_u' = λ_u/τ_mem,    λ_i' = λ_i/τ_syn − λ_u/τ_mem

so that h seconds before λ_u, λ_i they are λ_u e^(−h/τ_mem) and λ_i e^(−h/τ_syn) +
λ_u k(h). While u is held λ_u is 0. The time of an event counts as follows:

- a spike that arrives with weight w: ∂L/∂t += w (λ_i/τ_syn − λ_u/τ_mem);
- the end of a reset, when u has the slope u': ∂L/∂t −= λ_u u';
- a spike moves with u right before it, at −1/u' seconds per volt: λ_u = −(∂L/∂t)/u'.

Indices are as in `eventprop_kernels`; λ is in 1/V, times in seconds. A trial goes from
its last step to its first. In a step the readout's wishes come first; then each neuron
alone goes back from event to event, arrivals, the end of its reset, its own spikes
(`retrace`); where τ trains, its intervals are gone through once more, forward, now with
u and i at hand (`follow`).

Source: Wunderlich & Pehle 2021, doi:10.1038/s41598-021-91786-z, whose jumps these are
where there is no delay and no refractory period.
"""

from typing import NamedTuple

import numpy as np

from isotau.convert.tuning.methods.eventprop_kernels import (
    PER_STEP,
    constants_of,
    factors,
    inline,
)

SPIKE, RELEASE, END = -1, -2, -3
"""What ends an interval, where it is not the arrival of that number."""


class Adjoint(NamedTuple):
    """Where a trial's gradients go: added to, or filled in.

    Attributes:
        w: with respect to `EventNeurons.w`, pre × post; added to.
        constants: 4 × n, with respect to threshold, reset, τ_mem and τ_syn (through the
            dynamics alone); added to.
        start: 2 × n, with respect to u and i at the start; filled in.
        jumps: steps × n, with respect to i at each step's start; filled in.
    """

    w: np.ndarray
    constants: np.ndarray
    start: np.ndarray
    jumps: np.ndarray


class Backward(NamedTuple):
    """Where a trial stands on its way back.

    Attributes:
        lu: λ_u of each neuron.
        li: λ_i.
        owed: what the end of the reset that was passed last owes to its spike's time.
        last: number of the neuron's last spike that was not passed, −1 for none.
        held: whether that spike's reset was passed.
        times: the loss's derivative with respect to every spike's time, as far as it
            is known.
        path: rows that tell of the intervals of a neuron in a step, the last first:
            length, what ends it, λ_u and λ_i at its end. Of no columns where that is
            not wanted.
    """

    lu: np.ndarray
    li: np.ndarray
    owed: np.ndarray
    last: np.ndarray
    held: np.ndarray
    times: np.ndarray
    path: np.ndarray


@inline
def remainder(x):
    """Return (e^x − 1 − x)/x² for x ≤ 0."""
    # the series to the fifth order: near 0 the difference below loses its digits
    if x > -0.02:
        return 0.5 + x / 6 * (1 + x / 4 * (1 + x / 5 * (1 + x / 6 * (1 + x / 7))))
    return (np.expm1(x) - x) / (x * x)


@inline
def overlaps(neuron, u, i, h, lu, li):
    """Return ∫ λ_u (i − u) and ∫ λ_i i over an interval of h seconds.

    Args:
        neuron: its constants (`constants_of`).
        u: at the interval's start.
        i: at the interval's start.
        h: length of the interval, in seconds.
        lu: λ_u at its end.
        li: λ_i at its end.
    """
    tau_mem, tau_syn, _, gap, leads = neuron
    em, es, _ = factors(neuron, h)
    # (V18)
    part = remainder(-gap * h)
    toward_mem, toward_syn = part, 1.0 - (1.0 + gap * h) * part
    if not leads:
        toward_mem, toward_syn = toward_syn, toward_mem
    whole = h * h * max(em, es)
    of_mem = lu * (em * (i - u) * h - i / tau_syn * whole * toward_mem)
    of_syn = li * i * h * es + lu * i / tau_mem * whole * toward_syn
    return of_mem, of_syn


@inline
def follow(neuron, u, i, held, weights, path, count):
    """Return what a step's intervals give the gradients of τ_mem and τ_syn.

    These are −∫ λ_u (i − u)/τ_mem² and ∫ λ_i i/τ_syn².

    Args:
        neuron: its constants (`constants_of`).
        u: at the step's start.
        i: at the step's start, after the inputs' jump.
        held: whether u is held then.
        weights: u after a spike, and what each spike that arrives adds to i.
        path: intervals of the step, the last first; rows as in `Backward`.
        count: intervals in it.
    """
    reset, arriving = weights
    to_mem, to_syn = 0.0, 0.0
    # the way back wrote the last interval first
    for m in range(count - 1, -1, -1):
        h, event = path[0, m], int(path[1, m])
        of_mem, of_syn = overlaps(neuron, u, i, h, path[2, m], path[3, m])
        to_mem -= of_mem / neuron[0] ** 2  # (V16), λ_u being 0 while u is held
        to_syn += of_syn / neuron[1] ** 2
        em, es, k = factors(neuron, h)
        u, i = (u if held else u * em + i * k), i * es
        if event >= 0:
            i += arriving[event]
        elif event != END:
            u, held = reset, event == SPIKE
    return to_mem, to_syn


@inline
def retrace(net, train, k, least, states, adjoint, back):
    """Bring every neuron one step back.

    Args:
        net: `EventNeurons`.
        train: the trial's `SpikeTrain`.
        k: number of the step.
        least: smallest u' before a spike that is divided by, per neuron.
        states: u and i at the step's start, 2 × n; of no neurons if not wanted.
        adjoint: `Adjoint`; its start is not filled in here.
        back: `Backward`, changed in place.
    """
    # those of the step before arrive in this one (V7)
    first, after = train.first[max(k - 1, 0)], train.first[k]
    pre, offsets = train.neuron[first:after], train.offset[first:after]
    path, taus = back.path, states.shape[1] > 0
    arriving = np.empty(len(pre) if taus else 0)
    for j in range(len(back.lu)):
        neuron = constants_of(net, j)
        tau_mem, tau_syn = neuron[0], neuron[1]
        lu, li, owed = back.lu[j], back.li[j], back.owed[j]
        e, held = back.last[j], back.held[j]
        t, p, count, event = net.dt, len(pre) - 1, 0, END
        while True:
            if taus:
                path[1, count], path[2, count], path[3, count] = event, lu, li
            # the latest event before t: a spike or release of its own, or an arrival
            then, event = 0.0, END
            if e >= 0:
                # a spike of an earlier step may have its reset's end in this one
                then = train.offset[e] + (train.step[e] - k) * net.dt
                then += 0.0 if held else net.hold[j]
                if then > 0:
                    event = SPIKE if held else RELEASE
            if p >= 0 and offsets[p] >= then:
                then, event = offsets[p], p
            # rounding may put an event a little beyond its neighbour
            then = min(max(then, 0.0), t)
            em, es, part = factors(neuron, t - then)
            lu, li = em * lu, es * li + part * lu  # (V10)
            if taus:
                path[0, count] = t - then
            t = then
            count += 1
            if event == END:
                break
            if event >= 0:  # (V11)
                w = net.w[pre[p], j]
                adjoint.w[pre[p], j] += li
                back.times[first + p] += w * (li / tau_syn - lu / tau_mem)
                if taus:
                    arriving[p] = w
                p -= 1
            elif event == RELEASE:  # (V12)
                adjoint.constants[1, j] += lu
                owed, lu, held = -lu * train.release[e], 0.0, True
            else:  # (V13); all arrivals of this spike lie later, so they are passed
                gained = (back.times[e] + owed) / max(train.slope[e], least[j])
                adjoint.constants[0, j] += gained
                lu, owed, held, e = -gained, 0.0, False, train.previous[e]
        back.lu[j], back.li[j], back.owed[j] = lu, li, owed
        back.last[j], back.held[j] = e, held
        adjoint.jumps[k, j] = li  # inputs enter i at the step's start (V7)
        if taus:
            weights = (net.reset[j], arriving)
            u, i = states[0, j], states[1, j]
            to_mem, to_syn = follow(neuron, u, i, held, weights, path, count)
            adjoint.constants[2, j] += to_mem
            adjoint.constants[3, j] += to_syn


@inline
def begin(train, n, taus):
    """Return a trial's `Backward` at its end."""
    last, held = np.full(n, -1, np.int64), np.zeros(n, np.bool_)
    for e in range(len(train.neuron)):
        last[train.neuron[e]] = e
        # a reset that the trial's end cuts off is on at the end
        held[train.neuron[e]] = np.isnan(train.release[e])
    # arrivals, both ends of each of its resets, and the step's own end
    most = np.max(train.first[1:] - train.first[:-1]) + 2 * PER_STEP + 2
    zero = np.zeros((4, n))
    times, path = np.zeros(len(train.neuron)), np.zeros((4, most if taus else 0))
    return Backward(zero[0], zero[1], zero[2], last, held, times, path)


@inline
def retrace_trial(net, train, pull, lead, cuts, least, states, adjoint):
    """Add a trial's gradients to `adjoint`.

    Args:
        net: `EventNeurons`.
        train: from `run_trial`.
        pull: the loss's derivative with respect to the filter's means, steps − lead ×
            neuron.
        lead: steps before the filter begins.
        cuts: steps before which no gradient goes, boolean.
        least: smallest u' before a spike that is divided by, per neuron.
        states: from `run_trial`; of no steps where τ_mem and τ_syn do not matter.
        adjoint: `Adjoint`.
    """
    taus = states.shape[1] > 0
    back = begin(train, len(net.hold), taus)
    y = np.zeros(len(net.hold))
    keep, lost = np.exp(-net.dt / net.tau_out), -np.expm1(-net.dt / net.tau_out)
    nothing = np.empty((2, 0))
    for k in range(len(cuts) - 1, -1, -1):
        if k >= lead:
            for e in range(train.first[k], train.first[k + 1]):
                j = train.neuron[e]
                # (V14), y being q
                near = np.exp((train.offset[e] - net.dt) / net.tau_out[j])
                gained = lost[j] * y[j] - pull[k - lead, j]
                back.times[e] += near / (net.tau_out[j] * net.dt) * gained
            y = pull[k - lead] + keep * y
        before = states[:, k] if taus else nothing
        retrace(net, train, k, least, before, adjoint, back)
        if cuts[k]:
            # what an earlier spike did later is cut with the states
            back.times[: train.first[k]] = 0
            for x in (back.lu, back.li, back.owed, y):
                x[:] = 0
    adjoint.start[0], adjoint.start[1] = back.lu, back.li
