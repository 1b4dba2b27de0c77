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
from isotau.jobs.preserve import (
    COMPARED,
    NetworkTimescales,
    PreserveConfig,
    compare_stages,
    describe_network,
)
from isotau.jobs.quiet_runs import STAGES, StageTimescales, measure_stage, run_quiet
from isotau.jobs.run_config import RunConfig
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
WIDE = 0.01
"""Seconds between samples of the smoothed spikes."""


class Measured(NamedTuple):
    """One network by one method."""

    timescales: NetworkTimescales
    responses: Mapping[str, Responses]
    swept: Mapping[float, StageTimescales]


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
) -> list[Measured]:
    """Return every network of a study carried by a method, and measured."""

    def one(k: int) -> Measured:
        config = PreserveConfig(
            run=RunConfig(task=name, method=method, trials=sizes["task"], seed=k),
            trials=sizes["quiet"],
            length=sizes["length"],
        )
        with threadpool_limits(1):
            return _measure_one(f"{name} {k}", nets[k], config, sweep=k < SWEPT)

    tasks = (delayed(one)(k) for k in range(len(nets)))
    found = Parallel(n_jobs=jobs, return_as="generator")(tasks)
    return list(track(found, description=f"{name}, {method}", total=len(nets)))


def _measure_one(
    name: str, net: RateRNN, config: PreserveConfig, *, sweep: bool
) -> Measured:
    result = carry(net, config.run, progress=silent)
    timing = {
        "trials": config.trials,
        "length": config.length,
        "settle": config.settle,
        "seed": config.run.seed,
    }
    quiet = run_quiet(result, **timing)
    swept = {}
    if sweep and config.run.method == "scale" and name.startswith(CODED):
        swept = {
            error: measure_stage(
                run_quiet(_off(result, error), **timing | {"seed": 1000})["fixed"]
            )
            for error in ERRORS
        }
    responses = {}
    if name.startswith(CODED):
        responses = {
            stage: respond(
                result.stages[stage].spikes,
                result.stages[stage].trials.labels,
                FIRST_STIMULUS,
                every=WIDE,
            )
            for stage in STAGES
        }
    return Measured(describe_network(name, result, quiet), responses, swept)


def _off(result: Result, error: float) -> Result:
    """Return a scaled network whose 1/λ is too large by a share."""
    chosen, constants = result.conversion.chosen, result.conversion.constants
    lif = rate_to_lif(
        result.conversion.rate,
        inverse_lambda=chosen.inverse_lambda * (1 + error),
        output_gain=chosen.output_gain,
        drive=chosen.drive,
        constants=constants,
    )
    if not error and not storage.same(lif, result.conversion.network):
        raise ValueError("network: got another one at no error of λ, need the same")
    silence = np.zeros((round(1.0 / lif.dt), 20, lif.n_in))
    return replace(result, fixed=prepare(lif, silence, input_peak=1.0).fixed)


def compared(measured: Sequence[Measured], seed: int) -> dict[str, Any]:
    """Return the verdict on every pair of stages, and what stands beside it."""
    nets = [one.timescales for one in measured]
    said: dict[str, Any] = {
        "networks": len(nets),
        "accuracy": {stage: [net.accuracy[stage] for net in nets] for stage in STAGES},
        "timescales": {stage: _found(nets, stage) for stage in STAGES},
        "tau_syn_effective": _effective(nets),
        "comparisons": {},
    }
    for a, b in COMPARED:
        found = compare_stages(nets, a, b, seed=seed)
        curve = found.curves.endpoint.estimate if found.curves.endpoint else None
        said["comparisons"][f"{a} to {b}"] = {
            "verdict": found.conclusion.verdict.value,
            "reason": found.conclusion.reason,
            "curves": {
                "verdict": found.curves.verdict.value,
                "reason": found.curves.reason,
                "distance": None if curve is None else _number(curve.value),
            },
            "methods": {
                method: summary(result) | {"numbers": _numbers(result)}
                for method, result in found.by_method.items()
            },
        }
    return said


def swept(measured: Sequence[Measured], seed: int) -> dict[str, Any] | None:
    """Return the distances to the chip network with the right λ, by the error of λ."""
    some = [one for one in measured if one.swept]
    if not some:
        return None

    def pairs(error: float) -> list[Pair]:
        return [
            Pair(
                name=one.timescales.name,
                a=one.timescales.stages["fixed"].timescales["ml"][0],
                a_again=one.timescales.stages["fixed"].timescales["ml"][1],
                b=one.swept[error].timescales["ml"][0],
                b_again=one.swept[error].timescales["ml"][1],
            )
            for one in some
        ]

    found = sensitivity(
        ERRORS, [pairs(error) for error in ERRORS], rng=np.random.default_rng(seed)
    )
    return {
        "networks": len(some),
        "errors": list(ERRORS),
        "verdicts": [verdict.value for verdict in found.verdicts],
        "trends": {name: trend.kendall for name, trend in found.trends.items()},
        **{
            name: [_number(x) for x in getattr(found, name)]
            for name in ("shift", "scatter", "loss", "wasserstein", "distance")
        },
    }


def coded(measured: Sequence[Measured], seed: int) -> dict[str, Any] | None:
    """Return the memory code at each stage, long and short by its own timescales."""
    if not measured or not measured[0].responses:
        return None
    stages = {
        stage: StageData(
            responses=[one.responses[stage] for one in measured],
            timescales=[
                one.timescales.stages[stage].timescales["ml"][0] for one in measured
            ],
        )
        for stage in STAGES
    }
    config = CodingConfig(draws=3, splits=5)
    said: dict[str, Any] = {}
    for stage, data in stages.items():
        try:
            code = measure(data, np.random.default_rng(seed), config)
        except ValueError as error:  # too few neurons have a timescale
            said[stage] = {"refused": str(error)}
        else:
            said[stage] = numbers(code)
    return said


def _found(nets: Sequence[NetworkTimescales], stage: str) -> dict[str, Any]:
    """Return how many neurons have a timescale, and which."""
    said = {}
    for method in nets[0].stages[stage].timescales:
        runs = [net.stages[stage].timescales[method][0] for net in nets]
        taus = np.concatenate([run.tau for run in runs])
        taus = taus[np.isfinite(taus)]
        said[method] = {
            "neurons": int(sum(run.n for run in runs)),
            "identified": int(taus.size),
            "quartiles_s": [_number(x) for x in np.quantile(taus, (0.25, 0.5, 0.75))]
            if taus.size
            else None,
            "rate_hz": float(np.mean([np.nanmean(run.rate) for run in runs])),
        }
    return said


def _effective(nets: Sequence[NetworkTimescales]) -> dict[str, Any]:
    """Return what the chip's truncation leaves of the synapses' time constants."""
    nominal = np.concatenate([net.tau_syn for net in nets])
    left = np.concatenate([net.tau_syn_effective for net in nets]) / nominal
    return {
        "nominal_median_s": float(np.median(nominal)),
        "ratio_quantiles": [float(x) for x in np.nanquantile(left, (0.05, 0.5, 0.95))],
    }


def _numbers(result: Preservation) -> dict[str, Any]:
    return {
        name: [_number(x) for x in (found.value, found.low, found.high)]
        for name, found in result.numbers.items()
    }


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
