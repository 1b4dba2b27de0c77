"""`CannotImport`: what a NIR graph asks for and a `LIFNetwork` cannot do."""

from collections.abc import Sequence
from typing import NoReturn

from isotau.convert.errors import UnreadableFile
from isotau.convert.findings import Finding, Severity, of_severity


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
