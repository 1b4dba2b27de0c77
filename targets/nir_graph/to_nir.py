"""`LIFNetwork` → NIR: a recurrent CubaLIF graph, written by hand and to a file.

Norse cannot export recurrent cells, and no exporter keeps reset, drive and gains; here
every number of a node follows from the step in `LIFNetwork`'s docstring.
NIR: Pedersen et al. 2024, doi:10.1038/s41467-024-52259-9.
"""

import io
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import nir
import numpy as np
from jaxtyping import Float64

from isotau.convert.ground import validation
from isotau.convert.ground.errors import CannotExport, Severity, of_severity
from isotau.convert.ground.files import atomic
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.convert.records.lif import LIFNetwork, decay_fraction
from isotau.convert.records.stage import SpikingNetwork
from isotau.convert.records.weight_form import densified
from isotau.convert.to_fixed.dequantize import dequantize
from isotau.targets.nir_graph import nir_metadata
from isotau.targets.nir_graph.check_nir import check_nir

LAYOUTS = ("flat", "nested")
LOOP = "w_loop"
"""Name of the nested graph. Files sort nodes by name, and nirtorch 2.6 fails on a graph
within a graph before the node that feeds it: this one comes after "w_in"."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReaderStyle:
    """What one framework's importer needs in order to read a graph rightly.

    Attributes:
        layout: "flat": w_rec and lif are nodes of the one graph; "nested": they are a
            graph within it.
        readout: whether the graph goes on to the outputs, or ends with the spikes.
        discrete: r = τ_mem/dt and v_threshold = 1 instead of r = 1 and volts: the
            convention of frameworks that add their input to v unscaled.
        drive: whether v_leak is written as v_leak, or as the bias of w_in.
        step: what the importer takes for dt whatever one says, in seconds; None if it
            can be told.
    """

    layout: str = "flat"
    readout: bool = True
    discrete: bool = False
    drive: bool = True
    step: float | None = None


READERS: dict[str, ReaderStyle] = {
    "any": ReaderStyle(),
    "norse": ReaderStyle(readout=False),
    "snntorch": ReaderStyle(
        layout="nested", readout=False, discrete=True, drive=False, step=1e-4
    ),
    "spyx": ReaderStyle(layout="nested", readout=False, discrete=True, drive=False),
}
"""By framework; docs/nir.md says what each of them was measured to do."""


def to_nir(
    net: SpikingNetwork,
    *,
    scheme: str = "euler",
    layout: str | None = None,
    readout: bool | None = None,
    reader: str = "any",
) -> nir.NIRGraph:
    """Return a network as a NIR graph, potentials counted from v_reset.

    input → w_in → lif ⇄ w_rec, lif → filter → w_out → output, where lif is a CubaLIF
    with w_in = τ_syn/dt and r = 1, so that the weights are ours in volts; filter is an
    LI with r = 1/dt, so that it gives Hz. Readers start every neuron at 0, therefore
    v_reset is 0. Refractory period, noise and start state stand in the metadata alone,
    and so does what leads back to the record bit for bit. A fixed-point network is
    written as `dequantize` gives it, with its scales in the metadata.

    Args:
        net: the network.
        scheme: "euler": τ of a node is dt/(1 − exp(−dt/τ)), so that a reader that steps
            with dt/τ has our decays exactly; "exact": τ itself, for one that steps with
            exp(−dt/τ).
        layout: one of `LAYOUTS`, if not the reader's.
        readout: whether to go on from the spikes to the outputs, if not the reader's.
        reader: one of `READERS`: whose conventions to keep.

    Raises:
        CannotExport: with all that NIR cannot hold.
    """
    style = READERS[validation.choice("reader", reader, list(READERS))]
    if layout is not None:
        style = replace(style, layout=validation.choice("layout", layout, LAYOUTS))
    if readout is not None:
        style = replace(style, readout=readout)
    validation.choice("scheme", scheme, nir_metadata.SCHEMES)
    # All that NIR cannot hold at once, before anything is made.
    findings = check_nir(net)
    if of_severity(findings, Severity.ERROR):
        raise CannotExport("nir", findings)
    scales = {}
    if isinstance(net, FixedPointNetwork):
        scales, net = _scales(net), dequantize(net)
    net = densified(net, "a NIR graph")
    written = _in_units_of(style, net)
    nodes, edges = _loop(written, style, scheme)
    if style.readout:
        nodes |= _readout(written, scheme)
        # It takes the place of the last edge, from the spikes to the output.
        edges[-1:] = [(edges[-1][0], "filter"), ("filter", "w_out")]
        edges.append(("w_out", "output"))
    metadata = nir_metadata.write(
        net, scheme=scheme, held=_held(net, style), shown=written
    )
    if not style.drive:
        decay = 1 - decay_fraction(written.tau_syn, written.dt)
        metadata["i0"] = written.i0 + decay * written.v_leak  # (N4)
    return nir.NIRGraph(nodes=nodes, edges=edges, metadata=metadata | scales)


def write_nir(
    net: SpikingNetwork,
    path: str | os.PathLike[str],
    *,
    scheme: str = "euler",
    layout: str | None = None,
    readout: bool | None = None,
    reader: str = "any",
) -> Path:
    """Write what `to_nir` returns to a file and return its path.

    The file appears whole or not at all.
    """
    graph = to_nir(net, scheme=scheme, layout=layout, readout=readout, reader=reader)
    memory = io.BytesIO()  # HDF5 reads what it writes, which `atomic` does not offer
    nir.write(memory, graph)
    with atomic(path) as stream:
        stream.write(memory.getbuffer())
    return Path(path)


def _in_units_of(style: ReaderStyle, net: LIFNetwork) -> LIFNetwork:
    """Return the same network, v_reset at 0, by the reader's clock and potentials."""
    unit = net.v_th - net.v_reset if style.discrete else np.ones(net.n)
    dt = net.dt if style.step is None else style.step
    # A reader with a clock of its own steps as often, each step as long as it says.
    slower = dt / net.dt
    return replace(
        net,
        w_in=net.w_in / unit[:, None],
        w_rec=net.w_rec / unit[:, None],
        # One spike is 1/dt Hz for a step, by whichever clock.
        w_out=net.w_out * slower,
        f0=net.f0 / slower,
        tau_syn=net.tau_syn * slower,
        tau_mem=net.tau_mem * slower,
        tau_out=net.tau_out * slower,
        refractory=net.refractory * slower,
        v_th=(net.v_th - net.v_reset) / unit,
        v_leak=(net.v_leak - net.v_reset) / unit,
        v_reset=np.zeros(net.n),
        i0=net.i0 / unit,
        v0=(net.v0 - net.v_reset) / unit,
        noise_std=net.noise_std / unit,
        current_noise_std=net.current_noise_std / unit,
        dt=dt,
    )


