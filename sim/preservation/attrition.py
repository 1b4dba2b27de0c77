"""Which neurons have a timescale at one stage only, and what the other says of them."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from isotau.convert import validation
from isotau.sim.timescales.record import Status, Timescales

_COUNTS = ("both", "only_first", "only_second", "neither")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Attrition:
    """How many neurons have a timescale in two runs, in one of them, or in none.

    Attributes:
        both: neurons with a timescale in both runs.
        only_first: in the first only: they were lost.
        only_second: in the second only.
        neither: in none.
        lost: what the second run says of those lost, neurons by status.
        gained: what the first run says of those found in the second only.
        rate_effect: probability that of two neurons with a timescale in the first run,
            one lost and one kept, the lost one had the higher rate in it; 0.5 if the
            rate does not matter, NaN where there are no two such.
    """

    both: int
    only_first: int
    only_second: int
    neither: int
    lost: Mapping[str, int]
    gained: Mapping[str, int]
    rate_effect: float

    def __post_init__(self) -> None:
        """Check and freeze every field."""
        fields: dict[str, Any] = {
            name: validation.whole(name, getattr(self, name), 0, 2**53)
            for name in _COUNTS
        }
        known = [status.value for status in Status]
        for name, whole in (("lost", "only_first"), ("gained", "only_second")):
            given = getattr(self, name)
            counts = {
                validation.choice(name, status, known): validation.whole(
                    f"{name}[{status!r}]", count, 1, 2**53
                )
                for status, count in given.items()
            }
            if sum(counts.values()) != fields[whole]:
                raise ValueError(
                    f"{name}: got {sum(counts.values())} neurons, need "
                    f"{fields[whole]} as in {whole}"
                )
            fields[name] = counts
        effect = float(self.rate_effect)
        if not (np.isnan(effect) or 0 <= effect <= 1):
            raise ValueError(f"rate_effect: got {effect}, need 0 to 1 or NaN")
        fields["rate_effect"] = effect
        validation.freeze(self, fields)


def attrition(runs: Iterable[tuple[Timescales, Timescales]]) -> Attrition:
    """Return the table of all neurons of several networks, each with its two runs."""
    counts: Counter[str] = Counter()
    lost: Counter[str] = Counter()
    gained: Counter[str] = Counter()
    lost_rates: list[float] = []
    kept_rates: list[float] = []
    for first, second in runs:
        for before, after, rate in zip(
            first.status, second.status, first.rate, strict=True
        ):
            in_first, in_second = before is Status.OK, after is Status.OK
            counts[_COUNTS[2 * (not in_first) + (not in_second)]] += 1
            if in_first:
                (kept_rates if in_second else lost_rates).append(rate)
            if in_first and not in_second:
                lost[after.value] += 1
            if in_second and not in_first:
                gained[before.value] += 1
    return Attrition(
        both=counts["both"],
        only_first=counts["only_first"],
        only_second=counts["only_second"],
        neither=counts["neither"],
        lost=dict(lost),
        gained=dict(gained),
        rate_effect=_higher(lost_rates, kept_rates),
    )


def _higher(lost: list[float], kept: list[float]) -> float:
    """Return the probability that one of `lost` is greater than one of `kept`."""
    x, y = (np.array(group)[np.isfinite(group)] for group in (lost, kept))
    if not x.size or not y.size:
        return float("nan")
    ranks = stats.rankdata(np.concatenate([x, y]))[: x.size]
    return float((ranks.sum() - x.size * (x.size + 1) / 2) / (x.size * y.size))
