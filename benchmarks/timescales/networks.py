"""Trained networks at every stage: are timescales and the memory code preserved?"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from joblib import Parallel, delayed
from rich.progress import track
from threadpoolctl import threadpool_limits

from benchmarks.conversion.studies import STUDIES
from isotau.cli.progress import bars
from isotau.convert.ground.progress import silent
from isotau.convert.records import storage
from isotau.convert.records.rate import RateRNN
from isotau.convert.to_fixed.prepare import prepare
from isotau.convert.to_lif.search_lambda import rate_to_lif
from isotau.jobs.pipeline import Result, carry
from isotau.jobs.quiet import STAGES, run_quiet
from isotau.jobs.run_config import RunConfig
from isotau.jobs.timescales.preserve import (
    COMPARED,
    NetworkTimescales,
    PreserveConfig,
    StageTimescales,
    compare_stages,
    describe_network,
    measure_stage,
)
from isotau.jobs.train import file_name, train_networks
from isotau.sim.coding.measure import StageData, measure
from isotau.sim.coding.memory_code import CodingConfig, numbers
from isotau.sim.coding.responses import FIRST_STIMULUS, Responses, respond
from isotau.sim.preservation import Preservation, sensitivity, summary
from isotau.sim.preservation.pair import Pair

CHOSEN = {"dms-750": 12, "mante": 8, "go-nogo": 6}
"""Studies of the conversion benchmark, and how many of their networks."""
METHODS = ("scale", "calibrate")
ERRORS = (0.0, 0.1, 0.2, 0.3, 0.5)
SWEPT = 5
"""Networks on which λ is set wrong."""
CODED = "dms-750"
SAMPLE_S = 0.01
"""Seconds between samples of the smoothed spikes."""


class CarriedNetwork(NamedTuple):
    """One network, carried to the chip by one method, as far as it was measured.

    Attributes:
        timescales: at every stage.
        responses: of the memory task at every stage; empty for other tasks.
        sweep: the chip's timescales by the error of λ; empty if λ was not varied.
    """

    timescales: NetworkTimescales
    responses: Mapping[str, Responses]
    sweep: Mapping[float, StageTimescales]


def networks(name: str, folder: Path) -> list[RateRNN]:
    """Return a study's networks, trained if they are not there."""
    request = STUDIES[name].train
    if not (folder / name / file_name(request.count - 1)).exists():
        train_networks(request, folder / name, progress=bars)
    return [
        storage.load(folder / name / file_name(k), RateRNN) for k in range(CHOSEN[name])
    ]


def measure_all(
    name: str, method: str, nets: Sequence[RateRNN], sizes: Mapping[str, Any], jobs: int
) -> list[CarriedNetwork]:
    """Return every network of a study carried by a method, and measured."""

    def carried(k: int) -> CarriedNetwork:
        config = PreserveConfig(
            run=RunConfig(task=name, method=method, trials=sizes["task"], seed=k),
            trials=sizes["quiet"],
            length=sizes["length"],
        )
        # Processes run side by side; threads within them would compete for the cores.
        with threadpool_limits(1):
            return _measure_network(f"{name} {k}", nets[k], config, sweep=k < SWEPT)

    tasks = (delayed(carried)(k) for k in range(len(nets)))
    networks = Parallel(n_jobs=jobs, return_as="generator")(tasks)
    return list(track(networks, description=f"{name}, {method}", total=len(nets)))


def _measure_network(
    name: str, net: RateRNN, config: PreserveConfig, *, sweep: bool
) -> CarriedNetwork:
    result = carry(net, config.run, progress=silent)
    timing = {
        "trials": config.trials,
        "length": config.length,
        "settle": config.settle,
        "seed": config.run.seed,
    }
    quiet = run_quiet(result, **timing)
    by_error = {}
    # Only `scale` has one λ for the whole network that could be wrong.
    if sweep and config.run.method == "scale" and name.startswith(CODED):
        # Another seed than the runs above, against which these are held.
        again = timing | {"seed": 1000}
        for error in ERRORS:
            runs = run_quiet(_with_wrong_lambda(result, error), **again)
            by_error[error] = measure_stage(runs["fixed"])
    responses = {}
    if name.startswith(CODED):
        responses = {
            stage: respond(
                result.stages[stage].spikes,
                result.stages[stage].trials.labels,
                FIRST_STIMULUS,
                every=SAMPLE_S,
            )
            for stage in STAGES
        }
    return CarriedNetwork(describe_network(name, result, quiet), responses, by_error)


def _with_wrong_lambda(result: Result, error: float) -> Result:
    """Return a scaled network whose 1/λ is too large by a share."""
    choice, constants = result.conversion.chosen, result.conversion.constants
    lif = rate_to_lif(
        result.conversion.rate,
        inverse_lambda=choice.inverse_lambda * (1 + error),
        output_gain=choice.output_gain,
        drive=choice.drive,
        constants=constants,
    )
    # At no error the network must come out as it was, or the sweep compares others.
    if not error and not storage.same(lif, result.conversion.network):
        raise ValueError("network: got another one at no error of λ, need the same")
    # Ranges at rest: the sweep looks at timescales without input alone.
    silence = np.zeros((round(1.0 / lif.dt), 20, lif.n_in))
    return replace(result, fixed=prepare(lif, silence, input_peak=1.0).fixed)


