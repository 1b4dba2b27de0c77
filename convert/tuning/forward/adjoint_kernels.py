"""The compiled backward pass, from the last step to the first: (U5) to (U9), (U21).

A call does the trials `first` … `last` − 1 of a batch, so that threads share a batch. A
row is one number per neuron, and may be shorter than the padded ones it meets.

Indices are b trial, r the same counted from `first`, t step, j neuron, c channel.
Voltages are in the module's units, all is of the module's type but flags (uint8):

| array | holds |
|---|---|
| x | v′ − v_th of each step, from the tape; `current` J |
| gv, gi, gz | ∂v, ∂i and ∂z of the state between two steps |
| gj | ∂J, which is ∂i of the step before (U8) |
| s | ∂v′, first its part through the threshold |
| risen | a_mem · ∂v′ |
| returning | W_recᵀ ∂J of the step after |
| panels | W_rec, pre × post, cut as `multiply` wants it |

A step is `surrogate` (U2), `through_threshold` (U3, U5), `through_membrane` (U6, U8),
`through_current` and, where J was sampled, `add_row` (U7), sums of (U9) and (U21), and
once for all trials `multiply` (U5).
"""

import numpy as np

from isotau.convert.chip.compiled_step import bare
from isotau.convert.ground.compilation import njit
from isotau.convert.simulate.lif_kernels import copy, list_flagged, list_spikes
from isotau.convert.simulate.tile_kernels import multiply
from isotau.convert.simulate.vectors.vector_lif import RESTED

SUPER, TANH, TRIANGLE, HEAVI_ERFC, CIRC = range(5)
"""Places in `trainable.SURROGATES`."""
HALVINGS = 10
loose = njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract"})
"""A product and a sum may round once."""


@loose
def exponential(y, out):
    """Set exp(−y), for y ≥ 0, to an absolute error of a few roundings.

    With y halved until a short series will do, e^y − 1 is doubled back:
    e^2y − 1 = (e^y − 1)(e^y + 1). No call, so that it vectorizes.
    """
    # e^−80 is nothing beside a slope; up to there r stays small enough for the series.
    real = y.dtype.type
    share, most = real(-(2.0**-HALVINGS)), real(80)
    unity, two = real(1), real(2)
    half, third = real(1 / 2), real(1 / 3)
    fourth, fifth = real(1 / 4), real(1 / 5)
    for j in range(y.shape[0]):
        r = share * min(y[j], most)
        e = r * fourth * (unity + r * fifth)
        out[j] = r * (unity + r * half * (unity + r * third * (unity + e)))
    for _ in range(HALVINGS):
        for j in range(y.shape[0]):
            out[j] = out[j] * (out[j] + two)
    for j in range(y.shape[0]):
        out[j] += unity


@loose
def surrogate(kind, damping, x, y, out):
    """Set the damped slope of the surrogate; `y` is room."""
    real = x.dtype.type
    unity = real(1)
    if kind == SUPER:
        for j in range(x.shape[0]):
            share = unity / (unity + abs(x[j]))
            out[j] = damping * share * share
    elif kind == TRIANGLE:
        for j in range(x.shape[0]):
            out[j] = damping * max(real(0), unity - abs(x[j]))
    elif kind == CIRC:
        for j in range(x.shape[0]):
            share = unity / (unity + x[j] * x[j])
            out[j] = damping * share * np.sqrt(share)
    elif kind == TANH:  # 1/cosh² x = 4 e^−2|x| / (1 + e^−2|x|)²
        for j in range(x.shape[0]):
            y[j] = real(2) * abs(x[j])
        exponential(y, y)
        for j in range(x.shape[0]):
            share = unity / (unity + y[j])
            out[j] = damping * real(4) * y[j] * share * share
    else:
        for j in range(x.shape[0]):
            y[j] = x[j] * x[j]
        exponential(y, y)
        for j in range(x.shape[0]):
            out[j] = damping * real(2 / np.sqrt(np.pi)) * y[j]


@loose
def through_threshold(slope, returning, grad, flags, s):
    """Set what the threshold lets back: slope times the gradient of z, 0 at rest."""
    zero = s.dtype.type(0)
    for j in range(grad.shape[0]):
        s[j] = slope[j] * (grad[j] + returning[j])  # (U5)
    for j in range(grad.shape[0]):
        # Read before the choice, so that it needs no branch.
        passing = s[j]
        s[j] = passing if flags[j] < RESTED else zero


@loose
def through_membrane(s, flags, a_mem, gv, risen):
    """Set ∂v′ (in `s`), a_mem·∂v′ and ∂v of the step before."""
    zero = gv.dtype.type(0)
    for j in range(flags.shape[0]):
        # What was reset, spiking or resting, hands nothing back.
        passing = gv[j]
        gv[j] = passing if flags[j] == 0 else zero
    for j in range(flags.shape[0]):
        s[j] = s[j] + gv[j]  # (U6)
        risen[j] = a_mem[j] * s[j]
    for j in range(flags.shape[0]):
        gv[j] = s[j] - risen[j]  # (U8)


@loose
def through_current(gj, a_syn, risen, n):
    """Set ∂J from ∂i, which is ∂J of the step after."""
    for j in range(n):
        gj[j] = (gj[j] - a_syn[j] * gj[j]) + risen[j]  # (U7)


