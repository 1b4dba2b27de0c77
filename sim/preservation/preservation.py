"""`Preservation`: the comparison of two stages, and its verdict."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from isotau.convert.ground import validation
from isotau.convert.ground.representation import short_repr
from isotau.sim.preservation.attrition import Attrition, Censored
from isotau.sim.preservation.config import PreservationConfig
from isotau.sim.preservation.distribution import Distances
from isotau.sim.preservation.verdict import (
    Endpoint,
    Estimate,
    Verdict,
    decide,
    sentence,
)

DECISIVE = ("shift", "scatter", "loss")
"""The endpoints, all declared before looking."""


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class NetworkResult:
    """What one network has to say.

    Attributes:
        name: of the network.
        shift: mean log ratio of its neurons, with an interval for this network alone,
            at the confidence of the endpoints.
        scatter: SD of log ratios beyond the floor, negative if below it.
        loss: share of the identified neurons lost beyond a repeat's.
        neurons: how many have a timescale in both stages, mean over pairings of runs.
    """

    name: str
    shift: Estimate
    scatter: float
    loss: float
    neurons: float

    def __post_init__(self) -> None:
        """Check and freeze every field."""
        fields: dict[str, Any] = {"name": str(self.name)}
        for name in ("scatter", "loss", "neurons"):
            fields[name] = Estimate(value=getattr(self, name)).value
        validation.freeze(self, fields)


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Preservation:
    """Whether the timescales of stage a are those of stage b, by one estimator.

    Attributes:
        method: the estimator.
        endpoints: shift, scatter and loss, which decide.
        by_network: of every network that has a say; few of them are not resampled, and
            then all this speaks of them alone.
        left_out: every other network, and why.
        numbers: of agreement, by name; see `agreement.numbers`. Besides these,
            `median_ratio`, the mean over networks of the median ratio.
        covariates: slopes of the log ratio; see `covariates`.
        distances: between the distributions of τ; None if no network has a say.
        censored: the mean log ratio with neurons that have no timescale; None if no
            network has a say.
        attrition: who has a timescale in a and b; of all networks, like the next two.
        attrition_a: in a and its repeat.
        attrition_b: in b and its repeat.
        config: margins and error rates.
    """

    method: str
    endpoints: tuple[Endpoint, ...]
    by_network: tuple[NetworkResult, ...]
    left_out: tuple[tuple[str, str], ...]
    numbers: Mapping[str, Estimate]
    covariates: Mapping[str, Estimate]
    distances: Distances | None
    censored: Censored | None
    attrition: Attrition
    attrition_a: Attrition
    attrition_b: Attrition
    config: PreservationConfig

    def __post_init__(self) -> None:
        """Check and freeze every field."""
        fields: dict[str, Any] = {
            "method": str(self.method),
            "endpoints": tuple(self.endpoints),
            "by_network": tuple(self.by_network),
            # Reasons are kept: a network is never left out without one.
            "left_out": tuple((str(name), str(why)) for name, why in self.left_out),
            "numbers": {str(name): value for name, value in self.numbers.items()},
            "covariates": {str(name): v for name, v in self.covariates.items()},
        }
        # In this order: the strict margin, and pictures, take the first as the shift.
        names = tuple(endpoint.name for endpoint in fields["endpoints"])
        if names != DECISIVE:
            raise ValueError(f"endpoints: got {names}, need {DECISIVE}")
        if not fields["by_network"] and not fields["left_out"]:
            raise ValueError("by_network: got no network, need at least one")
        validation.freeze(self, fields)

    @property
    def verdict(self) -> Verdict:
        """Whether timescales were preserved."""
        return _reach(self)[0]

    @property
    def reason(self) -> str:
        """The sentence that decided: endpoint, estimate, interval and margin."""
        return _reach(self)[1]

    @property
    def scope(self) -> str:
        """Of which networks the verdict speaks."""
        # Of fixed networks nothing was drawn from which others could be told.
        n = len(self.by_network)
        if not n:
            return "no network"
        if n >= self.config.min_networks:
            return f"networks like these {n}"
        return f"these {n} networks alone" if n > 1 else "this network alone"

    @property
    def strict(self) -> bool:
        """Whether the shift is inside the strict margin too."""
        shift, margin = self.endpoints[0].estimate, self.config.strict_margin
        return -margin < shift.low and shift.high < margin


def summary(preservation: Preservation) -> dict[str, Any]:
    """Return what a report says of a comparison, ready for JSON; None for no number."""
    attrition = preservation.attrition
    report: dict[str, Any] = {
        "method": preservation.method,
        "verdict": preservation.verdict.value,
        "reason": preservation.reason,
        "scope": preservation.scope,
        "strict": preservation.strict,
        "n_networks": len(preservation.by_network),
        "n_left_out": len(preservation.left_out),
        "kept": attrition.both,
        "lost": attrition.only_first,
        "gained": attrition.only_second,
        "neither": attrition.neither,
    }
    for endpoint in preservation.endpoints:
        # JSON has no NaN and no infinity.
        ends = (endpoint.estimate.value, endpoint.estimate.low, endpoint.estimate.high)
        report[endpoint.name] = [x if math.isfinite(x) else None for x in ends]
    return report


def lines(preservation: Preservation) -> list[str]:
    """Return a comparison as lines of text."""
    config = preservation.config
    text = [
        f"{preservation.method}: {preservation.verdict.value} ({preservation.scope})",
        *(f"  {sentence(endpoint)}" for endpoint in preservation.endpoints),
    ]
    # As a ratio, in which the endpoint is written too.
    low, high = (math.exp(s * config.strict_margin) for s in (-1, 1))
    inside = "inside" if preservation.strict else "not inside"
    text.append(f"  strict margin: {inside} {low:.3f} to {high:.3f}")
    for name, estimate in preservation.numbers.items():
        text.append(f"  {name:<18} {_in_text(estimate)}")
    if preservation.distances is not None:
        d = preservation.distances
        text.append(
            f"  Wasserstein-1 {d.wasserstein:.3f} (repeats {d.wasserstein_floor:.3f}, "
            f"p {d.wasserstein_p:.3f}), KS {d.kolmogorov:.3f} (repeats "
            f"{d.kolmogorov_floor:.3f}, p {d.kolmogorov_p:.3f})"
        )
    if preservation.censored is not None:
        c = preservation.censored
        text.append(
            f"  mean log ratio: {_in_text(c.intersection)} of {c.identified} neurons, "
            f"{_in_text(c.mean)} with {c.censored} censored"
        )
    text += [
        f"  slope on {name:<13} {_in_text(estimate)}"
        for name, estimate in preservation.covariates.items()
    ]
    text += [
        _attrition("a and b", preservation.attrition),
        _attrition("a and its repeat", preservation.attrition_a),
        _attrition("b and its repeat", preservation.attrition_b),
    ]
    text += [f"  left out: {name}: {why}" for name, why in preservation.left_out]
    return text


def _reach(preservation: Preservation) -> tuple[Verdict, str]:
    """Return the verdict and what decided it."""
    saying, left_out = len(preservation.by_network), preservation.left_out
    if not saying:
        name, why = left_out[0]
        return Verdict.NOT_IDENTIFIABLE, f"no network has a say; {name}: {why}"
    # What the networks say, before it is asked of how many it is said.
    verdict, reason = decide(preservation.endpoints)
    total = saying + len(left_out)
    # Networks without a say may differ from the others: few must not speak for all.
    if verdict is Verdict.PRESERVED and saying < preservation.config.min_usable * total:
        return (
            Verdict.NOT_IDENTIFIABLE,
            f"only {saying} of {total} networks have a say, need a share of "
            f"{preservation.config.min_usable:g}; in those, {reason}",
        )
    if verdict is Verdict.PRESERVED:
        reason += _on_permutation(preservation)
    return verdict, reason


def _on_permutation(preservation: Preservation) -> str:
    """Return a warning where permuting τ across neurons might pass as well."""
    # Where τ hardly spread, a permutation of neurons scatters less than the margin.
    permuted = preservation.numbers.get("permuted_sd", Estimate(value=math.nan))
    if permuted.low > preservation.config.scatter_margin:
        return ""
    return (
        f"; τ permuted across neurons would scatter by {_in_text(permuted)} only, so "
        "this speaks of their level, not of which neuron is slow"
    )


def _in_text(estimate: Estimate) -> str:
    if math.isnan(estimate.value):
        return "none"
    if math.isnan(estimate.low):
        return f"{estimate.value:.3f}"
    return f"{estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f})"


def _attrition(what: str, table: Attrition) -> str:
    why = ", ".join(f"{count} {status}" for status, count in table.lost.items())
    return (
        f"  timescales in {what}: {table.both} both, {table.only_first} lost"
        f"{f' ({why})' if why else ''}, {table.only_second} gained, "
        f"{table.neither} neither"
    )
