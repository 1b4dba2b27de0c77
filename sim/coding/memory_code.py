"""`MemoryCode`: what the units of a stage hold during the delay, and how stably."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from isotau.convert.ground import validation
from isotau.convert.ground.representation import short_repr
from isotau.sim.coding.clusters import FORMING, PERMUTATIONS, Clusters, significant
from isotau.sim.coding.decoding import FOLDS, HalfLife
from isotau.sim.coding.discriminability import LAG, Discriminability, Interval
from isotau.sim.coding.fano import MatchedFano
from isotau.sim.coding.groups import FACTOR, QUARTILES

GROUPS = ("all", "long", "short", "long_matched", "short_matched")


@dataclass(frozen=True, kw_only=True, slots=True)
class CodingConfig:
    """How a memory code is measured; times are in seconds from the start of a trial.

    Attributes:
        delay: in which the code must hold. The default suits `dms-750`, whose delay is
            0.40 to 1.15 s, and leaves out the 50 ms in which the smoothing window still
            sees the stimulus.
        train: when decoders are trained, for the half-life.
        lag: from which |t₁ − t₂| on discriminability counts as off the diagonal.
        step: between samples of the matrices.
        decode_step: between times at which decoders are trained and tested.
        quantiles: of τ; below the first a unit is short, above the second long.
        factor: largest ratio of the rates of a matched pair of units.
        within: whether both of a pair must be of one network.
        draws: of matched pairs, averaged.
        splits: of the trials into halves, averaged.
        folds: of the decoders' cross-validation.
        resamples: of networks, or trials of a single one, for half-lives.
        permutations: for clusters.
        forming: see `find_clusters`.
        level: of intervals; clusters count with p ≤ 1 − level.
    """

    delay: tuple[float, float] = (0.45, 1.15)
    train: tuple[float, float] = (0.45, 0.65)
    lag: float = LAG
    step: float = 0.02
    decode_step: float = 0.05
    quantiles: tuple[float, float] = QUARTILES
    factor: float = FACTOR
    within: bool = True
    draws: int = 5
    splits: int = 10
    folds: int = FOLDS
    resamples: int = 1000
    permutations: int = PERMUTATIONS
    forming: float = FORMING
    level: float = 0.95

    def __post_init__(self) -> None:
        """Check what no function further on does."""
        validation.whole("draws", self.draws, 1, 1 << 20)
        # Whether samples lie there is known with the responses alone.
        for name in ("delay", "train"):
            start, stop = getattr(self, name)
            if not start < stop:
                raise ValueError(f"{name}: got {start} to {stop} s, need start < stop")


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class GroupCode:
    """What one group of units holds.

    Attributes:
        discriminability: over the whole trial, all networks' units together.
        stability: mean discriminability in the delay beyond the lag, over that on the
            diagonal; the interval is over networks (see
            `over_networks`).
        off: the former.
        diagonal: the latter.
        half_life: of decoding in the delay; None if no network has such units.
        rate: mean rate of the units, as in the responses.
    """

    discriminability: Discriminability
    stability: Interval
    off: Interval
    diagonal: Interval
    half_life: HalfLife | None
    rate: float


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class MemoryCode:
    """What the units of a stage hold.

    Attributes:
        groups: by name, as in `GROUPS`; the matched ones are as many long as short
            units, in pairs of about the same rate.
        more_stable: stability of long less that of short matched units; the interval is
            over networks.
        clusters: of the same difference of discriminability in the delay, off the
            diagonal; None where there are too few units.
        shuffled: what the clusters' chance comes from, "networks" or "units".
        edges: τ below which units are short, above which they are long, in seconds.
        fano: Fano factors by group ("all", "long", "short"), medians over units, and of
            "long_matched" and "short_matched" by `matched_fano`; {} without trials.
        networks: how many.
        config: how it was measured.
    """

    groups: dict[str, GroupCode]
    more_stable: Interval
    clusters: Clusters | None
    shuffled: str
    edges: tuple[float, float]
    fano: dict[str, float | MatchedFano]
    networks: int
    config: CodingConfig


def long_carries(code: MemoryCode) -> bool | None:
    """Return whether long-τ units hold more stably; None where that is not shown.

    True where the interval of `more_stable` lies above 0, False where below.
    """
    # NaN, which a single network has for an interval, is neither above nor below 0.
    if code.more_stable.low > 0:
        return True
    return False if code.more_stable.high < 0 else None


def numbers(code: MemoryCode) -> dict[str, Any]:
    """Return what a report says of a memory code, ready for JSON."""
    clusters = code.clusters
    return {
        "networks": code.networks,
        "short_below_s": _number(code.edges[0]),
        "long_above_s": _number(code.edges[1]),
        "lag_s": code.config.lag,
        "delay_s": list(code.config.delay),
        "groups": {name: _group(group) for name, group in code.groups.items()},
        "long_less_short": _interval(code.more_stable),
        "long_carries_stable_code": long_carries(code),
        # The matrices themselves stay out: a report is to be read.
        "clusters": {
            "shuffled": code.shuffled,
            "permutations": 0 if clusters is None else clusters.permutations,
            "p": [] if clusters is None else [float(p) for p in clusters.p],
            "signs": [] if clusters is None else [int(sign) for sign in clusters.signs],
            "share_significant": None
            if clusters is None
            else float(significant(clusters, 1 - code.config.level).mean()),
        },
        "fano": {
            name: {key: _number(value) for key, value in fano._asdict().items()}
            if isinstance(fano, MatchedFano)
            else _number(fano)
            for name, fano in code.fano.items()
        },
    }


def _group(group: GroupCode) -> dict[str, Any]:
    life = group.half_life
    return {
        "units": group.discriminability.units,
        "networks": group.discriminability.networks,
        "trials_per_condition": group.discriminability.trials,
        "mean_rate_hz": _number(group.rate),
        "stability": _interval(group.stability),
        "off_diagonal": _interval(group.off),
        "diagonal": _interval(group.diagonal),
        # A group without units in any network was not decoded from.
        "half_life": None if life is None else half_life_numbers(life),
    }


def half_life_numbers(life: HalfLife) -> dict[str, Any]:
    """Return what a report says of a half-life, ready for JSON."""
    return {
        "status": life.status.value,
        "seconds": _number(life.value),
        "low_s": _number(life.low),
        "high_s": _number(life.high),
        "longest_lag_s": float(life.lags[-1]),
        # Both ends, so that a half-life beyond the delay still says how far it fell.
        "accuracy_at_once": float(life.accuracy[0]),
        "accuracy_at_longest_lag": float(life.accuracy[-1]),
        "resampled": life.rows,
    }


def _interval(interval: Interval) -> dict[str, float | None]:
    return {name: _number(value) for name, value in interval._asdict().items()}


def _number(value: float) -> float | None:
    # JSON has neither NaN nor infinity.
    return float(value) if np.isfinite(value) else None
