"""Whether the distance between two stages grows with an error that was put in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64
from scipy import stats

from isotau.convert.ground import validation
from isotau.convert.ground.representation import short_repr
from isotau.sim.preservation.compare import compare_spikes
from isotau.sim.preservation.compare_curves import Curves, compare_curves
from isotau.sim.preservation.config import PreservationConfig
from isotau.sim.preservation.pair import Pair
from isotau.sim.preservation.preservation import Preservation
from isotau.sim.preservation.verdict import Estimate, Verdict

DISTANCES = ("shift", "scatter", "loss", "wasserstein", "curve", "distance")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Trend:
    """Whether a distance grows with the error.

    Attributes:
        kendall: Kendall's τ_b of level and distance; 1 if it always grows.
        p: probability of as large a one if the distances were in random order.
    """

    kendall: float
    p: float

    def __post_init__(self) -> None:
        """Check and freeze every field."""
        fields = {
            name: Estimate(value=getattr(self, name)).value for name in ("kendall", "p")
        }
        validation.freeze(self, fields)


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Sensitivity:
    """Distances between two stages against the size of an error.

    Attributes:
        levels: sizes of the error, such as |λ'/λ − 1|.
        shift: |mean log ratio| at each level; NaN where not defined, as in the others.
        scatter: SD of log ratios beyond the floor; negative below it.
        loss: share of identified neurons lost beyond a repeat's.
        wasserstein: distance between the distributions of log τ.
        curve: distance of the mean autocorrelations beyond the floor; NaN if not given.
        distance: of the first three together, in units of their margins.
        verdicts: at each level.
        trends: of each distance that is defined at three levels or more.
    """

    levels: Float64[np.ndarray, " levels"]
    shift: Float64[np.ndarray, " levels"]
    scatter: Float64[np.ndarray, " levels"]
    loss: Float64[np.ndarray, " levels"]
    wasserstein: Float64[np.ndarray, " levels"]
    curve: Float64[np.ndarray, " levels"]
    distance: Float64[np.ndarray, " levels"]
    verdicts: tuple[Verdict, ...]
    trends: Mapping[str, Trend]

    def __post_init__(self) -> None:
        """Check and freeze every field."""
        count = validation.length("levels", self.levels, ndim=1)
        fields: dict[str, Any] = {
            "levels": validation.floats("levels", self.levels, (count,), "level"),
            "verdicts": tuple(Verdict(verdict) for verdict in self.verdicts),
            "trends": dict(self.trends),
        }
        for name in DISTANCES:
            array = np.array(getattr(self, name), dtype=np.float64)
            array.setflags(write=False)
            fields[name] = array
        for name in (*DISTANCES, "verdicts"):
            if len(fields[name]) != count:
                raise ValueError(
                    f"{name}: got {len(fields[name])} entries, need {count} as in "
                    "levels"
                )
        validation.freeze(self, fields)


def sensitivity(
    levels: Sequence[float],
    pairs_by_level: Sequence[Sequence[Pair]],
    config: PreservationConfig | None = None,
    *,
    rng: np.random.Generator,
    curves_by_level: Sequence[Sequence[Curves]] | None = None,
) -> Sensitivity:
    """Return the distances of stages a and b for every size of an error in b.

    Args:
        levels: sizes of the error, not negative; may repeat.
        pairs_by_level: timescales of the networks at each level.
        config: margins and error rates.
        rng: of the bootstrap and of permutations.
        curves_by_level: autocorrelations of the networks at each level.
    """
    config = config or PreservationConfig()
    sizes = validation.floats("levels", levels, (len(levels),), "level", minimum=0.0)
    for name, networks in (("pairs", pairs_by_level), ("curves", curves_by_level)):
        if networks is not None and len(networks) != sizes.size:
            raise ValueError(
                f"{name}_by_level: got {len(networks)} levels, need {sizes.size}"
            )
    # One generator for all levels: their errors are independent, as `trend` asks.
    results = [compare_spikes(pairs, config, rng=rng) for pairs in pairs_by_level]
    columns = _columns(results)
    columns["curve"] = np.full(sizes.size, np.nan)
    if curves_by_level is not None:
        endpoints = [
            compare_curves(curves, config, rng=rng).endpoint
            for curves in curves_by_level
        ]
        columns["curve"] = np.array(
            [np.nan if end is None else end.estimate.value for end in endpoints]
        )
    return Sensitivity(
        levels=sizes,
        verdicts=tuple(result.verdict for result in results),
        trends={
            name: trend(sizes, values)
            for name, values in columns.items()
            if np.isfinite(values).sum() >= 3
        },
        **columns,
    )


def trend(
    levels: Float64[np.ndarray, " levels"], distances: Float64[np.ndarray, " levels"]
) -> Trend:
    """Return how steadily distances grow with levels; those that are NaN do not count.

    Source: Kendall 1938, doi:10.1093/biomet/30.1-2.81.
    """
    defined = np.isfinite(distances)
    # One-sided: a distance that falls as the error grows is no sign of sensitivity.
    test = stats.kendalltau(levels[defined], distances[defined], alternative="greater")
    return Trend(kendall=float(test.statistic), p=float(test.pvalue))


def _columns(results: Sequence[Preservation]) -> dict[str, np.ndarray]:
    """Return the distances of comparisons, by name."""
    values = np.array(
        [[endpoint.estimate.value for endpoint in r.endpoints] for r in results]
    )
    # A shift either way is a distance.
    values[:, 0] = np.abs(values[:, 0])
    margins = np.array([[endpoint.margin for endpoint in r.endpoints] for r in results])
    # In margins the three can be added up; below the floor there is no distance.
    beyond = np.maximum(values / margins, 0)
    together = np.sqrt(np.nansum(beyond**2, axis=1))
    # The sum of nothing is 0, which would say that nothing differs.
    together[np.isnan(values).all(axis=1)] = np.nan
    return {
        "shift": values[:, 0],
        "scatter": values[:, 1],
        "loss": values[:, 2],
        "wasserstein": np.array(
            [
                np.nan if r.distances is None else r.distances.wasserstein
                for r in results
            ]
        ),
        "distance": together,
    }
