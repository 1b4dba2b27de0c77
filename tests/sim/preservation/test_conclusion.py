"""What several estimators say together: every combination."""

import itertools
from dataclasses import dataclass

import pytest

from isotau.sim.preservation import Conclusion, Verdict, conclude

YES, NO, UNKNOWN = Verdict


@dataclass
class Said:
    verdict: Verdict
    reason: str = "because"


def concluded(**verdicts):
    return conclude({name: Said(verdict) for name, verdict in verdicts.items()})


@pytest.mark.parametrize("said", [*itertools.product(Verdict, repeat=3)])
def test_the_rule(said):
    first, *others = said
    found = concluded(ml=first, kim=others[0], curves=others[1]).verdict
    if first is YES and YES in others and NO not in others:
        assert found is YES
    elif first is NO or (first is UNKNOWN and others == [NO, NO]):
        assert found is NO
    else:
        assert found is UNKNOWN


def test_reasons():
    assert concluded(ml=YES).reason == (
        "only ml says preserved, need 2 estimators; ml: because"
    )
    assert concluded(ml=YES, kim=YES).reason == "ml and kim say so; ml: because"
    assert concluded(ml=YES, kim=NO).reason == (
        "ml says preserved, kim does not; kim: because"
    )
    assert concluded(ml=UNKNOWN, kim=YES).reason == "ml cannot tell; ml: because"
    found = concluded(ml=UNKNOWN, kim=NO, acw=NO)
    assert found.reason == "ml cannot tell, kim and acw say so; kim: because"
    assert found.verdicts == {"ml": UNKNOWN, "kim": NO, "acw": NO}
    assert concluded(ml=NO).reason == "the primary estimator says so; ml: because"


def test_another_primary():
    found = conclude({"kim": Said(YES), "acw": Said(YES)}, primary="kim")
    assert (found.verdict, found.primary) == (YES, "kim")


def test_refusals():
    with pytest.raises(ValueError, match="primary: got 'ml', need one of kim"):
        concluded(kim=YES)
    with pytest.raises(ValueError, match="primary: got 'ml', need one of kim"):
        Conclusion(verdict=YES, reason="", primary="ml", verdicts={"kim": YES})
