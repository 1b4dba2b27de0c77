"""What the main job leaves: artefacts, pictures, `report.json`, and one table."""

import json
import platform
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from isotau.convert import storage
from isotau.convert.quantization_report import summarize
from isotau.convert.spikes import mean_rate
from isotau.pipeline import Result
from isotau.sim import plot
from isotau.sim.engines import diagnostics
from isotau.sim.tasks import TASKS
from isotau.sim.timescales.record import summary, write_csv
from isotau.stages import Stage

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
INITIAL_STATE = (
    "before every trial all neurons are at reset with no current (rate units: x drawn "
    "from N(0, 0.01^2)) and pass the burn-in with zero input"
)


def write(result: Result, out: Path, source: Mapping[str, Any]) -> Path:
    """Write every artefact of a run into a folder and return the report's path.

    Args:
        result: of `run_pipeline`.
        out: the folder; made if need be, files of the same names are replaced.
        source: what is to be said of the input, from `pipeline.describe_input`.
    """
    storage.save(result.rate, out / "network.rate.npz")
    storage.save(result.conversion.network, out / "network.lif.npz")
    storage.save(result.fixed, out / "network.fixed.npz")
    storage.save(result.stages["rate"].trials, out / "trials.npz")
    for name, stage in result.stages.items():
        storage.save(stage.spikes, out / f"{name}.spikes.npz")
        storage.save(stage.spontaneous, out / f"{name}.spontaneous.npz")
        write_csv(stage.timescales, out / f"{name}.timescales.csv")
    _draw(result, out)
    report = summarize_run(result) | dict(source)
    text = json.dumps(report, indent=2, allow_nan=False)
    return storage.write_text(out / "report.json", text + "\n")


def summarize_run(result: Result) -> dict[str, Any]:
    """Return what `report.json` says, but for the input."""
    config, conversion = result.config, result.conversion
    constants = asdict(config.constants)
    return {
        "task": config.task,
        "seed": config.seed,
        "protocol": {
            "initial_state": INITIAL_STATE,
            "burn_in_s": constants["burn_in"],
            "membrane_noise": constants["noise_std"] > 0,
            "lif_constants_si": constants,
            "scored_trials": config.trials,
            "search_trials": config.search_trials,
            "timescale_trials": config.timescale_trials,
        },
        "network": {
            "n": result.rate.n,
            "n_excitatory": int((result.rate.dale > 0).sum()),
            "n_inhibitory": int((result.rate.dale < 0).sum()),
            "activation": result.rate.activation,
            "median_tau_ms": 1e3 * float(np.median(result.rate.tau)),
        },
        "conversion": {
            "chosen": asdict(conversion.chosen),
            "candidates": [asdict(candidate) for candidate in conversion.candidates],
        },
        "quantization": summarize(result.quantization),
        "diagnostics": diagnostics.summarize(result.diagnostics),
        "engine": config.engine,
        "stages": {name: _stage(stage) for name, stage in result.stages.items()},
        "lava_identical": result.lava_mismatches == 0,
        "lava_mismatches": result.lava_mismatches,
        "lava_compared": result.lava_compared,
        "versions": versions(),
    }


def read(path: Path) -> dict[str, Any]:
    """Return a report that `write` wrote."""
    report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return report


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that decide the numbers."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed as a package"
    return found


def table(report: dict[str, Any]) -> Table:
    """Return the one table of a run: a row per stage.

    "chance" counts the Poisson neurons of the same rates that would have a timescale.
    """
    rows = Table(title=f"{report['input']}, {report['task']}, seed {report['seed']}")
    rows.add_column("stage")
    headings = ("trials", "accuracy", "mean rate", "with a τ", "chance", "median τ")
    for heading in headings:
        rows.add_column(heading, justify="right")
    for name, stage in report["stages"].items():
        tau = stage["median_tau_ms"]
        rows.add_row(
            name,
            str(stage["n_trials"]),
            f"{stage['accuracy']:.3f} ± {stage['accuracy_se']:.3f}",
            f"{stage['mean_rate_hz']:.2f} Hz",
            f"{stage['n_timescales']} of {stage['n_neurons']}",
            str(stage["n_timescales_by_chance"]),
            "none" if tau is None else f"{tau:.0f} ms",
        )
    return rows


def verdict(report: dict[str, Any]) -> str:
    """Return in one sentence what a report says."""
    stages, chosen = report["stages"], report["conversion"]["chosen"]
    lava = (
        f"Lava gave the engine's spikes in all {report['lava_compared']:,} neuron-steps"
        if report["lava_identical"]
        else f"LAVA DIFFERS from the engine in {report['lava_mismatches']:,} of "
        f"{report['lava_compared']:,} neuron-steps"
    )
    accuracies = " → ".join(
        f"{stages[name]['accuracy']:.3f} ({name})" for name in ("rate", "lif", "fixed")
    )
    fixed = stages["fixed"]
    return (
        f"At 1/λ = {chosen['inverse_lambda']:g} Hz accuracy goes {accuracies}; {lava}. "
        f"{fixed['n_timescales']} fixed-point neurons have a timescale by the "
        f"published rules, where {fixed['n_timescales_by_chance']} of as many Poisson "
        "neurons would: unless the two numbers are far apart, the median says nothing."
    )


def warnings(report: dict[str, Any]) -> list[str]:
    """Return a line for each finding about the chip that is an error."""
    return [
        f"Warning: {found['text']}"
        for found in report["diagnostics"]["findings"]
        if found["severity"] == "error"
    ]


def _stage(stage: Stage) -> dict[str, Any]:
    """Return one stage's numbers; keys with a unit in their name carry that unit."""
    measured = summary(stage.timescales)
    tau = measured["median_tau_s"]
    accuracy = float(stage.right.mean())
    return {
        "n_trials": stage.trials.batch,
        "accuracy": accuracy,
        "accuracy_se": float(np.sqrt(accuracy * (1 - accuracy) / stage.trials.batch)),
        "accuracy_strict": float(stage.right_strictly.mean()),
        "mean_rate_hz": mean_rate(stage.spikes),
        "spontaneous_rate_hz": mean_rate(stage.spontaneous),
        "n_neurons": stage.timescales.n,
        "n_timescales": measured["n_timescales"],
        "n_timescales_by_chance": summary(stage.chance)["n_timescales"],
        "median_tau_ms": None if tau is None else 1e3 * tau,
        "timescale_status": measured["status"],
    }


def _draw(result: Result, out: Path) -> None:
    """Draw the four pictures of a run."""
    stages = result.stages
    task = TASKS[result.config.task]
    labels = stages["lava"].trials.labels
    shown = {
        name: int(np.argmax(labels == label))
        for label, name in task.conditions.items()
        if (labels == label).any()
    }
    trials = stages["lava"].trials
    active = np.flatnonzero(trials.inputs[:, list(shown.values())].any(axis=(1, 2)))
    plot.rasters(
        out / "rasters.png",
        {name: stage.spikes for name, stage in stages.items()},
        shown,
        result.rate.dale,
        stimulus=(active[0] * trials.dt, (active[-1] + 1) * trials.dt)
        if active.size
        else None,
    )
    plot.outputs(
        out / "outputs.png",
        {name: (stage.outputs, stage.trials) for name, stage in stages.items()},
        names=task.conditions,
        rule=task.thresholds,
    )
    taus = {name: stage.timescales for name, stage in stages.items()}
    plot.tau_histograms(out / "tau_histograms.png", taus)
    plot.tau_against(
        out / "tau_rate_against_fixed.png",
        taus["rate"],
        taus["fixed"],
        ("rate", "fixed"),
    )
