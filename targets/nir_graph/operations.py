"""One node of a NIR graph as a plain operation: its type and its numbers.

`CannotImport`: what a NIR graph asks for and a `LIFNetwork` cannot do.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from isotau.convert.ground.errors import Finding, Severity, UnreadableFile, of_severity


class CannotImport(ValueError):
    """A graph needs what a `LIFNetwork` lacks; every need is named.

    Attributes:
        findings: all of them, warnings included.
        damaged: whether the graph contradicts itself; then no network could hold it.
    """

    def __init__(
        self, source: str, findings: Sequence[Finding], *, damaged: bool = False
    ) -> None:
        """Name the source and every finding that is an error."""
        self.findings, self.damaged = tuple(findings), damaged
        super().__init__(f"{source}: cannot import: {listed(findings)}")


def listed(findings: Sequence[Finding]) -> str:
    """Return all errors among the findings in one line."""
    return " | ".join(
        f"{finding.place}: {finding.message}; {finding.action}"
        for finding in of_severity(findings, Severity.ERROR)
    )


def error(place: str, message: str, action: str) -> Finding:
    """Return a finding that ends the import."""
    return Finding(Severity.ERROR, place, message, action)


def warning(place: str, message: str, action: str) -> Finding:
    """Return a finding by which the result is not what the graph says."""
    return Finding(Severity.WARNING, place, message, action)


def info(place: str, message: str, action: str) -> Finding:
    """Return a finding on what was taken for granted."""
    return Finding(Severity.INFO, place, message, action)


def refuse(source: str, findings: Sequence[Finding]) -> None:
    """Raise `CannotImport` if there is an error among the findings."""
    if of_severity(findings, Severity.ERROR):
        raise CannotImport(source, findings)


def unreadable(source: str, findings: Sequence[Finding]) -> NoReturn:
    """Raise `UnreadableFile` with every error among the findings."""
    raise UnreadableFile(f"{source}: {listed(findings)}")


Floats = npt.NDArray[np.float64]
MAX_WIDTH = 1 << 20
"""Numbers that a node takes or gives."""
WEIGHTS = {"Linear": ("weight",), "Affine": ("weight", "bias")}
ELEMENTWISE = {
    "Scale": ("scale",),
    "LI": ("tau", "r", "v_leak"),
    "LIF": ("tau", "r", "v_leak", "v_threshold", "v_reset"),
    "CubaLIF": (
        *("tau_syn", "tau_mem", "r", "w_in"),
        *("v_leak", "v_threshold", "v_reset"),
    ),
}
"""Parameters of the types of node that have one value per neuron."""
SPIKING = ("LIF", "CubaLIF")
TAUS = ("tau", "tau_syn", "tau_mem")
SHAPES = {"Input": "input", "Output": "output"}
PASS = "Flatten"
"""What hands on all that it gets; numbers are flattened in C order throughout."""
UNKNOWN = 0


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Operation:
    """One node.

    Attributes:
        kind: its type in NIR; `PASS` also for the borders of a graph within a graph.
        values: its parameters; one-dimensional but for the weight (output × input).
        n_in: how many numbers it takes, `UNKNOWN` where it does not tell by itself.
        n_out: how many it gives.
    """

    kind: str
    values: Mapping[str, Floats]
    n_in: int = UNKNOWN
    n_out: int = UNKNOWN


def operation(node: Any, kind: str, place: str) -> tuple[Operation, list[Finding]]:
    """Return a NIR node as an operation of a kind, and what is wrong with it."""
    found: list[Finding] = []
    values = {}
    for name in (*WEIGHTS.get(kind, ()), *ELEMENTWISE.get(kind, ())):
        given = getattr(node, name, None)
        if given is None and name in ("v_reset", "bias"):
            given = 0.0
        array = np.asarray(given)
        if array.dtype.kind not in "fiub" or not array.size:
            kept = f"{array.dtype} of shape {array.shape}"
            found.append(_wrong(place, f"{name}: got {kept}, need numbers"))
            array = np.ones((1, 1))
        values[name] = array.astype(np.float64)
    if kind in WEIGHTS:
        return _weighted(kind, values, place, found), found
    values = {name: value.reshape(-1) for name, value in values.items()}
    width = max((value.size for value in values.values()), default=1)
    found += [
        _wrong(place, f"{name}: got {value.size} values, need {width} or one")
        for name, value in values.items()
        if value.size not in (1, width)
    ]
    if kind in SHAPES:
        width = _declared(node, kind, place, found)
    elif width == 1:
        width = UNKNOWN
    return Operation(kind=kind, values=values, n_in=width, n_out=width), found


def _weighted(
    kind: str, values: dict[str, Floats], place: str, found: list[Finding]
) -> Operation:
    """Return a node with a matrix; its bias is 0 if it has none."""
    weight = values["weight"]
    if weight.ndim != 2:
        shape = f"got shape {weight.shape}, need output × input"
        found.append(_wrong(place, f"weight: {shape}"))
        weight = np.ones((1, 1))
    bias = values.get("bias", np.zeros(1)).reshape(-1)
    if bias.size not in (1, len(weight)):
        found.append(_wrong(place, f"bias: got {bias.size} values, need {len(weight)}"))
        bias = np.zeros(1)
    whole = {"weight": weight, "bias": np.broadcast_to(bias, len(weight))}
    return Operation(kind=kind, values=whole, n_in=weight.shape[1], n_out=len(weight))


def _declared(node: Any, kind: str, place: str, found: list[Finding]) -> int:
    """Return the width that an Input or Output states; an Output of 1 states none."""
    types = getattr(node, f"{SHAPES[kind]}_type", None) or {}
    shape = np.asarray(types.get(SHAPES[kind]))
    if shape.dtype.kind not in "iu" or not shape.size:
        return UNKNOWN
    width = int(np.prod(shape.astype(object)))
    if not 0 < width <= MAX_WIDTH:
        found.append(
            _wrong(place, f"got shape {shape.tolist()}, need 1 to {MAX_WIDTH}")
        )
        return UNKNOWN
    return UNKNOWN if width == 1 and kind == "Output" else width


def _wrong(place: str, message: str) -> Finding:
    return error(f"node {place}", message, "mend the node")
