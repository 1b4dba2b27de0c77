"""`from_norse`: layers of Norse and torch in sequence → `LIFNetwork`.

Norse: Pehle & Pedersen 2021, doi:10.5281/zenodo.4422025. The layers become a NIR graph,
and that is read: one reader decides what fits together.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import nir
import norse.torch as norse
import numpy as np
from torch import Tensor, nn

from isotau.convert.ground.errors import error
from isotau.targets.nir_graph.from_nir import FromNIR, from_nir
from isotau.targets.nir_graph.graph import CannotImport

RECURRENT = (norse.LIFRecurrentCell, norse.LIFRecurrent)
REFRACTORY = (norse.LIFRefracRecurrentCell, norse.LIFRefracRecurrent)
FEED_FORWARD = (norse.LIFCell, norse.LIF)
CONTAINERS = (nn.Sequential, norse.SequentialState)
IGNORED = (nn.Identity, nn.Dropout)
"""What does nothing once a network is trained."""
Part = tuple[dict[str, nir.NIRNode], list[tuple[str, str]]]


def from_norse(
    layers: nn.Module | Sequence[nn.Module],
    *,
    dt: float | None = None,
    start: str = "leak",
) -> FromNIR:
    """Return the network that layers of Norse make in sequence.

    Known are `torch.nn.Linear`, Norse's LIFRecurrentCell, LIFRefracRecurrentCell,
    LIFCell, LIFBoxCell, their versions over time, and LIBoxCell as a readout. Norse
    steps by forward Euler; the network's exact exponentials have the same losses, so
    that its spikes are Norse's but for rounding to single precision. A spiking layer
    after another one comes a step later, as `FromNIR.populations` tells.

    Args:
        layers: a module or several; containers are opened.
        dt: step in seconds; by default what the layers themselves were given.
        start: potential before the first step: "leak", as in Norse, or "reset".

    Raises:
        CannotImport: layers of other kinds, all of them named; or a network that a
            `LIFNetwork` cannot hold.
        ValueError: layers with different steps, or no layer with a size.
    """
    parts = list(_opened([layers] if isinstance(layers, nn.Module) else layers))
    unknown = [
        error(
            f"layer {k}",
            f"got {type(part).__name__}, need Linear, LIFRecurrentCell, "
            "LIFRefracRecurrentCell, LIFCell, LIFBoxCell or LIBoxCell",
            "replace it",
        )
        for k, part in enumerate(parts)
        if _maker(part) is None
    ]
    # All at once, before any is made.
    if unknown:
        raise CannotImport("Norse layers", unknown)
    # Norse's layers carry the step that they were made with.
    step = _step(parts) if dt is None else dt
    graph, silent = _graph(parts, step)
    read = from_nir(graph, dt=step, time_unit="s", scheme="euler", start=start)
    refractory = np.array(read.net.refractory)
    # NIR has no such period.
    for population in read.populations:
        refractory[population.indices] = silent.get(population.name, 0.0)
    return replace(read, net=replace(read.net, refractory=refractory))


def _opened(layers: Iterable[nn.Module]) -> Iterable[nn.Module]:
    """Yield the layers inside containers, without those that do nothing."""
    for layer in layers:
        if isinstance(layer, CONTAINERS):
            yield from _opened(layer.children())
        elif not isinstance(layer, IGNORED):
            yield layer


def _step(parts: Sequence[nn.Module]) -> float:
    """Return the layers' own dt."""
    steps: list[Any] = [part.dt for part in parts if hasattr(part, "dt")]
    different = sorted({float(dt) for dt in steps})
    if len(different) != 1:
        raise ValueError(
            f"dt: got {different or 'no layer with one'}, need one step in all layers; "
            "give dt"
        )
    return different[0]


def _graph(
    parts: Sequence[nn.Module], dt: float
) -> tuple[nir.NIRGraph, dict[str, np.ndarray]]:
    """Return the layers as a graph, and the refractory periods of its nodes."""
    # Norse's feed-forward neurons have no size; the layers before them have.
    sizes = [size for part in parts for size in (_sizes(part),) if size]
    if not sizes:
        raise ValueError(
            "layers: got none that says its size, need a Linear or recurrent one"
        )
    nodes: dict[str, nir.NIRNode] = {
        "input": nir.Input({"input": np.array([sizes[0][0]])})
    }
    edges, last, width = [], "input", sizes[0][0]
    silent: dict[str, np.ndarray] = {}
    for k, part in enumerate(parts):
        make: Any = _maker(part)
        width = (_sizes(part) or (width, width))[1]
        fresh, inner = make(part, k, width, dt)
        # A layer's first node takes its input, its last one gives its output.
        edges += [(last, next(iter(fresh))), *inner]
        nodes |= fresh
        last = list(fresh)[-1]
        if isinstance(part, REFRACTORY):
            silent[last] = dt * np.rint(_numbers(part.p.rho_reset, width))
    nodes["output"] = nir.Output({"output": np.array([width])})
    edges.append((last, "output"))
    return nir.NIRGraph(nodes=nodes, edges=edges), silent


