"""Are a network's timescales the same at every stage? Measured on many networks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits

from isotau.convert.ground import validation
from isotau.convert.ground.progress import Progress, silent
from isotau.convert.ground.representation import short_repr
from isotau.convert.records.rate import RateRNN
from isotau.jobs.pipeline import Result, carry
from isotau.jobs.quiet_runs import (
    METHODS,
    STAGES,
    StageTimescales,
    Twice,
    measure_stage,
    run_quiet,
)
from isotau.jobs.run_config import RunConfig
from isotau.sim.preservation import (
    Conclusion,
    CurveComparison,
    Curves,
    Pair,
    Preservation,
    PreservationConfig,
    compare,
    compare_curves,
    conclude,
)
from isotau.sim.timescales.records.autocorrelation import BIN_WIDTH, LAGS

COMPARED = (("rate", "lif"), ("lif", "fixed"), ("rate", "fixed"))
FEW_GROUPS, MANY = 10, 3
"""Groups of trials left out in turn, for fewer networks than this."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PreserveConfig:
    """How timescales are measured and compared.

    Attributes:
        run: how networks are converted; its `timescale_trials` do not count here.
        trials: without input, in each of two runs of every stage.
        length: of a trial, in seconds.
        settle: seconds before a trial in which the network settles.
        groups: of trials that are left out in turn, to see how the neurons of a network
            err together; 0 for none, None for `FEW_GROUPS` of fewer than `MANY`
            networks, if there are trials enough. With more, the networks show it.
        margins: what counts as preserved.
    """

    run: RunConfig = field(default_factory=RunConfig)
    trials: int = 200
    length: float = 2.0
    settle: float = 0.5
    groups: int | None = None
    margins: PreservationConfig = field(default_factory=PreservationConfig)

    def __post_init__(self) -> None:
        """Check the numbers."""
        validation.whole("trials", self.trials, 3, 1 << 20)
        validation.number("settle", self.settle, minimum=0)
        if self.groups is not None:
            validation.whole("groups", self.groups, 0, self.trials // 2)
            if self.groups == 1:
                raise ValueError("groups: got 1, need 0 or at least 2")
        if not validation.number("length", self.length) >= BIN_WIDTH * (LAGS + 1):
            raise ValueError(
                f"length: got {self.length} s, need at least "
                f"{BIN_WIDTH * (LAGS + 1):g} s for the autocorrelation's lags"
            )


@short_repr
class NetworkTimescales(NamedTuple):
    """One network at every stage.

    Attributes:
        name: of the network.
        stages: by name.
        accuracy: in the task, by stage.
        tau_syn: nominal synaptic time constants, in seconds.
        tau_syn_effective: what the chip's truncation leaves of them at the amplitudes
            that were visited, in seconds.
        excitatory: which neurons are.
    """

    name: str
    stages: Mapping[str, StageTimescales]
    accuracy: Mapping[str, float]
    tau_syn: np.ndarray
    tau_syn_effective: np.ndarray
    excitatory: np.ndarray


class StageComparison(NamedTuple):
    """Two stages compared, over all networks."""

    a: str
    b: str
    by_method: Mapping[str, Preservation]
    curves: CurveComparison
    conclusion: Conclusion


def measure_network(
    name: str,
    rate: RateRNN,
    config: PreserveConfig,
    *,
    progress: Progress = silent,
) -> NetworkTimescales:
    """Return a network's timescales at every stage, each measured twice.

    Raises:
        ValueError: the network does not fit the task.
        DoesNotFit: it does not fit the chip.
    """
    result = carry(rate, config.run, progress=progress)
    quiet = run_quiet(
        result,
        trials=config.trials,
        length=config.length,
        settle=config.settle,
        seed=config.run.seed,
    )
    groups = config.groups
    if groups is None:  # a group needs two trials
        groups = FEW_GROUPS if config.trials >= 2 * FEW_GROUPS else 0
    return describe_network(name, result, quiet, groups=groups)


def describe_network(
    name: str, result: Result, quiet: Mapping[str, Twice], *, groups: int = 0
) -> NetworkTimescales:
    """Return the timescales in runs of every stage, and what stands beside them."""
    lif = result.conversion.network
    effective = result.quantization.tau_syn_effective
    return NetworkTimescales(
        name=name,
        stages={
            stage: measure_stage(twice, groups=groups) for stage, twice in quiet.items()
        },
        accuracy={stage: float(result.stages[stage].right.mean()) for stage in STAGES},
        tau_syn=np.array(lif.tau_syn),
        tau_syn_effective=np.array(effective),
        excitatory=np.repeat(result.rate.dale > 0, lif.n // result.rate.n),
    )


def measure_networks(
    networks: Sequence[tuple[str, RateRNN]],
    config: PreserveConfig,
    *,
    jobs: int = 1,
    progress: Progress = silent,
) -> list[NetworkTimescales]:
    """Return the same of many networks, `jobs` of them at a time.

    The first network's seed is that of `config.run`, the next one's is one more.

    Raises:
        ValueError: as `measure_network`, with the network's name before it; or `jobs`
            is less than 1.
    """
    jobs = validation.whole("jobs", jobs, 1, 1 << 10)
    if jobs == 1 and len(networks) == 1:
        name, rate = networks[0]
        return [measure_network(name, rate, config, progress=progress)]

    if config.groups is None and len(networks) >= MANY:
        config = replace(config, groups=0)

    def one(k: int) -> NetworkTimescales:
        name, rate = networks[k]
        own = replace(config, run=replace(config.run, seed=config.run.seed + k))
        with threadpool_limits(1):
            try:
                return measure_network(name, rate, own)
            except ValueError as error:
                raise type(error)(f"{name}: {error}") from error

    tasks = (delayed(one)(k) for k in range(len(networks)))
    found = Parallel(n_jobs=jobs, return_as="generator")(tasks)
    ticks = progress(range(len(networks)), "networks")
    return [made for _, made in zip(ticks, found, strict=True)]


def compare_stages(
    networks: Sequence[NetworkTimescales],
    a: str,
    b: str,
    *,
    margins: PreservationConfig | None = None,
    seed: int = 0,
) -> StageComparison:
    """Return whether the timescales of stage `a` are those of stage `b`."""
    return compare_measured(
        [(network, network.stages[a], network.stages[b]) for network in networks],
        (a, b),
        margins=margins,
        seed=seed,
    )


def compare_measured(
    measured: Sequence[tuple[NetworkTimescales, StageTimescales, StageTimescales]],
    names: tuple[str, str],
    *,
    margins: PreservationConfig | None = None,
    seed: int = 0,
) -> StageComparison:
    """Return the same for any two measurements of each network.

    Args:
        measured: networks, each with what was measured at a and at b.
        names: of a and b.
        margins: what counts as preserved.
        seed: of the bootstrap.
    """
    by_method: dict[str, Preservation] = {}
    for k, method in enumerate(METHODS):
        pairs = [
            Pair(
                name=network.name,
                a=a.timescales[method][0],
                b=b.timescales[method][0],
                a_again=a.timescales[method][1],
                b_again=b.timescales[method][1],
                a_replicates=a.replicates.get(method),
                b_replicates=b.replicates.get(method),
                tau_syn=network.tau_syn,
                excitatory=network.excitatory,
            )
            for network, a, b in measured
        ]
        by_method[method] = compare(
            pairs, margins, rng=np.random.default_rng([seed, k])
        )
    curves = compare_curves(
        [
            Curves(
                name=network.name,
                a=a.curves[0],
                b=b.curves[0],
                a_again=a.curves[1],
                b_again=b.curves[1],
            )
            for network, a, b in measured
        ],
        margins,
        rng=np.random.default_rng([seed, len(METHODS)]),
    )
    return StageComparison(
        *names, by_method, curves, conclude({**by_method, "curves": curves})
    )
