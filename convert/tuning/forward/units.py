"""Voltages in units of the surrogate's width, and back.

Norse's surrogates are as wide as one unit of the voltage. Every neuron's voltages are
multiplied by a power of two, which changes no bit of a mantissa: the spikes are those
of the network in volts, and the way back is exact.
"""

from dataclasses import replace

import numpy as np
from jaxtyping import Float64

from isotau.convert.ground import validation
from isotau.convert.records.lif import LIFNetwork

WIDEST, NARROWEST = 4.0, 1e-4


def unit_of(net: LIFNetwork, width: float) -> Float64[np.ndarray, " n"]:
    """Return each neuron's unit, in volts: the power of two nearest to the width.

    Args:
        net: the network, in volts.
        width: of the surrogate, as a share of v_th − v_reset; `NARROWEST` … `WIDEST`.

    Raises:
        ValueError: a width beyond that.
    """
    width = validation.number("width", width, positive=True)
    if not NARROWEST <= width <= WIDEST:
        raise ValueError(
            f"width: got {width}, need {NARROWEST} to {WIDEST} (of v_th − v_reset)"
        )
    # (U1): a power of two only changes exponents, so the way back is exact
    return 2.0 ** np.rint(np.log2(width * (net.v_th - net.v_reset)))


def in_units(net: LIFNetwork, unit: Float64[np.ndarray, " n"]) -> LIFNetwork:
    """Return the network with every neuron's voltages divided by its unit.

    The membrane noise is one number for all: it stays in volts, so `LIFModule` must be
    given the noise divided by the unit (`isotau.convert.tuning.forward.dynamics` does).
    """
    # weights are volts that the neuron they lead to gets
    per = unit[:, None]
    voltages = {
        name: getattr(net, name) / unit
        for name in ("v_th", "v_leak", "v_reset", "i0", "v0")
    }
    return replace(net, w_in=net.w_in / per, w_rec=net.w_rec / per, **voltages)


def in_volts(net: LIFNetwork, unit: Float64[np.ndarray, " n"]) -> LIFNetwork:
    """Return the network of `in_units` in volts again."""
    return in_units(net, 1 / unit)
