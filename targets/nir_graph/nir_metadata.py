"""What a NIR graph's nodes cannot say about a `LIFNetwork`, in the graph's metadata.

Plain keys describe the file to people and to other readers; keys that begin with
"record." and the fingerprint lead back to the very record. All keys are flat, since
`nir.read` of nir 1.0.4 cannot read groups within metadata.
"""

from collections.abc import Iterator
from dataclasses import fields
from importlib.metadata import version
from typing import Any

import nir
import numpy as np
import numpy.typing as npt

from isotau.convert.ground import validation
from isotau.convert.records.lif import LIFNetwork, decay_fraction

SCHEMES = ("euler", "exact")
"""How the τ of a node becomes what is lost in a step: dt/τ, or 1 − exp(−dt/τ)."""
MAKER = "isotau"
RECORD = "record."
PLACES = {
    "w_in": ("w_in", "weight"),
    "w_rec": ("w_rec", "weight"),
    "w_out": ("w_out", "weight"),
    "b_out": ("w_out", "bias"),
}
"""Node and attribute that hold each field which nodes hold bit for bit."""
TOLERANCE = 1e-9
"""Relative, between the record and what the nodes say in their own units."""


def write(
    net: LIFNetwork,
    *,
    scheme: str = "euler",
    held: tuple[str, ...] = tuple(PLACES),
    shown: LIFNetwork | None = None,
) -> dict[str, Any]:
    """Return the metadata of a graph that holds `net`.

    Args:
        net: the network.
        scheme: one of `SCHEMES`: what the τ of the nodes mean.
        held: fields that the nodes hold bit for bit; all others go into the metadata.
        shown: the network in the units of the nodes, if they are not those of `net`
            with v_reset at 0 V.
    """
    # Plain keys are in the nodes' units, the record's own in SI units.
    nodes = net if shown is None else shown
    plain = {
        "made_by": f"{MAKER} {version(MAKER)}",
        "time_unit": "s",
        "dt": nodes.dt,
        "scheme": validation.choice("scheme", scheme, SCHEMES),
        "spike": "strictly above",
        "reset": "to v_reset",
        "refractory": nodes.refractory.copy(),
        "noise_std": _plain(nodes.noise_std),
        "current_noise_std": _plain(nodes.current_noise_std),
        "i0": nodes.i0.copy(),
        "v0": nodes.v0 - nodes.v_reset,
        "f0": nodes.f0.copy(),
        "population": nodes.population.copy(),
        # Only where there is any: HDF5 readers stumble over arrays of nothing.
        **_of_channels("input_noise_std", net),
        "fingerprint": net.fingerprint,
    }
    # All that the nodes do not hold to the bit, so that nothing is rounded twice.
    record = {
        RECORD + field.name: _writable(getattr(net, field.name))
        for field in fields(net)
        if field.name not in (*held, "input_noise_std")
    } | _of_channels(RECORD + "input_noise_std", net)
    return plain | record


def restore(graph: nir.NIRGraph, read: LIFNetwork) -> LIFNetwork | None:
    """Return the record that a graph was made from, bit for bit.

    None if isotau did not write the graph, or if its nodes were edited since: `read`,
    what the nodes say, must be the record up to rounding.

    Args:
        graph: as read from a file; neither its nodes nor its metadata are trusted.
        read: the network that the nodes describe.

    Raises:
        ValueError: the metadata is isotau's and damaged.
    """
    metadata = graph.metadata
    if not isinstance(metadata, dict) or "fingerprint" not in metadata:
        return None
    if not _text(metadata.get("made_by", "")).startswith(MAKER + " "):
        return None
    values: dict[str, Any] = {
        name.removeprefix(RECORD): value
        for name, value in metadata.items()
        if isinstance(name, str) and name.startswith(RECORD)
    }
    _check(values)
    weights = _weights(graph, [name for name in PLACES if name not in values], read)
    if weights is None or np.size(values["tau_mem"]) != read.n:
        return None
    try:
        record = LIFNetwork(**values, **weights)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"metadata: {error}; remove the metadata to read the nodes alone"
        ) from error
    # The fingerprint shows edits of the metadata; the nodes are compared as well.
    if record.fingerprint != _text(metadata["fingerprint"]):
        return None
    readout = "w_out" in dict(_nodes(graph))
    return record if _alike(record, read, readout) else None


