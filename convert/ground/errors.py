"""The errors that isotau raises on top of `ValueError` and `TypeError`.

`Finding`: one thing that a target, or a reader, cannot keep, and what follows.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt


class Severity(str, Enum):
    """How much a finding matters."""

    ERROR = "error"
    """It cannot be done."""
    WARNING = "warning"
    """It can be done, and the result is not the same."""
    INFO = "info"
    """It is done in a way that should be known."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found in one place.

    Attributes:
        severity: how much it matters.
        place: block, neuron range, node name or field.
        message: what: got X, need Y.
        action: what will be done about it, or what to do.
    """

    severity: Severity
    place: str
    message: str
    action: str


Place = str | npt.NDArray[np.bool_]
"""Of a finding: text, or a mask over neurons."""


def error(place: Place, message: str, action: str) -> Finding:
    """Return a finding on what cannot be done.

    Args:
        place: block, node or field; a mask over neurons stands for its `neuron_range`.
        message: what: got X, need Y.
        action: what to do.
    """
    return _finding(Severity.ERROR, place, message, action)


def warning(place: Place, message: str, action: str) -> Finding:
    """Return a finding on what becomes another thing; arguments as for `error`."""
    return _finding(Severity.WARNING, place, message, action)


def info(place: Place, message: str, action: str) -> Finding:
    """Return a finding on what should be known; arguments as for `error`."""
    return _finding(Severity.INFO, place, message, action)


def _finding(severity: Severity, place: Place, message: str, action: str) -> Finding:
    where = place if isinstance(place, str) else neuron_range(place)
    return Finding(severity, where, message, action)


def neuron_range(neurons: npt.ArrayLike) -> str:
    """Return "neurons 3-7, 12" for a mask over neurons or for their indices."""
    # A mask of one true element and the index 1 differ by their type alone.
    array = np.asarray(neurons)
    indices = np.flatnonzero(array) if array.dtype == bool else np.unique(array)
    if not indices.size:
        return "no neuron"
    # Where a run of neighbours ends.
    breaks = np.flatnonzero(np.diff(indices) > 1) + 1
    parts = [
        str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}"
        for run in np.split(indices, breaks)
    ]
    return f"neuron{'s' if indices.size > 1 else ''} {', '.join(parts)}"


def of_severity(findings: Sequence[Finding], severity: Severity) -> list[Finding]:
    """Return the findings of one severity, in order."""
    return [finding for finding in findings if finding.severity is severity]


def exit_status(findings: Sequence[Finding]) -> int:
    """Return 2 with an error among them, 1 with a warning, else 0."""
    # 1 lets a script go on that only minds errors.
    if of_severity(findings, Severity.ERROR):
        return 2
    return 1 if of_severity(findings, Severity.WARNING) else 0


def describe_findings(findings: Sequence[Finding]) -> str:
    """Return the findings as text, the worst first, one line each."""
    return "\n".join(
        f"{finding.severity.value}: {finding.place}: {finding.message}; "
        f"{finding.action}"
        for severity in Severity
        for finding in of_severity(findings, severity)
    )


def list_errors(findings: Sequence[Finding]) -> str:
    """Return the errors among the findings in one line."""
    return " | ".join(
        f"{finding.place}: {finding.message}; {finding.action}"
        for finding in of_severity(findings, Severity.ERROR)
    )


def as_json(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """Return the findings as plain data."""
    return [asdict(f) | {"severity": f.severity.value} for f in findings]


class DoesNotFit(ValueError):
    """A value lies outside what the chip's registers or memories can hold."""


class UnreadableFile(ValueError):
    """A file is not what its reader needs, or is damaged."""


class CannotExport(ValueError):
    """A target lacks what a network needs; every lack is named.

    Attributes:
        findings: all of them, warnings included.
    """

    def __init__(self, target: str, findings: Sequence[Finding]) -> None:
        """Name the target and every finding that is an error."""
        # All at once: whoever mends one lack wants to know of the next.
        self.findings = tuple(findings)
        super().__init__(f"{target}: cannot export: {list_errors(findings)}")
