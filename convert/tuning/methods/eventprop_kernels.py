"""EventProp's forward loops: a continuous network's spikes, at their exact times.

Between two events a neuron obeys τ_mem u' = i − u and i' = −i/τ_syn, with u = v −
v_leak, so that after h seconds

    i(h) = i e^(−h/τ_syn)
    u(h) = u e^(−h/τ_mem) + i k(h)
    k(h) = (e^(−h/τ_slow) / τ_mem) (1 − e^(−g h)) / g,    g = |1/τ_mem − 1/τ_syn|

with the longer τ as τ_slow: no exponent is positive, and g → 0 is no special case. All
is in float64, in volts and seconds, and everything works on one trial.

Indices are j neuron, k step, e spike of the trial in the order of time, p spike that
arrives in a step. In a step t runs from 0 to dt. The order of a step is: inputs jump
into i; each neuron alone goes from event to event, arrivals, the end of its reset, its
own spikes (`integrate`); the step's spikes are sorted by time and numbered; the readout
takes them (`run_trial`).
"""

from typing import NamedTuple

import numpy as np

from isotau.convert.ground.compilation import njit

ROUNDS = 200
"""Steps of the root search: bisection alone would need about 60."""
NEAR = 1e-15
"""Steps of which the root search moves at last; Newton's error is its square."""
PER_STEP = 3
"""Most spikes of a neuron in a step: each is followed by half a step of reset."""
inline = njit(nogil=True, cache=True, error_model="numpy")


class EventNeurons(NamedTuple):
    """Constants of n neurons; voltages relative to v_leak.

    Attributes:
        w: what a spike adds to i, pre × post.
        threshold: of u.
        reset: of u.
        tau_mem: in seconds.
        tau_syn: in seconds.
        hold: seconds at reset after a spike.
        tau_out: of the readout's filter, in seconds.
        slow: 1/τ_slow.
        gap: g, a little more than 0 where both τ are equal.
        leads: whether τ_mem is the longer.
        dt: step, in seconds.
    """

    w: np.ndarray
    threshold: np.ndarray
    reset: np.ndarray
    tau_mem: np.ndarray
    tau_syn: np.ndarray
    hold: np.ndarray
    tau_out: np.ndarray
    slow: np.ndarray
    gap: np.ndarray
    leads: np.ndarray
    dt: float


class SpikeTrain(NamedTuple):
    """Spikes of one trial in the order of time.

    Attributes:
        first: number of the first spike of each step, and of all; steps + 1.
        neuron: who spiked.
        step: in which step.
        offset: when, in seconds since that step began, 0 to dt.
        slope: u' right before the spike; ∞ for one that the start state causes.
        release: u' when the reset ends; NaN if the trial ends before.
        previous: number of the same neuron's spike before, −1 for none.
    """

    first: np.ndarray
    neuron: np.ndarray
    step: np.ndarray
    offset: np.ndarray
    slope: np.ndarray
    release: np.ndarray
    previous: np.ndarray


@inline
def constants_of(net, j):
    """Return τ_mem, τ_syn, 1/τ_slow, g and whether τ_mem is the longer of a neuron.

    Numbers instead of arrays: numba counts references to arrays at every call.
    """
    return net.tau_mem[j], net.tau_syn[j], net.slow[j], net.gap[j], net.leads[j]


@inline
def factors(neuron, h):
    """Return e^(−h/τ_mem), e^(−h/τ_syn) and k(h) of a neuron (`constants_of`)."""
    tau_mem, _, rate, gap, leads = neuron
    slow = np.exp(-h * rate)
    # (V4): expm1, as 1 − e^(−g h) cancels where the τ are near to each other
    lost = -np.expm1(-h * gap)
    k = slow * lost / (gap * tau_mem)
    # the faster exponential from the slower: one exp for two
    fast = slow * (1.0 - lost)
    return (slow, fast, k) if leads else (fast, slow, k)


@inline
def extremum(neuron, u, i):
    """Return when u' = 0, given that this happens once."""
    # (V5): δ = 1/τ_mem − 1/τ_syn is g, negative where τ_mem is the longer
    signed = -neuron[3] if neuron[4] else neuron[3]
    return np.log1p(signed * neuron[1] * (i - u) / i) / signed


@inline
def crossing(neuron, threshold, u, i, h, u_end, i_end, dt):
    """Return when u first reaches the threshold within h seconds; −1 for never.

    As u has one extremum at most, there is one crossing if u ends above; else there is
    one if u rises at first, falls at last, and its maximum lies above. There, u = i.
    """
    # an arrival never lifts u; the start state may lie above
    if u > threshold:
        return 0.0
    high = h
    if u_end <= threshold:
        # cheap tests first: nearly every interval of nearly every neuron ends here
        if not (i > u and i_end < u_end and max(i, i_end) > threshold):
            return -1.0
        high = extremum(neuron, u, i)
        if not 0 < high < h:
            return -1.0
        em, _, k = factors(neuron, high)
        if u * em + i * k <= threshold:
            return -1.0
    # (V6): [low, high] brackets the crossing all the time
    low, at = 0.0, 0.5 * high
    for _ in range(ROUNDS):
        em, es, k = factors(neuron, at)
        u_at = u * em + i * k
        if u_at > threshold:
            high = at
        else:
            low = at
        better = at - (u_at - threshold) * neuron[0] / (i * es - u_at)
        # NaN where the slope is 0 fails this too
        if not low < better < high:
            better = 0.5 * (low + high)
        moved = abs(better - at)
        at = better
        if moved <= NEAR * dt:
            break
    return at