def _plain(noise: npt.NDArray[np.float64]) -> float | npt.NDArray[np.float64]:
    """Return one number where all neurons have the same."""
    return float(noise[0]) if np.ptp(noise) == 0 else noise.copy()


def _of_channels(key: str, net: LIFNetwork) -> dict[str, Any]:
    """Return the noise of input channels under a key, nothing without any."""
    std = net.input_noise_std
    return {key: std.copy()} if std.size else {}


def _writable(value: Any) -> Any:
    return value.copy() if isinstance(value, np.ndarray) else value


def _text(value: Any) -> str:
    """Return text that HDF5 may have given as bytes; "" for anything else."""
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    return value if isinstance(value, str) else ""


def _check(values: dict[str, Any]) -> None:
    """Refuse metadata with missing fields, fields unknown, or arrays at odds."""
    remedy = "remove the metadata to read the nodes alone"
    names = [field.name for field in fields(LIFNetwork)]
    # A field of a newer isotau: the network without it would be another.
    unknown = sorted(set(values) - set(names))
    if unknown:
        raise ValueError(
            f"metadata: got {RECORD}{unknown[0]}, which no network has; update isotau "
            f"or {remedy}"
        )
    for name in names:
        # Files from before it was a field have none.
        if name not in (*values, *PLACES, *LIFNetwork.LATER):
            raise ValueError(f"metadata: {RECORD}{name} is missing; {remedy}")
    length = (np.size(values["tau_mem"]),)
    for name, value in values.items():
        if name in PLACES:  # whose shapes the record itself checks
            continue
        array = np.asarray(value)
        need = () if name == "dt" else length
        if name == "input_noise_std":
            need = array.shape[:1]  # by channel; the record itself checks how many
        # One number of noise stands for all, as it did in files at first.
        one = name == "noise_std" and array.shape == ()
        fits = (one or array.shape == need) and array.size > 0
        if array.dtype.kind not in "fiu" or not fits:
            raise ValueError(
                f"metadata: {RECORD}{name}: got {array.dtype} of shape {array.shape}, "
                f"need numbers of shape {need}; {remedy}"
            )


def _weights(
    graph: nir.NIRGraph, names: list[str], read: LIFNetwork
) -> dict[str, Any] | None:
    """Return some fields as nodes of the right names hold them, None if not."""
    # By the names that `to_nir` gives, whatever the layout.
    nodes = dict(_nodes(graph))
    weights = {}
    for name in names:
        node, attribute = PLACES[name]
        stored = np.asarray(getattr(nodes.get(node), attribute, None))
        if stored.dtype.kind != "f" or stored.shape != getattr(read, name).shape:
            return None
        weights[name] = stored
    return weights


def _nodes(graph: nir.NIRGraph) -> Iterator[tuple[str, Any]]:
    """Yield the names and nodes of a graph and of the graphs right inside it."""
    for name, node in graph.nodes.items():
        yield name, node
        # The nested layout has neurons and w_rec one level down.
        if isinstance(node, nir.NIRGraph):
            yield from node.nodes.items()


def _alike(a: LIFNetwork, b: LIFNetwork, readout: bool) -> bool:
    """Return whether two networks differ by rounding and units alone."""
    # In ratios that every unit of potential and of time leaves as they are.
    pairs = list(zip(_loop(a), _loop(b), strict=True))
    if readout:
        pairs += zip(_readout(a), _readout(b), strict=True)
    return all(
        x.shape == y.shape
        and np.allclose(x, y, rtol=TOLERANCE, atol=TOLERANCE * float(np.abs(x).max()))
        for x, y in pairs
    )


def _loop(net: LIFNetwork) -> list[npt.NDArray[np.float64]]:
    """Return what makes the spikes, free of the units of potential and of time."""
    span = net.v_th - net.v_reset
    return [
        net.w_in / span[:, None],
        net.w_rec / span[:, None],
        (net.v_leak - net.v_reset) / span,
        decay_fraction(net.tau_syn, net.dt),
        decay_fraction(net.tau_mem, net.dt),
    ]


def _readout(net: LIFNetwork) -> list[npt.NDArray[np.float64]]:
    """Return what makes the outputs of the spikes, free of the unit of time."""
    return [net.w_out / net.dt, net.b_out, decay_fraction(net.tau_out, net.dt)]
