"""Are a network's timescales the same at every stage? Measured on many networks.

Every stage runs twice without input (`run_quiet`): what differs between the two runs is
the noise floor of what is measured in each (`measure_stage`).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits

from isotau.convert.ground import validation
from isotau.convert.ground.progress import Progress, silent
from isotau.convert.ground.representation import short_repr
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.convert.records.rate import RateRNN
from isotau.convert.records.spikes import Spikes
from isotau.jobs.origin import NamedNetwork
from isotau.jobs.pipeline import Result, carry
from isotau.jobs.quiet import STAGES, RepeatedRun, run_quiet
from isotau.jobs.run_config import RunConfig, independent_seeds
from isotau.jobs.timescales.lava_states import (
    LavaAtRest,
    RestingLava,
    lava_resting,
)
from isotau.sim.preservation import (
    Conclusion,
    CurveComparison,
    Curves,
    Pair,
    Preservation,
    PreservationConfig,
    compare_curves,
    compare_spikes,
    conclude,
    trial_replicates,
)
from isotau.sim.states import Margins, StateBudget, StateComparison, compare_states
from isotau.sim.states.epochs import task_epoch
from isotau.sim.states.observables import (
    OBSERVABLES,
    epoch_of,
    network_source,
    stage_sources,
)
from isotau.sim.tasks import TASKS
from isotau.sim.timescales import ESTIMATORS
from isotau.sim.timescales.estimators import ml
from isotau.sim.timescales.estimators.kim import kim
from isotau.sim.timescales.records.autocorrelation import (
    BIN_WIDTH,
    LAGS,
    autocorrelation,
)
from isotau.sim.timescales.records.record import Timescales
from isotau.sim.timescales.records.series import as_series

METHODS = ("ml", "exponential")
"""Estimators that have a say, the primary one first; the curves are a third voice."""
STATES = 2
"""Sets these seeds apart from others."""
FINE_BINS, WIDE_BINS = 40, 20
"""Of a trial for `ml`, and for autocorrelations and what is fitted to them; fewer where
they would be shorter than these estimators' own bins, as published for 1 s."""
RESAMPLES = 50
"""Of the trials, that tell which fits to autocorrelations show a decay at all."""
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
        margins: what counts as preserved in spikes.
        state_margins: the same in states.
        budget: what the comparison of a network's states may cost.
        observable: what of a network is watched, in place of its states.
        epoch: in which; all but rest are parts of the task.
        lava: whether the chip is compared with Lava as well, bit by bit.
    """

    run: RunConfig = field(default_factory=RunConfig)
    trials: int = 200
    length: float = 2.0
    settle: float = 0.5
    groups: int | None = None
    margins: PreservationConfig = field(default_factory=PreservationConfig)
    state_margins: Margins = field(default_factory=Margins)
    budget: StateBudget = field(default_factory=StateBudget)
    observable: str = "state"
    epoch: str = "rest"
    lava: bool = True

    def __post_init__(self) -> None:
        """Check the numbers."""
        validation.whole("trials", self.trials, 3, 1 << 20)
        validation.number("settle", self.settle, minimum=0)
        validation.choice("observable", self.observable, OBSERVABLES)
        # Raises for a part that the task does not have.
        task_epoch(self.epoch, TASKS[self.run.task], TASKS[self.run.task].dt)
        if self.groups is not None:
            validation.whole("groups", self.groups, 0, self.trials // 2)
            if self.groups == 1:
                raise ValueError("groups: got 1, need 0 or at least 2")
        # The autocorrelation needs its lags and one bin more.
        if not validation.number("length", self.length) >= BIN_WIDTH * (LAGS + 1):
            raise ValueError(
                f"length: got {self.length} s, need at least "
                f"{BIN_WIDTH * (LAGS + 1):g} s for the autocorrelation's lags"
            )


@short_repr
class StageTimescales(NamedTuple):
    """What was measured at one stage.

    Attributes:
        timescales: by method, of the first run and of the repeat.
        curves: autocorrelation, run × lag × neuron.
        curve_bin: seconds between the lags.
        replicates: by method, log τ of the first run as other trials might have made
            it; empty if that was not asked for.
        published: of the first run by the published rules (`kim`), which have no say;
            None of trials that are too short for them.
    """

    timescales: Mapping[str, tuple[Timescales, ...]]
    curves: np.ndarray
    curve_bin: float
    replicates: Mapping[str, np.ndarray]
    published: Timescales | None = None


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
        states: the stages compared by their states; none where they were not looked at.
        lava: the chip beside Lava; None where that was not asked for.
    """

    name: str
    stages: Mapping[str, StageTimescales]
    accuracy: Mapping[str, float]
    tau_syn: np.ndarray
    tau_syn_effective: np.ndarray
    excitatory: np.ndarray
    states: Sequence[StateComparison] = ()
    lava: LavaAtRest | None = None


TwoMeasurements = tuple[NetworkTimescales, StageTimescales, StageTimescales]