def _held(net: LIFNetwork, style: ReaderStyle) -> tuple[str, ...]:
    """Return the fields that the nodes hold bit for bit."""
    loop = () if style.discrete else ("w_in", "w_rec")
    out = ("b_out",) if style.step not in (None, net.dt) else ("w_out", "b_out")
    return loop + (out if style.readout else ())


def _node_tau(
    tau: Float64[np.ndarray, " n"], dt: float, scheme: str
) -> Float64[np.ndarray, " n"]:
    """Return the τ that a node must name for its reader to decay as we do (N1)."""
    return dt / decay_fraction(tau, dt) if scheme == "euler" else tau.copy()


def _loop(
    net: LIFNetwork, style: ReaderStyle, scheme: str
) -> tuple[dict[str, nir.NIRNode], list[tuple[str, str]]]:
    """Return the nodes and edges from the input to the spikes as output."""
    tau_syn = _node_tau(net.tau_syn, net.dt, scheme)
    tau_mem = _node_tau(net.tau_mem, net.dt, scheme)
    gain = synapse_gain(net, style)
    lif = nir.CubaLIF(
        tau_syn=tau_syn,
        tau_mem=tau_mem,
        r=1 / gain,  # what the weights lose the resistance gives back
        v_leak=net.v_leak.copy() if style.drive else np.zeros(net.n),
        v_threshold=net.v_th.copy(),
        v_reset=net.v_reset.copy(),
        w_in=tau_syn / net.dt,
    )
    weight = net.w_in * gain[:, None]
    bias = net.v_leak * decay_fraction(net.tau_syn, net.dt) * gain  # (N4)
    w_in = nir.Linear(weight) if style.drive else nir.Affine(weight, bias)
    inner: dict[str, nir.NIRNode] = {
        "lif": lif,
        "w_rec": nir.Linear(net.w_rec * gain[:, None]),
    }
    back, neurons = [("lif", "w_rec"), ("w_rec", "lif")], "lif"
    if style.layout == "nested":
        within = nir.NIRGraph(
            nodes=inner | _ends(net.n, net.n),
            edges=[("input", "lif"), *back, ("lif", "output")],
        )
        inner, back, neurons = {LOOP: within}, [], LOOP
    # The graph ends with spikes or with outputs.
    ends = _ends(net.n_in, net.n_out if style.readout else net.n)
    edges = [("input", "w_in"), ("w_in", neurons), *back, (neurons, "output")]
    return {"w_in": w_in, **inner, **ends}, edges


def synapse_gain(net: LIFNetwork, style: ReaderStyle) -> np.ndarray:
    """Return what weights are multiplied with for a reader, one number per neuron.

    1 where the node's w_in = τ_syn/dt makes a spike a jump of the current (N2); the
    share of i that reaches v in a step where the reader adds it unscaled (N3).
    """
    return decay_fraction(net.tau_mem, net.dt) if style.discrete else np.ones(net.n)


def _readout(net: LIFNetwork, scheme: str) -> dict[str, nir.NIRNode]:
    """Return the nodes from the spikes to the outputs."""
    return {
        "filter": nir.LI(
            tau=_node_tau(net.tau_out, net.dt, scheme),
            r=np.full(net.n, 1 / net.dt),
            v_leak=np.zeros(net.n),
        ),
        "w_out": nir.Affine(net.w_out.copy(), net.b_out.copy()),
    }


def _ends(n_in: int, n_out: int) -> dict[str, nir.NIRNode]:
    return {
        "input": nir.Input({"input": np.array([n_in])}),
        "output": nir.Output({"output": np.array([n_out])}),
    }


def _scales(net: FixedPointNetwork) -> dict[str, Any]:
    """Return what leads from the integers to the units of the graph, as metadata."""
    return {
        "fixed_point.fingerprint": net.fingerprint,
        "fixed_point.made_from": net.made_from,
        "fixed_point.state_scale": net.state_scale.copy(),
        "fixed_point.input_scale": net.input_scale,
    }
