"""`Pair`: one network's timescales at two stages, and at both of them once more.

With replicates of each: how other trials would have moved all of its τ together.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64

from isotau.convert.ground import validation
from isotau.convert.ground.representation import short_repr
from isotau.sim.timescales.records.record import Timescales
from isotau.sim.timescales.records.series import Series

RUNS = ("a", "a_again", "b", "b_again")
PAIRINGS: tuple[tuple[int, int], ...] = ((0, 2), (0, 3), (1, 2), (1, 3), (0, 1), (2, 3))
"""Pairs of `RUNS`: the four of a stage a with a stage b, then the two repeats."""


@short_repr
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Pair:
    """Timescales of the same neurons at stages or engines a and b.

    The repeats are runs of the same network at the same stage under other seeds: what
    differs between a stage and its repeat is the noise floor.

    Attributes:
        name: of the network.
        a: timescales at stage a.
        b: timescales at stage b, by the same estimator, neuron by neuron.
        a_again: of the repeat of a.
        b_again: of the repeat of b.
        a_replicates: log τ (τ in seconds) at stage a from resampled trials, the same
            trials for all neurons of a row, replicate × neuron; NaN where unidentified.
            They are the trial level of the bootstrap, which falls back on the repeats;
            see `trial_replicates`. One or two networks need ten or more.
        b_replicates: log τ at stage b from resampled trials, replicate × neuron.
        tau_syn: synaptic time constant of every neuron, in seconds.
        excitatory: whether each neuron is excitatory.
    """

    name: str
    a: Timescales
    b: Timescales
    a_again: Timescales
    b_again: Timescales
    a_replicates: Float64[np.ndarray, "replicates n"] | None = None
    b_replicates: Float64[np.ndarray, "replicates n"] | None = None
    tau_syn: Float64[np.ndarray, " n"] | None = None
    excitatory: Bool[np.ndarray, " n"] | None = None

    def __post_init__(self) -> None:
        """Check and freeze every field."""
        # Neurons are joined by place: no table has a name for them.
        n = self.a.n
        for name in RUNS[1:]:
            run = getattr(self, name)
            if run.n != n:
                raise ValueError(
                    f"{name}: got {run.n} neurons, need {n} as in a; give the same "
                    "neurons in the same order"
                )
            if run.method != self.a.method:
                raise ValueError(
                    f"{name}: got method {run.method!r}, need {self.a.method!r} as in "
                    "a; compare one estimator at a time"
                )
        fields: dict[str, Any] = {"name": str(self.name)}
        for name in ("a_replicates", "b_replicates"):
            value = getattr(self, name)
            if value is not None:
                shape = validation.length(name, value, ndim=2), n
                fields[name] = with_gaps(name, value, shape, "replicate × neuron")
        if self.tau_syn is not None:
            fields["tau_syn"] = validation.floats(
                "tau_syn", self.tau_syn, (n,), "neuron", positive=True
            )
        if self.excitatory is not None:
            excitatory = np.array(self.excitatory)
            if excitatory.shape != (n,) or excitatory.dtype != bool:
                raise ValueError(
                    f"excitatory: got {excitatory.dtype} of shape {excitatory.shape}, "
                    f"need bool of shape {(n,)} (neuron)"
                )
            excitatory.setflags(write=False)
            fields["excitatory"] = excitatory
        validation.freeze(self, fields)

    @property
    def n(self) -> int:
        """Number of neurons."""
        return self.a.n


def log_tau(pair: Pair) -> Float64[np.ndarray, "runs n"]:
    """Return log τ (τ in seconds) of the four `RUNS`; NaN where there is none."""
    # In logs: a τ that doubles and one that halves are equally far off.
    return np.log(np.stack([getattr(pair, name).tau for name in RUNS]))


def log_ratios(pair: Pair) -> Float64[np.ndarray, " n"]:
    """Return d = log(τ_b / τ_a) of every neuron; NaN unless both have a timescale."""
    return np.log(pair.b.tau) - np.log(pair.a.tau)  # (S1)


def repeat_ratios(pair: Pair) -> Float64[np.ndarray, "2 n"]:
    """Return the log ratios of each repeat to its run, of stage a and of stage b."""
    runs = log_tau(pair)
    return np.stack([runs[1] - runs[0], runs[3] - runs[2]])


def trial_deviations(
    pair: Pair,
) -> tuple[
    Float64[np.ndarray, "replicates_a n"], Float64[np.ndarray, "replicates_b n"]
]:
    """Return by how much log τ of stage a, and of b, may deviate with other trials.

    For the mean of a run and its repeat: rows are equally likely, 0 where a neuron's
    deviation is not known. Without replicates there are two rows, plus and minus half
    the difference between the run and its repeat.
    """
    deviations = []
    stages = pair.a_replicates, pair.b_replicates
    for replicates, floor in zip(stages, repeat_ratios(pair), strict=True):
        # (S13): the mean of two runs deviates by 1/√2 of what one run does.
        if replicates is None:
            rows = np.stack([floor, -floor]) / 2
        else:
            defined = np.isfinite(replicates)
            count = np.maximum(defined.sum(axis=0), 1)
            centre = np.where(defined, replicates, 0.0).sum(axis=0) / count
            rows = (replicates - centre) / np.sqrt(2)
        deviations.append(np.where(np.isfinite(rows), rows, 0.0))
    return deviations[0], deviations[1]


def with_gaps(
    name: str, value: Any, shape: tuple[int, ...], layout: str
) -> Float64[np.ndarray, "..."]:
    """Return a read-only copy after checking it, NaN allowed, infinities not."""
    value = np.asarray(value)
    # NaN would not pass the check that all numbers be finite.
    missing = np.isnan(value)
    filled = validation.floats(name, np.where(missing, 0.0, value), shape, layout)
    array = np.where(missing, np.nan, filled)
    array.setflags(write=False)
    return array


def trial_replicates(
    series: Series, estimate: Callable[[Series], Timescales], groups: int = 10
) -> Float64[np.ndarray, "groups n"]:
    """Return log τ (τ in seconds) as other trials might have made it, for `Pair`.

    Trials are left out in groups, and what that changes is scaled up by √(groups − 1),
    so that the rows vary as much as runs of other trials do (the grouped jackknife,
    Efron & Stein 1981, doi:10.1214/aos/1176345462). NaN where a neuron is not
    identified without some group.

    Args:
        series: of one run.
        estimate: the estimator.
        groups: how many, and how often the estimator is called.

    Raises:
        ValueError: fewer than two trials a group.
    """
    groups = validation.whole("groups", groups, 2, 10_000)
    if series.batch < 2 * groups:
        raise ValueError(
            f"groups: got {groups} for {series.batch} trials, need two trials a group; "
            "take fewer groups or run more trials"
        )
    assert series.observed is not None
    # In turn, so that a slow drift over the session is in every group alike.
    group = np.arange(series.batch) % groups
    rows = []
    for k in range(groups):
        trials = group != k
        without = Series(
            values=series.values[:, trials],
            bin_width=series.bin_width,
            kind=series.kind,
            observed=series.observed[trials],
        )
        rows.append(estimate(without).tau)
    log_taus = np.log(np.stack(rows))
    centre = log_taus.mean(axis=0)
    return centre + np.sqrt(groups - 1) * (log_taus - centre)  # (S14)
