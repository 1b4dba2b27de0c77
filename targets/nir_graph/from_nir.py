"""`from_nir`: a NIR graph of recurrent LIF neurons → `LIFNetwork`.

NIR: Pedersen et al. 2024, doi:10.1038/s41467-024-52259-9.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import nir
import numpy as np

from isotau.convert.ground import validation
from isotau.convert.ground.errors import (
    Finding,
    UnreadableFile,
    error,
    info,
    list_errors,
    warning,
)
from isotau.convert.ground.representation import short_repr
from isotau.convert.records.lif import LIFNetwork
from isotau.targets.nir_graph import graph as shapes
from isotau.targets.nir_graph import nir_metadata, units
from isotau.targets.nir_graph.assembly import STARTS, STATE, Population, assemble
from isotau.targets.nir_graph.graph import (
    CannotImport,
    Flat,
    flatten,
    refuse,
    unsupported,
)
from isotau.targets.nir_graph.nir_file import MAX_BYTES, read_file
from isotau.targets.nir_graph.nir_metadata import SCHEMES

RESETS = ("zero", "subtract")
HARD = ("zero", "to v_reset", "hard")
"""Names that metadata may give to a reset to v_reset."""
REFRACTORY_MAX = 1 << 20
SNNTORCH_DT = 1e-4
"""The step that snnTorch 1.0.0 writes, whatever the network's own."""
USED = (
    *("dt", "scheme", "time_unit", "reset", "refractory", "spike"),
    *("noise_std", "current_noise_std", "input_noise_std"),
    *STATE,
)
"""Keys of metadata that are read where the record itself is not restored."""


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class FromNIR:
    """What a NIR graph says.

    Attributes:
        net: the network; neurons in the order of `populations`.
        populations: the spiking nodes by lag, then in the graph's order.
        findings: what was inferred, assumed or changed.
    """

    net: LIFNetwork
    populations: tuple[Population, ...]
    findings: tuple[Finding, ...]


def from_nir(
    source: str | os.PathLike[str] | nir.NIRGraph,
    *,
    dt: float | None = None,
    time_unit: str | None = None,
    scheme: str | None = None,
    reset: str | None = None,
    refractory_steps: int | None = None,
    start: str | None = None,
    max_bytes: int = MAX_BYTES,
) -> FromNIR:
    """Return the network that a NIR file or graph describes.

    A graph that isotau wrote and nobody edited gives the very record back.

    Args:
        source: path of a `.nir` file, read as untrusted input, or a graph.
        dt: step in seconds; by default from the metadata, from r and w_in, or 1 ms.
        time_unit: unit of the nodes' τ: "s", "ms" or "steps"; inferred if not given.
        scheme: "euler", a step loses dt/τ, or "exact", it loses 1 − exp(−dt/τ).
        reset: "zero", to v_reset in the step of the spike; "subtract" is refused.
        refractory_steps: silent steps after each spike. 1 stands for snnTorch's
            RLeaky, Synaptic and RSynaptic, whose reset takes the step after the spike.
        start: potential before the first step: "reset" (v_reset), "leak" or "zero";
            by default what the metadata tells, or v_reset.
        max_bytes: of the file's arrays, and of the matrices made of them.

    Raises:
        UnreadableFile: the file is damaged, or its graph contradicts itself.
        CannotImport: the graph needs what a network lacks; all needs are named.
    """
    settings = _checked_arguments(
        dt=dt,
        time_unit=time_unit,
        scheme=scheme,
        reset=reset,
        refractory_steps=refractory_steps,
    )
    # None and "reset" differ: the first leaves the say to the metadata.
    if start is not None:
        validation.choice("start", start, STARTS)
    if isinstance(source, nir.NIRGraph):
        return _read(source, "NIR graph", (), settings, start, max_bytes)
    name = os.fspath(source)
    file = read_file(source, max_bytes=max_bytes)
    try:
        return _read(file.graph, name, file.without_reset, settings, start, max_bytes)
    except CannotImport as failure:
        # Of a graph in memory that is its maker's fault, of a file the file's.
        if failure.damaged:
            message = f"{name}: {list_errors(failure.findings)}"
            raise UnreadableFile(message) from failure
        raise
    except (TypeError, ValueError) as failure:
        raise UnreadableFile(f"{name}: {failure}") from failure


def _checked_arguments(**arguments: Any) -> dict[str, Any]:
    """Return the arguments that are not None, checked."""
    # What is not given must not override what a file says.
    settings = {name: value for name, value in arguments.items() if value is not None}
    if "dt" in settings:
        settings["dt"] = validation.number("dt", settings["dt"], positive=True)
    choices = {"time_unit": units.TIME_UNITS, "scheme": SCHEMES, "reset": RESETS}
    for name, allowed in choices.items():
        if name in settings:
            validation.choice(name, settings[name], allowed)
    if "refractory_steps" in settings:
        steps = settings["refractory_steps"]
        steps = validation.whole("refractory_steps", steps, 0, REFRACTORY_MAX)
        settings["refractory_steps"] = steps
    return settings


