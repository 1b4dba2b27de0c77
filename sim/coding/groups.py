"""Long- and short-τ units, and pairs of them that fire alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64

from isotau.convert.ground import validation
from isotau.convert.ground.representation import short_repr
from isotau.sim.timescales.records.record import Timescales

QUARTILES = (0.25, 0.75)
FACTOR = 1.25
LOWEST = 1e-3
"""Hz; units below fire alike, namely not at all."""


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Groups:
    """Units with long and with short timescales, network by network.

    Attributes:
        long: for each network, which units.
        short: likewise.
        edges: τ below which a unit is short and above which it is long, in seconds.
    """

    long: tuple[Bool[np.ndarray, " n"], ...]
    short: tuple[Bool[np.ndarray, " n"], ...]
    edges: tuple[float, float]

    def __post_init__(self) -> None:
        """Check and freeze every field."""
        if len(self.long) != len(self.short):
            raise ValueError(
                f"short: got {len(self.short)} networks, need {len(self.long)} as long"
            )
        fields: dict[str, Any] = {"long": [], "short": []}
        for k, (long, short) in enumerate(zip(self.long, self.short, strict=True)):
            shape = np.shape(long)
            for name, value in (("long", long), ("short", short)):
                mask = np.array(value)
                if mask.shape != shape or mask.dtype != bool or mask.ndim != 1:
                    raise ValueError(
                        f"{name}[{k}]: got {mask.dtype} of shape {mask.shape}, need "
                        f"bool of shape {shape} (unit)"
                    )
                # Frozen, since several measures share it.
                mask.setflags(write=False)
                fields[name].append(mask)
            if (fields["long"][k] & fields["short"][k]).any():
                raise ValueError(f"long[{k}]: got a unit that is short too, need one")
        # Not compared: of few units both quantiles may be one.
        low, high = (validation.number("edges", edge) for edge in self.edges)
        validation.freeze(
            self,
            {
                "long": tuple(fields["long"]),
                "short": tuple(fields["short"]),
                "edges": (low, high),
            },
        )

    @property
    def sizes(self) -> tuple[int, int]:
        """Number of long and of short units in all networks together."""
        return sum(int(m.sum()) for m in self.long), sum(
            int(m.sum()) for m in self.short
        )


def split_quartiles(
    timescales: Sequence[Timescales], quantiles: tuple[float, float] = QUARTILES
) -> Groups:
    """Return the units with τ below the first and above the third quartile.

    The quartiles are those of all networks' units together, as published by Kim &
    Sejnowski 2021, doi:10.1038/s41593-020-00753-w, and as MATLAB computes them
    (Hazen's rule). Units without a timescale are in neither group.

    Raises:
        ValueError: fewer than four units with a timescale; quantiles out of order.
    """
    low, high = quantiles
    if not 0 < low <= high < 1:
        raise ValueError(
            f"quantiles: got {quantiles}, need two in rising order between 0 and 1"
        )
    taus = [np.asarray(t.tau) for t in timescales]
    # One pool for all networks: a network of short τ has few long units, as published.
    pool = np.concatenate([tau[np.isfinite(tau)] for tau in taus] or [np.zeros(0)])
    if pool.size < 4:
        raise ValueError(
            f"timescales: got {pool.size} units with one, need at least 4; measure "
            "more trials or networks"
        )
    edges = np.quantile(pool, quantiles, method="hazen")
    # Comparisons with NaN are false.
    return Groups(
        long=tuple(tau > edges[1] for tau in taus),
        short=tuple(tau < edges[0] for tau in taus),
        edges=(float(edges[0]), float(edges[1])),
    )


def match_rates(
    groups: Groups,
    rates: Sequence[Float64[np.ndarray, " n"]],
    rng: np.random.Generator,
    *,
    factor: float = FACTOR,
    within: bool = True,
) -> Groups:
    """Return as many long as short units, in pairs that fire at about one rate.

    The long units, in random order, each take the free short unit whose rate is nearest
    to theirs; those that find none within the factor are left out, as are short units
    that nobody took. Another `rng` makes other pairs.

    Args:
        groups: of all networks.
        rates: of each network's units, in Hz.
        rng: gives the order.
        factor: largest ratio of the two rates of a pair.
        within: whether partners must be of one network.

    Raises:
        ValueError: rates of other networks or units than the groups'; a factor below 1.
    """
    if factor < 1:
        raise ValueError(f"factor: got {factor}, need at least 1")
    sizes = [mask.size for mask in groups.long]
    if [np.size(rate) for rate in rates] != sizes:
        raise ValueError(
            f"rates: got {[np.size(rate) for rate in rates]} units, need {sizes} as "
            "the groups have"
        )
    # (M14): distance in log rate is a ratio of rates.
    ends = np.cumsum(sizes)[:-1]
    log_rate = np.log(np.maximum(np.concatenate(list(rates)), LOWEST))
    network = np.repeat(np.arange(len(sizes)), sizes)
    long = np.flatnonzero(np.concatenate(groups.long))
    free = list(np.flatnonzero(np.concatenate(groups.short)))
    pairs = []
    # In random order: whoever comes first takes the nearest partner from the others.
    for unit in rng.permutation(long):
        apart = np.abs(log_rate[free] - log_rate[unit])
        if within:
            # Partners of one network share its weights, noise and trials.
            apart = np.where(network[free] == network[unit], apart, np.inf)
        if apart.size and apart.min() <= np.log(factor) + 1e-12:
            pairs.append((int(unit), int(free.pop(int(np.argmin(apart))))))
    paired = np.zeros((2, log_rate.size), dtype=bool)
    for k, members in enumerate(zip(*pairs, strict=True)):
        paired[k, list(members)] = True
    return Groups(
        long=tuple(np.split(paired[0], ends)),
        short=tuple(np.split(paired[1], ends)),
        edges=groups.edges,
    )
