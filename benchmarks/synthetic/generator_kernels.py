"""The generators' loops over spikes and time steps, compiled by numba.

Each draws from the generator it is given, unit by unit and trial by trial. Arrays of
parameters have an entry per unit, in Hz, seconds or volts; k counts units, j trials,
m the poles of a filter. Events come back as three arrays with an entry per spike: its
time in seconds from the start of the trial, its trial and its unit.
"""

import numpy as np
from numba import njit

compiled = njit(nogil=True, cache=True, error_model="numpy")


@compiled
def grown(array, size):
    """Return `array`, or one twice as long with its contents if `size` exceeds it."""
    if size <= array.size:
        return array
    # Twice: appending spike by spike then costs a constant time each on average.
    longer = np.empty(2 * size, array.dtype)
    longer[: array.size] = array
    return longer


@compiled
def hawkes_train(base, jump, decay, before, length, rng, train):
    """Return a train and its number of spikes in 0 ≤ t < length, by thinning.

    The intensity is base + excitation; a spike adds `jump`, which falls with the rate
    `decay` in 1/s. It starts without excitation a time `before` 0. Source: Y. Ogata
    1981, doi:10.1109/TIT.1981.1056305.
    """
    t, excitation, count = -before, 0.0, 0
    while True:
        # Between spikes the intensity only falls, so that its value now bounds it.
        bound = base + excitation
        wait = rng.exponential() / bound
        t += wait
        if t >= length:
            return train, count
        excitation *= np.exp(-decay * wait)
        # Kept with the chance by which the intensity has fallen below the bound.
        if rng.random() * bound < base + excitation:
            excitation += jump
            if t >= 0:
                train = grown(train, count + 1)
                train[count] = t
                count += 1


@compiled
def hawkes_trials(base, jump, decay, before, trials, duration, rng):
    """Return the spikes of independent trials: times, trials, units."""
    times, trial, unit = np.empty(64), np.empty(64, np.int64), np.empty(64, np.int64)
    train, total = np.empty(64), 0
    for k in range(base.size):
        for j in range(trials):
            # Every trial runs `before` seconds first: it starts without excitation.
            train, count = hawkes_train(
                base[k], jump[k], decay[k], before[k], duration, rng, train
            )
            size = total + count
            times = grown(times, size)
            trial, unit = grown(trial, size), grown(unit, size)
            times[total:size] = train[:count]
            trial[total:size] = j
            unit[total:size] = k
            total = size
    return times[:total], trial[:total], unit[:total]


@compiled
def hawkes_windows(base, jump, decay, before, length, starts, duration, rng):
    """Return the spikes in windows of one long train per unit, as `hawkes_trials`.

    `starts` of the windows, unit × trial, in seconds from the start of the train.
    """
    times, trial, unit = np.empty(64), np.empty(64, np.int64), np.empty(64, np.int64)
    train, total = np.empty(64), 0
    for k in range(base.size):
        train, count = hawkes_train(
            base[k], jump[k], decay[k], before[k], length, rng, train
        )
        for j in range(starts.shape[1]):
            # Windows may overlap: a spike then counts in each.
            low = np.searchsorted(train[:count], starts[k, j])
            high = np.searchsorted(train[:count], starts[k, j] + duration)
            size = total + high - low
            times = grown(times, size)
            trial, unit = grown(trial, size), grown(unit, size)
            times[total:size] = train[low:high] - starts[k, j]
            trial[total:size] = j
            unit[total:size] = k
            total = size
    return times[:total], trial[:total], unit[:total]


@compiled
def renewal_trials(rate, shape, trials, duration, rng):
    """Return the spikes of stationary gamma renewal trials: times, trials, units."""
    times, trial, unit = np.empty(64), np.empty(64, np.int64), np.empty(64, np.int64)
    total = 0
    for k in range(rate.size):
        scale = 1 / (rate[k] * shape[k])
        for j in range(trials):
            # Time falls on an interval with a chance that grows with its length, and
            # anywhere in it: lengths so chosen are gamma of shape + 1.
            t = rng.random() * rng.standard_gamma(shape[k] + 1) * scale
            while t < duration:
                times = grown(times, total + 1)
                trial, unit = grown(trial, total + 1), grown(unit, total + 1)
                times[total], trial[total], unit[total] = t, j, k
                total += 1
                t += rng.standard_gamma(shape[k]) * scale
    return times[:total], trial[:total], unit[:total]


@compiled
def lif_trials(cell, noise, trials, steps, before, dt, rng):
    """Return the spikes of LIF neurons driven by OU currents: times, trials, units.

    `cell` is (drive, tau_mem, threshold, reset, refractory steps), `noise` (sd, tau),
    one entry each per unit. `before` steps precede the trial.
    """
    drive, tau_mem, threshold, reset, refractory = cell
    sd, tau = noise
    times, trial, unit = np.empty(64), np.empty(64, np.int64), np.empty(64, np.int64)
    total = 0
    for k in range(drive.size):
        # Exact over a step, whatever dt: the OU process keeps its variance sd².
        keep, decay = np.exp(-dt / tau[k]), np.exp(-dt / tau_mem[k])
        kick = sd[k] * np.sqrt(1 - keep**2)
        for j in range(trials):
            current = sd[k] * rng.standard_normal()
            v, refractory_left = reset[k], 0
            for step in range(-before, steps):
                previous = current
                current = keep * current + kick * rng.standard_normal()
                if refractory_left > 0:
                    refractory_left -= 1
                    continue
                # v relaxes towards the mean current of the step.
                goal = drive[k] + (previous + current) / 2
                v = goal + (v - goal) * decay
                if v < threshold[k]:
                    continue
                v, refractory_left = reset[k], refractory[k]
                if step >= 0:
                    times = grown(times, total + 1)
                    trial, unit = grown(trial, total + 1), grown(unit, total + 1)
                    # In the middle of the step, where it is wrong by least.
                    times[total], trial[total], unit[total] = (step + 0.5) * dt, j, k
                    total += 1
    return times[:total], trial[:total], unit[:total]


@compiled
def filtered_spikes(rate, poles, weights, trials, steps, before, dt, rng):
    """Return Poisson spikes through Σ weights exp(−t/poles), steps × trial × unit.

    Spikes fall anywhere within a step; samples are taken at the steps' ends.
    """
    values = np.zeros((steps, trials, rate.size))
    modes = poles.shape[0]
    for k in range(rate.size):
        for j in range(trials):
            state = np.zeros(modes)
            for step in range(-before, steps):
                for m in range(modes):
                    state[m] *= np.exp(-dt / poles[m, k])
                for _ in range(rng.poisson(rate[k] * dt)):
                    # How long before the end of the step the spike came.
                    age = dt * rng.random()
                    for m in range(modes):
                        state[m] += weights[m, k] * np.exp(-age / poles[m, k])
                if step >= 0:
                    values[step, j, k] = state.sum()
    return values
