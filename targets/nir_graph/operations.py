"""One node of a NIR graph as a plain operation: its type and its numbers.

`CannotImport`: what a NIR graph asks for and a `LIFNetwork` cannot do.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from isotau.convert.ground.errors import (
    Finding,
    Severity,
    error,
    list_errors,
    of_severity,
)


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
        super().__init__(f"{source}: cannot import: {list_errors(findings)}")


def refuse(source: str, findings: Sequence[Finding], *, damaged: bool = False) -> None:
    """Raise `CannotImport` if there is an error among the findings."""
    if of_severity(findings, Severity.ERROR):
        raise CannotImport(source, findings, damaged=damaged)


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
    findings: list[Finding] = []
    values = {}
    for name in (*WEIGHTS.get(kind, ()), *ELEMENTWISE.get(kind, ())):
        stored = getattr(node, name, None)
        # nir before 1.0.5 has no v_reset.
        if stored is None and name in ("v_reset", "bias"):
            stored = 0.0
        array = np.asarray(stored)
        if array.dtype.kind not in "fiub" or not array.size:
            content = f"{array.dtype} of shape {array.shape}"
            findings.append(_wrong(place, f"{name}: got {content}, need numbers"))
            array = np.ones((1, 1))  # so that what else is wrong is found too
        values[name] = array.astype(np.float64)
    if kind in WEIGHTS:
        return _weighted(kind, values, place, findings), findings
    values = {name: value.reshape(-1) for name, value in values.items()}
    width = max((value.size for value in values.values()), default=1)
    findings += [
        _wrong(place, f"{name}: got {value.size} values, need {width} or one")
        for name, value in values.items()
        if value.size not in (1, width)
    ]
    if kind in SHAPES:
        width = _declared(node, kind, place, findings)
    elif width == 1:  # one number for however many neurons
        width = UNKNOWN
    return Operation(kind=kind, values=values, n_in=width, n_out=width), findings


def _weighted(
    kind: str, values: dict[str, Floats], place: str, findings: list[Finding]
) -> Operation:
    """Return a node with a matrix; its bias is 0 if it has none."""
    weight = values["weight"]
    if weight.ndim != 2:
        shape = f"got shape {weight.shape}, need output × input"
        findings.append(_wrong(place, f"weight: {shape}"))
        weight = np.ones((1, 1))
    bias = values.get("bias", np.zeros(1)).reshape(-1)
    if bias.size not in (1, len(weight)):
        message = f"bias: got {bias.size} values, need {len(weight)}"
        findings.append(_wrong(place, message))
        bias = np.zeros(1)
    whole = {"weight": weight, "bias": np.broadcast_to(bias, len(weight))}
    return Operation(kind=kind, values=whole, n_in=weight.shape[1], n_out=len(weight))


def _declared(node: Any, kind: str, place: str, findings: list[Finding]) -> int:
    """Return the width that an Input or Output states; an Output of 1 states none."""
    types = getattr(node, f"{SHAPES[kind]}_type", None) or {}
    shape = np.asarray(types.get(SHAPES[kind]))
    if shape.dtype.kind not in "iu" or not shape.size:
        return UNKNOWN
    width = int(np.prod(shape.astype(object)))  # Python's integers do not wrap
    if not 0 < width <= MAX_WIDTH:
        message = f"got shape {shape.tolist()}, need 1 to {MAX_WIDTH}"
        findings.append(_wrong(place, message))
        return UNKNOWN
    return UNKNOWN if width == 1 and kind == "Output" else width


def _wrong(place: str, message: str) -> Finding:
    return error(f"node {place}", message, "mend the node")
