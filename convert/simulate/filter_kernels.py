"""Spike trains filtered and read out, compiled by numba.

    bits     steps × batch × bytes, packed as in `Spikes`
    keep     what a step leaves of each f; one number for each neuron
    jump     what a spike adds to it, in Hz
    start    f before the first step
    f        of one trial

A trial at a time, each step in the order of (L12): f decays, then spikes are added;
then (L13), the outputs. Unpacked, the spikes of a step would be read eight times as
wide, and f of all trials fits no cache.
"""

import numpy as np

from isotau.convert.ground.compilation import njit

exact = njit(nogil=True, cache=True, error_model="numpy")


@exact
def advance(bits, keep, jump, f):
    """Take f of one trial through one step."""
    for k in range(f.shape[0]):
        f[k] *= keep[k]
    for place in range(bits.shape[0]):
        byte = bits[place]
        # Most bytes have no spike.
        if byte:
            for k in range(8):
                if byte >> k & 1:
                    f[8 * place + k] += jump[8 * place + k]


# Sums in whatever order is fast: that of a matrix product is no better known.
@njit(nogil=True, cache=True, error_model="numpy", fastmath={"reassoc", "nsz"})
def weighed(weights, f):
    """Return Σ w f."""
    total = 0.0
    for k in range(f.shape[0]):
        total += weights[k] * f[k]
    return total


@exact
def read_trials(bits, keep, jump, start, w_out, b_out, outputs):
    """Fill outputs, steps × batch × output."""
    f = np.empty_like(start)
    for trial in range(bits.shape[1]):
        for k in range(start.shape[0]):
            f[k] = start[k]
        for t in range(bits.shape[0]):
            advance(bits[t, trial], keep, jump, f)
            for out in range(w_out.shape[0]):
                outputs[t, trial, out] = weighed(w_out[out], f) + b_out[out]


@exact
def sample_trials(bits, keep, jump, start, every, samples):
    """Fill samples of f, samples × batch × neuron, after every so many steps."""
    f = np.empty_like(start)
    for trial in range(bits.shape[1]):
        for k in range(start.shape[0]):
            f[k] = start[k]
        for t in range(samples.shape[0] * every):
            advance(bits[t, trial], keep, jump, f)
            if (t + 1) % every == 0:
                row = t // every
                for k in range(start.shape[0]):
                    samples[row, trial, k] = f[k]