@loose
def add_row(total, row):
    """Add a row to a longer one."""
    for j in range(row.shape[0]):
        total[j] += row[j]


@loose
def add_products(total, a, b):
    """Add the products of two rows, which may be longer."""
    for j in range(total.shape[0]):
        total[j] += a[j] * b[j]


@loose
def add_times(total, factor, row):
    """Add a row times a number."""
    for j in range(total.shape[0]):
        total[j] += factor * row[j]


@loose
def subtract_products(total, a, b):
    """Subtract the products of two rows."""
    for j in range(total.shape[0]):
        total[j] -= a[j] * b[j]


@loose
def potential_before(x, flags, v_reset, v_th, v):
    """Set the potential that a step left."""
    for j in range(x.shape[0]):
        v[j] = x[j] + v_th[j]
    for j in range(x.shape[0]):
        start, peak = v_reset[j], v[j]
        v[j] = start if flags[j] != 0 else peak


@loose
def add_drive(total, s, v_leak, v, current):
    """Add what a_mem multiplies, times ∂v′."""
    for j in range(total.shape[0]):
        total[j] += s[j] * ((v_leak[j] - v[j]) + current[j])


@loose
def backward(first, last, kind, damping, tape, net, grads, place, sums, room):
    """Run some trials backward.

    Args:
        first: trial.
        last: trial, not included.
        kind: of surrogate.
        damping: of its slope.
        tape: flags, x, z0, v0, inputs, J, noise as in `Tape`; of the last two there
            may be no steps.
        net: W_rec in panels; a_syn, a_mem, v_leak, v_reset, v_th.
        grads: of the spikes, as large as x or with no steps; of z, v and i, batch ×
            neuron, after the last step, and left as before the first; of the samples
            of J, if there are any.
        place: number of the first step; steps between two samples, 0 for none.
        sums: of W_in and W_rec, transposed and padded; of v_leak, v_th, a_mem, a_syn,
            noise. Those with a length of 0 are not summed.
        room: ∂J and W_recᵀ ∂J, trials as `multiply` wants them × padded, zeros; and
            for a list of neurons.
    """
    # Rows are taken thousands of times: without the counters of references.
    flags, x, z0 = bare(tape[0]), bare(tape[1]), bare(tape[2])
    v0, inputs, current = bare(tape[3]), bare(tape[4]), bare(tape[5])
    noise, of_samples, (step, every) = bare(tape[6]), bare(grads[4]), place
    panels, a_syn, a_mem, v_leak, v_reset, v_th = net
    grad, gz, gv, gi = bare(grads[0]), bare(grads[1]), bare(grads[2]), bare(grads[3])
    dw_in, dw_rec = bare(sums[0]), bare(sums[1])
    _, _, dv_leak, dv_th, da_mem, da_syn, dnoise = sums
    gj, returning, spike_list = bare(room[0]), bare(room[1]), room[2]
    steps, _, n = x.shape
    unity = v_th.dtype.type(1)
    nothing, v = np.zeros_like(v_th), np.empty_like(v_th)
    s, slope, risen = np.empty_like(v), np.empty_like(v), np.empty_like(v)
    # (U8): ∂J of the step after the last is ∂i of the end.
    for b in range(first, last):
        copy(gi[b], gj[b - first, :n])
        copy(gz[b], returning[b - first, :n])
    for t in range(steps - 1, -1, -1):
        for b in range(first, last):
            r = b - first
            surrogate(kind, damping, x[t, b], risen, slope)  # risen is only room here
            of_spikes = grad[t, b] if len(grad) else nothing
            through_threshold(slope, returning[r], of_spikes, flags[t, b], s)
            if len(dv_th):
                add_times(dv_th, -unity, s)
            through_membrane(s, flags[t, b], a_mem, gv[b], risen)
            if len(dv_leak):
                add_times(dv_leak, unity, risen)
            if len(da_mem):
                if t > 0:
                    potential_before(x[t - 1, b], flags[t - 1, b], v_reset, v_th, v)
                else:
                    copy(v0[b], v)
                add_drive(da_mem, s, v_leak, v, current[t, b])
            if len(da_syn):  # here gj is still ∂i of this step
                subtract_products(da_syn, gj[r], current[t, b])
            through_current(gj[r], a_syn, risen, n)
            if every > 0 and (step + t + 1) % every == 0:  # (U7)
                add_row(gj[r], of_samples[(step + t) // every - step // every, b])
            if len(dnoise) and len(noise):  # (U21)
                add_products(dnoise, gj[r], noise[t, b])
            for c in range(len(dw_in)):  # (U9)
                if inputs[t, b, c] != 0:
                    add_times(dw_in[c], inputs[t, b, c], gj[r])
            if len(dw_rec):
                # a spike adds one row: few rows are touched in a step
                if t > 0:
                    for k in range(list_flagged(flags[t - 1, b], spike_list, n)):
                        add_times(dw_rec[spike_list[k]], unity, gj[r])
                else:
                    for k in range(list_spikes(z0[b], spike_list, n)):
                        add_times(dw_rec[spike_list[k]], z0[b, spike_list[k]], gj[r])
        # (U5): one product for all trials of the call, which share the reading of W_rec
        multiply(gj, panels, returning)
    for b in range(first, last):
        copy(gj[b - first], gi[b])
        copy(returning[b - first], gz[b])
