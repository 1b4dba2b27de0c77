"""The compiled loops of the readout: each neuron's spikes filtered, and sums of them.

A call does the trials `first` … `last` − 1 of a batch, all steps, so that threads share
a batch. Indices are b trial, t step, j neuron, k output; all is of the module's type:

| array | holds |
|---|---|
| f | filtered spikes, batch × neuron, in Hz |
| keep, gain | 1 − a_out and a_out/dt of each neuron |
| q | what the loss wants of f if an output's weights were 1: (U14) |
| dw | of W_out, per gain, and a row for f after the last step itself |

Forward a step is `filter_spikes` (L12) and, for each output, `weigh` (L13). Backward it
is, for each output, `through_weights` and `through_filter`, then `scale`: (U14).
"""

import numpy as np

from isotau.convert.chip.compiled_step import bare
from isotau.convert.ground.compilation import njit

exact = njit(nogil=True, cache=True, error_model="numpy")
free = njit(
    nogil=True, cache=True, error_model="numpy", fastmath={"contract", "reassoc"}
)
"""A product and a sum may round once, and sums may be taken in any order."""


@exact
def filter_spikes(f, z, keep, gain):
    """Set the filtered spikes of a step, in the module's order: (L12)."""
    for j in range(z.shape[0]):
        f[j] = f[j] * keep[j] + z[j] * gain[j]


@free
def weigh(w, f, constant):
    """Return the sum of a row, weighted, and a constant."""
    total = constant * 0  # of the module's type
    for j in range(w.shape[0]):
        total += w[j] * f[j]
    return total + constant


@exact
def read(first, last, spikes, f, w_out, b_out, keep, gain, outputs):
    """Read some trials.

    Args:
        first: trial.
        last: trial, not included.
        spikes: steps × batch × neuron.
        f: filtered spikes, batch × neuron; left as after the last step.
        w_out: output × neuron.
        b_out: of each output.
        keep: share of f that a step leaves, of each neuron.
        gain: what a spike adds to f, of each neuron.
        outputs: steps × batch × output.
    """
    spikes, f, w_out, outputs = bare(spikes), bare(f), bare(w_out), bare(outputs)
    for t in range(spikes.shape[0]):
        for b in range(first, last):
            filter_spikes(f[b], spikes[t, b], keep, gain)
            for k in range(len(b_out)):
                outputs[t, b, k] = weigh(w_out[k], f[b], b_out[k])  # (L13)


@free
def through_weights(q, grad, w, total):
    """Add an output's gradient to q, and what that asks of f."""
    for j in range(w.shape[0]):
        q[j] = q[j] + grad
        total[j] += w[j] * q[j]


@free
def through_filter(q, z, keep, dw):
    """Add what the weights of those that spiked get, and take q a step back."""
    for j in range(z.shape[0]):
        dw[j] += z[j] * q[j]
        q[j] = q[j] * keep[j]


@free
def scale(total, gain, grad):
    """Set the gradient of the spikes from that of f."""
    for j in range(grad.shape[0]):
        grad[j] = total[j] * gain[j]


@free
def read_back(first, last, spikes, grad_outputs, w, keep, gain, q, grad_spikes, dw):
    """Pass the gradient of the outputs back through some trials.

    One pass finds the gradients of spikes and weights, and f need not be kept: (U14).

    Args:
        first: trial.
        last: trial, not included.
        spikes: steps × batch × neuron.
        grad_outputs: steps × batch × output.
        w: W_out and a row of ones, for f after the last step itself.
        keep: share of f that a step leaves, of each neuron.
        gain: what a spike adds to f, of each neuron.
        q: batch × (output + 1) × neuron; zeros, and what the loss wants of f after the
            last step. Left as it is before the first step.
        grad_spikes: steps × batch × neuron.
        dw: is added to; of W_out and the row of ones, per gain.
    """
    spikes, grad_outputs, w = bare(spikes), bare(grad_outputs), bare(w)
    q, grad_spikes, dw = bare(q), bare(grad_spikes), bare(dw)
    n_out = grad_outputs.shape[2]
    total = np.empty_like(keep)
    # From the last step to the first: q at a step knows of all later outputs.
    for t in range(spikes.shape[0] - 1, -1, -1):
        for b in range(first, last):
            total[:] = 0  # summed over outputs
            for k in range(n_out):
                through_weights(q[b, k], grad_outputs[t, b, k], w[k], total)
                through_filter(q[b, k], spikes[t, b], keep, dw[k])
            # The row of ones: f at the end has a gradient of its own, outputs add none.
            through_weights(q[b, n_out], keep[0] * 0, w[n_out], total)
            through_filter(q[b, n_out], spikes[t, b], keep, dw[n_out])
            scale(total, gain, grad_spikes[t, b])