@inline
def integrate(net, states, arriving, pre, count, last, log):
    """Bring every neuron one step further; return the number of the next spike.

    Args:
        net: `EventNeurons`.
        states: u, i (after the inputs' jump), and the offset at which a neuron's reset
            ends, 0 where it is not held; changed in place.
        arriving: offsets of the spikes that arrive, ascending.
        pre: whose they are.
        count: number of the next spike.
        last: number of each neuron's last spike before this step.
        log: arrays of neurons, offsets, slopes and releases, to be filled, in the order
            of neurons.
    """
    us, currents, untils = states
    neurons, offsets, slopes, releases = log
    dt = net.dt
    # neuron by neuron: nothing that is sent in a step arrives in it (V7)
    for j in range(len(us)):
        neuron = constants_of(net, j)
        tau_mem, tau_syn, threshold = neuron[0], neuron[1], net.threshold[j]
        u, i, until, latest = us[j], currents[j], untils[j], last[j]
        t, p = 0.0, 0
        while True:
            # absent synapses would only cut the intervals, each with its own search
            while p < len(pre) and net.w[pre[p], j] == 0:
                p += 1
            end = arriving[p] if p < len(pre) else dt
            while t < end:
                if until > 0:
                    stop = min(until, end)
                    i *= np.exp(-(stop - t) / tau_syn)
                    t = stop
                    if until <= end:
                        until = 0.0
                        # the adjoint needs u' of this moment (V12)
                        releases[latest] = (i - u) / tau_mem
                    continue
                em, es, k = factors(neuron, end - t)
                u_end, i_end = u * em + i * k, i * es  # (V3)
                at = crossing(neuron, threshold, u, i, end - t, u_end, i_end, dt)
                if at < 0:
                    u, i, t = u_end, i_end, end
                    continue
                # a spike of the start state does not move with anything: 1/u' is 0
                slopes[count] = np.inf
                if u <= threshold:
                    i *= np.exp(-at / tau_syn)
                    slopes[count] = (i - threshold) / tau_mem  # (V1) at u = θ
                t = min(t + at, end)
                neurons[count], offsets[count], latest = j, t, count
                u, until = net.reset[j], t + net.hold[j]  # (V7)
                count += 1
            if p == len(pre):
                break
            i += net.w[pre[p], j]
            p += 1
        # offsets count from the step's start: the next step begins dt later
        us[j], currents[j], untils[j] = u, i, max(until - dt, 0.0)
    return count


@inline
def grown(x, size):
    """Return an array with room for so many; what is new is NaN or 0."""
    wide = np.zeros(size, x.dtype)
    wide[: len(x)] = x
    return wide


@inline
def run_trial(net, u, i, drive, lead, filtered, states):
    """Return the `SpikeTrain` of a trial, and fill in what its readout filters.

    Args:
        net: `EventNeurons`.
        u: at the start, per neuron; changed in place.
        i: at the start, per neuron; changed in place.
        drive: what the inputs add to i at each step's start, steps × neuron.
        lead: steps before the filter begins.
        filtered: steps − lead × neuron: mean of the filter over each step. The first
            row holds the filter before the first step, in Hz, when called.
        states: 2 × steps × neuron: is filled with u and i at each step's start, after
            the jump; of no steps where that is not wanted.
    """
    steps, n = drive.shape
    until, last = np.zeros(n), np.full(n, -1, np.int64)
    keep, jump = np.exp(-net.dt / net.tau_out), -np.expm1(-net.dt / net.tau_out)
    y = filtered[0] * keep
    # nobody knows how many spikes will come: the arrays double when they are full
    room = max(4 * PER_STEP * n, 1024)
    first = np.zeros(steps + 1, np.int64)
    neuron, step = np.zeros(room, np.int64), np.zeros(room, np.int64)
    offset, slope = np.zeros(room), np.zeros(room)
    release, previous = np.zeros(room), np.zeros(room, np.int64)
    count = 0
    for k in range(steps):
        if count + PER_STEP * n > room:
            room *= 2
            neuron, step = grown(neuron, room), grown(step, room)
            offset, slope = grown(offset, room), grown(slope, room)
            release, previous = grown(release, room), grown(previous, room)
        release[count : count + PER_STEP * n] = np.nan
        # the spikes of the step before arrive at their own offsets (V7)
        before = first[max(k - 1, 0)]
        arriving, pre = offset[before:count], neuron[before:count]
        log = (neuron, offset, slope, release)
        first[k], begun = count, count
        i += drive[k]
        if states.shape[1] > 0:
            states[0, k], states[1, k] = u, i
        count = integrate(net, (u, i, until), arriving, pre, count, last, log)
        # by time, as arrivals of the next step and the way back need them
        order = begun + np.argsort(offset[begun:count])
        neuron[begun:count], offset[begun:count] = neuron[order], offset[order]
        slope[begun:count], release[begun:count] = slope[order], release[order]
        for e in range(begun, count):
            step[e], previous[e] = k, last[neuron[e]]
            last[neuron[e]] = e
        if k >= lead:
            # (V8): to this step's mean, and to the next ones by y
            row = filtered[k - lead]
            row[:] = y
            y *= keep
            for e in range(begun, count):
                j = neuron[e]
                after = net.dt - offset[e]
                row[j] -= np.expm1(-after / net.tau_out[j]) / net.dt
                y[j] += jump[j] / net.dt * np.exp(-after / net.tau_out[j])
    first[steps] = count
    return (
        first,
        neuron[:count].copy(),
        step[:count].copy(),
        offset[:count].copy(),
        slope[:count].copy(),
        release[:count].copy(),
        previous[:count].copy(),
    )
