"""`Conclusion`: what several estimators say together."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from isotau.convert.ground import validation
from isotau.sim.preservation.compare_curves import CurveComparison
from isotau.sim.preservation.preservation import Preservation
from isotau.sim.preservation.verdict import Verdict

PRIMARY = "ml"
"""The estimator that was declared the primary one, before looking."""
VOICES = 2
"""Estimators that must agree for a claim."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Conclusion:
    """The verdict of several estimators on the same stages.

    Attributes:
        verdict: of all together.
        reason: why, in a sentence.
        primary: the estimator without which nothing is claimed.
        verdicts: of each.
    """

    verdict: Verdict
    reason: str
    primary: str
    verdicts: Mapping[str, Verdict]

    def __post_init__(self) -> None:
        """Check and freeze every field."""
        fields: dict[str, Any] = {
            "verdict": Verdict(self.verdict),
            "reason": str(self.reason),
            "primary": validation.choice("primary", self.primary, list(self.verdicts)),
            "verdicts": {str(name): Verdict(v) for name, v in self.verdicts.items()},
        }
        validation.freeze(self, fields)


def conclude(
    results: Mapping[str, Preservation | CurveComparison], *, primary: str = PRIMARY
) -> Conclusion:
    """Return the verdict of several estimators, of which the curves may be one.

    Preserved if the primary one and at least one other say so, and none says not
    preserved. Not preserved if the primary one says so, or if it is uncertain and two
    others say so. Else not identifiable.

    Raises:
        ValueError: the primary one is not among the results.
    """
    verdicts = {name: result.verdict for name, result in results.items()}
    first = verdicts[validation.choice("primary", primary, list(verdicts))]
    # In the order of the results, so that the reason names the first that says so.
    named = {
        verdict: [name for name in verdicts if verdicts[name] is verdict]
        for verdict in Verdict
    }
    against, in_favour = named[Verdict.NOT_PRESERVED], named[Verdict.PRESERVED]
    # A claim takes agreement; a doubt takes one voice, or two against the primary one.
    verdict, speaker = Verdict.NOT_IDENTIFIABLE, primary
    if first is Verdict.NOT_PRESERVED:
        verdict, why = first, "the primary estimator says so"
    elif first is Verdict.PRESERVED and against:
        speaker, why = against[0], f"{primary} says preserved, {against[0]} does not"
    elif first is Verdict.PRESERVED and len(in_favour) < VOICES:
        why = f"only {primary} says preserved, need {VOICES} estimators"
    elif first is Verdict.PRESERVED:
        verdict, why = first, f"{' and '.join(in_favour)} say so"
    elif len(against) >= VOICES:
        verdict, speaker = Verdict.NOT_PRESERVED, against[0]
        why = f"{primary} cannot tell, {' and '.join(against)} say so"
    else:
        why = f"{primary} cannot tell"
    # The reason of one comparison stands for all: the nearest to the decision.
    return Conclusion(
        verdict=verdict,
        reason=f"{why}; {speaker}: {results[speaker].reason}",
        primary=primary,
        verdicts=verdicts,
    )