class StageComparison(NamedTuple):
    """Two stages compared, over all networks."""

    a: str
    b: str
    by_method: Mapping[str, Preservation]
    curves: CurveComparison
    conclusion: Conclusion


@short_repr
class PreservationStudy(NamedTuple):
    """Networks measured at every stage, and what came of it.

    Attributes:
        networks: all of them.
        comparisons: of two stages each.
        config: what was asked for.
        inputs: what a report says of each network's file.
    """

    networks: Sequence[NetworkTimescales]
    comparisons: Sequence[StageComparison]
    config: PreserveConfig
    inputs: Sequence[Mapping[str, Any]]


def study_networks(
    networks: Sequence[NamedNetwork],
    config: PreserveConfig,
    *,
    jobs: int = 1,
    progress: Progress = silent,
) -> PreservationStudy:
    """Return the timescales of all networks at every stage, and what came of it.

    Raises:
        ValueError: a network that does not fit the task.
        DoesNotFit: one that does not fit the chip.
    """
    # Measured once, compared in three pairs: the stages share their runs.
    measured = measure_networks(
        [(network.name, network.read.net) for network in networks],
        config,
        jobs=jobs,
        progress=progress,
    )
    margins, seed = config.margins, config.run.seed
    return PreservationStudy(
        networks=measured,
        comparisons=[
            compare_stages(measured, a, b, margins=margins, seed=seed)
            for a, b in COMPARED
        ],
        config=config,
        inputs=[network.origin for network in networks],
    )


def measure_stage(runs: RepeatedRun, *, groups: int = 0) -> StageTimescales:
    """Return the timescales and autocorrelations of one stage's two runs.

    Longer trials come in wider bins: half a bin is the shortest τ that `ml` looks at.

    Args:
        runs: the two.
        groups: of trials left out in turn, for the replicates; 0 for none.
    """
    # Wider for longer trials: the estimators' time grows with the square of the bins.
    fine = _whole_steps(runs.first, ml.BIN_WIDTH, FINE_BINS)
    wide = _whole_steps(runs.first, BIN_WIDTH, WIDE_BINS)
    widths = {"ml": fine, "exponential": wide}
    estimators: dict[str, Callable[..., Timescales]] = {
        "ml": partial(ESTIMATORS["ml"], bin_width=fine),
        "exponential": partial(
            ESTIMATORS["exponential"],
            bin_width=wide,
            max_lag=LAGS * wide,
            offset="none",  # simulated trials do not drift
            bootstrap=RESAMPLES,
            rng=np.random.default_rng(0),
        ),
    }
    timescales = {
        method: tuple(estimators[method](run) for run in runs) for method in METHODS
    }
    # Without a fit: the third voice must not share the others' assumptions.
    curves = [autocorrelation(as_series(run, wide).values, LAGS) for run in runs]
    replicates = {}
    if groups:
        replicates = {
            method: trial_replicates(
                as_series(runs.first, widths[method]), estimators[method], groups
            )
            for method in METHODS
        }
    # The rules drop the first bin.
    long = runs.first.steps * runs.first.dt > (LAGS + 2) * BIN_WIDTH
    published = kim(runs.first) if long else None
    return StageTimescales(timescales, np.array(curves), wide, replicates, published)


def measure_network(
    name: str, rate: RateRNN, config: PreserveConfig, *, progress: Progress = silent
) -> NetworkTimescales:
    """Return a network's timescales at every stage, each measured twice.

    Raises:
        ValueError: the network does not fit the task.
        DoesNotFit: it does not fit the chip.
    """
    # What cannot be watched is refused before minutes of work.
    network_source(rate, "rate", observable=config.observable)
    # Without timescales of its own: those below replace them.
    result = carry(rate, config.run, progress=progress)
    words = independent_seeds([config.run.seed, STATES], 2)
    with _beside_lava(result.fixed, config, words[1]) as lava:
        quiet = run_quiet(
            result,
            trials=config.trials,
            length=config.length,
            settle=config.settle,
            seed=config.run.seed,
        )
        groups = config.groups
        if groups is None:  # A group needs two trials.
            groups = FEW_GROUPS if config.trials >= 2 * FEW_GROUPS else 0
        measured = describe_network(name, result, quiet, groups=groups)
        states = compare_states(
            stage_sources(
                rate,
                result.conversion,
                result.fixed,
                observable=config.observable,
                epoch=epoch_of(rate, config.epoch, config.run.task, rate.dt),
            ),
            COMPARED,
            margins=config.state_margins,
            budget=config.budget,
            seed=words[0],
            progress=progress,
        )
        agreed = None if lava is None else lava.finish(progress)
    return measured._replace(states=states, lava=agreed)


@contextmanager
def _beside_lava(
    fixed: FixedPointNetwork, config: PreserveConfig, seed: int
) -> Iterator[RestingLava | None]:
    """Run Lava beside what is done within, if that was asked for."""
    if not config.lava:
        yield None
        return
    with lava_resting(fixed, seed=seed) as lava:
        yield lava