def compared(measured: Sequence[CarriedNetwork], seed: int) -> dict[str, Any]:
    """Return the verdict on every pair of stages, and what stands beside it."""
    nets = [network.timescales for network in measured]
    figures: dict[str, Any] = {
        "networks": len(nets),
        "accuracy": {stage: [net.accuracy[stage] for net in nets] for stage in STAGES},
        "timescales": {stage: _quartiles(nets, stage) for stage in STAGES},
        "tau_syn_effective": _effective(nets),
        "comparisons": {},
    }
    for a, b in COMPARED:
        comparison = compare_stages(nets, a, b, seed=seed)
        curves = comparison.curves
        distance = curves.endpoint.estimate if curves.endpoint else None
        figures["comparisons"][f"{a} to {b}"] = {
            "verdict": comparison.conclusion.verdict.value,
            "reason": comparison.conclusion.reason,
            "curves": {
                "verdict": curves.verdict.value,
                "reason": curves.reason,
                "distance": None if distance is None else _finite(distance.value),
            },
            "methods": {
                method: summary(result) | {"numbers": _numbers(result)}
                for method, result in comparison.by_method.items()
            },
        }
    return figures


def swept(measured: Sequence[CarriedNetwork], seed: int) -> dict[str, Any] | None:
    """Return the distances to the chip network with the right λ, by the error of λ."""
    networks = [network for network in measured if network.sweep]
    if not networks:
        return None

    def pairs(error: float) -> list[Pair]:
        pairs = []
        for network in networks:
            chip = network.timescales.stages["fixed"].timescales["ml"]
            wrong = network.sweep[error].timescales["ml"]
            name = network.timescales.name
            # Each side with its repeat, which says what chance alone does.
            pair = Pair(
                name=name, a=chip[0], a_again=chip[1], b=wrong[0], b_again=wrong[1]
            )
            pairs.append(pair)
        return pairs

    results = sensitivity(
        ERRORS, [pairs(error) for error in ERRORS], rng=np.random.default_rng(seed)
    )
    return {
        "networks": len(networks),
        "errors": list(ERRORS),
        "verdicts": [verdict.value for verdict in results.verdicts],
        "trends": {name: trend.kendall for name, trend in results.trends.items()},
        **{
            name: [_finite(x) for x in getattr(results, name)]
            for name in ("shift", "scatter", "loss", "wasserstein", "distance")
        },
    }


def coded(measured: Sequence[CarriedNetwork], seed: int) -> dict[str, Any] | None:
    """Return the memory code at each stage, long and short by its own timescales."""
    if not measured or not measured[0].responses:
        return None
    stages = {
        stage: StageData(
            responses=[network.responses[stage] for network in measured],
            timescales=[
                network.timescales.stages[stage].timescales["ml"][0]
                for network in measured
            ],
        )
        for stage in STAGES
    }
    config = CodingConfig(draws=3, splits=5)
    figures: dict[str, Any] = {}
    for stage, data in stages.items():
        try:
            code = measure(data, np.random.default_rng(seed), config)
        except ValueError as error:  # too few neurons have a timescale
            figures[stage] = {"refused": str(error)}
        else:
            figures[stage] = numbers(code)
    return figures


def _quartiles(nets: Sequence[NetworkTimescales], stage: str) -> dict[str, Any]:
    """Return how many neurons have a timescale, and which."""
    figures = {}
    for method in nets[0].stages[stage].timescales:
        runs = [net.stages[stage].timescales[method][0] for net in nets]
        taus = np.concatenate([run.tau for run in runs])
        taus = taus[np.isfinite(taus)]
        figures[method] = {
            "neurons": int(sum(run.n for run in runs)),
            "identified": int(taus.size),
            "quartiles_s": [_finite(x) for x in np.quantile(taus, (0.25, 0.5, 0.75))]
            if taus.size
            else None,
            "rate_hz": float(np.mean([np.nanmean(run.rate) for run in runs])),
        }
    return figures


def _effective(nets: Sequence[NetworkTimescales]) -> dict[str, Any]:
    """Return what the chip's truncation leaves of the synapses' time constants."""
    nominal = np.concatenate([net.tau_syn for net in nets])
    effective = np.concatenate([net.tau_syn_effective for net in nets])
    # NaN where the current stayed below one unit of u.
    ratios = effective / nominal
    return {
        "nominal_median_s": float(np.median(nominal)),
        "ratio_quantiles": np.nanquantile(ratios, (0.05, 0.5, 0.95)).tolist(),
    }


def _numbers(result: Preservation) -> dict[str, Any]:
    return {
        name: [_finite(x) for x in (figure.value, figure.low, figure.high)]
        for name, figure in result.numbers.items()
    }


def _finite(value: float) -> float | None:
    """Return a number as JSON has it, which knows no NaN."""
    return float(value) if np.isfinite(value) else None
