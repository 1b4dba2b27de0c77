"""Loop gain: all recurrent weights a little weaker or stronger, about rest.

Where states are slow because of what units send each other, an error of a few percent
in the strength of all weights makes them slower or faster by far more, and a memory
state easier or harder to leave. One factor on all of them mends what such errors have
in common; what comes to each neuron on average at rest stays.
"""

import dataclasses

import numpy as np
from jaxtyping import Float64

from isotau.convert.neuron.lif_constants import LIFConstants
from isotau.convert.records.lif import LIFNetwork


def with_gain(
    net: LIFNetwork,
    gain: float,
    *,
    resting: Float64[np.ndarray, " units"],
    constants: LIFConstants,
) -> LIFNetwork:
    """Return the network with all recurrent weights times a factor (C37).

    Args:
        net: the network.
        gain: the factor.
        resting: mean state of every unit at rest, in units of x, which is kept.
        constants: of the neurons, with the volts that stand for 1.
    """
    copies = net.n // len(resting)
    constant = (net.v_leak - constants.v_leak).reshape(-1, copies).mean(axis=1)
    # what the others send a neuron at rest, and what v_leak has to make up for
    current = np.repeat(constants.unit * resting - constant, copies)
    missing = (1 - gain) * current
    assert isinstance(net.w_rec, np.ndarray)  # calibrations are dense
    return dataclasses.replace(
        net,
        w_rec=net.w_rec * gain,
        v_leak=net.v_leak + missing,
        i0=net.i0 - missing,
    )