def describe_network(
    name: str, result: Result, quiet: Mapping[str, RepeatedRun], *, groups: int = 0
) -> NetworkTimescales:
    """Return the timescales in runs of every stage, and what stands beside them."""
    lif = result.conversion.network
    effective = result.quantization.tau_syn_effective
    return NetworkTimescales(
        name=name,
        stages={
            stage: measure_stage(runs, groups=groups) for stage, runs in quiet.items()
        },
        accuracy={stage: float(result.stages[stage].right.mean()) for stage in STAGES},
        tau_syn=np.array(lif.tau_syn),
        tau_syn_effective=np.array(effective),
        # Copies of a unit have its sign.
        excitatory=np.repeat(result.rate.dale > 0, lif.n // result.rate.n),
    )


def measure_networks(
    networks: Sequence[tuple[str, RateRNN]],
    config: PreserveConfig,
    *,
    jobs: int = 1,
    progress: Progress = silent,
) -> list[NetworkTimescales]:
    """Return many networks' timescales at every stage, `jobs` networks at a time.

    The first network's seed is that of `config.run`, the next one's is one more.

    Raises:
        ValueError: as `measure_network`, with the network's name before it; or `jobs`
            is less than 1.
    """
    jobs = validation.whole("jobs", jobs, 1, 1 << 10)
    # In this process: its progress can then be seen step by step.
    if jobs == 1 and len(networks) == 1:
        name, rate = networks[0]
        return [measure_network(name, rate, config, progress=progress)]

    # With several networks the spread over them shows how neurons err together.
    if config.groups is None and len(networks) >= MANY:
        config = replace(config, groups=0)

    def measure(k: int) -> NetworkTimescales:
        name, rate = networks[k]
        # Another one for each: equal noise would tie the networks together.
        seed = config.run.seed + k
        # The jobs share the cores: threads of each would only wait for one another.
        with threadpool_limits(1):
            try:
                return measure_network(
                    name, rate, replace(config, run=replace(config.run, seed=seed))
                )
            except ValueError as error:
                # Of forty networks the message has to say which.
                raise type(error)(f"{name}: {error}") from error

    # Lazily: the networks are handed over one by one as jobs become free.
    tasks = (delayed(measure)(k) for k in range(len(networks)))
    measured = Parallel(n_jobs=jobs, return_as="generator")(tasks)
    ticks = progress(range(len(networks)), "networks")
    return [timescales for _, timescales in zip(ticks, measured, strict=True)]


def compare_stages(
    networks: Sequence[NetworkTimescales],
    a: str,
    b: str,
    *,
    margins: PreservationConfig | None = None,
    seed: int = 0,
) -> StageComparison:
    """Return whether the timescales of stage `a` are those of stage `b`."""
    measured = of_stages(networks, a, b)
    return compare_measured(measured, (a, b), margins=margins, seed=seed)


def compare_measured(
    measured: Sequence[TwoMeasurements],
    names: tuple[str, str],
    *,
    margins: PreservationConfig | None = None,
    seed: int = 0,
) -> StageComparison:
    """Return whether the timescales in two measurements of each network are the same.

    Args:
        measured: networks, each with what was measured at a and at b.
        names: of a and b.
        margins: what counts as preserved.
        seed: of the bootstrap.
    """
    # Each comparison draws for itself: a method more does not change the others.
    by_method = {
        method: compare_spikes(
            pairs_of(measured, method), margins, rng=np.random.default_rng([seed, k])
        )
        for k, method in enumerate(METHODS)
    }
    rng = np.random.default_rng([seed, len(METHODS)])
    curves = compare_curves(curves_of(measured), margins, rng=rng)
    return StageComparison(
        *names, by_method, curves, conclude({**by_method, "curves": curves})
    )


def of_stages(
    networks: Sequence[NetworkTimescales], a: str, b: str
) -> list[TwoMeasurements]:
    """Return networks, each with what was measured at two stages."""
    return [(network, network.stages[a], network.stages[b]) for network in networks]


def pairs_of(measured: Sequence[TwoMeasurements], method: str) -> list[Pair]:
    """Return the timescales of both measurements and their repeats, by one method."""
    return [
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


def curves_of(measured: Sequence[TwoMeasurements]) -> list[Curves]:
    """Return the autocorrelations of both measurements and their repeats."""
    return [
        Curves(
            name=network.name,
            a=a.curves[0],
            b=b.curves[0],
            a_again=a.curves[1],
            b_again=b.curves[1],
        )
        for network, a, b in measured
    ]


def _whole_steps(spikes: Spikes, shortest: float, bins: int) -> float:
    """Return the width of so many bins of a trial, in whole steps."""
    return round(max(shortest, spikes.steps * spikes.dt / bins) / spikes.dt) * spikes.dt