def _read(
    graph: nir.NIRGraph,
    name: str,
    without_reset: tuple[str, ...],
    settings: Mapping[str, Any],
    start: str | None,
    max_bytes: int,
) -> FromNIR:
    """Return what a graph says, its metadata included."""
    # Damaged numbers may overflow before they are found out.
    with np.errstate(all="ignore"):
        # Structure before units: τ of a node that is refused has no meaning.
        flat, findings = _checked(graph, name)
        metadata = graph.metadata if isinstance(graph.metadata, dict) else {}
        findings += _reset(metadata, settings.get("reset"), without_reset)
        clock, timing = units.clock(
            flat,
            metadata,
            **{key: settings.get(key) for key in ("dt", "time_unit", "scheme")},
        )
        # Before matrices are made: a wrong step would only make more errors.
        refuse(name, findings + timing)
        net, populations, findings = assemble(
            flat,
            clock,
            name,
            start=start or "reset",
            metadata={} if start else metadata,
            max_bytes=max_bytes,
            findings=findings + timing,
        )
        findings += _snntorch(net, metadata, settings)
        net = _with_metadata(net, metadata, settings.get("refractory_steps"), findings)
        differs = any(
            metadata.get(key) != value
            for key, value in settings.items()
            if key != "reset"
        )
        # Only a graph that nobody edited, read as it was written, is the record itself.
        whole = "fingerprint" in metadata and not differs and start is None
        record = nir_metadata.restore(graph, net) if whole else None
    if record is not None:
        message = "holds the network that isotau wrote, and the nodes still say so"
        findings = [info("metadata", message, "restored bit for bit")]
        return FromNIR(net=record, populations=populations, findings=tuple(findings))
    # Edited by others: what the nodes say is newer than what the metadata hold.
    if whole:
        message = "the nodes are not those of the network that isotau wrote"
        findings.append(warning("metadata", message, "read from the nodes"))
    # So that what a framework wrote there is not believed to be taken.
    unused = sorted(str(k) for k in metadata if k not in USED and not whole)
    if unused:
        message = f"got {', '.join(unused[:8])}, for which NIR has no meaning"
        findings.append(info("metadata", message, "not used"))
    return FromNIR(net=net, populations=populations, findings=tuple(findings))


def _checked(graph: nir.NIRGraph, name: str) -> tuple[Flat, list[Finding]]:
    """Return the flat graph with widths once nothing in it is wrong."""
    flat, findings = flatten(graph)
    refuse(name, findings, damaged=True)
    refuse(name, findings + unsupported(flat))
    # Each check relies on what the one before has made sure of.
    flat, wrong = shapes.with_widths(flat)
    findings += wrong
    refuse(name, findings, damaged=True)
    findings += [*shapes.wrong_borders(flat), *shapes.wrong_values(flat)]
    refuse(name, findings, damaged=True)
    return flat, findings


def _snntorch(
    net: LIFNetwork, metadata: Mapping[str, Any], settings: Mapping[str, Any]
) -> list[Finding]:
    """Return a warning if only snnTorch writes such files and its reset is not told."""
    # Whoever states either has thought of the reset.
    stated = {"refractory", "reset"} & set(metadata)
    unlike = abs(net.dt / SNNTORCH_DT - 1) > 1e-3
    if stated or unlike or {"refractory_steps", "dt"} & set(settings):
        return []
    message = f"got dt = {net.dt:g} s and no more, as snnTorch writes it"
    action = (
        "if so pass refractory_steps=1 (--refractory-steps 1): its recurrent neurons "
        "lose the step after a spike; 0 says that they do not"
    )
    return [warning("reset", message, action)]


def _reset(
    metadata: Mapping[str, Any], reset: str | None, without: tuple[str, ...]
) -> list[Finding]:
    """Return what is to be known about the reset; an error if it subtracts."""
    stated = metadata.get("reset")
    hard = str(stated).lower() in HARD
    if reset == "subtract" or (reset is None and stated is not None and not hard):
        message = f"got {stated if reset is None else reset!r}, need a reset to v_reset"
        action = "train with reset to zero; pass reset='zero' to take it as such"
        return [error("reset", message, action)]
    # Told by the caller or by the file: nothing to warn of.
    if reset is not None or hard:
        return []
    if without:
        message = "stores no v_reset; nir before 1.0.5 subtracted the threshold"
        action = "reset to 0 assumed; pass reset to say so"
        return [warning(f"node {', '.join(without[:8])}", message, action)]
    message = "nothing tells it but NIR's equation"
    return [info("reset", message, "to v_reset, in the step of the spike")]


def _with_metadata(
    net: LIFNetwork,
    metadata: Mapping[str, Any],
    steps: int | None,
    findings: list[Finding],
) -> LIFNetwork:
    """Return the network with the refractory period and noise that are stated."""
    changes: dict[str, Any] = {}
    if steps is not None:
        changes["refractory"] = np.full(net.n, steps * net.dt)
    elif "refractory" in metadata:
        changes["refractory"] = np.broadcast_to(metadata["refractory"], (net.n,))
    for name in ("noise_std", "current_noise_std"):
        if name in metadata:
            changes[name] = np.broadcast_to(metadata[name], (net.n,))
    if "input_noise_std" in metadata:
        changes["input_noise_std"] = np.atleast_1d(metadata["input_noise_std"])
    if changes:
        message = f"got {' and '.join(changes)}, which nodes cannot say"
        findings.append(info("network", message, "taken"))
    return replace(net, **changes)
