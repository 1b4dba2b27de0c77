"""The errors that isotau raises on top of `ValueError` and `TypeError`."""

from collections.abc import Sequence

from isotau.convert.findings import Finding, Severity, of_severity


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
        self.findings = tuple(findings)
        lacks = [
            f"{finding.place}: {finding.message}; {finding.action}"
            for finding in of_severity(findings, Severity.ERROR)
        ]
        super().__init__(f"{target}: cannot export: " + " | ".join(lacks))