def _sizes(part: Any) -> tuple[int, int] | None:
    """Return how many numbers go in and out, None for a layer of any size."""
    if isinstance(part, nn.Linear):
        return part.in_features, part.out_features
    if isinstance(part, RECURRENT + REFRACTORY):
        return int(part.input_size), int(part.hidden_size)
    return None


def _maker(part: nn.Module) -> Callable[..., Part] | None:
    """Return the function that makes a layer's nodes, None for an unknown layer."""
    makers: tuple[tuple[tuple[type, ...], Callable[..., Part]], ...] = (
        ((nn.Linear,), _linear),
        (RECURRENT + REFRACTORY, _recurrent),
        (FEED_FORWARD, _spiking),
        ((norse.LIFBoxCell,), _box),
        ((norse.LIBoxCell,), _readout),
    )
    # By exact type: a class derived from one of Norse's may do something else.
    return next((make for kinds, make in makers if type(part) in kinds), None)


def _linear(part: nn.Linear, k: int, width: int, dt: float) -> Part:
    weight = _array(part.weight)
    if part.bias is None:
        return {f"linear{k}": nir.Linear(weight=weight)}, []
    return {f"linear{k}": nir.Affine(weight=weight, bias=_array(part.bias))}, []


def _recurrent(part: Any, k: int, width: int, dt: float) -> Part:
    p = part.p.lif if isinstance(part, REFRACTORY) else part.p
    names = f"w_in{k}", f"w_rec{k}", f"lif{k}"
    nodes = {
        names[0]: nir.Linear(weight=_array(part.input_weights)),
        names[1]: nir.Linear(weight=_array(part.recurrent_weights)),
        names[2]: _neurons(p, width, dt),
    }
    edges = [(names[0], names[2]), (names[2], names[1]), (names[1], names[2])]
    return nodes, edges


def _spiking(part: Any, k: int, width: int, dt: float) -> Part:
    return {f"lif{k}": _neurons(part.p, width, dt)}, []


def _neurons(p: Any, width: int, dt: float) -> nir.CubaLIF:
    """Return Norse's neurons; w_in makes up for dt/τ_syn, which Norse has not."""
    tau_syn = 1 / _numbers(p.tau_syn_inv, width)
    # Norse's i is in volts, and each spike adds its weight whole.
    return nir.CubaLIF(
        tau_syn=tau_syn, w_in=tau_syn / dt, r=np.ones(width), **_membrane(p, width)
    )


def _box(part: Any, k: int, width: int, dt: float) -> Part:
    membrane = _membrane(part.p, width)
    membrane["tau"] = membrane.pop("tau_mem")
    return {f"lif{k}": nir.LIF(r=np.ones(width), **membrane)}, []


def _readout(part: Any, k: int, width: int, dt: float) -> Part:
    tau = 1 / _numbers(part.p.tau_mem_inv, width)
    leak = _numbers(part.p.v_leak, width)
    return {f"filter{k}": nir.LI(tau=tau, r=np.ones(width), v_leak=leak)}, []


def _membrane(p: Any, width: int) -> dict[str, np.ndarray]:
    return {
        "tau_mem": 1 / _numbers(p.tau_mem_inv, width),
        "v_threshold": _numbers(p.v_th, width),
        "v_leak": _numbers(p.v_leak, width),
        "v_reset": _numbers(p.v_reset, width),
    }


def _numbers(value: Any, width: int) -> np.ndarray:
    """Return a parameter as one number for each neuron."""
    return np.broadcast_to(_array(value), (width,)).copy()


def _array(value: Any) -> np.ndarray:
    # In float64 from here on, like all of isotau; Norse computes in float32.
    tensor = value.detach().cpu() if isinstance(value, Tensor) else value
    return np.asarray(tensor, dtype=np.float64)
