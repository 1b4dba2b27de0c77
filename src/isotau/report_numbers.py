"""The numbers of a run, as `report.json` and `conversion.json` have them."""

import platform
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from isotau.comparisons import KappaReading, output_difference
from isotau.convert.conversion import answer_amplitude
from isotau.convert.quantization_report import summarize
from isotau.convert.spikes import mean_rate
from isotau.convert.unit_diagnostics import NUMBERS, Cause, UnitDiagnostics
from isotau.pipeline import Result
from isotau.plan import Quiet, Stage
from isotau.sim.engines import diagnostics
from isotau.sim.timescales.record import summary

PACKAGES = (
    "isotau",
    "numpy",
    "scipy",
    "torch",
    "norse",
    "lava-nc",
    "matplotlib",
    "h5py",
)
FROM_REST = (
    "before every trial all neurons are at reset with no current (rate units: x drawn "
    "from N(x0, x0_std^2)) and pass the burn-in; held inputs, such as a context, are on"
)
FROM_X0 = (
    "every trial starts in the state that stands for the rate network's x0 (rate "
    "units: x drawn from N(x0, x0_std^2)), without burn-in"
)
WORST = 5
"""Units that are told of one by one."""


def summarize_run(result: Result) -> dict[str, Any]:
    """Return what is to be said of a result, but for its input."""
    config, conversion = result.config, result.conversion
    constants = asdict(conversion.constants)
    said: dict[str, Any] = {
        "task": config.task,
        "seed": config.seed,
        "protocol": {
            "initial_state": FROM_REST if constants["burn_in"] else FROM_X0,
            "burn_in_s": constants["burn_in"],
            "membrane_noise": constants["noise_std"] > 0,
            "lif_constants_si": constants,
            "scored_trials": config.trials,
            "search_trials": config.search_trials,
        },
        "network": {
            "n": result.rate.n,
            "n_excitatory": int((result.rate.dale > 0).sum()),
            "n_inhibitory": int((result.rate.dale < 0).sum()),
            "rank": result.rate.rank or None,
            "activation": result.rate.activation,
            "median_tau_ms": 1e3 * float(np.median(result.rate.tau)),
        },
        "conversion": {
            "method": conversion.method,
            "copies": config.copies,
            "n_neurons": conversion.network.n,
            "chosen": asdict(conversion.chosen),
            "candidates": [asdict(candidate) for candidate in conversion.candidates],
            "residual": list(conversion.residual),
        },
        "quantization": summarize(result.quantization),
        "diagnostics": diagnostics.summarize(result.chip.diagnostics),
        "engine": config.engine,
        "target_amplitude": answer_amplitude(
            result.plan.test.targets, result.plan.test
        ),
        "stages": {name: _stage(name, result) for name in result.stages},
        "units": _units(result.units),
        "kappa": None if result.kappa is None else _kappa(result.kappa),
        "versions": versions(),
    }
    if result.lava is not None:
        said["protocol"]["timescale_trials"] = config.timescale_trials
        said["lava_identical"] = result.lava.mismatches == 0
        said["lava_mismatches"] = result.lava.mismatches
        said["lava_compared"] = result.lava.compared
    return said


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that decide the numbers."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed as a package"
    return found


def _stage(name: str, result: Result) -> dict[str, Any]:
    """Return one stage's numbers; keys with a unit in their name carry that unit."""
    stage: Stage = result.stages[name]
    rate = result.stages["rate"]
    accuracy = float(stage.right.mean())
    said = {
        "n_trials": stage.trials.batch,
        "n_neurons": stage.spikes.n,
        "accuracy": accuracy,
        "accuracy_se": float(np.sqrt(accuracy * (1 - accuracy) / stage.trials.batch)),
        "accuracy_strict": float(stage.right_strictly.mean()),
        "output_amplitude": answer_amplitude(stage.outputs, stage.trials),
        "output_rms_to_rate": result.repeated
        if stage is rate
        else output_difference(stage, rate),
        "mean_rate_hz": mean_rate(stage.spikes),
    }
    return said if stage.quiet is None else said | _quiet(stage.quiet)


def _quiet(quiet: Quiet) -> dict[str, Any]:
    measured = summary(quiet.timescales)
    tau = measured["median_tau_s"]
    return {
        "spontaneous_rate_hz": mean_rate(quiet.spikes),
        "n_timescales": measured["n_timescales"],
        "n_timescales_by_chance": summary(quiet.chance)["n_timescales"],
        "n_timescales_published": summary(quiet.published)["n_timescales"],
        "timescale_method": measured["method"],
        "median_tau_ms": None if tau is None else 1e3 * tau,
        "timescale_status": measured["status"],
    }


def _units(units: UnitDiagnostics) -> dict[str, Any]:
    """Return how many units have which cause, and the worst in full."""
    worst = np.argsort(-units.rms, kind="stable")[:WORST]
    return {
        "causes": {c.value: units.cause.count(c) for c in Cause if c in units.cause},
        "median_rms": float(np.median(units.rms)),
        "tolerance": units.tolerance,
        "bin_width_s": units.width,
        "worst": [
            {"unit": int(k), "cause": units.cause[k].value}
            | {name: _finite(getattr(units, name)[k]) for name in NUMBERS}
            for k in worst
        ],
    }


def _kappa(reading: KappaReading) -> dict[str, Any]:
    """Return how near κ of each stage is to the rate network's, mode by mode."""
    said: dict[str, Any] = {"n_trials": reading.trials.batch}
    for name, agreement in reading.agreement.items():
        said[name] = {
            key: [_finite(value) for value in getattr(agreement, key)]
            for key in ("correlation", "rmse", "nrmse")
        }
        said[name]["nrmse_of_means"] = [
            _finite(value)
            for value in np.sqrt((agreement.condition_nrmse**2).mean(axis=0))
        ]
    return said


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
