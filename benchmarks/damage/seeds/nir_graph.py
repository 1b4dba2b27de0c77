"""Whole NIR graphs: a recurrent layer and a readout, flat and nested, by nir itself."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nir
import numpy as np

N, N_IN, N_OUT = 12, 2, 3


def neurons(n: int) -> nir.CubaLIF:
    """Return a layer of current-based LIF neurons."""
    constants = {"tau_mem": 0.02, "tau_syn": 0.01, "r": 1.0, "v_leak": 0.0}
    constants |= {"v_threshold": 1.0, "v_reset": 0.0, "w_in": 10.0}
    return nir.CubaLIF(**{k: np.full(n, value) for k, value in constants.items()})


def graph(*, nested: bool) -> nir.NIRGraph:
    """Return input → recurrent layer → readout layer → output."""
    rng = np.random.default_rng(6)
    hidden = {"lif": neurons(N), "w_rec": nir.Linear(rng.normal(size=(N, N)))}
    cycle = [("lif", "w_rec"), ("w_rec", "lif")]
    ends: dict[str, Any] = {
        "input": nir.Input(input_type={"input": np.array([N_IN])}),
        "w_in": nir.Affine(rng.normal(size=(N, N_IN)), rng.normal(size=N)),
        "w_out": nir.Linear(rng.normal(size=(N_OUT, N))),
        "readout": neurons(N_OUT),
        "output": nir.Output(output_type={"output": np.array([N_OUT])}),
    }
    if nested:
        inner = nir.NIRGraph(
            {
                "input": nir.Input(input_type={"input": np.array([N])}),
                **hidden,
                "output": nir.Output(output_type={"output": np.array([N])}),
            },
            [("input", "lif"), *cycle, ("lif", "output")],
        )
        names, nodes, edges = ("hidden",) * 2, {"hidden": inner}, []
    else:
        names, nodes, edges = ("lif", "lif"), hidden, cycle
    chain = ["input", "w_in", *dict.fromkeys(names), "w_out", "readout", "output"]
    edges = [*edges, *itertools.pairwise(chain)]
    return nir.NIRGraph({**ends, **nodes}, edges, metadata={"dt": 0.001})


def write(*, nested: bool) -> Callable[[Path], None]:
    """Return what writes a graph."""
    return lambda path: nir.write(path, graph(nested=nested))


NIR_SEEDS = {"flat.nir": write(nested=False), "nested.nir": write(nested=True)}
