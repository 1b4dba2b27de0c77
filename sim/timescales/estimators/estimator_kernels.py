"""The estimators' loops, compiled by numba: the published fit, and spike-time tiling.

The fit of `kim` (T7, T9), in the order of a step: residuals and normal equations at
(a, k, b), a damped step, its loss, the damping. Of it

    y        correlation from the first lag used on, none
    x        1, 2, …: lags from there
    a, k, b  the curve a (exp(k x) + b); k per lag
    j0 j1 j2 derivatives of the curve by a, k and b at one x
    h, g     JᵀJ (3 × 3, upper triangle alone) and −Jᵀr

Tiling (T20), for one neuron: trial by trial and lag by lag, first the spikes that have
room for the lag, then the six sums. Of it

    times    of all spikes, in seconds from their trial's start, ascending in a trial
    edges    trial i has times[edges[i] : edges[i + 1]]
    lags     in seconds, ascending
    dt       Δt, in seconds
    sums     trials × lags × 6, spikes and seconds
"""

import numpy as np

from isotau.convert.ground.compilation import njit

EVALUATIONS = 600
"""Of the curve, after which the published fit ends where it is."""
DIFFERENCES = 3
"""Evaluations that a Jacobian costs, as it does where it is made of differences."""
DAMPING = 0.01
SMALL_STEP = 1e-12
"""Relative to the parameters; likewise relative to the sum of squares."""
SUMS = 6
# error_model: a division by zero gives infinity, which the search refuses as a step.
inline = njit(nogil=True, cache=True, error_model="numpy")


@inline
def sum_of_squares(y, a, k, b):
    """Return Σ (a (exp(k x) + b) − y)² over x = 1, 2, …"""
    total = 0.0
    for i in range(y.shape[0]):
        residual = a * (np.exp(k * (i + 1.0)) + b) - y[i]
        total += residual * residual
    return total


@inline
def normal_equations(y, a, k, b, h, g):
    """Fill h with JᵀJ (upper triangle) and g with −Jᵀr of the same sum."""
    for row in range(3):
        g[row] = 0.0
        for column in range(3):
            h[row, column] = 0.0
    # The lower triangle is never read: `damped_step` knows that h is symmetric.
    for i in range(y.shape[0]):
        x = i + 1.0
        e = np.exp(k * x)
        j0, j1, j2 = e + b, a * x * e, a
        residual = a * (e + b) - y[i]
        h[0, 0] += j0 * j0
        h[0, 1] += j0 * j1
        h[0, 2] += j0 * j2
        h[1, 1] += j1 * j1
        h[1, 2] += j1 * j2
        h[2, 2] += j2 * j2
        g[0] -= j0 * residual
        g[1] -= j1 * residual
        g[2] -= j2 * residual


@inline
def damped_step(h, g, damping):
    """Return the solution of (h + damping) step = g by square-root-free Cholesky."""
    # L D Lᵀ: pivots d, rows of L below the diagonal l; written out, since a call of
    # LAPACK costs more than the 3 × 3 system, and other builds round it otherwise.
    d0 = h[0, 0] + damping
    l10, l20 = h[0, 1] / d0, h[0, 2] / d0
    d1 = h[1, 1] + damping - l10 * h[0, 1]
    l21 = (h[1, 2] - l10 * h[0, 2]) / d1
    d2 = h[2, 2] + damping - l20 * h[0, 2] - l21 * l21 * d1
    # Forward, through D, backward.
    z1 = g[1] - l10 * g[0]
    z2 = (g[2] - l20 * g[0] - l21 * z1) / d2
    z1 = z1 / d1 - l21 * z2
    return g[0] / d0 - l10 * z1 - l20 * z2, z1, z2


