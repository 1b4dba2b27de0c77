"""Spiking nodes and what reaches them → the recurrent part of a `LIFNetwork`."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from isotau.convert.lif import MEMORYLESS, decay_fraction
from isotau.targets.from_nir.affine import Arriving, dense
from isotau.targets.from_nir.graph import Flat
from isotau.targets.from_nir.operations import Floats, Operation
from isotau.targets.from_nir.units import Clock


class Neurons(NamedTuple):
    """Fields of a `LIFNetwork` under their names, and decays per step."""

    w_in: Floats
    w_rec: Floats
    tau_syn: Floats
    tau_mem: Floats
    v_th: Floats
    v_leak: Floats
    v_reset: Floats
    i0: Floats
    a_syn: Floats
    a_mem: Floats
    rest: Floats
    """v_leak of the nodes, without the drive that biases add to `v_leak`."""


def neurons(
    flat: Flat,
    sinks: Mapping[str, Arriving],
    place: Mapping[str, slice],
    inputs: Mapping[str, slice],
    clock: Clock,
) -> Neurons:
    """Return all neurons, in volts of i as `LIFNetwork` counts it.

    With one order of operations for NIR's equations, the one of Norse and snnTorch,

        I ← (1 − a_syn) I + (w_in dt/τ_syn) S     v ← v + a_mem (v_leak − v + r I),

    i is r·I, so that a weight W becomes r (w_in dt/τ_syn) W. A constant c that reaches
    i in every step is the same as the steady current c/a_syn, which adds to v_leak,
    and a current that starts at −(1 − a_syn) c/a_syn: i + c/a_syn starts at 0 and
    gets c in every step.

    Args:
        flat: with widths.
        sinks: from `arriving`.
        place: where the neurons of each population lie.
        inputs: where the channels of each Input lie.
        clock: from `units.clock`.
    """
    n = max(part.stop for part in place.values())
    n_in = max(part.stop for part in inputs.values())
    made = Neurons(np.zeros((n, n_in)), np.zeros((n, n)), *np.zeros((9, n)))
    for name, part in place.items():
        op, sink = flat.nodes[name], sinks[name]
        cells = _cells(op, clock)
        for field, value in cells.items():
            getattr(made, field)[part] = value
        gain = _gain(op, clock)
        for source, matrix in sink.weights.items():
            weights, columns = (
                (made.w_in, inputs[source])
                if source in inputs
                else (made.w_rec, place[source])
            )
            weights[part, columns] = gain[:, None] * dense(matrix)
        constant = gain * sink.bias / cells["a_syn"]
        made.v_leak[part] = cells["rest"] + constant
        made.i0[part] = -(1 - cells["a_syn"]) * constant
    return made


def _cells(op: Operation, clock: Clock) -> dict[str, Floats]:
    """Return what the parameters of one node say."""
    value = op.values
    tau_mem = clock.tau(value["tau" if op.kind == "LIF" else "tau_mem"])
    if op.kind == "LIF":
        tau_syn = np.full(op.n_out, clock.dt / MEMORYLESS)
    else:
        tau_syn = clock.tau(value["tau_syn"])
    return {
        "tau_syn": tau_syn,
        "tau_mem": tau_mem,
        "a_syn": decay_fraction(tau_syn, clock.dt),
        "a_mem": decay_fraction(tau_mem, clock.dt),
        "v_th": value["v_threshold"],
        "v_reset": value["v_reset"],
        "rest": value["v_leak"],
    }


def _gain(op: Operation, clock: Clock) -> Floats:
    """Return the volts of i per unit of what reaches a node: r·w_in·dt/τ_syn."""
    value = op.values
    if op.kind == "LIF":
        return value["r"]
    return value["r"] * value["w_in"] * clock.steps(value["tau_syn"])
