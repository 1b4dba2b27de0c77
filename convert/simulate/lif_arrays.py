"""A `LIFNetwork`'s numbers as the compiled loops take them."""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from jaxtyping import Float64

from isotau.convert.chip.vector_step import LANES
from isotau.convert.ground.sparse import SparseWeights
from isotau.convert.records.lif import LIFNetwork, decay_fraction
from isotau.convert.simulate.vectors.rows import filled_up

Reals = npt.NDArray[Any]
Synapses = tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], Reals]
"""Where each neuron's synapses begin, their targets, their weights."""


class LIFArrays(NamedTuple):
    """A network's numbers as the loops take them, in their type, rows padded."""

    w_in: Reals
    w_rec: Reals
    a_mem: Reals
    a_syn: Reals
    v_reset: Reals
    v_th: Reals
    rest_steps: npt.NDArray[np.int32]
    v_leak: Reals
    per_step: Reals
    i_per_step: Reals
    keep_f: Reals
    gain_f: Reals
    i0: Reals
    v0: Reals
    f0: Reals
    synapses: Synapses


@lru_cache(maxsize=8)
def arrange(net: LIFNetwork, dtype: np.dtype[Any]) -> LIFArrays:
    """Return a network's numbers, arranged for the loops; the last few are kept.

    Each is rounded to the type as `LIFModule` has it, so that spikes are the same.
    """
    padded = -(-net.n // LANES) * LANES
    a_mem, loss = _loss(net.tau_mem, net.dt, dtype), _loss(net.tau_out, net.dt, dtype)
    powers = [
        decay_fraction(tau.astype(dtype).astype(float) / 2, net.dt)
        for tau in (net.tau_mem, net.tau_syn)
    ]

    # The loops count in 32 bits: longer periods than that are never over.
    rest = np.minimum(net.refractory_steps, 2**31 - 1)

    def row(x: npt.ArrayLike, fill: float = 0.0) -> Reals:
        return filled_up(np.asarray(x, dtype), padded, fill)

    rows, synapses = _weights(net, dtype)
    return LIFArrays(
        w_in=row(net.w_in.T),
        w_rec=row(rows),
        # What fills a row up is divided by it: 1, not 0.
        a_mem=row(a_mem, 1.0),
        a_syn=row(_loss(net.tau_syn, net.dt, dtype)),
        v_reset=row(net.v_reset),
        v_th=row(net.v_th, np.inf),  # never reached
        rest_steps=filled_up(rest.astype(np.int32), padded, 0),
        v_leak=row(net.v_leak),
        per_step=row(net.noise_std * np.sqrt(powers[0])),  # (L8)
        i_per_step=row(net.current_noise_std * np.sqrt(powers[1])),  # (L19)
        keep_f=row(1 - loss),
        gain_f=row(loss / dtype.type(net.dt)),
        i0=row(net.i0),
        v0=row(net.v0),
        f0=row(net.f0),
        synapses=synapses,
    )


def _weights(net: LIFNetwork, dtype: np.dtype[Any]) -> tuple[Reals, Synapses]:
    """Return W_rec, pre × post or as a list; the other is empty."""
    weights = net.w_rec
    if isinstance(weights, SparseWeights):
        # Copies: the loops know one kind of array, and a record's are read-only.
        places = weights.indptr.copy(), weights.indices.copy()
        return np.zeros((0, net.n)), (*places, weights.data.astype(dtype))
    nowhere = np.empty(0, np.int64), np.empty(0, np.int32)
    return weights.T, (*nowhere, np.empty(0, dtype))


def _loss(tau: Float64[np.ndarray, " n"], dt: float, dtype: np.dtype[Any]) -> Reals:
    """Return what a step loses (L7), to the bit as Norse multiplies by it."""
    loss = decay_fraction(tau.astype(dtype).astype(np.float64), dt).astype(dtype)
    # Norse is handed inverse time constants and multiplies them by dt again.
    step = dtype.type(dt)
    return (loss / step) * step