@inline
def levenberg_marquardt(y):
    """Return a, k and b that minimize `sum_of_squares`, from zero.

    The damping starts at 0.01, falls tenfold with every step that helps and rises
    tenfold with every step that does not.
    """
    h, g = np.zeros((3, 3)), np.zeros(3)
    # At zero only a has a slope: the first step goes to about the mean of y.
    a, k, b, damping = 0.0, 0.0, 0.0, DAMPING
    loss = sum_of_squares(y, a, k, b)
    normal_equations(y, a, k, b, h, g)
    evaluations = 1 + DIFFERENCES
    while evaluations < EVALUATIONS:
        # (T9)
        da, dk, db = damped_step(h, g, damping)
        step = da * da + dk * dk + db * db
        # SMALL_STEP beside the squares keeps the test alive at zero.
        if step <= SMALL_STEP**2 * (a * a + k * k + b * b + SMALL_STEP):
            break
        new = sum_of_squares(y, a + da, k + dk, b + db)
        evaluations += 1
        if not new < loss:  # a NaN and infinity are no better either
            damping *= 10
            continue
        a, k, b, damping = a + da, k + dk, b + db, damping / 10
        # The step is taken even where it gains next to nothing.
        if loss - new <= SMALL_STEP * loss:
            break
        loss = new
        normal_equations(y, a, k, b, h, g)
        evaluations += DIFFERENCES
    return a, k, b


@inline
def fit_columns(y, start, fits):
    """Fill fits with a, k and b of each column of y from row `start`; < 0 for none."""
    for j in range(y.shape[1]):
        if start[j] >= 0:
            # Contiguous: strided sums might round differently.
            column = y[start[j] :, j].copy()
            # One by one: numba compiles seconds of messages for a slice of a tuple.
            fits[0, j], fits[1, j], fits[2, j] = levenberg_marquardt(column)


@inline
def covered(times, lo, hi, shift, end, dt):
    """Return how much of 0 … end is within dt of a time − shift, lo ≤ index < hi."""
    # Times ascend, so windows overlap only with the one before: from `reached` on.
    total, reached = 0.0, 0.0
    for i in range(lo, hi):
        t = times[i] - shift
        start, stop = max(t - dt, reached), min(t + dt, end)
        if stop > start:
            total += stop - start
            reached = stop
    return total


@inline
def matched(times, a_lo, a_hi, a_shift, b_lo, b_hi, b_shift, dt):
    """Return how many of the times a − a_shift are within dt of some b − b_shift."""
    # Both trains ascend: the first b that is not too early only moves forward.
    count, j = 0, b_lo
    for i in range(a_lo, a_hi):
        t = times[i] - a_shift
        while j < b_hi and times[j] - b_shift < t - dt:
            j += 1
        if j < b_hi and times[j] - b_shift <= t + dt:
            count += 1
    return count


@inline
def tile(times, edges, duration, lags, dt, sums):
    """Fill sums for one neuron.

    They are, of a train A (the spikes that have room for the lag after them) and its
    copy B (those that have room before them, moved back by the lag): spikes of A near
    one of B, spikes of A, time near A, spikes of B near one of A, spikes of B, time
    near B.
    """
    for i in range(edges.shape[0] - 1):
        lo, hi = edges[i], edges[i + 1]
        # Lags ascend: A only loses spikes at its end, B at its start.
        a_hi, b_lo = hi, lo
        for k in range(lags.shape[0]):
            # Both trains stand on A's clock, from 0 to `end`: the time both cover.
            lag, end = lags[k], duration - lags[k]
            while a_hi > lo and times[a_hi - 1] >= end:
                a_hi -= 1
            while b_lo < hi and times[b_lo] < lag:
                b_lo += 1
            sums[i, k, 0] = matched(times, lo, a_hi, 0.0, b_lo, hi, lag, dt)
            sums[i, k, 1] = a_hi - lo
            sums[i, k, 2] = covered(times, lo, a_hi, 0.0, end, dt)
            sums[i, k, 3] = matched(times, b_lo, hi, lag, lo, a_hi, 0.0, dt)
            sums[i, k, 4] = hi - b_lo
            sums[i, k, 5] = covered(times, b_lo, hi, lag, end, dt)
