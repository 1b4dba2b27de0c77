"""Activations: how a rate unit's state x becomes its rate r."""

import numpy as np
from jaxtyping import Float64

from isotau.convert.ground.validation import choice

ACTIVATIONS = ("sigmoid", "tanh", "relu", "softplus", "lif")
"""Activations a `RateRNN` may name; "lif" is the published LIF neuron's f–I curve."""


def activate(
    x: Float64[np.ndarray, "*shape"], activation: str, ceiling: float | None = None
) -> np.ndarray:
    """Return r = min(φ(x), ceiling) for one of `ACTIVATIONS`.

    sigmoid: 1/(1 + e^−x); tanh; relu: max(x, 0); softplus: log(1 + e^x); lif: the
    firing rate of the published LIF neuron at x mV above threshold, in units of 50 Hz
    (`isotau.convert.neuron.fi_curve`).

    Args:
        x: states, of any shape.
        activation: name of φ.
        ceiling: largest r; None for none.
    """
    # (R6)
    match choice("activation", activation, ACTIVATIONS):
        case "sigmoid":  # by tanh, which does not overflow
            r = 0.5 * (1.0 + np.tanh(0.5 * x))
        case "tanh":
            r = np.tanh(x)
        case "relu":
            r = np.maximum(x, 0.0)
        case "softplus":
            r = np.logaddexp(0.0, x)
        case _:  # (R8); scipy, which the curve needs, is for those that use it
            from isotau.convert.neuron.fi_curve import lif_activation

            r = lif_activation(x)
    return r if ceiling is None else np.minimum(r, ceiling)  # (R3)


def slope(
    x: Float64[np.ndarray, "*shape"], activation: str, ceiling: float | None = None
) -> np.ndarray:
    """Return dr/dx; 0 where the ceiling cuts, and at the corner of relu."""
    # (R7); without the ceiling, so that r tells where it cuts
    r = activate(x, activation)
    match activation:
        case "sigmoid":
            change = r * (1.0 - r)
        case "tanh":
            change = 1.0 - r * r
        case "relu":
            change = (r > 0).astype(np.float64)
        case "softplus":
            change = 0.5 * (1.0 + np.tanh(0.5 * x))
        case _:
            from isotau.convert.neuron.fi_curve import lif_slope

            change = lif_slope(x)
    return change if ceiling is None else np.where(r < ceiling, change, 0.0)
